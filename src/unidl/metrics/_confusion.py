"""Metrics of true and false positives and negatives at thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.metrics._base import Metric, squeezed, visible_weight
from unidl.metrics._means import _ratio

_LOWEST = -1e10  # what predictions become that are not among the top k; as a threshold, below all others


class _Confusion(Metric):
    """Weighted counts of true/false positives/negatives at each of several thresholds.

    A prediction is positive if it is greater than the threshold.

    Args:
        thresholds: numbers.
        labels: () to count all predictions together, (n,) to count those of each of n labels.

    Attributes:
        true_positives, false_positives, true_negatives, false_negatives: shape ``(thresholds, *labels)``.
    """

    def __init__(self, thresholds: list[float], name: str | None, dtype: Any, labels: tuple[int, ...] = ()) -> None:
        super().__init__(dtype, name)
        self._thresholds = [float(t) for t in thresholds]
        self._labels = labels
        shape = (len(thresholds), *labels)
        self.true_positives = self.add_variable(shape, name="true_positives")
        self.false_positives = self.add_variable(shape, name="false_positives")
        self.true_negatives = self.add_variable(shape, name="true_negatives")
        self.false_negatives = self.add_variable(shape, name="false_negatives")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch; targets are 0 or 1, weights have the batch's leading dimensions.

        What a mask that comes with `y_pred` hides does not count.
        """
        from unidl.layers._calling import mask_of

        sample_weight = visible_weight(sample_weight, mask_of(y_pred), self.dtype)
        y_true, y_pred = squeezed(y_true, y_pred)
        y_true, y_pred = self._chosen(ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype))
        weight = ops.ones_like(y_pred)
        if sample_weight is not None:
            given = ops.cast(sample_weight, self.dtype)
            if len(ops.shape(given)) == len(ops.shape(y_pred)) + 1:
                given = ops.squeeze(given, -1)
            for _ in range(len(ops.shape(y_pred)) - len(ops.shape(given))):
                given = ops.expand_dims(given, -1)
            weight = ops.multiply(weight, given)
        y_true, y_pred, weight = (ops.reshape(v, (1, -1, *self._labels)) for v in (y_true, y_pred, weight))
        limits = np.array(self._thresholds, self.dtype).reshape((-1, 1) + (1,) * len(self._labels))
        positive = ops.multiply(ops.cast(ops.greater(y_pred, limits), self.dtype), weight)
        right = ops.sum(ops.multiply(positive, y_true), 1)
        wrong = ops.sum(ops.multiply(positive, ops.subtract(1.0, y_true)), 1)
        positives = ops.sum(ops.multiply(weight, y_true), (0, 1))
        negatives = ops.sum(ops.multiply(weight, ops.subtract(1.0, y_true)), (0, 1))
        self.true_positives.assign_add(right)
        self.false_positives.assign_add(wrong)
        self.false_negatives.assign_add(ops.subtract(positives, right))
        self.true_negatives.assign_add(ops.subtract(negatives, wrong))

    def _chosen(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """What of targets and predictions is counted."""
        return y_true, y_pred


def _as_list(thresholds: Any, default: float = 0.5) -> list[float]:
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (list, tuple)) else [thresholds]
    if not values or not all(0 <= t <= 1 for t in values):
        raise ValueError(f"`thresholds` must be numbers from 0 to 1, not {thresholds!r}.")
    return values


