"""SavedModels as ONNX files."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

#: The newest opset that tf2onnx writes.
_OPSET = "18"


def write_onnx(source: Path, target: Path) -> None:
    """Write the default signature of a SavedModel as ONNX, by tf2onnx in a process of its own."""
    if importlib.util.find_spec("tf2onnx") is None:
        raise ImportError(f"The SavedModel {source} is converted to ONNX by the package tf2onnx: pip install tf2onnx.")
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(source), "--output", str(target)]
    done = subprocess.run([*command, "--opset", _OPSET], capture_output=True, text=True, check=False)
    if done.returncode or not target.exists():
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ValueError(f"tf2onnx cannot make an ONNX model of {source}: {last}")
