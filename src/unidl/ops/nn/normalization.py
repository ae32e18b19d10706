"""The affine map of a dense layer, moments and normalization."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import to_float
from unidl.ops._declare import (
    Tensor,
    axes_tuple,
    axis_index,
    composite,
    need_dtype,
    need_rank,
    require,
    same_dim,
)
from unidl.ops._precision import widened


@composite(promote="x kernel bias")
def linear(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ kernel + bias``: (…, features) times (features, units), plus (units,).

    Example:
        >>> from unidl import ops
        >>> x = ops.array([[1.0, 2.0]])
        >>> print(ops.convert_to_numpy(ops.linear(x, [[1.0, 0.0], [0.0, 2.0]], [10.0, 20.0])))
        [[11. 24.]]
    """
    need_rank(x, "x", 2)
    need_rank(kernel, "kernel", 2, 2)
    same_dim(_size(x, -1), _size(kernel, 0), "features of `x` and `kernel`")
    product = ops.matmul(x, kernel)
    if bias is None:
        return product
    need_rank(bias, "bias", 1, 1)
    same_dim(_size(kernel, 1), _size(bias, 0), "units of `kernel` and `bias`")
    return ops.add(product, bias)


def _size(x: Any, axis: int) -> int | None:
    """The size of a dimension, None if it is unknown."""
    return x.shape[axis]


