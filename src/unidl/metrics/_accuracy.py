"""How often predictions are right."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.dtypes import floatx
from unidl.losses._shapes import pair, rank
from unidl.metrics._means import Fixed


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where target and prediction are equal, 0 elsewhere."""
    y_true, y_pred = pair(y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), floatx())


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where the prediction is on its target's side of `threshold`, 0 elsewhere; targets are 0 or 1."""
    y_true, y_pred = pair(y_true, y_pred)
    return ops.cast(ops.equal(y_true, ops.cast(ops.greater(y_pred, threshold), "int32")), floatx())


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the largest target's place."""
    return _hits(ops.argmax(ops.convert_to_tensor(y_true), -1), y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the integer target's place."""
    labels = ops.convert_to_tensor(y_true)
    if rank(labels) == rank(y_pred) and ops.shape(labels)[-1] == 1:
        labels = ops.squeeze(labels, -1)
    own, places = tuple(ops.shape(labels)), tuple(ops.shape(y_pred))[:-1]
    if own != places and _size(own) == _size(places) is not None:  # as many labels in other dimensions
        return ops.reshape(_hits(ops.reshape(labels, places), y_pred), own)
    return _hits(labels, y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the largest target's place is among the `k` largest predictions."""
    return _among(ops.argmax(ops.convert_to_tensor(y_true), -1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """1 where the integer target's place is among the `k` largest predictions.

    With `from_sorted_ids` the predictions are class numbers, best first.
    """
    if not from_sorted_ids:
        return _among(ops.cast(y_true, "int32"), y_pred, k)
    best = ops.getitem(ops.convert_to_tensor(y_pred), (Ellipsis, slice(None, k)))
    labels = ops.convert_to_tensor(y_true)
    if rank(labels) < rank(best):
        labels = ops.expand_dims(labels, -1)
    return ops.cast(ops.any(ops.equal(best, labels), -1, rank(y_true) == rank(best)), floatx())


def _size(shape: Any) -> int | None:
    """The number of elements; None if it is not known."""
    return math.prod(shape) if all(isinstance(d, int) for d in shape) else None


def _hits(labels: Any, y_pred: Any) -> Any:
    best = ops.argmax(ops.convert_to_tensor(y_pred), -1)
    labels, best = pair(labels, best)
    return ops.cast(ops.equal(labels, best), floatx())


def _among(labels: Any, y_pred: Any, k: int) -> Any:
    """Shape of `labels`, which has that of `y_pred` without the last dimension (or with size 1 there)."""
    y_pred = ops.convert_to_tensor(y_pred)
    rows = ops.reshape(y_pred, (-1, ops.shape(y_pred)[-1]))
    found = ops.in_top_k(ops.cast(ops.reshape(labels, (-1,)), "int32"), rows, k)
    return ops.cast(ops.reshape(found, ops.shape(labels)), floatx())


class Accuracy(Fixed):
    """How often target and prediction are equal."""

    function = staticmethod(accuracy)

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class BinaryAccuracy(Fixed):
    """How often predictions are on their target's side of `threshold`."""

    function = staticmethod(binary_accuracy)

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name, dtype, threshold=threshold)


class CategoricalAccuracy(Fixed):
    """How often the largest prediction is at the one-hot target's place."""

    function = staticmethod(categorical_accuracy)

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class SparseCategoricalAccuracy(Fixed):
    """How often the largest prediction is at the integer target's place."""

    function = staticmethod(sparse_categorical_accuracy)

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class TopKCategoricalAccuracy(Fixed):
    """How often the one-hot target is among the `k` largest predictions."""

    function = staticmethod(top_k_categorical_accuracy)

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype, k=k)


class SparseTopKCategoricalAccuracy(Fixed):
    """How often the integer target is among the `k` largest predictions."""

    function = staticmethod(sparse_top_k_categorical_accuracy)

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(name, dtype, k=k, from_sorted_ids=from_sorted_ids)
