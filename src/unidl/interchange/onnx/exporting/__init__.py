"""Graphs written as ONNX models.

`export` is the way in. `_graph` walks a recorded graph and calls, for each op, a function of the tables in the modules
without underscore (one for each family of ops), which adds ONNX nodes through `Writer`.
"""

from __future__ import annotations

from unidl.interchange.onnx.exporting._export import Exported, export, parity

__all__ = ["Exported", "export", "parity"]
