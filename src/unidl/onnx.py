"""ONNX: models out (`export`) and in (`load`, `prepare`)."""

from __future__ import annotations

from typing import Any

from unidl.interchange.onnx._layers import Operator, Weight
from unidl.interchange.onnx._model import load
from unidl.interchange.onnx._plans import MissingOperatorError
from unidl.interchange.onnx._running import Prepared, prepare
from unidl.interchange.onnx._structures import OnnxError
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import register_op

__all__ = [
    "Call", "MissingOperatorError", "OnnxError", "Operator", "Prepared", "Weight", "load", "prepare", "register_op",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "export":
        from unidl.interchange.onnx.exporting import export

        return export
    raise AttributeError(f"module 'unidl.onnx' has no attribute {name!r}")
