"""Writing into places of a tensor, and cutting at places that are tensors."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    composite,
    like,
    need_dtype,
    need_rank,
    primitive,
    require,
)


@primitive(checked=True)
def scatter_update(inputs: Tensor, indices: Tensor, updates: Tensor, reduction: str | None = None) -> Tensor:
    """`inputs` with `updates` written to, or combined with, the elements at `indices`.

    Args:
        indices: integers of shape (…, k): each row names a place in the first k dimensions of `inputs`; negative
            ones count from the end.
        updates: broadcasts to the shape of `indices` without k, followed by the rest of the shape of `inputs`; it is
            cast to the dtype of `inputs`.
        reduction: None: the last update of a place replaces what was there. "add", "mul", "max" or "min":
            what was there and all updates of the place are combined (bools as "or" and "and").

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.scatter_update([1, 2, 3], [[0], [2]], [7, 8])))
        [7 2 8]
        >>> print(ops.convert_to_numpy(ops.scatter_update([1, 2, 3], [[0], [0]], [7, 8], "add")))
        [16  2  3]
    """
    require(
        reduction in (None, "add", "max", "min", "mul"),
        f"`reduction` must be None, 'add', 'max', 'min' or 'mul', not {reduction!r}.",
    )
    if reduction in ("max", "min"):
        need_dtype(inputs, "inputs", "real")
    want = _places_shape(inputs, indices, "inputs")
    message = f"`updates` has shape {list(updates.shape)}, which does not broadcast to {list(want)}."
    require(len(updates.shape) <= len(want), message)
    for have, size in zip(updates.shape[::-1], want[::-1], strict=False):
        require(have in (1, None, size) or size is None, message)
    return like(inputs)


@primitive(checked=True)
def gather_nd(x: Tensor, indices: Tensor) -> Tensor:
    """The elements of `x` at `indices`: integers of shape (…, k), each row a place in the first k dimensions of `x`.

    The result has the shape of `indices` without k, followed by the rest of the shape of `x`. Negative indices count
    from the end; what an index out of range gives is said at `take`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.gather_nd([[1, 2], [3, 4]], [[0, 1], [-1, 0]])))
        [2 3]
    """
    return TensorSpec(_places_shape(x, indices, "x"), x.dtype)


def _places_shape(x: Any, indices: Any, what: str) -> tuple[int | None, ...]:
    """The shape of what stands in `x` at `indices` (…, k)."""
    need_dtype(indices, "indices", "integer")
    need_rank(indices, "indices", 1)
    rank, k = len(x.shape), indices.shape[-1]
    require(k is not None, "the last dimension of `indices` must be known.")
    fits = f"1 to {rank} are expected, the dimensions of `{what}`"
    require(1 <= k <= rank, f"the last dimension of `indices` is {k}; {fits}.")
    return (*indices.shape[:-1], *x.shape[k:])


@composite
def scatter(indices: Tensor, values: Tensor, shape: Any) -> Tensor:
    """Zeros of `shape` with `values` added at `indices` (of shape (…, k), see `scatter_update`).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.scatter([[0], [2], [2]], [1, 2, 3], (4,))))
        [1 0 5 0]
    """
    return ops.scatter_update(ops.zeros(shape, dtype_of(values)), indices, values, "add")


__all__ = ["scatter_update", "scatter", "gather_nd"]
