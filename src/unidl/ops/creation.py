"""Tensors from shapes and numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.dtypes import INTEGERS, dtype_name, floatx, result_dtype, weak_kind
from unidl.graph.symbolic import Dim, SymbolicTensor
from unidl.ops._bind import dtype_of, host_array
from unidl.ops._declare import (
    OpError,
    Tensor,
    Tensors,
    TensorSpec,
    axis_index,
    composite,
    need_dtype,
    primitive,
    require,
)


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
        elif active.is_tensor(d) and not active.shape(d):  # a size in a graph that TensorFlow itself records
            dims.append(None)
        else:
            raise OpError(f"`shape` holds {d!r}; ints are expected (ops.shape gives unknown sizes).")
    return tuple(dims)


def _filled(shape: Any, dtype: Any) -> TensorSpec:
    dims = static_shape(shape)
    require(all(d is None or d >= 0 for d in dims), f"`shape` {dims} has a negative size.")
    return TensorSpec(dims, dtype_name(dtype) if dtype is not None else floatx())


@primitive
def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros; `dtype` None: the default float.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.zeros((2, 3))))
        [[0. 0. 0.]
         [0. 0. 0.]]
    """
    return _filled(shape, dtype)


@primitive
def ones(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones; `dtype` None: the default float.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.ones((2, 3), "int32")))
        [[1 1 1]
         [1 1 1]]
    """
    return _filled(shape, dtype)


@composite
def empty(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor to be filled later. On every backend it holds zeros; `dtype` None: the default float.

    Example:
        >>> from unidl import ops
        >>> print(ops.ndim(ops.empty((2, 3))))
        2
    """
    return ops.zeros(shape, dtype)


@composite
def empty_like(x: Tensor, dtype: Any = None) -> Tensor:
    """A tensor in the shape of `x`, to be filled later; `dtype` None: that of `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.shape(ops.empty_like([1, 2, 3])))
        (3,)
    """
    return ops.zeros_like(x, dtype)


@composite(name="full")
def _full(shape: Any, fill_value: Tensor, dtype: Any = None) -> Tensor:
    """A tensor of `shape` filled with `fill_value`; see the public function."""
    static_shape(shape)
    return ops.broadcast_to(fill_value if dtype is None else ops.cast(fill_value, dtype), shape)


def _number(value: Any, dtype: Any) -> Any:
    """`value`; Python numbers as an array of `dtype`, so that no digit is lost in the default dtype."""
    if dtype is None or weak_kind(value) is None or isinstance(value, complex):
        return value
    name = dtype_name(dtype)
    if name == "float64" or (name in INTEGERS and isinstance(value, int)):
        return np.asarray(value, name)
    return np.asarray(value, "float64") if isinstance(value, float) else value


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor of `shape` filled with `fill_value`, which must broadcast to it; `dtype` None: that of `fill_value`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.full((2, 2), 7)))
        [[7 7]
         [7 7]]
    """
    return _full(shape, _number(fill_value, dtype), dtype)


@primitive
def zeros_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Zeros in the shape of `x`; `dtype` None: that of `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.zeros_like([1, 2, 3])))
        [0 0 0]
    """
    return TensorSpec(x.shape, dtype_name(dtype) if dtype is not None else x.dtype)