@composite
def moments(x: Tensor, axes: Any, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance (no correction) over `axes`; those of integers are floats.

    Example:
        >>> from unidl import ops
        >>> mean, variance = ops.moments([[1.0, 3.0], [5.0, 9.0]], axes=[1])
        >>> print(ops.convert_to_numpy(mean), ops.convert_to_numpy(variance))
        [2. 7.] [1. 4.]
    """
    from unidl.ops._bind import dtype_of

    require(not synchronized, "`synchronized` moments need a distribution, and none is set.")
    need_dtype(x, "x", "real")
    axes_tuple(axes, len(x.shape))
    kind, (x,) = widened(ops.cast(x, to_float(dtype_of(x))))
    mean, variance = ops.mean(x, axes, keepdims), ops.var(x, axes, keepdims)
    return ops.cast(mean, kind), ops.cast(variance, kind)


def _check_vectors(x: Any, axis: int, **vectors: Any) -> None:
    """Each of `vectors` that is there must be one, of as many elements as `x` has along `axis`."""
    for name, vector in vectors.items():
        if vector is not None:
            need_rank(vector, name, 1, 1)
            same_dim(_size(x, axis), _size(vector, 0), f"dimension {axis} of `x` and `{name}`")


@composite(promote="x mean variance offset scale", floating=True, checked=True)
def batch_normalization(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    axis: int,
    offset: Tensor | None = None,
    scale: Tensor | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset``, the four vectors along `axis`.

    Example:
        >>> from unidl import ops
        >>> x = ops.array([[1.0, 2.0], [3.0, 6.0]])
        >>> print(ops.convert_to_numpy(ops.batch_normalization(x, [1.0, 2.0], [1.0, 4.0], -1, epsilon=0.0)))
        [[0. 0.]
         [2. 2.]]
    """
    need_dtype(x, "x", "floating")
    a = axis_index(axis, len(x.shape))
    _check_vectors(x, a, mean=mean, variance=variance, offset=offset, scale=scale)
    shape = [1] * len(x.shape)
    shape[a] = -1
    kind, (x, mean, variance, offset, scale) = widened(x, mean, variance, offset, scale)
    factor = ops.rsqrt(ops.add(variance, epsilon))
    if scale is not None:
        factor = ops.multiply(factor, scale)
    shift = ops.multiply(mean, factor)
    shift = ops.subtract(offset, shift) if offset is not None else ops.multiply(shift, -1.0)
    out = ops.add(ops.multiply(x, ops.reshape(factor, tuple(shape))), ops.reshape(shift, tuple(shape)))
    return ops.cast(out, kind)


@composite(promote="x offset scale", floating=True, checked=True)
def batch_normalization_training(
    x: Tensor, axis: int, offset: Tensor | None = None, scale: Tensor | None = None, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_normalization` with the batch's own moments over all dimensions but `axis`.

    Returns the result, and the mean and (uncorrected) variance for moving averages
    (Ioffe & Szegedy, arXiv:1502.03167). Gradients flow through the moments inside the result, not
    through the two that are returned.

    Example:
        >>> from unidl import ops
        >>> x = ops.array([[1.0, 2.0], [3.0, 6.0]])
        >>> out, mean, variance = ops.batch_normalization_training(x, -1)
        >>> print(ops.convert_to_numpy(mean), ops.convert_to_numpy(ops.round(variance)))
        [2. 4.] [1. 4.]
    """
    need_rank(x, "x", 2)
    need_dtype(x, "x", "floating")
    a = axis_index(axis, len(x.shape))
    _check_vectors(x, a, offset=offset, scale=scale)
    mean, variance = ops.moments(x, tuple(i for i in range(len(x.shape)) if i != a))
    result = ops.batch_normalization(x, mean, variance, a, offset, scale, epsilon)
    return result, ops.stop_gradient(mean), ops.stop_gradient(variance)


def _along(x: Any, axes: tuple[int, ...], **weights: Any) -> tuple[int | Any, ...]:
    """The shape in which weights over the dimensions `axes` of `x` meet `x`; their shapes are checked."""
    for name, weight in weights.items():
        if weight is not None:
            need_rank(weight, name, len(axes), len(axes))
            for place, a in enumerate(axes):
                same_dim(_size(x, a), _size(weight, place), f"dimension {a} of `x` and dimension {place} of `{name}`")
    sizes = ops.shape(x)
    return tuple(sizes[i] if i in axes else 1 for i in range(len(sizes)))


def _epsilon(value: float | None) -> float:
    from unidl.config import epsilon

    return epsilon() if value is None else value


@composite(promote="x gamma beta", floating=True, checked=True)
def layer_normalization(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    axis: Any = -1,
    epsilon: float | None = None,
) -> Tensor:
    """`x` with mean 0 and variance 1 over `axis`, times `gamma` plus `beta` (Ba et al., arXiv:1607.06450).

    Args:
        gamma, beta: of the shape of the normalized dimensions, or None.
        axis: an int or a tuple of ints.
        epsilon: added to the variance; None: `unidl.config.epsilon()`.

    Example:
        >>> from unidl import ops
        >>> x = ops.array([1.0, 3.0, 3.0, 1.0])
        >>> print(ops.convert_to_numpy(ops.round(ops.layer_normalization(x), 3)))
        [-1.  1.  1. -1.]
    """
    need_dtype(x, "x", "floating")
    axes = axes_tuple(axis, len(x.shape))
    shape = _along(x, axes, gamma=gamma, beta=beta)
    kind, (x, gamma, beta) = widened(x, gamma, beta)
    centred = ops.subtract(x, ops.mean(x, axes, True))
    variance = ops.mean(ops.square(centred), axes, True)
    result = ops.multiply(centred, ops.rsqrt(ops.add(variance, _epsilon(epsilon))))
    if gamma is not None:
        result = ops.multiply(result, ops.reshape(gamma, shape))
    return ops.cast(result if beta is None else ops.add(result, ops.reshape(beta, shape)), kind)


@composite(promote="x scale", floating=True)
def rms_normalization(x: Tensor, scale: Tensor | None = None, axis: Any = -1, epsilon: float | None = None) -> Tensor:
    """``x / sqrt(mean(x ** 2) + epsilon) * scale``, the mean over `axis` (Zhang & Sennrich, arXiv:1910.07467).

    Args:
        scale: of the shape of the normalized dimensions, or of one that broadcasts to that of `x`; or None.
        axis: an int or a tuple of ints.
        epsilon: None: `unidl.config.epsilon()`.

    Example:
        >>> from unidl import ops
        >>> x = ops.array([3.0, -3.0, 3.0, 3.0])
        >>> print(ops.convert_to_numpy(ops.round(ops.rms_normalization(x, [1.0, 2.0, 3.0, 4.0]), 3)))
        [ 1. -2.  3.  4.]
    """
    need_dtype(x, "x", "floating")
    axes = axes_tuple(axis, len(x.shape))
    shape: Any = None
    if scale is not None:
        pairs = [(_size(x, a), d) for a, d in zip(axes, scale.shape, strict=False)]
        if len(scale.shape) == len(axes) and all(None in pair or pair[0] == pair[1] for pair in pairs):
            shape = _along(x, axes, scale=scale)
        else:
            have, given = tuple(x.shape), tuple(scale.shape)
            fits = len(given) <= len(have) and all(
                d in (1, None, n) or n is None for n, d in zip(reversed(have), reversed(given), strict=False)
            )
            require(fits, f"`scale` of shape {list(scale.shape)} does not fit `x` of shape {list(have)}.")
    kind, (x, scale) = widened(x, scale)
    result = ops.multiply(x, ops.rsqrt(ops.add(ops.mean(ops.square(x), axes, True), _epsilon(epsilon))))
    if scale is not None:
        result = ops.multiply(result, scale if shape is None else ops.reshape(scale, shape))
    return ops.cast(result, kind)


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

    Example:
        >>> from unidl import ops
        >>> x = ops.array([[1.0, 3.0, 10.0, 30.0]])
        >>> print(ops.convert_to_numpy(ops.round(ops.group_normalization(x, 2), 1)))
        [[-1.  1. -1.  1.]]
    """
    need_rank(x, "x", 2)
    need_dtype(x, "x", "floating")
    rank = len(x.shape)
    a = axis_index(axis, rank)
    require(a > 0, "`axis` is that of the examples; the channels must be along another one.")
    require(groups > 0, f"`groups` must be positive, not {groups}.")
    _check_vectors(x, a, gamma=gamma, beta=beta)
    sizes = ops.shape(x)
    channels = sizes[a]
    require(isinstance(channels, int), f"the number of channels, dimension {a} of `x`, must be known.")
    require(channels % groups == 0, f"{groups} groups do not divide {channels} channels.")
    kind, (x, gamma, beta) = widened(x, gamma, beta)
    grouped = ops.reshape(x, (*sizes[:a], groups, channels // groups, *sizes[a + 1 :]))
    axes = tuple(i for i in range(1, rank + 1) if i != a)
    centred = ops.subtract(grouped, ops.mean(grouped, axes, True))
    result = ops.reshape(
        ops.multiply(centred, ops.rsqrt(ops.add(ops.mean(ops.square(centred), axes, True), epsilon))), tuple(sizes)
    )
    vector = tuple(-1 if i == a else 1 for i in range(rank))
    if gamma is not None:
        result = ops.multiply(result, ops.reshape(gamma, vector))
    return ops.cast(result if beta is None else ops.add(result, ops.reshape(beta, vector)), kind)


@composite(floating=True)
def normalize(x: Tensor, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """``x / max(norm(x), epsilon)``, the norm ``sum(|x| ** order) ** (1 / order)`` over `axis`.

    Neither very large nor very small numbers overflow in the powers; gradients at 0 are finite.

    Args:
        axis: an int, a tuple of ints, or None for all dimensions.
        order: an int of at least 1.
        epsilon: None: `unidl.config.epsilon()`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.normalize([[1.0, 3.0], [2.0, 2.0]], order=1)))
        [[0.25 0.75]
         [0.5  0.5 ]]
    """
    need_dtype(x, "x", "floating")
    whole = hasattr(order, "__index__") and not isinstance(order, bool)
    require(whole and order >= 1, f"`order` must be an int >= 1, not {order!r}.")
    axes = axes_tuple(axis, len(x.shape)) if len(x.shape) else ()
    kind, (x,) = widened(x)
    size = ops.absolute(x)
    if axes:
        # In units of the largest element, which is a constant here: the norm does not depend on the unit.
        largest = ops.stop_gradient(ops.max(size, axes, True, 0))
        unit = ops.where(ops.logical_and(ops.isfinite(largest), ops.greater(largest, 0)), largest, 1.0)
        parts = ops.divide(size, unit)
        if order == 1:
            norm = ops.multiply(ops.sum(parts, axes, True), unit)
        else:
            total = ops.sum(ops.square(parts) if order == 2 else ops.power(parts, order), axes, True)
            some = ops.not_equal(total, 0)
            # The root of 0 has no derivative: it is taken of 1 there, and not used.
            safe = ops.where(some, total, 1.0)
            root = ops.sqrt(safe) if order == 2 else ops.power(safe, 1.0 / order)
            norm = ops.multiply(ops.where(some, root, 0.0), unit)
    else:
        norm = size
    return ops.cast(ops.divide(x, ops.maximum(norm, _epsilon(epsilon))), kind)


__all__ = [
    "linear",
    "moments",
    "batch_normalization",
    "batch_normalization_training",
    "layer_normalization",
    "rms_normalization",
    "group_normalization",
    "normalize",
]
