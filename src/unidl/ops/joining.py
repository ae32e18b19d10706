"""Joining, cutting, padding and repeating tensors."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.backend.attributes import pad_pairs
from unidl.ops._declare import (
    Tensor,
    Tensors,
    TensorSpec,
    axes_tuple,
    axis_index,
    composite,
    like,
    primitive,
    require,
    same_dim,
)


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


__all__ = ["concatenate", "stack", "split", "unstack", "pad", "tile", "repeat", "flip", "roll"]
