"""Adding elements around a tensor."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import pad_pairs
from unidl.dtypes import FLOATS, weak_kind
from unidl.ops._bind import dtype_of, host_array
from unidl.ops._declare import Tensor, TensorSpec, composite, need_dtype, primitive, require

_COPIES = ("constant", "edge", "reflect", "symmetric", "wrap")
_STATISTICS = ("maximum", "mean", "median", "minimum", "linear_ramp")


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """`x` with elements added before and after along each dimension, as in NumPy.

    Args:
        pad_width: ``((before, after), …)`` for each dimension, one pair for all, or one int for all.
        mode: "constant"; "edge" (the last element); "reflect" (mirrored, without the edge), "symmetric" (mirrored,
            with it), "wrap" or "circular" (from the other end), which repeat themselves if there is more to fill than
            to copy; "maximum", "mean", "median", "minimum" of the dimension; "linear_ramp" (down to 0); "empty"
            (any values, here zeros).
        constant_values: the number to fill with under "constant", and only then; None: 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.pad([1, 2, 3], ((1, 2),), constant_values=9)))
        [9 1 2 3 9 9]
        >>> print(ops.convert_to_numpy(ops.pad([1, 2, 3], ((2, 4),), "reflect")))
        [3 2 1 2 3 2 1 2 3]
    """
    if mode in _STATISTICS:
        return _pad_statistic(x, pad_width, mode, constant_values)
    if constant_values is not None and weak_kind(constant_values) is None:
        constant_values = host_array(constant_values)
        require(constant_values.size == 1, f"pad: `constant_values` has shape {list(constant_values.shape)}, not ().")
        constant_values = constant_values.reshape(()).item()
    return _pad(x, pad_width, {"circular": "wrap", "empty": "constant"}.get(mode, mode), constant_values)


@primitive(name="pad", checked=True)
def _pad(x: Tensor, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """`x` with copies of its elements, or a number, added before and after along each dimension."""
    require(mode in _COPIES, f"unknown `mode` {mode!r}; known are {', '.join(sorted((*_COPIES, *_STATISTICS)))}.")
    return _padded(x, pad_width, mode, constant_values)


def _padded(x: Any, pad_width: Any, mode: str, constant_values: Any) -> TensorSpec:
    require(mode == "constant" or constant_values is None, f"`constant_values` have no meaning in mode {mode!r}.")
    widths = pad_pairs(pad_width, len(x.shape))
    for axis, (n, width) in enumerate(zip(x.shape, widths, strict=True)):
        possible = n != 0 or mode == "constant" or not any(width)
        require(possible, f"dimension {axis} is empty: there is nothing to fill with in mode {mode!r}.")
    dims = tuple(None if d is None else d + a + b for d, (a, b) in zip(x.shape, widths, strict=True))
    return TensorSpec(dims, x.dtype)


@composite(name="pad_statistic")
def _pad_statistic(x: Tensor, pad_width: Any, mode: str, constant_values: Any = None) -> Tensor:
    """`x` with a statistic of each dimension, or a ramp from its edge to 0, added before and after."""
    need_dtype(x, "x", "real")
    dtype = dtype_of(x)
    if mode == "linear_ramp":
        need_dtype(x, "x", "numeric")
    _padded(TensorSpec(tuple(x.shape), dtype), pad_width, mode, constant_values)
    for axis, (before, after) in enumerate(pad_pairs(pad_width, len(x.shape))):
        if not before and not after:
            continue
        front = (slice(None),) * axis
        if mode == "linear_ramp":
            head = _ramp(ops.getitem(x, (*front, slice(0, 1))), before, axis)
            tail = ops.flip(_ramp(ops.getitem(x, (*front, slice(-1, None))), after, axis), axis)
        else:
            middle = _statistic(x, mode, axis, dtype)
            head, tail = ops.repeat(middle, before, axis), ops.repeat(middle, after, axis)
        x = ops.concatenate([head] * (before > 0) + [x] + [tail] * (after > 0), axis)
    return x


def _statistic(x: Any, mode: str, axis: int, dtype: str) -> Any:
    if mode in ("maximum", "minimum"):
        return (ops.max if mode == "maximum" else ops.min)(x, axis, True)
    found = (ops.mean if mode == "mean" else ops.median)(x, axis, True)
    return found if dtype in FLOATS else ops.cast(ops.round(found) if dtype != "bool" else found, dtype)


def _ramp(edge: Any, count: int, axis: int) -> Any:
    """`count` numbers from 0 towards `edge`, which is not reached, evenly spaced; integers rounded down."""
    dtype, wide = dtype_of(edge), edge
    if dtype not in FLOATS:
        wide = ops.cast(edge, "int64")
    steps = ops.reshape(ops.arange(count, None, None, "int32"), (count,) + (1,) * (len(edge.shape) - 1 - axis))
    product = ops.multiply(wide, ops.cast(steps, dtype_of(wide)))
    divided = ops.divide if dtype in FLOATS else ops.floor_divide
    return ops.cast(divided(product, max(count, 1)), dtype)


__all__ = ["pad"]
