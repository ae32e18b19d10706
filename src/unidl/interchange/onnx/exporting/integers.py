"""Products of 8-bit integers, which models compute exactly in float64, as ONNX's operators for them.

onnxruntime has no convolution of float64 on processors, and such weights take eight times the room.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from unidl.interchange.onnx.exporting._writer import Value, Writer

_BYTES = ("int8", "uint8")
#: As many products of two bytes fit into the 32 bits of ONNX's accumulators.
_MOST = 2**31 // 255**2


class Whole(NamedTuple):
    """Numbers as bytes: ``numbers - zero``, with a zero point that is one number, or None for 0."""

    numbers: Value
    zero: Value | None


def _product(w: Writer, op_type: str, x1: Value, x2: Value, count: Any, **attributes: Any) -> Value | None:
    """``MatMulInteger`` or ``ConvInteger`` in place of a product of float64; None if the factors are not bytes.

    Args:
        x1, x2: factors in float64: constants of whole numbers, or bytes that were cast, less a zero point.
        count: how many products are added up, None if that is unknown.
        attributes: those of the node.
    """
    if x1.dtype != "float64" or x2.dtype != "float64" or count is None or count > _MOST:
        return None
    factors = [_whole(w, x) for x in (x1, x2)]
    if None in factors or all(x.host is not None for x in (x1, x2)):
        return None
    a, b = (f for f in factors if f is not None)
    return w.cast(
        w.node(op_type, a.numbers, b.numbers, a.zero, b.zero, dtype="int32", **attributes),
        "float64",
    )


def matrix_product(w: Writer, x1: Value, x2: Value) -> Value | None:
    """``MatMulInteger`` in place of a product of float64, if the factors are bytes."""
    if x1.dtype != "float64" or any(x.shape is None or len(x.shape) < 2 for x in (x1, x2)):
        return None
    return _product(w, "MatMulInteger", x1, x2, x1.shape[-1])


def convolution(w: Writer, x: Value, kernel: Value, attributes: dict[str, Any]) -> Value | None:
    """``ConvInteger`` in place of a convolution of float64, by its attributes, if the factors are bytes."""
    if x.dtype != "float64" or kernel.shape is None or None in kernel.shape:
        return None
    if not {"pads", "auto_pad"} & set(attributes):
        x, pads = _unpadded(w, x)
        attributes = {**attributes, **({"pads": pads} if pads else {})}
    return _product(w, "ConvInteger", x, kernel, math.prod(kernel.shape[1:]), **attributes)


def _unpadded(w: Writer, x: Value) -> tuple[Value, list[int]]:
    """`x` before zeros were put around its spatial axes, and how many there are before and after each of them.

    Zeros of numbers that are centred are zero points of bytes, which only the pads of the node itself put there.
    """
    op_type, inputs = w.made.get(str(x.name), ("", []))
    if op_type != "Pad" or not isinstance(inputs[1], np.ndarray) or w.array(inputs[2]) != 0:
        return x, []
    widths = inputs[1].tolist()
    before, after = widths[: len(widths) // 2], widths[len(widths) // 2 :]
    if min(widths) < 0 or any(before[:2] + after[:2]):
        return x, []
    return inputs[0], before[2:] + after[2:]


def _whole(w: Writer, x: Value) -> Whole | None:
    if x.host is not None:
        return _constant(w, x)
    op_type, inputs = w.made.get(str(x.name), ("", []))
    if op_type == "Cast" and inputs[0].dtype in _BYTES:
        return Whole(inputs[0], None)
    if op_type != "Sub":
        return None
    numbers = _whole(w, inputs[0])
    if numbers is None or numbers.zero is not None or inputs[0].host is not None:
        return None
    zero = _zero(w, inputs[1], numbers.numbers.dtype)
    return None if zero is None else Whole(numbers.numbers, zero)


def _zero(w: Writer, x: Value, dtype: str) -> Value | None:
    """One number of float64 as a byte, if it is one."""
    if x.shape is None or math.prod(d or 0 for d in x.shape) != 1:
        return None
    if x.host is not None:
        array = x.host().reshape(())
        info = np.iinfo(dtype)
        return w.constant(array, dtype) if info.min <= array <= info.max and array == np.rint(array) else None
    op_type, inputs = w.made.get(str(x.name), ("", []))
    if op_type != "Cast" or inputs[0].dtype != dtype:
        return None
    return w.squeeze(inputs[0], list(range(len(x.shape))))


def _constant(w: Writer, x: Value) -> Whole | None:
    """A constant as int8, or as uint8 with a zero point."""
    assert x.host is not None
    if x.variable is not None:  # what may be trained
        return None
    array = x.host()
    if not array.size or not np.array_equal(array, np.rint(array)):
        return None
    low, high = min(int(array.min()), 0), int(array.max())
    if low >= -128 and high <= 127:
        return Whole(w.derived(x, lambda a: a.astype("int8"), "int8", "int8"), None)
    if low < -255 or high - low > 255:
        return None
    shifted = w.derived(x, lambda a: (a - low).astype("uint8"), ("uint8", low), "uint8")
    return Whole(shifted, w.constant(-low, "uint8"))
