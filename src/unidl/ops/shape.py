"""Ops that rearrange, join, cut and pick elements."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.backend.attributes import pad_pairs
from unidl.graph.symbolic import Dim, SymbolicTensor
from unidl.ops._declare import (
    OpError,
    Tensor,
    Tensors,
    TensorSpec,
    axes_tuple,
    axis_index,
    broadcast,
    composite,
    like,
    primitive,
    require,
    same_dim,
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
    """The number of dimensions of `x`."""
    return len(shape(x))


def size(x: Any) -> Any:
    """The number of elements of `x`."""
    return math.prod(shape(x))


@composite
def axis_size(x: Tensor, axis: int = 0) -> Tensor:
    """The size of a dimension as a float32 scalar on the device (1 for a tensor without dimensions)."""
    rank = len(x.shape)
    if rank == 0:
        return ops.ones((), "float32")
    a = axis_index(axis, rank)
    line = ops.getitem(x, tuple(slice(None) if i == a else 0 for i in range(rank)))
    return ops.sum(ops.ones_like(line, "float32"))


# -- same elements, other shape --------------------------------------------------------------------


@primitive
def reshape(x: Tensor, newshape: Any) -> Tensor:
    """The elements of `x` in row-major order in `newshape`, in which one size may be -1."""
    return TensorSpec(reshaped(x.shape, newshape), x.dtype)


def reshaped(have: tuple[int | None, ...], newshape: Any) -> tuple[int | None, ...]:
    want = list(static_shape(newshape))
    require(want.count(-1) <= 1, f"`newshape` {want} has more than one -1.")
    known = math.prod(d for d in want if d is not None and d != -1)
    if None in have:
        # Unknown sizes that appear on both sides may cancel; otherwise what -1 stands for is unknown.
        if -1 in want:
            rest_have = math.prod(d for d in have if d is not None)
            same = have.count(None) == want.count(None)
            want[want.index(-1)] = rest_have // known if same and known and rest_have % known == 0 else None
        return tuple(want)
    total = math.prod(have)  # type: ignore[arg-type]
    if -1 in want and None not in want:
        require(known != 0 and total % known == 0, f"shape {list(have)} ({total} elements) does not fit {want}.")
        want[want.index(-1)] = total // known
    elif None not in want:
        require(known == total, f"shape {list(have)} has {total} elements, `newshape` {want} has {known}.")
    return tuple(None if d == -1 else d for d in want)


@primitive
def transpose(x: Tensor, axes: Any = None) -> Tensor:
    """`x` with its dimensions in the order `axes`; None: reversed."""
    rank = len(x.shape)
    order = tuple(reversed(range(rank))) if axes is None else tuple(axis_index(a, rank, "axes") for a in axes)
    require(sorted(order) == list(range(rank)), f"`axes` {axes} is no order of {rank} dimensions.")
    return TensorSpec(tuple(x.shape[a] for a in order), x.dtype)


@composite
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """`x` with two dimensions exchanged."""
    order = list(range(len(x.shape)))
    a, b = axis_index(axis1, len(order), "axis1"), axis_index(axis2, len(order), "axis2")
    order[a], order[b] = order[b], order[a]
    return ops.transpose(x, tuple(order))


@composite
def moveaxis(x: Tensor, source: Any, destination: Any) -> Tensor:
    """`x` with the dimensions `source` moved to the places `destination` (ints or equally long tuples)."""
    rank = len(x.shape)
    sources = [axis_index(a, rank, "source") for a in (source if isinstance(source, (tuple, list)) else [source])]
    places = [
        axis_index(a, rank, "destination")
        for a in (destination if isinstance(destination, (tuple, list)) else [destination])
    ]
    require(len(sources) == len(places), f"`source` {source} and `destination` {destination} differ in length.")
    order = [a for a in range(rank) if a not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return ops.transpose(x, tuple(order))


@primitive
def expand_dims(x: Tensor, axis: Any) -> Tensor:
    """`x` with new dimensions of size 1 at the places `axis` (an int or a tuple) of the result."""
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
    """`x` without the dimensions `axis`, which must be of size 1; None: without all such."""
    if axis is None:
        require(None not in x.shape, f"shape {list(x.shape)} has unknown dimensions: give `axis`.")
        return TensorSpec(tuple(d for d in x.shape if d != 1), x.dtype)
    gone = axes_tuple(axis, len(x.shape))
    for a in gone:
        require(x.shape[a] in (1, None), f"dimension {a} has size {x.shape[a]}, not 1; shape {list(x.shape)}.")
    return TensorSpec(tuple(d for i, d in enumerate(x.shape) if i not in gone), x.dtype)


@composite
def ravel(x: Tensor) -> Tensor:
    """The elements of `x` in one dimension, in row-major order."""
    return ops.reshape(x, (-1,))


@primitive
def broadcast_to(x: Tensor, shape: Any) -> Tensor:
    """`x` repeated along new and size-1 dimensions to `shape`."""
    want = static_shape(shape)
    result = broadcast(x.shape, want)
    require(len(result) == len(want), f"shape {list(x.shape)} does not broadcast to {list(want)}.")
    for have, asked in zip(result, want, strict=True):
        require(
            have is None or asked is None or have == asked, f"shape {list(x.shape)} does not broadcast to {list(want)}."
        )
    return TensorSpec(tuple(b if a is None else a for a, b in zip(want, result, strict=True)), x.dtype)


# -- joining and cutting ---------------------------------------------------------------------------


@primitive(promote="xs")
def concatenate(xs: Tensors, axis: int = 0) -> Tensor:
    """The tensors `xs` one after the other along `axis`; all other dimensions must agree."""
    require(len(xs) > 0, "there is nothing to concatenate.")
    rank = len(xs[0].shape)
    require(all(len(x.shape) == rank for x in xs), f"ranks differ: {[len(x.shape) for x in xs]}.")
    a = axis_index(axis, rank)
    dims = list(xs[0].shape)
    for x in xs[1:]:
        for i in range(rank):
            if i != a:
                dims[i] = same_dim(dims[i], x.shape[i], f"shapes {[list(x.shape) for x in xs]}, dimension {i}")
    parts = [x.shape[a] for x in xs]
    dims[a] = None if None in parts else sum(parts)
    return TensorSpec(tuple(dims), xs[0].dtype)


@composite(promote="x")
def stack(x: Tensors, axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new dimension `axis`."""
    require(len(x) > 0, "there is nothing to stack.")
    shapes = [tuple(v.shape) for v in x]
    require(all(len(s) == len(shapes[0]) for s in shapes), f"shapes differ: {[list(s) for s in shapes]}.")
    place = axis_index(axis, len(shapes[0]) + 1)
    return ops.concatenate([ops.expand_dims(v, place) for v in x], place)


