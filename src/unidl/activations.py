"""Activation functions: elementwise unless they say otherwise, and each made of `unidl.ops`."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl._objects import Registry
from unidl.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)


def linear(x: Any) -> Any:
    """`x` itself."""
    return x


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """`x` where above `threshold`, at most `max_value`; ``negative_slope * (x - threshold)`` elsewhere."""
    if not threshold and not negative_slope and max_value is None:
        return ops.relu(x)
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


def keras2_hard_sigmoid(x: Any) -> Any:
    """``0.2 x + 0.5`` between 0 and 1: the `hard_sigmoid` of Keras 1 and 2, whose files it is for."""
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


swish, hard_swish = silu, hard_silu
_registry = Registry(
    "activation",
    [
        celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh, keras2_hard_sigmoid,
        leaky_relu, linear, log_sigmoid, log_softmax, mish, relu, relu6, selu, sigmoid, silu, soft_shrink, softmax,
        softplus, softsign, sparse_plus, sparse_sigmoid, sparsemax, squareplus, tanh, tanh_shrink, threshold,
    ],
    {"swish": silu, "hard_swish": hard_silu},
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
