"""Ops that rearrange, join, cut and pick elements."""

from __future__ import annotations

import math
import re
from typing import Any

from unidl import ops
from unidl.dtypes import dtype_name
from unidl.graph.symbolic import Dim, SymbolicTensor
from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    axes_tuple,
    axis_index,
    broadcast,
    composite,
    primitive,
    require,
)
from unidl.ops.creation import static_shape

# -- shape as a value ------------------------------------------------------------------------------


def shape(x: Any) -> tuple[Any, ...]:
    """The shape of `x` as a tuple; unknown dimensions are sizes that ops and arithmetic accept.

    Example:
        >>> from unidl import ops
        >>> ops.shape(ops.zeros((2, 3)))
        (2, 3)
    """
    from unidl.backend import active
    from unidl.ops._bind import host_array

    if type(x) is SymbolicTensor:
        return tuple(Dim("size", x, i) if d is None else d for i, d in enumerate(x.shape))
    if not active.is_tensor(x):
        return host_array(x).shape
    return tuple(active.dim(x, i) if d is None else d for i, d in enumerate(active.shape(x)))


def ndim(x: Any) -> int:
    """The number of dimensions of `x`.

    Example:
        >>> from unidl import ops
        >>> ops.ndim(ops.zeros((2, 3)))
        2
    """
    return len(shape(x))


def size(x: Any) -> Any:
    """The number of elements of `x`.

    Example:
        >>> from unidl import ops
        >>> ops.size(ops.zeros((2, 3)))
        6
    """
    return math.prod(shape(x))


@composite
def axis_size(x: Tensor, axis: int = 0) -> Tensor:
    """The size of a dimension as a float32 scalar on the device (1 for a tensor without dimensions).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.axis_size(ops.zeros((2, 3)), 1)))
        3.0
    """
    rank = len(x.shape)
    if rank == 0:
        return ops.ones((), "float32")
    a = axis_index(axis, rank)
    others = tuple(i for i in range(rank) if i != a)
    if any(x.shape[i] == 0 for i in others):  # there is nothing at index 0
        line = ops.sum(x, others)
    else:
        line = ops.getitem(x, tuple(slice(None) if i == a else 0 for i in range(rank)))
    return ops.sum(ops.ones_like(line, "float32"))


# -- same elements, other shape --------------------------------------------------------------------


@primitive
def reshape(x: Tensor, newshape: Any) -> Tensor:
    """The elements of `x` in row-major order in `newshape`, in which one size may be -1.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.reshape([1, 2, 3, 4], (2, -1))))
        [[1 2]
         [3 4]]
    """
    return TensorSpec(reshaped(x.shape, newshape), x.dtype)


def reshaped(have: tuple[int | None, ...], newshape: Any) -> tuple[int | None, ...]:
    want = list(static_shape(newshape))
    require(all(d is None or d >= -1 for d in want), f"`newshape` {want} has a negative size.")
    require(want.count(-1) <= 1, f"`newshape` {want} has more than one -1.")
    known = math.prod(d for d in want if d is not None and d != -1)
    if None in have:
        if -1 in want:
            want[want.index(-1)] = _rest(have, newshape, known)
        return tuple(want)
    total = math.prod(have)  # type: ignore[arg-type]
    if -1 in want and None not in want:
        require(known != 0 and total % known == 0, f"shape {list(have)} ({total} elements) does not fit {want}.")
        want[want.index(-1)] = total // known
    elif None not in want:
        require(known == total, f"shape {list(have)} has {total} elements, `newshape` {want} has {known}.")
    return tuple(None if d == -1 else d for d in want)


def _rest(have: tuple[int | None, ...], newshape: Any, known: int) -> int | None:
    """What -1 stands for: known if unknown sizes cancel, which those that appear on both sides may do."""
    count = 0
    for size in newshape if isinstance(newshape, (tuple, list)) else (newshape,):
        if isinstance(size, Dim) or size is None:
            factor, unknown = _product(size)
            known, count = known * factor, count + unknown
    total = math.prod(d for d in have if d is not None)
    return total // known if have.count(None) == count and known and total % known == 0 else None


def _product(size: Any) -> tuple[int, int]:
    """The known factor of a size, and how many unknown sizes it is multiplied by; 0 of a size that is no product."""
    if isinstance(size, int):
        return size, 0
    if size is None or size.kind == "size":
        return 1, 1
    if size.kind != "mul":
        return 0, 0
    (a, m), (b, n) = (_product(part) for part in size.args)
    return a * b, m + n


@primitive
def transpose(x: Tensor, axes: Any = None) -> Tensor:
    """`x` with its dimensions in the order `axes`; None: reversed.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.transpose([[1, 2], [3, 4]])))
        [[1 3]
         [2 4]]
    """
    rank = len(x.shape)
    if axes is None:
        order = tuple(reversed(range(rank)))
    else:
        require(isinstance(axes, (tuple, list)), f"`axes` must be a tuple of ints, not {axes!r}.")
        order = tuple(axis_index(a, rank, "axes") for a in axes)
    require(sorted(order) == list(range(rank)), f"`axes` {axes} is no order of {rank} dimensions.")
    return TensorSpec(tuple(x.shape[a] for a in order), x.dtype)


@composite
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """`x` with two dimensions exchanged.

    Example:
        >>> from unidl import ops
        >>> ops.shape(ops.swapaxes(ops.zeros((2, 3, 4)), 0, -1))
        (4, 3, 2)
    """
    order = list(range(len(x.shape)))
    a, b = axis_index(axis1, len(order), "axis1"), axis_index(axis2, len(order), "axis2")
    order[a], order[b] = order[b], order[a]
    return ops.transpose(x, tuple(order))


