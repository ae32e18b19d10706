"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.config import epsilon
from unidl.losses._shapes import cast, masked_weight, pair, rank
from unidl.metrics._base import Metric, plain_sizes


class FBetaScore(Metric):
    """``(1 + beta**2) * precision * recall / (beta**2 * precision + recall)`` for outputs of shape (batch, classes).

    Args:
        average: None for one score for each class; "macro": their mean; "weighted": their mean by how often
            the classes occur; "micro": the score of all classes together.
        beta: how much more recall counts than precision.
        threshold: predictions above it are positive; None: the largest of each sample.
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        what = type(self).__name__
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{what}: `average` must be None, 'micro', 'macro' or 'weighted', not {average!r}.")
        if not isinstance(beta, float) or beta <= 0:
            raise ValueError(f"{what}: `beta` must be a float above 0, not {beta!r}.")
        if threshold is not None and not (isinstance(threshold, float) and 0 < threshold <= 1):
            raise ValueError(f"{what}: `threshold` must be a float above 0 and at most 1, or None, not {threshold!r}.")
        self.average, self.beta, self.threshold = average, beta, threshold
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        self.true_positives = self.add_variable(shape, name="true_positives")
        self.false_positives = self.add_variable(shape, name="false_positives")
        self.false_negatives = self.add_variable(shape, name="false_negatives")
        self.intermediate_weights = self.add_variable(shape, name="intermediate_weights")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take one batch into account; weights are (batch,)."""
        from unidl.layers._calling import mask_of

        weight = masked_weight(sample_weight, mask_of(y_pred), self.dtype)
        y_true, y_pred = cast(y_true, self.dtype), cast(y_pred, self.dtype)
        classes = plain_sizes(type(self).__name__, y_true, y_pred)
        y_true, y_pred = pair(y_true, y_pred)
        if not self._built:
            self._build(classes)
        if self.threshold is None:
            largest = ops.greater_equal(y_pred, ops.max(y_pred, -1, True))
            positive = ops.logical_and(largest, ops.greater(ops.absolute(y_pred), 1e-9))
        else:
            positive = ops.greater(y_pred, self.threshold)
        found = ops.cast(positive, self.dtype)
        if weight is not None:
            weight = cast(weight, self.dtype)
            weight = ops.expand_dims(weight, 1) if rank(weight) == 1 else weight

        def total(values: Any) -> Any:
            values = values if weight is None else ops.multiply(values, weight)
            return ops.sum(values) if self.average == "micro" else ops.sum(values, 0)

        self.true_positives.assign_add(total(ops.multiply(found, y_true)))
        self.false_positives.assign_add(total(ops.multiply(found, ops.subtract(1.0, y_true))))
        self.false_negatives.assign_add(total(ops.multiply(ops.subtract(1.0, found), y_true)))
        self.intermediate_weights.assign_add(total(y_true))

    def result(self) -> Any:
        """One score, or one for each class."""
        if not self._built:
            return ops.zeros((), self.dtype)
        small, square = epsilon(), self.beta**2
        hits = self.true_positives
        precision = ops.divide(hits, ops.add(ops.add(hits, self.false_positives), small))
        recall = ops.divide(hits, ops.add(ops.add(hits, self.false_negatives), small))
        both = ops.add(ops.add(ops.multiply(precision, square), recall), small)
        score = ops.multiply(ops.divide(ops.multiply(precision, recall), both), 1 + square)
        if self.average == "weighted":
            share = ops.divide(self.intermediate_weights, ops.add(ops.sum(self.intermediate_weights), small))
            return ops.sum(ops.multiply(score, share))
        return score if self.average is None else ops.mean(score)


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall: `FBetaScore` with ``beta=1``."""

    def __init__(
        self, average: str | None = None, threshold: float | None = None, name: str = "f1_score", dtype: Any = None
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
