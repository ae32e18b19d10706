"""Intersection over union of predicted and true regions."""

from __future__ import annotations

import warnings
from typing import Any

from unidl import ops
from unidl.config import epsilon
from unidl.losses._shapes import masked_weight
from unidl.metrics._base import Metric


class IoU(Metric):
    """``true positives / (true positives + false positives + false negatives)``, the mean over target classes.

    A class that neither targets nor predictions have does not count.

    Args:
        num_classes: how many classes there are. Elements with other numbers do not count.
        target_class_ids: the classes to take the mean over.
        dtype: of the counts; None: int32. Weights are cast to it: fractions need a float dtype.
        ignore_class: elements of this class in the targets do not count.
        sparse_y_true, sparse_y_pred: True for class numbers, False for one score for each class along `axis`.

    Attributes:
        total_cm: the counts, (targets, predictions).
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__("int32" if dtype is None else dtype, name)
        ids = [int(i) for i in target_class_ids]
        if not ids or not all(0 <= i < num_classes for i in ids):
            raise ValueError(
                f"{type(self).__name__}: `target_class_ids` must be numbers from 0 to {num_classes - 1}, not {ids}."
            )
        self.num_classes, self.target_class_ids, self.ignore_class = int(num_classes), ids, ignore_class
        self.sparse_y_true, self.sparse_y_pred, self.axis = sparse_y_true, sparse_y_pred, axis
        self.total_cm = self.add_variable((num_classes, num_classes), name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch; weights are numbers for elements."""
        from unidl.layers._calling import mask_of

        if "int" in self.dtype and "float" in str(getattr(sample_weight, "dtype", "")):
            warnings.warn(
                f"{self.name}: the weights are float, the counts {self.dtype}, so that casting cuts off fractions. "
                "Pass dtype='float32'.",
                stacklevel=2,
            )
        mask = mask_of(y_pred)
        y_true = y_true if self.sparse_y_true else ops.argmax(ops.convert_to_tensor(y_true), self.axis)
        y_pred = y_pred if self.sparse_y_pred else ops.argmax(ops.convert_to_tensor(y_pred), self.axis)
        target, output = (ops.reshape(ops.cast(v, "int32"), (-1,)) for v in (y_true, y_pred))
        weight = ops.ones_like(ops.cast(target, self.dtype))
        if sample_weight is not None or mask is not None:
            given = masked_weight(sample_weight, mask, self.dtype)
            given = ops.cast(given, self.dtype)
            weight = ops.multiply(weight, ops.reshape(given, (-1,)) if len(ops.shape(given)) else given)
        counts = ops.logical_and(_within(target, self.num_classes), _within(output, self.num_classes))
        if self.ignore_class is not None:
            counts = ops.logical_and(counts, ops.not_equal(target, self.ignore_class))
        cell = ops.add(ops.multiply(target, self.num_classes), output)
        cell = ops.where(counts, cell, ops.multiply(ops.ones_like(cell), -1))  # which is dropped
        cells = ops.segment_sum(weight, cell, self.num_classes**2)
        self.total_cm.assign_add(ops.reshape(ops.cast(cells, self.dtype), (self.num_classes, self.num_classes)))

    def result(self) -> Any:
        """The mean over the target classes that occur."""
        counts = self.total_cm
        hits = ops.cast(ops.diagonal(counts), "float32")
        either = ops.cast(ops.add(ops.sum(counts, 0), ops.sum(counts, 1)), "float32")
        chosen = [float(self.target_class_ids.count(i)) for i in range(self.num_classes)]
        either = ops.subtract(either, hits)
        occurs = ops.multiply(ops.cast(ops.greater(either, 1e-9), "float32"), chosen)
        ratios = ops.divide(hits, ops.add(either, epsilon()))
        return ops.divide(ops.sum(ops.multiply(ratios, occurs)), ops.add(ops.sum(occurs), epsilon()))


def _within(classes: Any, number: int) -> Any:
    return ops.logical_and(ops.greater_equal(classes, 0), ops.less(classes, number))


class BinaryIoU(IoU):
    """`IoU` of classes 0 and 1: predictions of at least `threshold` mean 1."""

    def __init__(
        self,
        target_class_ids: Any = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch; weights are numbers for elements."""
        y_pred = ops.cast(ops.greater_equal(ops.cast(y_pred, "float32"), self.threshold), "int32")
        super().update_state(y_true, y_pred, sample_weight)


class MeanIoU(IoU):
    """`IoU` of all classes."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """`IoU` for one-hot targets, and predictions with a score for each class."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot targets, and predictions with a score for each class."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
