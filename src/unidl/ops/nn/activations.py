"""Activations."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, axes_tuple, axis_index, composite, like, need_dtype, primitive, require


@primitive
def relu(x: Tensor) -> Tensor:
    """``max(x, 0)``; the gradient at 0 is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.relu([-2.0, 3.0])))
        [0. 3.]
    """
    need_dtype(x, "x", "real")
    return like(x)


@primitive(floating=True)
def sigmoid(x: Tensor) -> Tensor:
    """``1 / (1 + exp(-x))``.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sigmoid([0.0])))
        [0.5]
    """
    return like(x)


@composite
def relu6(x: Tensor) -> Tensor:
    """``min(max(x, 0), 6)``; the gradient at 0 and at 6 is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.relu6([-2.0, 3.0, 8.0])))
        [0. 3. 6.]
    """
    positive = ops.relu(x)
    return ops.where(ops.greater_equal(positive, 6), 6, positive)


@composite(floating=True)
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """`x` where positive, ``negative_slope * x`` elsewhere.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.leaky_relu([-2.0, 3.0], 0.5)))
        [-1.  3.]
    """
    return ops.where(ops.greater(x, 0), x, ops.multiply(x, negative_slope))


@composite(floating=True)
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, ``alpha * (exp(x) - 1)`` elsewhere (Clevert et al., arXiv:1511.07289).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.elu([-float("inf"), 3.0])))
        [-1.  3.]
    """
    # The exponent is limited so that the branch not taken cannot overflow into the gradient.
    return ops.where(ops.greater(x, 0), x, ops.multiply(ops.expm1(ops.minimum(x, 0)), alpha))


@composite(floating=True)
def selu(x: Tensor) -> Tensor:
    """Scaled `elu` that keeps mean 0 and variance 1 (Klambauer et al., arXiv:1706.02515).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.selu([0.0])))
        [0.]
    """
    return ops.multiply(ops.elu(x, 1.6732632423543772), 1.0507009873554805)


@composite(floating=True)
def softplus(x: Tensor) -> Tensor:
    """``log(1 + exp(x))``, without overflow; the gradient is ``sigmoid(x)``, also at 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.softplus([-float("inf"), 100.0])))
        [  0. 100.]
    """
    # max(x, 0), whose gradient at 0 must be a half: that of the other term is 0 there, and logits are often 0.
    positive = ops.where(ops.equal(x, 0), ops.multiply(x, 0.5), ops.relu(x))
    return ops.add(positive, ops.log1p(ops.exp(ops.negative(ops.absolute(x)))))


@composite(floating=True)
def softsign(x: Tensor) -> Tensor:
    """``x / (1 + |x|)``.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.softsign([-1.0, 3.0])))
        [-0.5   0.75]
    """
    need_dtype(x, "x", "floating")
    return ops.divide(x, ops.add(ops.absolute(x), 1.0))


@composite(floating=True)
def silu(x: Tensor) -> Tensor:
    """``x * sigmoid(x)``, also called swish.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.silu([0.0, 100.0])))
        [  0. 100.]
    """
    return ops.multiply(x, ops.sigmoid(x))


@composite(floating=True)
def log_sigmoid(x: Tensor) -> Tensor:
    """``log(sigmoid(x))``, without underflow.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.log_sigmoid([-100.0])))
        [-100.]
    """
    return ops.negative(ops.softplus(ops.negative(x)))


@composite(floating=True)
def hard_sigmoid(x: Tensor) -> Tensor:
    """``x / 6 + 0.5`` limited to [0, 1].

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.hard_sigmoid([-4.0, 0.0, 4.0])))
        [0.  0.5 1. ]
    """
    return ops.clip(ops.add(ops.divide(x, 6.0), 0.5), 0.0, 1.0)


@composite(floating=True)
def hard_silu(x: Tensor) -> Tensor:
    """``x * hard_sigmoid(x)``, also called hard swish.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.hard_silu([0.0, 1.5, 4.0])))
        [0.    1.125 4.   ]
    """
    return ops.multiply(x, ops.hard_sigmoid(x))


