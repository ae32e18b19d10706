"""Programs of `torch.export` as ONNX files."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import torch


def write_onnx(source: Path, target: Path) -> None:
    """Write the program in a ``.pt2`` file as ONNX, by torch's own exporter."""
    if importlib.util.find_spec("onnxscript") is None:
        raise ImportError(f"torch converts {source.name} to ONNX by the package onnxscript: pip install onnxscript.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            written = torch.onnx.export(torch.export.load(source), dynamo=True, verbose=False)
            written.save(target)  # type: ignore[union-attr]
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"torch cannot make an ONNX model of {source}: {error}") from error
