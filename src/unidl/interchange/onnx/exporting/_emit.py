"""What modules of emitters share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.interchange.onnx.exporting._writer import Value, Writer

#: Writes one op, given the writer, then the op's arguments, its tensors as values. Returns the value or values of its
#: outputs, or NotImplemented if the op is to be written as its decomposition.
Emit = Callable[..., Any]


def since(opset: int) -> Callable[[Emit], Emit]:
    """An emitter for opsets from `opset` on."""

    def mark(emit: Emit) -> Emit:
        emit.since = opset  # type: ignore[attr-defined]
        return emit

    return mark


def unary(op_type: str, opset: int = 0, **attributes: Any) -> Emit:
    """The emitter of one node of one float input."""

    def emit(w: Writer, x: Value) -> Value:
        return w.node(op_type, x, **attributes)

    return since(opset)(emit)


def as_bool(w: Writer, x: Value) -> Value:
    return w.cast(x, "bool")