@composite(floating=True)
def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    """`x` times the normal distribution function at `x` (Hendrycks & Gimpel, arXiv:1606.08415).

    Args:
        approximate: use the tanh approximation of that paper instead of the error function.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.gelu([0.0, 100.0])))
        [  0. 100.]
    """
    need_dtype(x, "x", "floating")
    if approximate:
        inner = ops.multiply(ops.add(x, ops.multiply(ops.power(x, 3), 0.044715)), math.sqrt(2.0 / math.pi))
        return ops.multiply(ops.multiply(x, 0.5), ops.add(ops.tanh(inner), 1.0))
    return ops.multiply(ops.multiply(x, 0.5), ops.add(ops.erf(ops.multiply(x, math.sqrt(0.5))), 1.0))


@composite(floating=True)
def mish(x: Tensor) -> Tensor:
    """``x * tanh(softplus(x))`` (Misra, arXiv:1908.08681).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.mish([0.0, 100.0])))
        [  0. 100.]
    """
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


@composite(floating=True)
def softmax(x: Tensor, axis: Any = -1) -> Tensor:
    """Exponentials divided by their sum over `axis`; invariant to adding a constant.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.softmax([[0.0, 0.0], [100.0, -100.0]])))
        [[0.5 0.5]
         [1.  0. ]]
    """
    need_dtype(x, "x", "floating")
    axes_tuple(axis, len(x.shape))
    weights = ops.exp(ops.subtract(x, ops.stop_gradient(ops.max(x, axis, True, -math.inf))))
    return ops.divide(weights, ops.sum(weights, axis, True))


@composite(floating=True)
def log_softmax(x: Tensor, axis: Any = -1) -> Tensor:
    """The logarithm of `softmax`, computed without underflow.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.log_softmax([1000.0, 0.0]))[1])
        -1000.0
    """
    need_dtype(x, "x", "floating")
    axes_tuple(axis, len(x.shape))
    return ops.subtract(x, ops.logsumexp(x, axis, True))


@composite(floating=True)
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere (J. Barron, arXiv:1704.07483).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.celu([-float("inf"), 3.0], 0.5)))
        [-0.5  3. ]
    """
    need_dtype(x, "x", "floating")
    negative = ops.multiply(ops.expm1(ops.divide(ops.minimum(x, 0), alpha)), alpha)
    return ops.add(ops.relu(x), negative)


@composite(floating=True)
def glu(x: Tensor, axis: int = -1) -> Tensor:
    """The first half of `x` along `axis`, times the sigmoid of the second (Y. Dauphin et al., ICML 2017).

    Raises:
        OpError: if the size of `axis` is odd.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.glu([6.0, 8.0, 0.0, 0.0])))
        [3. 4.]
    """
    need_dtype(x, "x", "floating")
    size = x.shape[axis_index(axis, len(x.shape))]
    require(size is not None, f"the size of `axis` {axis} must be known.")
    require(size % 2 == 0, f"the size of `axis` {axis} must be even, not {size} (shape {list(x.shape)}).")
    first, second = ops.split(x, 2, axis)
    return ops.multiply(first, ops.sigmoid(second))


@composite(floating=True)
def hard_tanh(x: Tensor) -> Tensor:
    """`x` limited to [-1, 1].

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.hard_tanh([-2.0, 0.5, 3.0])))
        [-1.   0.5  1. ]
    """
    return ops.clip(x, -1.0, 1.0)


@composite(floating=True)
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """`x` where ``|x| > threshold``, 0 elsewhere.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.hard_shrink([-2.0, 0.5, 3.0])))
        [-2.  0.  3.]
    """
    need_dtype(x, "x", "floating")
    return ops.where(ops.less_equal(ops.absolute(x), threshold), 0, x)


@composite(floating=True)
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `threshold`, and not past it.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.soft_shrink([-2.0, 0.5, 3.0])))
        [-1.5  0.   2.5]
    """
    need_dtype(x, "x", "floating")
    moved = ops.subtract(x, ops.multiply(ops.sign(x), threshold))
    return ops.where(ops.less_equal(ops.absolute(x), threshold), 0, moved)


