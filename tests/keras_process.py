"""Keras as an oracle: scripts of this folder that run it on TensorFlow, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
