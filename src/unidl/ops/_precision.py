"""Computing in at least float32, where 16-bit floats would lose too much."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of

_SHORT = ("float16", "bfloat16")


def wide(x: Any) -> Any:
    """`x`, in float32 if it is of a 16-bit float dtype."""
    return ops.cast(x, "float32") if dtype_of(x) in _SHORT else x


def widened(*tensors: Any) -> tuple[str, tuple[Any, ...]]:
    """The dtype of the first tensor, and all of them (Nones aside), in float32 if it is a 16-bit float dtype."""
    kind = dtype_of(tensors[0])
    if kind not in _SHORT:
        return kind, tensors
    return kind, tuple(None if t is None else ops.cast(t, "float32") for t in tensors)
