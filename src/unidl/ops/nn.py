"""Activations, normalization, attention and other pieces of neural networks."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._declare import Tensor, axes_tuple, axis_index, composite, like, primitive, require

# -- activations -----------------------------------------------------------------------------------


@primitive
def relu(x: Tensor) -> Tensor:
    """``max(x, 0)``; the gradient at 0 is 0."""
    return like(x)


@primitive(floating=True)
def sigmoid(x: Tensor) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return like(x)


@composite
def relu6(x: Tensor) -> Tensor:
    """``min(max(x, 0), 6)``."""
    return ops.minimum(ops.relu(x), 6)


@composite(floating=True)
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """`x` where positive, ``negative_slope * x`` elsewhere."""
    return ops.where(ops.greater(x, 0), x, ops.multiply(x, negative_slope))


@composite(floating=True)
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, ``alpha * (exp(x) - 1)`` elsewhere (Clevert et al., arXiv:1511.07289)."""
    # The exponent is limited so that the branch not taken cannot overflow into the gradient.
    return ops.where(ops.greater(x, 0), x, ops.multiply(ops.expm1(ops.minimum(x, 0)), alpha))


@composite(floating=True)
def selu(x: Tensor) -> Tensor:
    """Scaled `elu` that keeps mean 0 and variance 1 (Klambauer et al., arXiv:1706.02515)."""
    return ops.multiply(ops.elu(x, 1.6732632423543772), 1.0507009873554805)


@composite(floating=True)
def softplus(x: Tensor) -> Tensor:
    """``log(1 + exp(x))``, without overflow; the gradient is ``sigmoid(x)``, also at 0."""
    # max(x, 0), whose gradient at 0 must be a half: that of the other term is 0 there, and logits are often 0.
    positive = ops.where(ops.equal(x, 0), ops.multiply(x, 0.5), ops.relu(x))
    return ops.add(positive, ops.log1p(ops.exp(ops.negative(ops.absolute(x)))))


@composite(floating=True)
def softsign(x: Tensor) -> Tensor:
    """``x / (1 + |x|)``."""
    return ops.divide(x, ops.add(ops.absolute(x), 1.0))


@composite(floating=True)
def silu(x: Tensor) -> Tensor:
    """``x * sigmoid(x)``, also called swish."""
    return ops.multiply(x, ops.sigmoid(x))


@composite(floating=True)
def log_sigmoid(x: Tensor) -> Tensor:
    """``log(sigmoid(x))``, without underflow."""
    return ops.negative(ops.softplus(ops.negative(x)))


@composite(floating=True)
def hard_sigmoid(x: Tensor) -> Tensor:
    """``x / 6 + 0.5`` limited to [0, 1]."""
    return ops.clip(ops.add(ops.divide(x, 6.0), 0.5), 0.0, 1.0)


@composite(floating=True)
def hard_silu(x: Tensor) -> Tensor:
    """``x * hard_sigmoid(x)``, also called hard swish."""
    return ops.multiply(x, ops.hard_sigmoid(x))


@composite(floating=True)
def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    """`x` times the normal distribution function at `x` (Hendrycks & Gimpel, arXiv:1606.08415).

    Args:
        approximate: use the tanh approximation of that paper instead of the error function.
    """
    if approximate:
        inner = ops.multiply(ops.add(x, ops.multiply(ops.power(x, 3), 0.044715)), math.sqrt(2.0 / math.pi))
        return ops.multiply(ops.multiply(x, 0.5), ops.add(ops.tanh(inner), 1.0))
    return ops.multiply(ops.multiply(x, 0.5), ops.add(ops.erf(ops.multiply(x, math.sqrt(0.5))), 1.0))


@composite(floating=True)
def mish(x: Tensor) -> Tensor:
    """``x * tanh(softplus(x))`` (Misra, arXiv:1908.08681)."""
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


@composite(floating=True)
def softmax(x: Tensor, axis: Any = -1) -> Tensor:
    """Exponentials divided by their sum over `axis`; invariant to adding a constant."""
    axes_tuple(axis, len(x.shape))
    weights = ops.exp(ops.subtract(x, ops.stop_gradient(ops.max(x, axis, True))))
    return ops.divide(weights, ops.sum(weights, axis, True))


