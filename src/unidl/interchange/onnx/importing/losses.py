"""Losses, and the optimizers of ONNX's training preview."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator
from unidl.interchange.onnx.importing._values import dtype_of, shape_of

_TRAINING = "ai.onnx.preview.training"


def _negative_log_likelihood(call: Call, scores: Any, target: Any, weight: Any) -> Any:
    """Minus the score of each target class, weighted, without those that are to be ignored."""
    ignored = call.get("ignore_index")
    labels = ops.cast(target, "int64")
    kept = None
    if ignored is not None:
        kept = ops.not_equal(labels, ignored)
        labels = ops.where(kept, labels, ops.zeros_like(labels))
    picked = ops.squeeze(ops.take_along_axis(scores, ops.expand_dims(labels, 1), 1), 1)
    dtype = dtype_of(scores)
    factors = ops.ones(shape_of(labels), dtype) if weight is None else ops.take(weight, labels, 0)
    if kept is not None:
        factors = ops.multiply(factors, ops.cast(kept, dtype))
    losses = ops.negative(ops.multiply(picked, factors))
    reduction = call.get("reduction", "mean")
    if reduction == "none":
        return losses
    total = ops.sum(losses)
    return total if reduction == "sum" else ops.divide(total, ops.sum(factors))


@operator("NegativeLogLikelihoodLoss")
def _negative_log_likelihood_loss(call: Call, scores: Any, target: Any, weight: Any = None) -> Any:
    return _negative_log_likelihood(call, scores, target, weight)


@operator("SoftmaxCrossEntropyLoss")
def _softmax_cross_entropy_loss(call: Call, scores: Any, labels: Any, weight: Any = None) -> Any:
    logs = ops.log_softmax(scores, 1)
    loss = _negative_log_likelihood(call, logs, labels, weight)
    return (loss, logs) if call.wants(1) else loss


# -- optimizers: (rate, step, then tensors, gradients and states, each in turn) --------------------


def _groups(inputs: tuple[Any, ...], kinds: int) -> list[tuple[Any, ...]]:
    count = len(inputs) // kinds
    return [tuple(inputs[k * count + i] for k in range(kinds)) for i in range(count)]


def _collected(rows: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(v for kind in zip(*rows, strict=True) for v in kind)


def _regularized(call: Call, x: Any, g: Any) -> Any:
    return ops.add(ops.multiply(x, call.get("norm_coefficient", 0.0)), g)


@operator("Adagrad", domain=_TRAINING)
def _adagrad(call: Call, rate: Any, step: Any, *inputs: Any) -> Any:
    decayed = ops.divide(
        rate, ops.add(ops.multiply(ops.cast(step, dtype_of(rate)), call.get("decay_factor", 0.0)), 1.0)
    )
    rows = []
    for x, g, h in _groups(inputs, 3):
        g = _regularized(call, x, g)
        h = ops.add(h, ops.square(g))
        moved = ops.divide(ops.multiply(decayed, g), ops.add(ops.sqrt(h), call.get("epsilon", 0.0)))
        rows.append((ops.subtract(x, moved), h))
    return _collected(rows)


@operator("Momentum", domain=_TRAINING)
def _momentum(call: Call, rate: Any, step: Any, *inputs: Any) -> Any:
    alpha, beta = call.need("alpha"), call.need("beta")
    first = int(call.number(step, "the step")) == 0
    rows = []
    for x, g, v in _groups(inputs, 3):
        g = _regularized(call, x, g)
        v = ops.add(ops.multiply(v, alpha), ops.multiply(g, 1.0 if first else beta))
        move = ops.add(g, ops.multiply(v, alpha)) if call.get("mode") == "nesterov" else v
        rows.append((ops.subtract(x, ops.multiply(rate, move)), v))
    return _collected(rows)


@operator("Adam", domain=_TRAINING)
def _adam(call: Call, rate: Any, step: Any, *inputs: Any) -> Any:
    alpha, beta = call.get("alpha", 0.9), call.get("beta", 0.999)
    t = int(call.number(step, "the step"))
    adjusted = ops.multiply(rate, float(np.sqrt(1 - beta**t) / (1 - alpha**t))) if t > 0 else rate
    rows = []
    for x, g, v, h in _groups(inputs, 4):
        g = _regularized(call, x, g)
        v = ops.add(ops.multiply(v, alpha), ops.multiply(g, 1 - alpha))
        h = ops.add(ops.multiply(h, beta), ops.multiply(ops.square(g), 1 - beta))
        x = ops.subtract(x, ops.divide(ops.multiply(adjusted, v), ops.add(ops.sqrt(h), call.get("epsilon", 0.0))))
        rows.append((ops.multiply(x, 1 - call.get("norm_coefficient_post", 0.0)), v, h))
    return _collected(rows)
