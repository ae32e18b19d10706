"""Keras as an oracle: scripts of this folder that run it on TensorFlow, in a process of their own."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_TESTS = Path(__file__).resolve().parent


def run_with_keras(script: str, *arguments: Path) -> None:
    """Run `script`; if it fails, for want of Keras too (requirements-dev.txt pins it), the test that asks fails."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": str(_TESTS),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    command = [sys.executable, str(_TESTS / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=_TESTS, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{script} ended with status {done.returncode}:\n{done.stderr[-4000:]}"


def keras_results(script: str) -> dict[str, np.ndarray]:
    """What `script`, which takes only the file to write, finds.

    It does not depend on the backend: the suites of one ``make test`` share it in the folder ``UNIDL_TEST_SHARED``.
    Without that variable the script runs.
    """
    shared = os.environ.get("UNIDL_TEST_SHARED")
    with tempfile.TemporaryDirectory() as own:
        file = Path(shared or own, script).with_suffix(".npz")
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a suite beside this one may be at it: its results are waited for
            if not file.exists():
                made = Path(own, "made.npz")
                run_with_keras(script, made)
                file.write_bytes(made.read_bytes())
        with np.load(file) as found:
            return dict(found)
