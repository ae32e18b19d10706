"""ONNX, the exchange format of neural networks (https://onnx.ai): models out (`export`) and in (`load`, `prepare`)."""

from __future__ import annotations

from unidl.interchange.onnx._layers import Operator, Weight
from unidl.interchange.onnx._model import load
from unidl.interchange.onnx._plans import MissingOperatorError
from unidl.interchange.onnx._running import Prepared, prepare
from unidl.interchange.onnx._structures import OnnxError
from unidl.interchange.onnx.exporting import Exported, export, parity
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import register_op

__all__ = [
    "Call", "Exported", "MissingOperatorError", "OnnxError", "Operator", "Prepared", "Weight", "export", "load",
    "parity", "prepare", "register_op",
]  # fmt: skip
