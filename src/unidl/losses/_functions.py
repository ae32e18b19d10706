"""Losses as functions: one number for each sample."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import to_float
from unidl.metrics._base import plain_shape, squeezed
from unidl.ops._bind import dtype_of


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((y_true - y_pred)**2)`` over the last dimension: shape of the inputs without it."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(y_pred, y_true)), _last(y_pred))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """``mean(|y_true - y_pred|)`` over the last dimension."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.absolute(ops.subtract(y_pred, y_true)), _last(y_pred))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Squared error halved up to `delta`, linear beyond (Huber, 1964), averaged over the last dimension."""
    y_true, y_pred = _pair(y_true, y_pred)
    error = ops.absolute(ops.subtract(y_pred, y_true))
    small = ops.minimum(error, delta)
    # Half the square up to delta, and delta times what is beyond it: one formula without a branch.
    values = ops.add(ops.multiply(ops.square(small), 0.5), ops.multiply(ops.subtract(error, small), delta))
    return ops.mean(values, _last(y_pred))


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Cross-entropy of one-hot (or soft) targets; see `ops.categorical_crossentropy`.

    With `label_smoothing` s and n classes the targets become ``y * (1 - s) + s / n``.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, _float_dtype(y_pred))
    if ops.shape(y_pred)[axis] == 1:
        raise ValueError(
            f"categorical_crossentropy: the outputs have one class (shape {tuple(y_pred.shape)}), for which the loss "
            "is always 0. Use binary_crossentropy, or one output for each class."
        )
    if label_smoothing:
        classes = ops.shape(y_true)[axis]
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), label_smoothing / classes)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """Cross-entropy of integer targets; where a target is `ignore_class` the loss is 0."""
    y_true, y_pred = ops.cast(y_true, "int32"), ops.convert_to_tensor(y_pred)
    if len(ops.shape(y_true)) == len(ops.shape(y_pred)) and ops.shape(y_true)[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits, axis)
    kept = ops.not_equal(y_true, ignore_class)
    values = ops.sparse_categorical_crossentropy(
        ops.where(kept, y_true, ops.zeros_like(y_true)), y_pred, from_logits, axis
    )
    return ops.where(kept, values, ops.zeros_like(values))


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Cross-entropy of independent yes/no targets, averaged over `axis`.

    With `label_smoothing` s the targets become ``y * (1 - s) + s / 2``.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), 0.5 * label_smoothing)
    values = ops.binary_crossentropy(y_true, y_pred, from_logits)
    return ops.mean(values, axis) if len(ops.shape(values)) else values


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets and predictions as floats of one shape.

    Raises:
        ValueError: if a known size differs: broadcasting one against the other would hide a mistake.
    """
    y_true, y_pred = squeezed(y_true, ops.convert_to_tensor(y_pred))
    a, b = ops.shape(y_true), ops.shape(y_pred)
    if any(isinstance(m, int) and isinstance(n, int) and m != n for m, n in zip(a, b, strict=True)):
        raise ValueError(
            f"Targets of shape {plain_shape(a)} and predictions of shape {plain_shape(b)} must have the same shape."
        )
    return ops.cast(y_true, _float_dtype(y_pred)), y_pred


def _last(value: Any) -> Any:
    return -1 if len(ops.shape(value)) else None


def _float_dtype(value: Any) -> str:
    return to_float(dtype_of(value))