@primitive
def ones_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Ones in the shape of `x`; `dtype` None: that of `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.ones_like([1, 2, 3])))
        [1 1 1]
    """
    return TensorSpec(x.shape, dtype_name(dtype) if dtype is not None else x.dtype)


@composite(name="full_like")
def _full_like(x: Tensor, fill_value: Tensor, dtype: Any = None) -> Tensor:
    """`fill_value` in the shape of `x`; see the public function."""
    return ops.broadcast_to(ops.cast(fill_value, dtype or dtype_of(x)), ops.shape(x))


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value` in the shape of `x`; `dtype` None: that of `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.full_like([1, 2, 3], 7)))
        [7 7 7]
    """
    return _full_like(x, _number(fill_value, dtype or dtype_of(x)), dtype)


# -- sequences -------------------------------------------------------------------------------------


@primitive(name="arange")
def _arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Numbers in steps; see the public function."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if dtype is None:
        dtype = result_dtype(*(weak_kind(v) or "i*" for v in (start, stop, step)))
    if any(isinstance(v, Dim) for v in (start, stop, step)):
        return TensorSpec((None,), dtype_name(dtype))
    require(step != 0, "`step` is 0.")
    return TensorSpec((max(0, math.ceil((stop - start) / step)),), dtype_name(dtype))


def _plain(value: Any, what: str) -> Any:
    """A Python number (or `Dim`, or None) for an argument that may be a tensor without dimensions."""
    if value is None or type(value) in (int, float, bool, Dim):
        return value
    if isinstance(value, SymbolicTensor):
        raise OpError(f"`{what}` must be known while recording: a number or a size, not {value!r}.")
    try:
        array = host_array(value)
    except Exception:
        return value  # the engine's own sizes inside a compiled function
    require(array.ndim == 0 and array.dtype.kind in "biuf", f"`{what}` is {value!r}; a real number is expected.")
    return array.item()


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Numbers from `start` (0 if only one is given) up to, without, `stop`, in steps of `step` (1; it may be negative).

    `dtype` None: int32 for ints, the default float if a float is among them; that of tensors.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.arange(1, 8, 3)), ops.convert_to_numpy(ops.arange(1.0, 0.0, -0.25)))
        [1 4 7] [1.   0.75 0.5  0.25]
    """
    given = [v for v in (start, stop, step) if v is not None]
    if any(type(v) not in (int, float, Dim) for v in given):
        if dtype is None:
            dtype = result_dtype(*("i*" if type(v) is Dim else weak_kind(v) or dtype_of(v) for v in given))
            dtype = "int32" if dtype == "bool" else dtype
        start, stop, step = _plain(start, "start"), _plain(stop, "stop"), _plain(step, "step")
    return _arange(start, stop, step, dtype)


@composite(promote="start stop", floating=True, name="linspace")
def _linspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """Numbers evenly spaced; see the public function."""
    require(isinstance(num, int) and num >= 0, f"`num` is {num!r}; an int of at least 0 is expected.")
    parts = num - 1 if endpoint else num
    span = ops.subtract(stop, start)
    axis = axis_index(axis, len(span.shape) + 1)
    step = ops.divide(span, float(max(parts, 1)))
    start, stop = ops.broadcast_to(start, ops.shape(span)), ops.broadcast_to(stop, ops.shape(span))
    counts = ops.reshape(ops.arange(num), (num,) + (1,) * len(span.shape))
    values = ops.add(
        ops.expand_dims(start, 0), ops.multiply(ops.cast(counts, dtype_of(span)), ops.expand_dims(step, 0))
    )
    if endpoint and num > 1:  # exactly, not only up to rounding
        values = ops.where(ops.equal(counts, num - 1), ops.expand_dims(stop, 0), values)
    values = ops.moveaxis(values, 0, axis) if axis else values
    if dtype is not None:
        values = ops.cast(ops.floor(values) if dtype_name(dtype) in INTEGERS else values, dtype)
    return (values, step if parts > 0 else ops.full_like(step, math.nan)) if retstep else values


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers evenly spaced from `start` to `stop` (with it, if `endpoint`), along a new `axis`.

    Args:
        start, stop: numbers or tensors that broadcast together.
        num: how many numbers.
        endpoint: whether the last one is `stop`; otherwise it is one step before.
        retstep: whether to return the spacing too (NaN if there is none).
        dtype: of the result. None: the common float dtype. For integers the numbers are rounded down.
        axis: which dimension of the result counts the numbers.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.linspace(0, 1, 5)))
        [0.   0.25 0.5  0.75 1.  ]
    """
    return _linspace(_number(start, dtype), _number(stop, dtype), num, endpoint, retstep, dtype, axis)


def _finished(values: Any, kind: str, dtype: Any) -> Any:
    return ops.cast(values, dtype or kind)


@composite(promote="start stop", floating=True, name="logspace")
def _logspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """Powers of `base`; see the public function."""
    need_dtype(start, "start", "real")
    kind = dtype_of(start)
    # In float64: an error of an exponent is multiplied by the exponent in its power.
    exponents = ops.linspace(ops.cast(start, "float64"), ops.cast(stop, "float64"), num, endpoint, False, None, axis)
    base = ops.cast(base, "float64")
    if len(base.shape):
        base = ops.expand_dims(base, axis)
    return _finished(ops.power(base, exponents), kind, dtype)


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` powers of `base`, their exponents evenly spaced from `start` to `stop`; see `linspace`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.logspace(0, 3, 4, base=2)))
        [1. 2. 4. 8.]
    """
    return _logspace(_number(start, dtype), _number(stop, dtype), num, endpoint, base, dtype, axis)


@composite(promote="start stop", floating=True, name="geomspace")
def _geomspace(
    start: Tensor, stop: Tensor, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Tensor:
    """Numbers with equal ratios; see the public function."""
    need_dtype(start, "start", "real")
    kind = dtype_of(start)
    start, stop = ops.cast(start, "float64"), ops.cast(stop, "float64")
    both = ops.add(start, ops.zeros_like(stop)), ops.add(stop, ops.zeros_like(start))
    sign = ops.where(ops.equal(ops.sign(start), ops.sign(stop)), ops.sign(both[0]), ops.full_like(both[0], math.nan))
    logs = [ops.log(ops.absolute(v)) for v in both]
    values = ops.multiply(ops.exp(ops.linspace(logs[0], logs[1], num, endpoint)), ops.expand_dims(sign, 0))
    counts = ops.reshape(ops.arange(num), (num,) + (1,) * len(sign.shape))
    usable = ops.logical_not(ops.isnan(sign))
    values = ops.where(ops.logical_and(ops.equal(counts, 0), usable), ops.expand_dims(both[0], 0), values)
    if endpoint and num > 1:
        values = ops.where(ops.logical_and(ops.equal(counts, num - 1), usable), ops.expand_dims(both[1], 0), values)
    axis = axis_index(axis, len(values.shape))
    return _finished(ops.moveaxis(values, 0, axis) if axis else values, kind, dtype)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """`num` numbers from `start` to `stop`, each the same multiple of the one before; see `linspace`.

    Both must have the same sign and not be 0; where they do not the result is NaN.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.geomspace(1.0, 100.0, 3)).round(3))
        [  1.  10. 100.]
    """
    return _geomspace(_number(start, dtype), _number(stop, dtype), num, endpoint, dtype, axis)


# -- matrices and grids ----------------------------------------------------------------------------


@composite
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """An (N, M) matrix of zeros, but for ones on the k-th diagonal; `M` None: N columns.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.eye(2, 3, k=1)))
        [[0. 1. 0.]
         [0. 0. 1.]]
    """
    return ops.cast(ops.equal(*_rows_columns(N, M, k)), dtype or floatx())


def _rows_columns(N: Any, M: Any, k: Any) -> tuple[Any, Any]:
    for what, value in (("N", N), ("M", N if M is None else M), ("k", k)):
        valid = isinstance(value, Dim) or (hasattr(value, "__index__") and (what == "k" or value >= 0))
        require(valid, f"`{what}` is {value!r}; {'an int' if what == 'k' else 'an int of at least 0'} is expected.")
    return ops.add(ops.expand_dims(ops.arange(N), 1), k), ops.expand_dims(ops.arange(N if M is None else M), 0)


@composite
def identity(n: int, dtype: Any = None) -> Tensor:
    """The (n, n) matrix of zeros, but for ones on the diagonal.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.identity(2, "int32")))
        [[1 0]
         [0 1]]
    """
    return ops.eye(n, n, 0, dtype)


@composite
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """An (N, M) matrix with ones on and below the k-th diagonal and zeros above; `M` None: N columns.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.tri(2, 3, k=1)))
        [[1. 1. 0.]
         [1. 1. 1.]]
    """
    return ops.cast(ops.greater_equal(*_rows_columns(N, M, k)), dtype or floatx())


@composite(name="meshgrid")
def _meshgrid(x: Tensors, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinate tensors of a grid; see the public function."""
    require(indexing in ("xy", "ij"), f"`indexing` is {indexing!r}; 'xy' or 'ij' is expected.")
    rank = len(x)
    order = [1, 0, *range(2, rank)] if indexing == "xy" and rank > 1 else list(range(rank))
    flat = [ops.reshape(v, (-1,)) for v in x]
    sizes = [ops.shape(v)[0] for v in flat]
    shape = tuple(sizes[a] for a in order)
    places = [order.index(i) for i in range(rank)]
    return tuple(
        ops.broadcast_to(ops.reshape(v, (-1,) + (1,) * (rank - 1 - p)), shape)
        for v, p in zip(flat, places, strict=True)
    )


def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """The coordinates of all points of a grid: one tensor for each argument, all of the grid's shape.

    Args:
        *x: the coordinates along each dimension; they are flattened.
        indexing: "ij": dimensions in the order of the arguments; "xy": the first two exchanged.

    Example:
        >>> from unidl import ops
        >>> columns, rows = ops.meshgrid([1, 2, 3], [10, 20])
        >>> print(ops.convert_to_numpy(rows))
        [[10 10 10]
         [20 20 20]]
    """
    if not x:
        return ()
    return tuple(_meshgrid(list(x), indexing))


def dtype(x: Any) -> str:
    """The dtype of `x`, as a name.

    Example:
        >>> from unidl import ops
        >>> print(ops.dtype(ops.zeros((2,), "float16")))
        float16
    """
    return dtype_of(x)


__all__ = [
    "arange", "dtype", "empty", "empty_like", "eye", "full", "full_like", "geomspace", "identity", "linspace",
    "logspace", "meshgrid", "ones", "ones_like", "tri", "zeros", "zeros_like",
]  # fmt: skip
