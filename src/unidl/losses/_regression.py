"""Losses of numbers against numbers: errors, margins, distributions."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.config import epsilon
from unidl.losses._shapes import float_pair, rank


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((y_true - y_pred)**2)`` over the last dimension: shape of the inputs without it."""
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(ops.square(ops.subtract(y_pred, y_true)))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """``mean(|y_true - y_pred|)`` over the last dimension."""
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(ops.absolute(ops.subtract(y_pred, y_true)))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """``100 * mean(|y_true - y_pred| / |y_true|)`` over the last dimension; targets count as at least epsilon."""
    y_true, y_pred = float_pair(y_true, y_pred)
    size = ops.maximum(ops.absolute(y_true), epsilon())
    return ops.multiply(_mean(ops.absolute(ops.divide(ops.subtract(y_true, y_pred), size))), 100.0)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((log(1 + y_true) - log(1 + y_pred))**2)`` over the last dimension; what is below epsilon is epsilon."""
    y_true, y_pred = float_pair(y_true, y_pred)
    target, output = (ops.log1p(ops.maximum(v, epsilon())) for v in (y_true, y_pred))
    return _mean(ops.square(ops.subtract(output, target)))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between vectors along `axis`: -1 for the same direction, 0 for zeros."""
    y_true, y_pred = float_pair(y_true, y_pred)
    return ops.negative(ops.sum(ops.multiply(ops.normalize(y_true, axis), ops.normalize(y_pred, axis)), axis))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Squared error halved up to `delta`, linear beyond (Huber, 1964), averaged over the last dimension."""
    y_true, y_pred = float_pair(y_true, y_pred)
    error = ops.absolute(ops.subtract(y_pred, y_true))
    small = ops.minimum(error, delta)
    # Half the square up to delta, and delta times what is beyond it: one formula without a branch.
    return _mean(ops.add(ops.multiply(ops.square(small), 0.5), ops.multiply(ops.subtract(error, small), delta)))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """``log(cosh(y_pred - y_true))``, averaged over the last dimension: squared near 0, linear beyond."""
    y_true, y_pred = float_pair(y_true, y_pred)
    error = ops.absolute(ops.subtract(y_pred, y_true))
    # |x| + log((1 + exp(-2|x|)) / 2): the exponential cannot overflow.
    tail = ops.log1p(ops.exp(ops.multiply(error, -2.0)))
    return _mean(ops.subtract(ops.add(error, tail), math.log(2.0)))


def hinge(y_true: Any, y_pred: Any) -> Any:
    """``mean(max(1 - y_true * y_pred, 0))`` over the last dimension, for targets -1 and 1.

    If all targets are 0 or 1, a 0 means -1.
    """
    return _mean(_margins(y_true, y_pred))


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """As `hinge`, with the squares of the margins."""
    return _mean(ops.square(_margins(y_true, y_pred)))


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """``max(1 + largest wrong score - right score, 0)`` over the last dimension, for one-hot targets."""
    y_true, y_pred = float_pair(y_true, y_pred)
    right = ops.sum(ops.multiply(y_true, y_pred), -1)
    wrong = ops.max(ops.multiply(ops.subtract(1.0, y_true), y_pred), -1)
    return ops.relu(ops.add(ops.subtract(wrong, right), 1.0))


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """``sum(y_true * log(y_true / y_pred))`` over the last dimension; probabilities are kept within epsilon and 1."""
    y_true, y_pred = (ops.clip(v, epsilon(), 1.0) for v in float_pair(y_true, y_pred))
    return ops.sum(ops.multiply(y_true, ops.log(ops.divide(y_true, y_pred))), -1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """``mean(y_pred - y_true * log(y_pred))`` over the last dimension: for counts `y_true` and rates `y_pred`."""
    y_true, y_pred = float_pair(y_true, y_pred)
    return _mean(ops.subtract(y_pred, ops.multiply(y_true, ops.log(ops.add(y_pred, epsilon())))))


def _margins(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = float_pair(y_true, y_pred)
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    signs = ops.where(binary, ops.subtract(ops.multiply(y_true, 2.0), 1.0), y_true)
    return ops.relu(ops.subtract(1.0, ops.multiply(signs, y_pred)))


def _mean(values: Any) -> Any:
    return ops.mean(values, -1) if rank(values) else values
