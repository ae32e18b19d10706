"""Losses of probabilities or logits against classes."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.config import epsilon
from unidl.dtypes import to_float
from unidl.losses._shapes import cast, float_pair, plain_shape, rank
from unidl.ops._bind import dtype_of


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Cross-entropy of one-hot (or soft) targets; see `ops.categorical_crossentropy`.

    With `label_smoothing` s and n classes the targets become ``y * (1 - s) + s / n``.
    """
    y_true, y_pred = _classes(y_true, y_pred, label_smoothing, axis, "categorical_crossentropy")
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`categorical_crossentropy` with the term of each class weighed by ``alpha * (1 - p) ** gamma``.

    Well classified samples count less so (Lin et al., ICCV 2017).

    Args:
        alpha: a number, or one for each class.
    """
    y_true, y_pred = _classes(y_true, y_pred, label_smoothing, axis, "categorical_focal_crossentropy")
    if from_logits:
        logs = ops.log_softmax(y_pred, axis)
        p = ops.exp(logs)
    else:
        p = ops.clip(ops.divide(y_pred, ops.sum(y_pred, axis, True)), epsilon(), 1.0 - epsilon())
        logs = ops.log(p)
    factor = ops.multiply(_focus(p, gamma), cast(alpha, dtype_of(p)))
    return ops.negative(ops.sum(ops.multiply(factor, ops.multiply(y_true, logs)), axis))


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """Cross-entropy of integer targets; where a target is `ignore_class` the loss is 0."""
    y_true, y_pred = ops.cast(y_true, "int32"), ops.convert_to_tensor(y_pred)
    sizes = ops.shape(y_true)
    if len(sizes) == rank(y_pred) and sizes[axis] == 1:
        y_true = ops.squeeze(y_true, axis)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits, axis)
    kept = ops.not_equal(y_true, ignore_class)
    labels = ops.where(kept, y_true, ops.zeros_like(y_true))
    # What is left out must not reach the logarithm either: a NaN there would come back as a gradient.
    y_pred = ops.where(ops.expand_dims(kept, axis), y_pred, ops.ones_like(y_pred))
    values = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits, axis)
    return ops.where(kept, values, ops.zeros_like(values))


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Cross-entropy of independent yes/no targets, averaged over `axis`.

    With `label_smoothing` s the targets become ``y * (1 - s) + s / 2``.
    """
    y_true, y_pred = _smoothed(y_true, y_pred, label_smoothing)
    return _mean(ops.binary_crossentropy(y_true, y_pred, from_logits), axis)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`binary_crossentropy` weighed by ``(1 - p) ** gamma``, p the probability given to the right answer.

    Well classified samples count less so (Lin et al., ICCV 2017). With `apply_class_balancing` the term of
    targets 1 is further weighed by `alpha`, that of targets 0 by ``1 - alpha``.
    """
    y_true, y_pred = _smoothed(y_true, y_pred, label_smoothing)
    values = ops.binary_crossentropy(y_true, y_pred, from_logits)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    wrong = ops.subtract(1.0, y_true)
    right = ops.add(ops.multiply(y_true, p), ops.multiply(wrong, ops.subtract(1.0, p)))
    values = ops.multiply(_focus(right, gamma), values)
    if apply_class_balancing:
        balance = ops.add(ops.multiply(y_true, alpha), ops.multiply(wrong, 1.0 - alpha))
        values = ops.multiply(balance, values)
    return _mean(values, axis)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """``(1 - p ** q) / q``, p the probability given to the integer target (Zhang & Sabuncu, NeurIPS 2018).

    Between cross-entropy (q near 0) and absolute error (q = 1): less sensitive to wrong labels.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_pred = cast(y_pred, to_float(dtype_of(y_pred)))
    labels = ops.cast(y_true, "int32")
    if rank(labels) == rank(y_pred) and ops.shape(labels)[-1] == 1:
        labels = ops.squeeze(labels, -1)
    chosen = ops.one_hot(labels, ops.shape(y_pred)[-1], dtype=dtype_of(y_pred))
    p = ops.sum(ops.multiply(y_pred, chosen), -1)
    # The power has no finite slope at 0: where p is 0 no gradient flows.
    above = ops.greater(p, 0.0)
    powers = ops.where(above, ops.power(ops.where(above, p, ops.ones_like(p)), q), ops.zeros_like(p))
    return ops.divide(ops.subtract(1.0, powers), q)


def _focus(p: Any, gamma: float) -> Any:
    """``(1 - p) ** gamma``, with finite gradients at p = 1."""
    return ops.power(ops.maximum(ops.subtract(1.0, p), epsilon()), gamma)


def _smoothed(y_true: Any, y_pred: Any, label_smoothing: float) -> tuple[Any, Any]:
    y_true, y_pred = float_pair(y_true, y_pred)
    if label_smoothing:
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), 0.5 * label_smoothing)
    return y_true, y_pred


def _classes(y_true: Any, y_pred: Any, label_smoothing: float, axis: int, what: str) -> tuple[Any, Any]:
    """Targets, smoothed, and predictions, both floats of several classes."""
    if isinstance(axis, bool):
        raise ValueError(f"{what}: `axis` must be an int, not {axis!r}.")
    y_pred = ops.convert_to_tensor(y_pred)
    if ops.shape(y_pred)[axis] == 1:
        raise ValueError(
            f"{what}: the outputs have one class (shape {plain_shape(ops.shape(y_pred))}), for which the loss "
            "is always 0. Use binary_crossentropy, or one output for each class."
        )
    dtype = to_float(dtype_of(y_pred))
    y_true, y_pred = cast(y_true, dtype), cast(y_pred, dtype)
    if label_smoothing:
        classes = ops.shape(y_true)[axis]
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), label_smoothing / classes)
    return y_true, y_pred


def _mean(values: Any, axis: int) -> Any:
    return ops.mean(values, axis) if rank(values) else values
