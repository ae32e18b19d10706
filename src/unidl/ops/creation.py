"""Tensors from shapes and numbers."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.dtypes import dtype_name, floatx, result_dtype, weak_kind
from unidl.graph.symbolic import Dim
from unidl.ops._declare import OpError, Tensor, TensorSpec, composite, primitive, require


def static_shape(shape: Any) -> tuple[int | None, ...]:
    """A shape argument (an int or a sequence of ints and sizes) as dimensions, None for unknown."""
    if isinstance(shape, (int, Dim)):
        shape = (shape,)
    dims: list[int | None] = []
    for d in shape:
        if isinstance(d, Dim):
            dims.append(None)
        elif hasattr(d, "__index__"):
            dims.append(int(d))
        else:
            raise OpError(f"`shape` holds {d!r}; ints are expected (ops.shape gives unknown sizes).")
    return tuple(dims)


def _filled(shape: Any, dtype: Any) -> TensorSpec:
    dims = static_shape(shape)
    require(all(d is None or d >= 0 for d in dims), f"`shape` {dims} has a negative size.")
    return TensorSpec(dims, dtype_name(dtype) if dtype is not None else floatx())


@primitive
def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros; `dtype` None: the default float."""
    return _filled(shape, dtype)


@primitive
def ones(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones; `dtype` None: the default float."""
    return _filled(shape, dtype)


@composite
def full(shape: Any, fill_value: Tensor, dtype: Any = None) -> Tensor:
    """A tensor of `shape` filled with `fill_value`, which must broadcast to it."""
    return ops.broadcast_to(fill_value if dtype is None else ops.cast(fill_value, dtype), shape)


@primitive
def zeros_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Zeros in the shape of `x`; `dtype` None: that of `x`."""
    return TensorSpec(x.shape, dtype_name(dtype) if dtype is not None else x.dtype)


@primitive
def ones_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Ones in the shape of `x`; `dtype` None: that of `x`."""
    return TensorSpec(x.shape, dtype_name(dtype) if dtype is not None else x.dtype)


@composite
def full_like(x: Tensor, fill_value: Tensor, dtype: Any = None) -> Tensor:
    """`fill_value` in the shape of `x`; `dtype` None: that of `x`."""
    from unidl.ops._bind import dtype_of

    return ops.broadcast_to(ops.cast(fill_value, dtype or dtype_of(x)), ops.shape(x))


@primitive
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Numbers from `start` (0 if only one is given) up to, without, `stop`, in steps of `step` (1).

    `dtype` None: int32 for ints, the default float if a float is among them.
    """
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if dtype is None:
        dtype = result_dtype(*(weak_kind(v) or "i*" for v in (start, stop, step)))
    if any(isinstance(v, Dim) for v in (start, stop, step)):
        return TensorSpec((None,), dtype_name(dtype))
    require(step != 0, "`step` is 0.")
    return TensorSpec((max(0, math.ceil((stop - start) / step)),), dtype_name(dtype))


@composite(promote="start stop", floating=True)
def linspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """`num` numbers evenly spaced from `start` to `stop` (with it, if `endpoint`), along a new `axis`.

    With `retstep` the result is a pair: numbers and spacing.
    """
    from unidl.ops._bind import dtype_of

    parts = num - 1 if endpoint else num
    step = ops.divide(ops.subtract(stop, start), float(max(parts, 1)))
    counts = ops.reshape(ops.cast(ops.arange(num), dtype_of(step)), (num,) + (1,) * len(step.shape))
    values = ops.add(ops.expand_dims(start, 0), ops.multiply(counts, ops.expand_dims(step, 0)))
    values = ops.moveaxis(values, 0, axis) if axis else values
    values = values if dtype is None else ops.cast(values, dtype)
    return (values, step) if retstep else values


@composite
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """An (N, M) matrix with ones on the k-th diagonal and zeros elsewhere."""
    rows = ops.expand_dims(ops.arange(N), 1)
    columns = ops.expand_dims(ops.arange(N if M is None else M), 0)
    return ops.cast(ops.equal(ops.add(rows, k), columns), dtype or floatx())


__all__ = ["zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "arange", "linspace", "eye"]