@composite(floating=True)
def log_softmax(x: Tensor, axis: Any = -1) -> Tensor:
    """The logarithm of `softmax`, computed without underflow."""
    axes_tuple(axis, len(x.shape))
    return ops.subtract(x, ops.logsumexp(x, axis, True))


# -- layers' kernels -------------------------------------------------------------------------------


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


@composite(promote="query key value", floating=True)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> Tensor:
    """``softmax(query @ key.T * scale) @ value`` for each head (Vaswani et al., arXiv:1706.03762).

    Args:
        query: (batch, heads, targets, depth); key: (batch, heads, sources, depth);
            value: (batch, heads, sources, value depth).
        mask: boolean, broadcastable to (batch, heads, targets, sources); False hides a source. A
            target that sees nothing gets the mean of all values.
        scale: None: ``1 / sqrt(depth)``.
        is_causal: hide sources after the target.
    """
    require(scale is not None or query.shape[-1] is not None, "the depth of `query` is unknown: give `scale`.")
    factor = scale if scale is not None else 1.0 / math.sqrt(query.shape[-1])
    scores = ops.matmul(ops.multiply(query, factor), ops.swapaxes(key, -1, -2))
    if is_causal:
        sizes = ops.shape(scores)
        visible = ops.greater_equal(
            ops.expand_dims(ops.arange(sizes[-2]), 1), ops.expand_dims(ops.arange(sizes[-1]), 0)
        )
        mask = visible if mask is None else ops.logical_and(mask, visible)
    if mask is not None:
        scores = ops.where(mask, scores, -3e4)
    return ops.matmul(ops.softmax(scores, -1), value)


# -- losses ----------------------------------------------------------------------------------------


@composite(promote="target output", floating=True)
def categorical_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1) -> Tensor:
    """``-sum(target * log(p))`` over `axis`, p the probabilities `output` (or their logits).

    Probabilities are first made to sum to 1 and kept at least epsilon (1e-7) away from 0 and 1.
    """
    from unidl.config import epsilon

    require(len(target.shape) == len(output.shape), f"ranks differ: {list(target.shape)} and {list(output.shape)}.")
    if from_logits:
        logs = ops.log_softmax(output, axis)
    else:
        logs = ops.log(ops.clip(ops.divide(output, ops.sum(output, axis, True)), epsilon(), 1.0 - epsilon()))
    return ops.negative(ops.sum(ops.multiply(target, logs), axis))


@composite
def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`categorical_crossentropy` with integer targets of one dimension less than `output` (or size 1 there)."""
    from unidl.config import epsilon

    a = axis_index(axis, len(output.shape))
    if len(target.shape) != len(output.shape):
        target = ops.expand_dims(target, a)
    require(
        len(target.shape) == len(output.shape), f"targets {list(target.shape)} do not fit output {list(output.shape)}."
    )
    if from_logits:
        logs = ops.log_softmax(output, a)
    else:
        logs = ops.log(ops.clip(ops.divide(output, ops.sum(output, a, True)), epsilon(), 1.0 - epsilon()))
    return ops.negative(ops.squeeze(ops.take_along_axis(logs, ops.cast(target, "int32"), a), a))


@composite(promote="target output", floating=True)
def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Tensor:
    """``-(t * log(p) + (1 - t) * log(1 - p))``, elementwise; p as in `categorical_crossentropy`."""
    from unidl.config import epsilon

    require(len(target.shape) == len(output.shape), f"ranks differ: {list(target.shape)} and {list(output.shape)}.")
    if from_logits:
        return ops.subtract(ops.softplus(output), ops.multiply(target, output))
    p = ops.clip(output, epsilon(), 1.0 - epsilon())
    return ops.negative(
        ops.add(
            ops.multiply(target, ops.log(p)), ops.multiply(ops.subtract(1.0, target), ops.log(ops.subtract(1.0, p)))
        )
    )
