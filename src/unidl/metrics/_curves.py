"""Areas under curves of many thresholds, and one rate where another is high enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl._objects import Configurable
from unidl.config import epsilon
from unidl.losses._shapes import rank
from unidl.metrics._confusion import COUNTS, Confusion, as_list, evenly_spaced, part
from unidl.saving.objects import plain

_CURVES = {"ROC": "ROC", "roc": "ROC", "PR": "PR", "pr": "PR", "PRGAIN": "PRGAIN", "prgain": "PRGAIN"}
_METHODS = ("interpolation", "majoring", "minoring")
_FIRST, _SECOND = slice(None, -1), slice(1, None)


class AUC(Confusion):
    """Area under the ROC or the precision-recall curve, by a sum over thresholds.

    Args:
        num_thresholds: how many, evenly spaced from just below 0 to just above 1.
        curve: "ROC", "PR" or "PRGAIN" (precision and recall gain, Flach & Kull, NIPS 2015).
        summation_method: "interpolation" (trapezoids; for PR the interpolation of true positives of
            Davis & Goadrich, ICML 2006), "minoring" or "majoring" (the lower or upper step function).
        thresholds: inner thresholds to use instead.
        multi_label: the mean of the areas for each index of the last dimension.
        num_labels: how many of these there are; None: as the first predictions have.
        label_weights: a weight for each index of the last dimension, in the mean with `multi_label`, else in the
            counts.
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
        if curve not in _CURVES:
            raise ValueError(f"Invalid AUC curve value: \"{curve}\". There are 'ROC', 'PR' and 'PRGAIN'.")
        if str(summation_method).lower() not in _METHODS:
            raise ValueError(
                f'Invalid AUC summation method value: "{summation_method}". There are {", ".join(_METHODS)}.'
            )
        if thresholds is None:
            if num_thresholds <= 1:
                raise ValueError(f"AUC: `num_thresholds` must be an integer above 1, not {num_thresholds}.")
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        else:
            inner = sorted(as_list(thresholds))
        if num_labels and not multi_label:
            raise ValueError("AUC: `num_labels` goes with multi_label=True.")
        if label_weights is not None and num_labels and len(label_weights) != num_labels:
            raise ValueError(f"AUC: `label_weights` must have {num_labels} numbers, not {len(label_weights)}.")
        even = thresholds is None or evenly_spaced([0.0, *inner, 1.0])
        limits = [-epsilon(), *inner, 1 + epsilon()]
        super().__init__(limits, COUNTS, name, dtype, even=even)
        self.num_thresholds, self.curve = len(limits), _CURVES[curve]
        self.summation_method = str(summation_method).lower()
        self._inner = None if thresholds is None else [float(t) for t in inner]
        self.from_logits, self.multi_label, self.num_labels = from_logits, multi_label, num_labels
        self.label_weights = label_weights
        self._built = False
        if num_labels or not multi_label:
            self._build(num_labels or None)
            self._built = True

    @property
    def thresholds(self) -> list[float]:
        """All thresholds, with those just outside 0 and 1."""
        return list(self._limits)

    def _scores(self, y_pred: Any) -> Any:
        if not self._built:
            size = ops.shape(y_pred)[-1] if rank(y_pred) == 2 else None
            if not isinstance(size, int):
                raise ValueError(
                    "AUC: multi_label=True takes predictions of shape (batch, labels), the number of labels known; "
                    f"these have {rank(y_pred)} dimensions. Or pass `num_labels`."
                )
            self._build(size)
            self._built = True
        return ops.sigmoid(y_pred) if self.from_logits else y_pred

    def _spread(self, weight: Any, y_pred: Any) -> Any:
        weight = super()._spread(weight, y_pred)
        if self.label_weights is None or self.multi_label:
            return weight
        labels = np.asarray(self.label_weights, self.dtype)
        return ops.multiply(ops.ones_like(y_pred) if weight is None else weight, labels)

    def result(self) -> Any:
        """The area."""
        if not self._built:
            return ops.zeros((), self.dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        x, y = self._points()
        left, right = ops.getitem(y, _FIRST), ops.getitem(y, _SECOND)
        if self.summation_method == "interpolation":
            heights = ops.divide(ops.add(left, right), 2.0)
        else:
            heights = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(left, right)
        return self._mean(
            ops.sum(ops.multiply(ops.subtract(ops.getitem(x, _FIRST), ops.getitem(x, _SECOND)), heights), 0)
        )

    def _points(self) -> tuple[Any, Any]:
        """Abscissas and ordinates of the curve, one for each threshold."""
        tp, fp, tn, fn = self.true_positives, self.false_positives, self.true_negatives, self.false_negatives
        if self.curve == "ROC":
            return part(fp, tn), part(tp, fn)
        if self.curve == "PR":
            return part(tp, fn), part(tp, fp)
        scale = ops.divide_no_nan(ops.add(tp, fn), ops.add(tn, fp))
        recall, precision = (ops.subtract(1.0, ops.multiply(scale, ops.divide_no_nan(n, tp))) for n in (fn, fp))
        # Without a true positive the gains are not defined: recall counts as 0, precision as 1.
        nothing = ops.equal(tp, 0.0)
        recall = ops.where(nothing, ops.zeros_like(recall), ops.maximum(recall, 0.0))
        return recall, ops.where(nothing, ops.ones_like(precision), precision)

    def _mean(self, areas: Any) -> Any:
        """One area, or the weighted mean over labels."""
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return ops.mean(areas)
        weights = np.asarray(self.label_weights, self.dtype)
        return ops.divide_no_nan(ops.sum(ops.multiply(areas, weights)), float(weights.sum()))

    def interpolate_pr_auc(self) -> Any:
        """The area under the precision-recall curve, with true positives interpolated between thresholds.

        Between two thresholds true positives are linear in all positives, ``tp = a + b * p``, so the
        integral of precision ``tp / p`` over ``tp`` is ``b * (difference of tp + a * log(ratio of p))``.
        """
        tp, fp, fn = self.true_positives, self.false_positives, self.false_negatives
        positives = ops.add(tp, fp)
        here, there = ops.getitem(positives, _FIRST), ops.getitem(positives, _SECOND)
        d_tp = ops.subtract(ops.getitem(tp, _FIRST), ops.getitem(tp, _SECOND))
        slope = ops.divide_no_nan(d_tp, ops.maximum(ops.subtract(here, there), 0.0))
        intercept = ops.subtract(ops.getitem(tp, _SECOND), ops.multiply(slope, there))
        usable = ops.logical_and(ops.greater(here, 0.0), ops.greater(there, 0.0))
        one = ops.ones_like(here)
        ratio = ops.where(usable, ops.divide(here, ops.where(usable, there, one)), one)
        grown = ops.multiply(slope, ops.add(d_tp, ops.multiply(intercept, ops.log(ratio))))
        found = ops.add(ops.getitem(tp, _SECOND), ops.getitem(fn, _SECOND))
        return self._mean(ops.sum(ops.divide_no_nan(grown, ops.maximum(found, 0.0)), 0))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        names = ("num_thresholds", "curve", "summation_method", "name", "dtype", "multi_label", "num_labels")
        config = {name: getattr(self, name) for name in (*names, "label_weights", "from_logits")}
        if self._inner is not None:
            config["thresholds"] = self._inner
        return {name: plain(value, name) for name, value in config.items()}


class _RateAt(Confusion):
    """The best of one rate among the thresholds where another is at least some value; 0 if it never is.

    Args:
        num_thresholds: how many thresholds are tried, evenly spaced from 0 to 1.
        class_id: count only this index of the last dimension.
    """

    _constraint = ""

    def __init__(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any) -> None:
        what = type(self).__name__
        if not 0 <= value <= 1:
            raise ValueError(f"{what}: `{self._constraint}` must be in the range [0, 1], not {value!r}.")
        if num_thresholds <= 0:
            raise ValueError(f"{what}: `num_thresholds` must be an integer above 0, not {num_thresholds!r}.")
        several = num_thresholds > 1
        limits = [i / (num_thresholds - 1) for i in range(num_thresholds)] if several else [0.5]
        super().__init__(limits, COUNTS, name, dtype, class_id=class_id, even=several)
        self._build()
        self.num_thresholds, self.value, self.thresholds = num_thresholds, value, limits
        setattr(self, self._constraint, value)

    def _best(self, given: Any, wanted: Any) -> Any:
        fits = ops.greater_equal(given, self.value)
        return ops.max(ops.where(fits, wanted, ops.zeros_like(wanted)))

    def _sensitivity(self) -> Any:
        return part(self.true_positives, self.false_negatives)

    def _specificity(self) -> Any:
        return part(self.true_negatives, self.false_positives)

    def _precision(self) -> Any:
        return part(self.true_positives, self.false_positives)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return Configurable.get_config(self)


class SensitivityAtSpecificity(_RateAt):
    """The best sensitivity (recall) where the specificity is at least `specificity`."""

    _constraint = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def result(self) -> Any:
        """The best sensitivity."""
        return self._best(self._specificity(), self._sensitivity())


class SpecificityAtSensitivity(_RateAt):
    """The best specificity where the sensitivity (recall) is at least `sensitivity`."""

    _constraint = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def result(self) -> Any:
        """The best specificity."""
        return self._best(self._sensitivity(), self._specificity())


class PrecisionAtRecall(_RateAt):
    """The best precision where the recall is at least `recall`."""

    _constraint = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def result(self) -> Any:
        """The best precision."""
        return self._best(self._sensitivity(), self._precision())


class RecallAtPrecision(_RateAt):
    """The best recall where the precision is at least `precision`."""

    _constraint = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def result(self) -> Any:
        """The best recall."""
        return self._best(self._precision(), self._sensitivity())