@primitive
def split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """`x` cut along `axis` into so many equal parts, or before each of the given indices."""
    a = axis_index(axis, len(x.shape))
    total = x.shape[a]
    if isinstance(indices_or_sections, int):
        n = indices_or_sections
        require(n > 0, f"{n} parts asked for.")
        require(total is None or total % n == 0, f"dimension {a} of size {total} cannot be cut into {n} equal parts.")
        sizes: list[int | None] = [None if total is None else total // n] * n
    else:
        cuts = [int(i) for i in indices_or_sections]
        ends = [*cuts, total]
        sizes = []
        for start, end in zip([0, *cuts], ends, strict=True):
            if end is None or (total is None and (start < 0 or end < 0)):
                sizes.append(None)
            else:
                sizes.append(len(range(*slice(start, end).indices(total if total is not None else max(end, 0)))))
    return tuple(TensorSpec((*x.shape[:a], s, *x.shape[a + 1 :]), x.dtype) for s in sizes)  # type: ignore[return-value]


@composite
def unstack(x: Tensor, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of `x` along `axis`, whose size must be known (or given as `num`)."""
    a = axis_index(axis, len(x.shape))
    count = x.shape[a] if num is None else num
    require(count is not None, f"the size of dimension {a} is unknown: give `num`.")
    return tuple(ops.squeeze(part, a) for part in ops.split(x, int(count), a))  # type: ignore[return-value]


@primitive
def pad(x: Tensor, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """`x` with elements added before and after along each dimension.

    Args:
        pad_width: ``((before, after), …)`` for each dimension, one pair for all, or one int.
        mode: "constant", "reflect" (without the edge), "symmetric" (with it) or "edge".
        constant_values: the number to fill with under "constant"; None: 0.
    """
    require(mode in ("constant", "reflect", "symmetric", "edge"), f"unknown `mode` {mode!r}.")
    widths = pad_pairs(pad_width, len(x.shape))
    dims = tuple(None if d is None else d + a + b for d, (a, b) in zip(x.shape, widths, strict=True))
    return TensorSpec(dims, x.dtype)


@composite
def tile(x: Tensor, repeats: Any) -> Tensor:
    """`x` laid side by side `repeats` times along each dimension (missing leading ones count as 1)."""
    times = [repeats] if isinstance(repeats, int) else list(repeats)
    rank = max(len(x.shape), len(times))
    times = [1] * (rank - len(times)) + times
    if rank > len(x.shape):
        x = ops.reshape(x, (1,) * (rank - len(x.shape)) + tuple(ops.shape(x)))
    for axis, n in enumerate(times):
        if n == 0:
            x = ops.getitem(x, (slice(None),) * axis + (slice(0, 0),))
        elif n != 1:
            x = ops.concatenate([x] * n, axis)
    return x


@primitive
def repeat(x: Tensor, repeats: int, axis: int | None = None) -> Tensor:
    """Each element of `x` `repeats` times in a row along `axis`; None: of the flattened tensor."""
    require(isinstance(repeats, int) and repeats >= 0, f"`repeats` must be an int of at least 0, not {repeats!r}.")
    if axis is None:
        total = None if None in x.shape else math.prod(x.shape)
        return TensorSpec((None if total is None else total * repeats,), x.dtype)
    a = axis_index(axis, len(x.shape))
    return TensorSpec(tuple(d * repeats if i == a and d is not None else d for i, d in enumerate(x.shape)), x.dtype)


@primitive
def flip(x: Tensor, axis: Any = None) -> Tensor:
    """`x` in reversed order along `axis` (an int, a tuple, or None for all)."""
    axes_tuple(axis, len(x.shape))
    return like(x)


@composite
def roll(x: Tensor, shift: int, axis: int | None = None) -> Tensor:
    """`x` moved by `shift` places along `axis`, what leaves at the end coming in at the start."""
    if axis is None:
        return ops.reshape(roll(ops.ravel(x), shift, 0), ops.shape(x))
    a = axis_index(axis, len(x.shape))
    n = x.shape[a]
    require(n is not None, f"the size of dimension {a} is unknown.")
    cut = (-shift) % n if n else 0
    if cut == 0:
        return x
    front = (slice(None),) * a
    return ops.concatenate([ops.getitem(x, (*front, slice(cut, None))), ops.getitem(x, (*front, slice(None, cut)))], a)


# -- picking ---------------------------------------------------------------------------------------


@primitive
def getitem(x: Tensor, key: Any) -> Tensor:
    """``x[key]`` for a key of ints, slices, ``...`` and None, as in NumPy; `take` picks by tensors."""
    return TensorSpec(_indexed(x.shape, key), x.dtype)


def _indexed(have: tuple[int | None, ...], key: Any) -> tuple[int | None, ...]:
    items = list(key) if isinstance(key, tuple) else [key]
    used = sum(1 for k in items if k is not None and k is not Ellipsis)
    require(items.count(Ellipsis) <= 1 if all(_plain(k) for k in items) else True, "the key has more than one `...`.")
    require(used <= len(have), f"the key {key} has {used} indices for {len(have)} dimensions.")
    place = next((i for i, k in enumerate(items) if k is Ellipsis), None)
    if place is None:
        items += [slice(None)] * (len(have) - used)
    else:
        items[place : place + 1] = [slice(None)] * (len(have) - used)
    dims: list[int | None] = []
    axis = 0
    for k in items:
        if k is None:
            dims.append(1)
            continue
        n = have[axis]
        if isinstance(k, slice):
            dims.append(_slice_size(n, k))
        elif isinstance(k, Dim):
            pass
        elif hasattr(k, "__index__") and _plain(k):
            require(n is None or -n <= int(k) < n, f"index {int(k)} is out of range for dimension {axis} of size {n}.")
        else:
            raise OpError(
                f"a key may hold ints, slices, `...` and None, not {type(k).__name__}; use ops.take for tensors."
            )
        axis += 1
    return tuple(dims)


def _plain(k: Any) -> bool:
    return not isinstance(k, SymbolicTensor) and not (hasattr(k, "shape") and getattr(k, "shape", ()) != ())


def _slice_size(n: int | None, k: slice) -> int | None:
    parts = (k.start, k.stop, k.step)
    if any(isinstance(p, Dim) for p in parts):
        return None
    if n is None:
        return None
    return len(range(*k.indices(n)))


@primitive
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Slices of `x` at integer `indices` along `axis` (None: elements of the flattened tensor).

    The dimension `axis` is replaced by the shape of `indices`. Negative indices count from the
    end. An index out of range is an error where the engine checks it (eager NumPy and PyTorch) and
    undefined elsewhere; `Embedding` layers check at the data instead.
    """
    _integers(indices)
    if axis is None:
        return TensorSpec(indices.shape, x.dtype)
    a = axis_index(axis, len(x.shape))
    return TensorSpec((*x.shape[:a], *indices.shape, *x.shape[a + 1 :]), x.dtype)


@primitive
def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Elements of `x` at `indices` along `axis`; the other dimensions of the two broadcast.

    `axis` None: elements of the flattened tensor, at one-dimensional `indices`. Indices count from 0.
    """
    _integers(indices)
    if axis is None:
        require(len(indices.shape) == 1, f"`indices` must have one dimension without `axis`, not {len(indices.shape)}.")
        return TensorSpec(indices.shape, x.dtype)
    rank = len(x.shape)
    require(len(indices.shape) == rank, f"`x` has {rank} dimensions, `indices` {len(indices.shape)}.")
    a = axis_index(axis, rank)
    rest = broadcast((*x.shape[:a], 1, *x.shape[a + 1 :]), (*indices.shape[:a], 1, *indices.shape[a + 1 :]))
    return TensorSpec((*rest[:a], indices.shape[a], *rest[a + 1 :]), x.dtype)


def _integers(indices: Any) -> None:
    require("int" in indices.dtype, f"`indices` must be integers, not {indices.dtype}.")


@composite
def one_hot(x: Tensor, num_classes: int, axis: int = -1, dtype: Any = None) -> Tensor:
    """Integers as vectors along a new `axis`, 1 at the integer's place and 0 elsewhere.

    Integers outside 0 … `num_classes` - 1 give all zeros.
    """
    from unidl.dtypes import floatx

    place = axis_index(axis, len(x.shape) + 1)
    classes = ops.reshape(ops.arange(num_classes, None, None, "int32"), (num_classes,) + (1,) * (len(x.shape) - place))
    return ops.cast(ops.equal(ops.expand_dims(ops.cast(x, "int32"), place), classes), dtype or floatx())


@primitive
def sort(x: Tensor, axis: int = -1) -> Tensor:
    """`x` in ascending order along `axis`; NaN last."""
    axis_index(axis, len(x.shape))
    return like(x)


@primitive
def argsort(x: Tensor, axis: int = -1) -> Tensor:
    """The int32 indices that sort `x` along `axis`, in a stable order."""
    axis_index(axis, len(x.shape))
    return like(x, "int32")


@primitive
def top_k(x: Tensor, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The `k` largest elements along the last dimension and their int32 indices, largest first.

    Which of equal elements comes first is the engine's choice.
    """
    require(len(x.shape) > 0, "`x` has no dimensions.")
    n = x.shape[-1]
    require(n is None or 0 <= k <= n, f"`k` is {k}, but the last dimension has size {n}.")
    return (TensorSpec((*x.shape[:-1], k), x.dtype), TensorSpec((*x.shape[:-1], k), "int32"))


@composite
def tril(x: Tensor, k: int = 0) -> Tensor:
    """`x` with everything above the k-th diagonal of the last two dimensions set to 0."""
    return _triangle(x, k, upper=False)


@composite
def triu(x: Tensor, k: int = 0) -> Tensor:
    """`x` with everything below the k-th diagonal of the last two dimensions set to 0."""
    return _triangle(x, k, upper=True)


def _triangle(x: Any, k: int, upper: bool) -> Any:

    require(len(x.shape) >= 2, f"at least two dimensions are expected, not {len(x.shape)}.")
    sizes = ops.shape(x)
    rows, columns = ops.add(ops.expand_dims(ops.arange(sizes[-2]), 1), k), ops.expand_dims(ops.arange(sizes[-1]), 0)
    keep = ops.greater_equal(columns, rows) if upper else ops.less_equal(columns, rows)
    return ops.where(keep, x, ops.zeros_like(x))