@composite
def moveaxis(x: Tensor, source: Any, destination: Any) -> Tensor:
    """`x` with the dimensions `source` moved to the places `destination` (ints or equally long tuples).

    Example:
        >>> from unidl import ops
        >>> ops.shape(ops.moveaxis(ops.zeros((2, 3, 4)), 0, -1))
        (3, 4, 2)
    """
    rank = len(x.shape)
    sources = [axis_index(a, rank, "source") for a in (source if isinstance(source, (tuple, list)) else [source])]
    places = [
        axis_index(a, rank, "destination")
        for a in (destination if isinstance(destination, (tuple, list)) else [destination])
    ]
    require(len(sources) == len(places), f"`source` {source} and `destination` {destination} differ in length.")
    for what, axes in (("source", sources), ("destination", places)):
        require(len(set(axes)) == len(axes), f"`{what}` names a dimension twice: {axes}.")
    order = [a for a in range(rank) if a not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return ops.transpose(x, tuple(order))


@primitive
def expand_dims(x: Tensor, axis: Any) -> Tensor:
    """`x` with new dimensions of size 1 at the places `axis` (an int or a tuple) of the result.

    Example:
        >>> from unidl import ops
        >>> ops.shape(ops.expand_dims(ops.zeros((2, 3)), (0, -1)))
        (1, 2, 3, 1)
    """
    places = axis if isinstance(axis, (tuple, list)) else [axis]
    rank = len(x.shape) + len(places)
    at = sorted(axis_index(a, rank) for a in places)
    require(len(set(at)) == len(at), f"`axis` {axis} names a place twice.")
    dims = list(x.shape)
    for a in at:
        dims.insert(a, 1)
    return TensorSpec(tuple(dims), x.dtype)


@primitive
def squeeze(x: Tensor, axis: Any = None) -> Tensor:
    """`x` without the dimensions `axis`, which must be of size 1; None: without all such.

    Example:
        >>> from unidl import ops
        >>> ops.shape(ops.squeeze(ops.zeros((1, 3, 1)), -1))
        (1, 3)
    """
    if axis is None:
        require(None not in x.shape, f"shape {list(x.shape)} has unknown dimensions: give `axis`.")
        return TensorSpec(tuple(d for d in x.shape if d != 1), x.dtype)
    gone = axes_tuple(axis, len(x.shape))
    for a in gone:
        require(x.shape[a] in (1, None), f"dimension {a} has size {x.shape[a]}, not 1; shape {list(x.shape)}.")
    return TensorSpec(tuple(d for i, d in enumerate(x.shape) if i not in gone), x.dtype)


def view(x: Any, dtype: Any = None) -> Any:
    """The bits of `x` read as numbers of another dtype; None: `x` itself.

    If these have another number of bytes, the size of the last dimension changes accordingly. Bytes become bools as
    numbers do.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.view(ops.array([1.0, 2.0]), "int32")))
        [1065353216 1073741824]
        >>> print(ops.convert_to_numpy(ops.view(ops.array([1, 257]), "uint8")))
        [1 0 0 0 1 1 0 0]
    """
    return ops.convert_to_tensor(x) if dtype is None else _view(x, dtype)


@primitive(name="view")
def _view(x: Tensor, dtype: Any) -> Tensor:
    """The bits of `x` read as numbers of another dtype."""
    dtype = dtype_name(dtype)
    have, want = itemsize(x.dtype), itemsize(dtype)
    if have == want:
        return TensorSpec(x.shape, dtype)
    n = x.shape[-1] if x.shape else 0
    fits = bool(x.shape) and (n is None or n * have % want == 0)
    require(fits, f"{x.dtype} in shape {list(x.shape)} cannot be read as {dtype}: {have} bytes each, not {want}.")
    return TensorSpec((*x.shape[:-1], None if n is None else n * have // want), dtype)


def itemsize(dtype: str) -> int:
    """The bytes of a number of `dtype`."""
    return 1 if dtype == "bool" else int(re.sub(r"\D", "", dtype)) // 8


@composite
def ravel(x: Tensor) -> Tensor:
    """The elements of `x` in one dimension, in row-major order.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.ravel([[1, 2], [3, 4]])))
        [1 2 3 4]
    """
    return ops.reshape(x, (-1,))


@primitive
def broadcast_to(x: Tensor, shape: Any) -> Tensor:
    """`x` repeated along new and size-1 dimensions to `shape`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.broadcast_to([1, 2], (2, 2))))
        [[1 2]
         [1 2]]
    """
    want = static_shape(shape)
    require(all(d is None or d >= 0 for d in want), f"`shape` {list(want)} has a negative size.")
    result = broadcast(x.shape, want)
    require(len(result) == len(want), f"shape {list(x.shape)} does not broadcast to {list(want)}.")
    for have, asked in zip(result, want, strict=True):
        require(
            have is None or asked is None or have == asked, f"shape {list(x.shape)} does not broadcast to {list(want)}."
        )
    return TensorSpec(tuple(b if a is None else a for a, b in zip(want, result, strict=True)), x.dtype)


__all__ = [
    "shape",
    "ndim",
    "size",
    "axis_size",
    "reshape",
    "transpose",
    "swapaxes",
    "moveaxis",
    "expand_dims",
    "squeeze",
    "view",
    "ravel",
    "broadcast_to",
]
