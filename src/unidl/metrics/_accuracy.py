"""How often predictions are right."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.metrics._base import squeezed
from unidl.metrics._means import _Fixed, _last_mean
from unidl.ops._bind import dtype_of


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where target and prediction are equal, 0 elsewhere."""
    y_true, y_pred = squeezed(y_true, y_pred)
    return ops.cast(ops.equal(y_true, ops.cast(y_pred, dtype_of(y_true))), "float32")


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """How many of the last dimension's predictions are on their target's side of `threshold`."""
    y_true, y_pred = squeezed(y_true, y_pred)
    y_true = ops.cast(y_true, dtype_of(y_pred))
    positive = ops.cast(ops.greater(y_pred, threshold), dtype_of(y_pred))
    return _last_mean(ops.cast(ops.equal(y_true, positive), "float32"))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the largest target's place."""
    return _hits(ops.argmax(ops.convert_to_tensor(y_true), -1), y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the integer target's place."""
    return _hits(_labels(y_true, y_pred), y_pred)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the largest target's place is among the `k` largest predictions."""
    return _among(ops.argmax(ops.convert_to_tensor(y_true), -1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """1 where the integer target's place is among the `k` largest predictions.

    With `from_sorted_ids` the predictions are class numbers, best first.
    """
    if from_sorted_ids:
        y_pred = ops.cast(ops.getitem(ops.convert_to_tensor(y_pred), (Ellipsis, slice(None, k))), "int32")
        labels = ops.expand_dims(_labels(y_true, y_pred), -1)
        return ops.cast(ops.any(ops.equal(y_pred, labels), -1), "float32")
    return _among(_labels(y_true, y_pred), y_pred, k)


def _labels(y_true: Any, y_pred: Any) -> Any:
    y_true = ops.convert_to_tensor(y_true)
    sizes = ops.shape(y_true)
    if len(sizes) == len(ops.shape(y_pred)) and sizes[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    return ops.cast(y_true, "int32")


def _hits(labels: Any, y_pred: Any) -> Any:
    return ops.cast(ops.equal(labels, ops.argmax(y_pred, -1)), "float32")


def _among(labels: Any, y_pred: Any, k: int) -> Any:
    # A target counts as long as fewer than k predictions are larger than its own.
    own = ops.take_along_axis(y_pred, ops.expand_dims(labels, -1), -1)
    larger = ops.sum(ops.cast(ops.greater(y_pred, own), "int32"), -1)
    return ops.cast(ops.less(larger, k), "float32")


class Accuracy(_Fixed):
    """How often target and prediction are equal."""

    function = staticmethod(accuracy)

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class BinaryAccuracy(_Fixed):
    """How often predictions are on their target's side of `threshold`."""

    function = staticmethod(binary_accuracy)

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(_Fixed):
    """How often the largest prediction is at the one-hot target's place."""

    function = staticmethod(categorical_accuracy)

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class SparseCategoricalAccuracy(_Fixed):
    """How often the largest prediction is at the integer target's place."""

    function = staticmethod(sparse_categorical_accuracy)

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class TopKCategoricalAccuracy(_Fixed):
    """How often the one-hot target is among the `k` largest predictions."""

    function = staticmethod(top_k_categorical_accuracy)

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(_Fixed):
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
        self.k, self.from_sorted_ids = k, from_sorted_ids
