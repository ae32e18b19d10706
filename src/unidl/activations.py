"""Activation functions: elementwise unless they say otherwise, and each made of `unidl.ops`."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl._objects import Registry
from unidl.ops import (
    elu,
    hard_sigmoid,
    hard_silu,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
)


def linear(x: Any) -> Any:
    """`x` itself."""
    return x


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """`x` where above `threshold`, at most `max_value`; ``negative_slope * (x - threshold)`` elsewhere."""
    if not threshold:
        y = ops.leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    else:
        below = ops.multiply(ops.subtract(x, threshold), negative_slope)
        y = ops.where(ops.greater(x, threshold), x, below)
    return y if max_value is None else ops.minimum(y, max_value)


def exponential(x: Any) -> Any:
    """``exp(x)``."""
    return ops.exp(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """`x` times the normal distribution function at `x` (D. Hendrycks, K. Gimpel, arXiv:1606.08415).

    `approximate` uses that paper's tanh formula instead of the error function.
    """
    return ops.gelu(x, approximate)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """`x` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere (J. Barron, arXiv:1704.07483)."""
    negative = ops.multiply(ops.expm1(ops.divide(ops.minimum(x, 0.0), alpha)), alpha)
    return ops.add(ops.relu(x), negative)


def glu(x: Any, axis: int = -1) -> Any:
    """The first half of `x` along `axis`, times the sigmoid of the second (Y. Dauphin et al., ICML 2017)."""
    a, b = ops.split(x, 2, axis)
    return ops.multiply(a, ops.sigmoid(b))


def hard_tanh(x: Any) -> Any:
    """`x` limited to [-1, 1]."""
    return ops.clip(x, -1.0, 1.0)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` where ``abs(x) > threshold``, 0 elsewhere."""
    return ops.where(ops.greater(ops.absolute(x), threshold), x, 0.0)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` moved towards 0 by `threshold`, and not past it."""
    return ops.subtract(x, ops.clip(x, -threshold, threshold))


def tanh_shrink(x: Any) -> Any:
    """``x - tanh(x)``."""
    return ops.subtract(x, ops.tanh(x))


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """`x` where above `threshold`, `default_value` elsewhere."""
    return ops.where(ops.greater(x, threshold), x, float(default_value))


def squareplus(x: Any, b: float = 4) -> Any:
    """``(x + sqrt(x * x + b)) / 2`` (J. Barron, arXiv:2112.11687)."""
    return ops.multiply(ops.add(x, ops.sqrt(ops.add(ops.square(x), b))), 0.5)


def sparse_plus(x: Any) -> Any:
    """0 up to -1, `x` from 1 on, ``(x + 1) ** 2 / 4`` between."""
    inside = ops.clip(x, -1.0, 1.0)
    return ops.add(ops.multiply(ops.square(ops.add(inside, 1.0)), 0.25), ops.relu(ops.subtract(x, 1.0)))


def sparse_sigmoid(x: Any) -> Any:
    """0 up to -1, 1 from 1 on, a straight line between."""
    return ops.multiply(ops.add(ops.clip(x, -1.0, 1.0), 1.0), 0.5)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """The point of the probability simplex nearest to `x` along `axis` (A. Martins, R. Astudillo, ICML 2016)."""
    x = ops.moveaxis(x, axis, -1)
    descending = ops.flip(ops.sort(x, -1), -1)
    ranks = ops.cumsum(ops.ones_like(x), -1)
    sums = ops.cumsum(descending, -1)
    inside = ops.greater(ops.add(ops.multiply(ranks, descending), 1.0), sums)
    count = ops.sum(ops.where(inside, ops.ones_like(x), 0.0), -1, True)
    total = ops.sum(ops.where(inside, descending, 0.0), -1, True)
    return ops.moveaxis(ops.relu(ops.subtract(x, ops.divide(ops.subtract(total, 1.0), count))), -1, axis)


swish, hard_swish = silu, hard_silu
_registry = Registry(
    "activation",
    [
        celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh, leaky_relu, linear,
        log_sigmoid, log_softmax, mish, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus, softsign,
        sparse_plus, sparse_sigmoid, sparsemax, squareplus, tanh, tanh_shrink, threshold,
    ],
    # By name the plain op is meant, which costs one call less than the function with Keras's extra arguments.
    {"relu": ops.relu, "swish": silu, "hard_swish": hard_silu},
)  # fmt: skip


def get(identifier: Any) -> Any:
    """The function for a name ("relu"), function, layer or configuration; `linear` for None."""
    return linear if identifier is None else _registry.get(identifier)


def serialize(activation: Any) -> Any:
    """`activation` as plain data: its name."""
    return _registry.serialize(activation)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The function that `serialize` described."""
    return _registry.deserialize(config, custom_objects)


__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu",
    "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
]  # fmt: skip