class _Rate(_Confusion):
    """A ratio of counts; a scalar for one threshold.

    Args:
        thresholds: a number from 0 to 1 (0.5 by default), or several.
        top_k: only the k greatest predictions of the last dimension may be positive; without
            `thresholds` all of them are.
        class_id: count only this index of the last dimension.
    """

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(_as_list(thresholds, 0.5 if top_k is None else _LOWEST), name, dtype)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id

    def _chosen(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        if self.top_k is not None:
            _, best = ops.top_k(y_pred, self.top_k)
            chosen = ops.sum(ops.one_hot(best, ops.shape(y_pred)[-1], dtype=self.dtype), -2)
            y_pred = ops.where(ops.greater(chosen, 0.0), y_pred, _LOWEST)
        if self.class_id is not None:
            key = (Ellipsis, self.class_id)
            y_true, y_pred = ops.getitem(y_true, key), ops.getitem(y_pred, key)
        return y_true, y_pred

    def _scalar(self, values: Any) -> Any:
        return ops.reshape(values, ()) if len(self._thresholds) == 1 else values


class Precision(_Rate):
    """Which part of the positive predictions is right; 0 if there are none."""

    def result(self) -> Any:
        return self._scalar(_ratio(self.true_positives, ops.add(self.true_positives, self.false_positives)))


class Recall(_Rate):
    """Which part of the positive targets is found; 0 if there are none."""

    def result(self) -> Any:
        return self._scalar(_ratio(self.true_positives, ops.add(self.true_positives, self.false_negatives)))


class AUC(_Confusion):
    """Area under the ROC or the precision-recall curve, by a sum over thresholds.

    Args:
        num_thresholds: how many, evenly spaced from just below 0 to just above 1.
        curve: "ROC" or "PR".
        summation_method: "interpolation" (trapezoids; for PR the interpolation of true positives of
            Davis & Goadrich, ICML 2006), "minoring" or "majoring" (the lower or upper step function).
        thresholds: inner thresholds to use instead.
        multi_label: the mean of the areas for each index of the last dimension, `num_labels` of them.
        label_weights: with `multi_label`: the weight of each in that mean.
        from_logits: predictions are logits, so a sigmoid comes first.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        if curve not in ("ROC", "PR"):
            raise ValueError(f"AUC: `curve` must be 'ROC' or 'PR', not {curve!r}.")
        if summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(
                f"AUC: `summation_method` {summation_method!r} is none of interpolation, minoring, majoring."
            )
        if thresholds is None:
            if num_thresholds < 2:
                raise ValueError(f"AUC: `num_thresholds` must be at least 2, not {num_thresholds}.")
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        else:
            inner = sorted(_as_list(thresholds))
        if multi_label and num_labels is None:
            raise ValueError("AUC: multi_label=True needs `num_labels`, the size of the outputs' last dimension.")
        if label_weights is not None and (not multi_label or len(label_weights) != num_labels):
            raise ValueError("AUC: `label_weights` goes with multi_label=True, one number for each label.")
        labels = (int(num_labels),) if multi_label and num_labels is not None else ()
        super().__init__([-1e-7, *inner, 1 + 1e-7], name or "auc", dtype, labels)
        self.num_thresholds, self.curve, self.summation_method = len(inner) + 2, curve, summation_method
        self.thresholds, self.from_logits = thresholds, from_logits
        self.multi_label, self.num_labels, self.label_weights = multi_label, num_labels, label_weights

    def _chosen(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return y_true, ops.sigmoid(y_pred) if self.from_logits else y_pred

    def result(self) -> Any:
        tp, fp, tn, fn = self.true_positives, self.false_positives, self.true_negatives, self.false_negatives
        first, second = slice(None, -1), slice(1, None)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._mean(self._interpolated_pr())
        recall = _ratio(tp, ops.add(tp, fn))
        if self.curve == "ROC":
            x, y = _ratio(fp, ops.add(fp, tn)), recall
        else:
            x, y = recall, _ratio(tp, ops.add(tp, fp))
        left, right = ops.getitem(y, first), ops.getitem(y, second)
        if self.summation_method == "interpolation":
            heights = ops.divide(ops.add(left, right), 2.0)
        else:
            heights = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(left, right)
        return self._mean(
            ops.sum(ops.multiply(ops.subtract(ops.getitem(x, first), ops.getitem(x, second)), heights), 0)
        )

    def _mean(self, areas: Any) -> Any:
        """One area, or the weighted mean over labels."""
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return ops.mean(areas)
        weights = np.array(self.label_weights, self.dtype)
        return ops.divide(ops.sum(ops.multiply(areas, weights)), float(weights.sum()))

    def _interpolated_pr(self) -> Any:
        tp, fp, fn = self.true_positives, self.false_positives, self.false_negatives
        first, second = slice(None, -1), slice(1, None)
        positives = ops.add(tp, fp)
        d_tp = ops.subtract(ops.getitem(tp, first), ops.getitem(tp, second))
        d_p = ops.subtract(ops.getitem(positives, first), ops.getitem(positives, second))
        slope = _ratio(d_tp, ops.maximum(d_p, 0.0))
        here, there = ops.getitem(positives, first), ops.getitem(positives, second)
        intercept = ops.subtract(ops.getitem(tp, second), ops.multiply(slope, there))
        usable = ops.logical_and(ops.greater(here, 0.0), ops.greater(there, 0.0))
        one = ops.ones_like(here)
        ratio = ops.where(usable, ops.divide(here, ops.where(usable, there, one)), one)
        grown = ops.multiply(slope, ops.add(d_tp, ops.multiply(intercept, ops.log(ratio))))
        found = ops.add(ops.getitem(tp, second), ops.getitem(fn, second))
        return ops.sum(_ratio(grown, ops.maximum(found, 0.0)), 0)
