"""Joining and cutting tensors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.ops._declare import (
    Tensor,
    Tensors,
    TensorSpec,
    axis_index,
    composite,
    need_rank,
    primitive,
    require,
    same_dim,
)


@primitive(promote="xs")
def concatenate(xs: Tensors, axis: int = 0) -> Tensor:
    """The tensors `xs` one after the other along `axis`; all other dimensions must agree.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.concatenate([[[1, 2]], [[3, 4], [5, 6]]], 0)))
        [[1 2]
         [3 4]
         [5 6]]
    """
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
    """Tensors of one shape side by side along a new dimension `axis`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.stack([[1, 2], [3, 4]], -1)))
        [[1 3]
         [2 4]]
    """
    require(len(x) > 0, "there is nothing to stack.")
    shapes = [tuple(v.shape) for v in x]
    require(all(len(s) == len(shapes[0]) for s in shapes), f"shapes differ: {[list(s) for s in shapes]}.")
    place = axis_index(axis, len(shapes[0]) + 1)
    return ops.concatenate([ops.expand_dims(v, place) for v in x], place)


@composite(promote="x1 x2")
def append(x1: Tensor, x2: Tensor, axis: int | None = None) -> Tensor:
    """`x2` after `x1` along `axis`; None: both flattened.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.append([1, 2], [[3], [4]])))
        [1 2 3 4]
    """
    if axis is None:
        return ops.concatenate([ops.ravel(x1), ops.ravel(x2)], 0)
    return ops.concatenate([x1, x2], axis)


@composite(promote="xs")
def hstack(xs: Tensors) -> Tensor:
    """The tensors `xs` one after the other along dimension 1; those with one dimension along that.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.hstack([[[1], [2]], [[3], [4]]])))
        [[1 3]
         [2 4]]
    """
    require(len(xs) > 0, "there is nothing to stack.")
    xs = [ops.reshape(x, (1,)) if len(x.shape) == 0 else x for x in xs]
    return ops.concatenate(xs, 0 if len(xs[0].shape) == 1 else 1)


@composite(promote="xs")
def vstack(xs: Tensors) -> Tensor:
    """The tensors `xs` one below the other, along dimension 0; those with one dimension are rows.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.vstack([[1, 2], [3, 4]])))
        [[1 2]
         [3 4]]
    """
    require(len(xs) > 0, "there is nothing to stack.")
    return ops.concatenate([ops.reshape(x, (1, *(ops.shape(x) or (1,)))) if len(x.shape) < 2 else x for x in xs], 0)


@composite(promote="xs")
def dstack(xs: Tensors) -> Tensor:
    """The tensors `xs` one behind the other, along dimension 2; (n,) counts as (1, n, 1), (m, n) as (m, n, 1).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.dstack([[1, 2], [3, 4]])))
        [[[1 3]
          [2 4]]]
    """
    require(len(xs) > 0, "there is nothing to stack.")
    wide = []
    for x in xs:
        sizes = tuple(ops.shape(x))
        full = {0: (1, 1, 1), 1: (1, *sizes, 1), 2: (*sizes, 1)}.get(len(sizes))
        wide.append(x if full is None else ops.reshape(x, full))
    return ops.concatenate(wide, 2)


# -- cutting ---------------------------------------------------------------------------------------


@primitive
def split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """`x` cut along `axis` into so many equal parts, or before each of the given indices.

    Indices are those of slices: negative ones count from the end, and those beyond it give empty parts.

    Example:
        >>> from unidl import ops
        >>> print([ops.convert_to_numpy(part).tolist() for part in ops.split([1, 2, 3, 4], [1, 3])])
        [[1], [2, 3], [4]]
    """
    a = axis_index(axis, len(x.shape))
    total = x.shape[a]
    if not _listed(indices_or_sections):
        n = _count(indices_or_sections)
        require(total is None or total % n == 0, f"dimension {a} of size {total} cannot be cut into {n} equal parts.")
        sizes: list[int | None] = [None if total is None else total // n] * n
    else:
        cuts = _cuts(indices_or_sections)
        ends = [*cuts, total]
        sizes = []
        for start, end in zip([0, *cuts], ends, strict=True):
            if total is None:
                sizes.append(None)
            else:
                sizes.append(len(range(*slice(start, end).indices(total))))
    return tuple(TensorSpec((*x.shape[:a], s, *x.shape[a + 1 :]), x.dtype) for s in sizes)  # type: ignore[return-value]


def _listed(value: Any) -> bool:
    return isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _count(value: Any) -> int:
    valid = hasattr(value, "__index__") and not isinstance(value, (bool, Dim)) and value > 0
    require(valid, f"`indices_or_sections` must be a positive int or a list of ints, not {value!r}.")
    return operator.index(value)


def _cuts(values: Any) -> list[int]:
    for v in values:
        valid = hasattr(v, "__index__") and not isinstance(v, (bool, Dim))
        require(valid, f"`indices_or_sections` must be a positive int or a list of ints, not {values!r}.")
    return [operator.index(v) for v in values]


@composite
def array_split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """`x` cut along `axis` into so many parts, of which the first may have one element more, or as `split` does.

    Example:
        >>> from unidl import ops
        >>> print([ops.convert_to_numpy(part).tolist() for part in ops.array_split([1, 2, 3, 4, 5], 3)])
        [[1, 2], [3, 4], [5]]
    """
    a = axis_index(axis, len(x.shape))
    if _listed(indices_or_sections):
        return ops.split(x, indices_or_sections, a)
    n, total = _count(indices_or_sections), ops.shape(x)[a]
    front, start, parts = (slice(None),) * a, 0, []
    for i in range(n):
        end = start + (total + (n - 1 - i)) // n
        parts.append(ops.getitem(x, (*front, slice(start, end))))
        start = end
    return tuple(parts)  # type: ignore[return-value]


@composite
def hsplit(x: Tensor, indices_or_sections: Any) -> list[Tensor]:
    """`x` cut as by `split` along dimension 1; along dimension 0 if it has one.

    Example:
        >>> from unidl import ops
        >>> print([ops.convert_to_numpy(part).tolist() for part in ops.hsplit([[1, 2], [3, 4]], 2)])
        [[[1], [3]], [[2], [4]]]
    """
    need_rank(x, "x", 1)
    return list(ops.split(x, indices_or_sections, 0 if len(x.shape) == 1 else 1))


@composite
def vsplit(x: Tensor, indices_or_sections: Any) -> list[Tensor]:
    """`x`, of at least two dimensions, cut as by `split` along dimension 0.

    Example:
        >>> from unidl import ops
        >>> print([ops.convert_to_numpy(part).tolist() for part in ops.vsplit([[1, 2], [3, 4]], 2)])
        [[[1, 2]], [[3, 4]]]
    """
    need_rank(x, "x", 2)
    return list(ops.split(x, indices_or_sections, 0))


@composite
def dsplit(x: Tensor, indices_or_sections: Any) -> list[Tensor]:
    """`x`, of at least three dimensions, cut as by `split` along dimension 2.

    Example:
        >>> from unidl import ops
        >>> print([ops.convert_to_numpy(part).tolist() for part in ops.dsplit([[[1, 2], [3, 4]]], 2)])
        [[[[1], [3]]], [[[2], [4]]]]
    """
    need_rank(x, "x", 3)
    return list(ops.split(x, indices_or_sections, 2))


@composite
def unstack(x: Tensor, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of `x` along `axis`, whose size must be known (or given as `num`).

    Example:
        >>> from unidl import ops
        >>> print([ops.convert_to_numpy(part).tolist() for part in ops.unstack([[1, 2], [3, 4]])])
        [[1, 2], [3, 4]]
    """
    a = axis_index(axis, len(x.shape))
    size = x.shape[a]
    require(num is None or _is_count(num), f"`num` must be an int of at least 0, not {num!r}.")
    require(num is None or size is None or num == size, f"`num` is {num}, but dimension {a} has size {size}.")
    count = size if num is None else num
    require(count is not None, f"the size of dimension {a} is unknown: give `num`.")
    if count == 0:
        return ()  # type: ignore[return-value]
    return tuple(ops.squeeze(part, a) for part in ops.split(x, int(count), a))  # type: ignore[return-value]


def _is_count(num: Any) -> bool:
    return hasattr(num, "__index__") and not isinstance(num, bool) and num >= 0


__all__ = [
    "append", "array_split", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "split", "stack", "unstack",
    "vsplit", "vstack",
]  # fmt: skip
