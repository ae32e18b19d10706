"""Training that is killed again and again ends as if it had never been: real processes, real SIGKILLs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from unidl.backend import active

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not active.trains, reason="this backend does not train"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]

KILLS = 30
SEED = 20
BACKUPS: dict[str, dict[str, Any]] = {"beside": {"save_freq": 4, "background": True}, "between": {"save_freq": 3}}


class Script:
    """A training script that is started and dies; see `mortal_worker.py`."""

    def __init__(self) -> None:
        worker = Path(__file__).with_name("mortal_worker.py")
        environment = {**os.environ, "UNIDL_BACKEND": active.name, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, worker], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, folder: Path, backup: dict[str, Any] | None, kind: str | None = None, number: float = 0) -> str:
        folder.mkdir(exist_ok=True)
        line = json.dumps({"folder": str(folder), "backup": backup, "kind": kind, "number": number})
        assert self.process.stdin is not None and self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.stdin.close()
        self.process.wait()


def result(folder: Path) -> dict[str, Any]:
    """All that training has left: weights, optimizer, metrics, history, and files."""
    with np.load(folder / "result.npz") as file:
        found: dict[str, Any] = {name: (file[name].dtype.str, file[name].tobytes()) for name in file.files}
    best = {name: array.tobytes() for name, array in load_file(folder / "best.safetensors").items()}
    return {**found, "log": (folder / "log.csv").read_text(), "best": best}


def fates(rng: random.Random, seconds: float) -> Iterator[tuple[str, float]]:
    """When processes that live `seconds` at most die: every kind of moment again and again, in random order."""
    largest = {"batch": 9, "epoch": 2, "validation": 2, "write": 250}
    largest |= {f"{when} {what}": 5 for when in ("before", "after") for what in ("sync", "rename", "delete")}
    while True:
        for kind in rng.sample(kinds := [*largest, "write", *["time"] * 4], len(kinds)):
            yield kind, rng.uniform(0, 0.5 * seconds) if kind == "time" else rng.randint(1, largest[kind])


def test_killed_at_random_moments(tmp_path, capsys):
    rng = random.Random(SEED)
    kills: list[str] = []
    runs = 0
    with Script() as script:
        for name, backup in BACKUPS.items():
            began = time.perf_counter()
            assert script.run(tmp_path / name, backup) == "end"
            seconds = time.perf_counter() - began
        deaths = fates(rng, seconds)
        whole = {name: result(tmp_path / name) for name in BACKUPS}
        if active.random_state() is not None:  # saving changes nothing
            assert script.run(tmp_path / "none", None) == "end"
            assert whole["beside"] == whole["between"] == result(tmp_path / "none")
        while len(kills) < KILLS:
            name, backup = rng.choice(list(BACKUPS.items()))
            folder = tmp_path / f"run{runs}"
            ended = "killed"
            while ended == "killed":
                kind, number = next(deaths)
                ended = script.run(folder, backup, kind, number)
                assert ended in ("killed", "end")
                kills += [kind] * (ended == "killed")
            assert result(folder) == whole[name], (kills, name)
            runs += 1
    with capsys.disabled():
        print(f"\n{active.name}: {len(kills)} kills (seed {SEED}), {runs} runs ended alike; {dict(Counter(kills))}")
