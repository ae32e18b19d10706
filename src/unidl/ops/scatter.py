"""Writing into places of a tensor, and cutting at places that are tensors."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import (
    Tensor,
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
    need_dtype(indices, "indices", "integer")
    if reduction in ("max", "min"):
        need_dtype(inputs, "inputs", "real")
    need_rank(indices, "indices", 1)
    rank, k = len(inputs.shape), indices.shape[-1]
    require(k is not None, "the last dimension of `indices` must be known.")
    require(
        1 <= k <= rank, f"the last dimension of `indices` is {k}; 1 to {rank} are expected, the dimensions of `inputs`."
    )
    want = (*indices.shape[:-1], *inputs.shape[k:])
    message = f"`updates` has shape {list(updates.shape)}, which does not broadcast to {list(want)}."
    require(len(updates.shape) <= len(want), message)
    for have, size in zip(updates.shape[::-1], want[::-1], strict=False):
        require(have in (1, None, size) or size is None, message)
    return like(inputs)


@composite
def scatter(indices: Tensor, values: Tensor, shape: Any) -> Tensor:
    """Zeros of `shape` with `values` added at `indices` (of shape (…, k), see `scatter_update`).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.scatter([[0], [2], [2]], [1, 2, 3], (4,))))
        [1 0 5 0]
    """
    return ops.scatter_update(ops.zeros(shape, dtype_of(values)), indices, values, "add")


__all__ = ["scatter_update", "scatter"]
