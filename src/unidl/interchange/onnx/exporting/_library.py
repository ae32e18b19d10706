"""The package onnx, which is loaded on first use, and the opsets that are written."""

from __future__ import annotations

from typing import Any

from unidl.errors import GraphError

OLDEST = 13
#: The newest opset that is known here; onnxruntime 1.32 runs it.
NEWEST = 28


def library() -> Any:
    """onnx.

    Raises:
        ImportError: saying what to install.
    """
    try:
        import onnx
    except ImportError:
        raise ImportError('ONNX files need the package onnx: pip install "unidl[onnx]".') from None
    return onnx


def runtime() -> Any:
    """onnxruntime.

    Raises:
        ImportError: saying what to install.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(
            "Comparing a written model with what it came from needs the package onnxruntime: pip install onnxruntime."
        ) from None
    return onnxruntime


def checked_opset(opset: int | None) -> int:
    """`opset`, or the newest that both unidl and the installed onnx know.

    Raises:
        GraphError: if it is not one that can be written.
    """
    newest = min(NEWEST, library().defs.onnx_opset_version())
    if opset is None:
        return newest
    if isinstance(opset, bool) or not hasattr(opset, "__index__") or not OLDEST <= int(opset) <= newest:
        raise GraphError(f"ONNX: `opset` must be an int from {OLDEST} to {newest}, not {opset!r}.")
    return int(opset)
