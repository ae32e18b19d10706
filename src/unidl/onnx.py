"""ONNX: the exchange format of neural networks (https://onnx.ai)."""

from __future__ import annotations

from unidl.interchange.onnx.exporting import Exported, export, parity

__all__ = ["Exported", "export", "parity"]