@composite(floating=True)
def tanh_shrink(x: Tensor) -> Tensor:
    """``x - tanh(x)``.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.tanh_shrink([-100.0, 0.0, 100.0])))
        [-99.   0.  99.]
    """
    return ops.subtract(x, ops.tanh(x))


@composite(floating=True)
def threshold(x: Tensor, threshold: float, default_value: float) -> Tensor:
    """`x` where above `threshold`, `default_value` elsewhere.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.threshold([-2.0, 0.5, 3.0], 1.0, 7.0)))
        [7. 7. 3.]
    """
    need_dtype(x, "x", "floating")
    return ops.where(ops.less_equal(x, threshold), float(default_value), x)


@composite(floating=True)
def squareplus(x: Tensor, b: float = 4) -> Tensor:
    """``(x + sqrt(x * x + b)) / 2`` (J. Barron, arXiv:2112.11687).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.squareplus([0.0, 1.5])))
        [1. 2.]
    """
    need_dtype(x, "x", "floating")
    # x * x may overflow, and where x is negative the sum is a small difference: then b / 2 / (root - x) is the same.
    below = ops.less(x, 0)
    size = ops.where(below, ops.negative(x), x)
    scale = ops.stop_gradient(ops.maximum(size, 1))
    root = ops.sqrt(ops.add(ops.square(ops.divide(size, scale)), ops.divide(ops.divide(float(b), scale), scale)))
    total = ops.add(ops.multiply(root, scale), size)
    return ops.where(below, ops.divide(0.5 * b, total), ops.multiply(total, 0.5))


@composite(floating=True)
def sparse_plus(x: Tensor) -> Tensor:
    """0 up to -1, `x` from 1 on, ``(x + 1) ** 2 / 4`` between.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sparse_plus([-2.0, 0.0, 3.0])))
        [0.   0.25 3.  ]
    """
    inside = ops.square(ops.add(ops.clip(x, -1.0, 1.0), 1.0))
    return ops.add(ops.multiply(inside, 0.25), ops.relu(ops.subtract(x, 1.0)))


@composite(floating=True)
def sparse_sigmoid(x: Tensor) -> Tensor:
    """0 up to -1, 1 from 1 on, a straight line between.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sparse_sigmoid([-2.0, 0.0, 3.0])))
        [0.  0.5 1. ]
    """
    return ops.multiply(ops.add(ops.clip(x, -1.0, 1.0), 1.0), 0.5)


@composite(floating=True)
def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    """The point of the probability simplex nearest to `x` along `axis` (A. Martins, R. Astudillo, ICML 2016).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sparsemax([1.0, 1.5, -3.0])))
        [0.25 0.75 0.  ]
    """
    need_dtype(x, "x", "floating")
    axis_index(axis, len(x.shape))
    values = ops.moveaxis(x, axis, -1)
    # Which elements are in the support is found without a gradient; that of the result needs no more than the support.
    fixed = ops.stop_gradient(values)
    descending = ops.flip(ops.sort(fixed, -1), -1)
    ranks = ops.cumsum(ops.ones_like(fixed), -1)
    kept = ops.greater(ops.add(ops.multiply(ranks, descending), 1.0), ops.cumsum(descending, -1))
    count = ops.sum(ops.cast(kept, dtype_of(x)), -1, True)
    limit = ops.divide(ops.subtract(ops.sum(ops.where(kept, descending, 0), -1, True), 1.0), count)
    support = ops.greater(fixed, limit)
    mean = ops.divide(ops.subtract(ops.sum(ops.where(support, values, 0), -1, True), 1.0), count)
    return ops.moveaxis(ops.where(support, ops.subtract(values, mean), 0), -1, axis)


swish = silu
hard_swish = hard_silu


__all__ = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu",
    "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax",
    "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh_shrink",
    "threshold",
]  # fmt: skip
