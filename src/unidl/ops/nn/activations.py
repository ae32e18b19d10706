"""Activations."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._declare import Tensor, axes_tuple, composite, like, primitive


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


swish = silu
hard_swish = hard_silu


__all__ = [
    "relu",
    "sigmoid",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "silu",
    "log_sigmoid",
    "hard_sigmoid",
    "hard_silu",
    "gelu",
    "mish",
    "softmax",
    "log_softmax",
    "swish",
    "hard_swish",
]
