"""Saving and loading weights, and checkpoints, beside what the safetensors library alone needs for the same arrays.

    UNIDL_BACKEND=torch TMPDIR=/dev/shm python benchmarks/saving.py --gigabytes 1

Each line is a ratio: 1.0 means as fast as safetensors. Both replace an old file by a new one, on a disk that has
nothing left to write: else whoever writes while the disk catches up pays for the other. Files go to TMPDIR. Memory is
the most that the process had beyond what it had before, in tensors (all have the same size).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

import unidl
from unidl.backend import active

UNITS = 2048
ONE = UNITS * UNITS * 4


class Peak:
    """The most memory, of what no file backs, while a block runs, beyond what there was before.

    Another process watches: a thread of this one would wait while NumPy copies.
    """

    _WATCH = """
import pathlib, select, sys
status, seen = pathlib.Path(f"/proc/{sys.argv[1]}/status"), []
def resident():
    return int(status.read_text().partition("RssAnon:")[2].split()[0]) * 1024
seen.append(resident())
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.0005)[0]:
    seen.append(resident())
print(max(seen) - seen[0])
"""

    def __enter__(self) -> Peak:
        command = [sys.executable, "-c", self._WATCH, str(os.getpid())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(self, *exc: object) -> None:
        self.most = int(self._process.communicate("stop\n")[0])


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def seconds_on_idle_disk(run: Callable[[], Any]) -> float:
    os.sync()
    return seconds(run)


def compared(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """The best time of each, run in turns, nothing left to write by what ran before."""
    times = [(seconds_on_idle_disk(ours), seconds_on_idle_disk(theirs)) for _ in range(rounds)]
    return min(t for t, _ in times), min(t for _, t in times)


def replace(arrays: dict[str, np.ndarray], path: Path, on_disk: bool = False) -> None:
    """What unidl does too: the old file stays until the new one is whole, with checkpoints also on the disk."""
    temporary = path.with_suffix(".tmp")
    save_file(arrays, str(temporary))
    if on_disk:
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
    os.replace(temporary, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    count = max(1, round(options.gigabytes * 1e9 / ONE))
    stack = [unidl.layers.Dense(UNITS, use_bias=False, kernel_initializer="zeros") for _ in range(count)]
    model = unidl.Sequential([unidl.Input((UNITS,)), *stack])
    for i, variable in enumerate(model.weights):
        variable.assign(np.full((UNITS, UNITS), i, "float32"))
    print(f"{active.name} {active.engine_version}: {count} tensors of {ONE / 1e6:.0f} MB")
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("TMPDIR")))
    ours, theirs = folder / "ours.safetensors", folder / "theirs.safetensors"
    checkpoint = unidl.saving.Checkpoint(folder / "run", model, max_to_keep=1)
    try:
        with Peak() as saving:
            model.save_weights(ours)
        with Peak() as loading:
            model.load_weights(ours)
        with Peak() as keeping:
            checkpoint.save()
        with Peak() as restoring:
            checkpoint.restore()
        arrays = {str(i): np.array(active.to_numpy(v)) for i, v in enumerate(model.weights)}
        save = compared(lambda: model.save_weights(ours), lambda: replace(arrays, theirs), options.rounds)
        keep = compared(checkpoint.save, lambda: replace(arrays, theirs, on_disk=True), options.rounds)
        arrays.clear()
        load = compared(lambda: model.load_weights(ours), lambda: load_file(str(theirs)), options.rounds)
        restore = compared(checkpoint.restore, lambda: load_file(str(theirs)), options.rounds)
    finally:
        checkpoint.delete()
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    rows = (
        ("save", save, saving), ("load", load, loading), ("checkpoint", keep, keeping), ("restore", restore, restoring)
    )  # fmt: skip
    for what, (mine, other), peak in rows:
        speed = f"{other / mine:.2f} of safetensors' speed ({mine:.2f} s, {other:.2f} s)"
        print(f"{what}: {speed}, {peak.most / ONE:.2f} tensors")


if __name__ == "__main__":
    main()
