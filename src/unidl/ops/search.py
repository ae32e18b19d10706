"""Sorting and searching."""

from __future__ import annotations

from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    axis_index,
    like,
    primitive,
    require,
)


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


__all__ = ["sort", "argsort", "top_k"]
