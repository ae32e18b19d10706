"""The affine map of a dense layer, moments and normalization."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._declare import Tensor, axes_tuple, axis_index, composite, require


@composite(promote="x kernel bias")
def linear(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ kernel + bias``: (…, features) times (features, units), plus (units,)."""
    require(len(x.shape) >= 2, f"`x` needs at least two dimensions (batch, …, features), not {len(x.shape)}.")
    product = ops.matmul(x, kernel)
    return product if bias is None else ops.add(product, bias)


@composite
def moments(x: Tensor, axes: Any, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance (no correction) over `axes`."""
    require(not synchronized, "synchronized moments need a distribution, and none is set.")
    return ops.mean(x, axes, keepdims), ops.var(x, axes, keepdims)


@composite(promote="x mean variance offset scale", floating=True)
def batch_normalization(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    axis: int,
    offset: Tensor | None = None,
    scale: Tensor | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset``, the four vectors along `axis`."""
    shape = [1] * len(x.shape)
    shape[axis_index(axis, len(x.shape))] = -1
    factor = ops.rsqrt(ops.add(variance, epsilon))
    if scale is not None:
        factor = ops.multiply(factor, scale)
    shift = ops.multiply(mean, factor)
    shift = ops.subtract(offset, shift) if offset is not None else ops.multiply(shift, -1.0)
    return ops.add(ops.multiply(x, ops.reshape(factor, tuple(shape))), ops.reshape(shift, tuple(shape)))


@composite(promote="x offset scale", floating=True)
def batch_normalization_training(
    x: Tensor, axis: int, offset: Tensor | None = None, scale: Tensor | None = None, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_normalization` with the batch's own moments over all dimensions but `axis`.

    Returns the result, and the mean and (uncorrected) variance for moving averages
    (Ioffe & Szegedy, arXiv:1502.03167). Gradients flow through the moments inside the result, not
    through the two that are returned.
    """
    a = axis_index(axis, len(x.shape))
    mean, variance = ops.moments(x, tuple(i for i in range(len(x.shape)) if i != a))
    result = ops.batch_normalization(x, mean, variance, a, offset, scale, epsilon)
    return result, ops.stop_gradient(mean), ops.stop_gradient(variance)


@composite(promote="x gamma beta", floating=True)
def layer_normalization(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, axis: Any = -1, epsilon: float = 1e-3
) -> Tensor:
    """`x` with mean 0 and variance 1 over `axis`, times `gamma` plus `beta` (Ba et al., arXiv:1607.06450).

    Args:
        gamma, beta: of the shape of the normalized dimensions, or None.
        axis: an int or a tuple of ints.
    """
    axes = axes_tuple(axis, len(x.shape))
    centred = ops.subtract(x, ops.mean(x, axes, True))
    result = ops.multiply(centred, ops.rsqrt(ops.add(ops.mean(ops.square(centred), axes, True), epsilon)))
    sizes = ops.shape(x)
    shape = tuple(sizes[i] if i in axes else 1 for i in range(len(sizes)))
    if gamma is not None:
        result = ops.multiply(result, ops.reshape(gamma, shape))
    return result if beta is None else ops.add(result, ops.reshape(beta, shape))


@composite(promote="x gamma beta", floating=True)
def group_normalization(
    x: Tensor,
    groups: int,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Tensor:
    """Mean 0 and variance 1 over each of `groups` groups of channels (Wu & He, arXiv:1803.08494).

    Args:
        x: (batch, …), channels along `axis`, whose size `groups` must divide.
        gamma, beta: (channels,) or None.
    """
    rank = len(x.shape)
    a = axis_index(axis, rank)
    channels = x.shape[a]
    require(channels is not None, f"the number of channels, dimension {a}, is unknown.")
    require(channels % groups == 0, f"{groups} groups do not divide {channels} channels.")
    sizes = ops.shape(x)
    grouped = ops.reshape(x, (*sizes[:a], groups, channels // groups, *sizes[a + 1 :]))
    axes = tuple(i for i in range(1, rank + 1) if i != a)
    centred = ops.subtract(grouped, ops.mean(grouped, axes, True))
    result = ops.reshape(
        ops.multiply(centred, ops.rsqrt(ops.add(ops.mean(ops.square(centred), axes, True), epsilon))), tuple(sizes)
    )
    vector = tuple(-1 if i == a else 1 for i in range(rank))
    if gamma is not None:
        result = ops.multiply(result, ops.reshape(gamma, vector))
    return result if beta is None else ops.add(result, ops.reshape(beta, vector))


__all__ = [
    "linear",
    "moments",
    "batch_normalization",
    "batch_normalization_training",
    "layer_normalization",
    "group_normalization",
]
