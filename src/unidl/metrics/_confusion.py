"""Metrics of true and false positives and negatives at thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.config import epsilon
from unidl.losses._shapes import cast, masked_weight, pair, plain_shape, rank
from unidl.metrics._base import Metric

_LOWEST = -1e10  # what predictions become that are not among the top k; as a threshold, below all others
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


class Confusion(Metric):
    """Weighted counts of true/false positives/negatives at each of several thresholds.

    A prediction is positive if it is greater than the threshold. Any target but 0 is positive.

    Args:
        thresholds: numbers.
        counts: which of `COUNTS` are kept, each in an attribute of that name.
        top_k: only the k greatest predictions of the last dimension may be positive.
        class_id: count only this index of the last dimension.
        even: whether the thresholds are known to be evenly spaced from 0 to 1.
    """

    true_positives: Any
    false_positives: Any
    true_negatives: Any
    false_negatives: Any

    def __init__(
        self,
        thresholds: list[float],
        counts: tuple[str, ...],
        name: str | None,
        dtype: Any,
        top_k: int | None = None,
        class_id: int | None = None,
        even: bool | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self._limits = [float(t) for t in thresholds]
        self._even = evenly_spaced(self._limits) if even is None else even
        self._counts = counts
        self._labels: int | None = None
        self.top_k, self.class_id = top_k, class_id

    def _build(self, labels: int | None = None) -> None:
        """Make the counters: of all predictions together, or of each of some labels."""
        self._labels = labels
        for name in self._counts:
            shape = (len(self._limits),) if labels is None else (len(self._limits), labels)
            setattr(self, name, self.add_variable(shape, name=self._variable_name(name)))

    def _variable_name(self, count: str) -> str:
        return count

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch; weights have the batch's leading dimensions.

        What a mask that comes with `y_pred` hides does not count.
        """
        from unidl.layers._calling import mask_of

        weight = masked_weight(sample_weight, mask_of(y_pred), self.dtype)
        y_true, y_pred = pair(cast(y_true, self.dtype), self._scores(cast(y_pred, self.dtype)))
        weight = self._spread(weight, y_pred)
        if self.top_k is not None:
            _, best = ops.top_k(y_pred, self.top_k)
            chosen = ops.sum(ops.one_hot(best, ops.shape(y_pred)[-1], dtype=self.dtype), -2)
            y_pred = ops.where(ops.greater(chosen, 0.0), y_pred, _LOWEST)
        if self.class_id is not None:
            if rank(y_pred) < 2:
                raise ValueError(
                    f"{type(self).__name__}: `class_id` needs predictions of shape (batch, ..., classes), not "
                    f"{plain_shape(ops.shape(y_pred))}."
                )
            key = (Ellipsis, self.class_id)
            y_true, y_pred, weight = (None if v is None else ops.getitem(v, key) for v in (y_true, y_pred, weight))
        self._count(y_true, y_pred, weight)

    def _scores(self, y_pred: Any) -> Any:
        """Predictions from 0 to 1."""
        return y_pred

    def _spread(self, weight: Any, y_pred: Any) -> Any:
        """Weights of the shape of the predictions; None for none."""
        if weight is None:
            return None
        weight = cast(weight, self.dtype)
        if rank(weight) == rank(y_pred) + 1 and ops.shape(weight)[-1] == 1:
            weight = ops.squeeze(weight, -1)
        for _ in range(rank(y_pred) - rank(weight)):
            weight = ops.expand_dims(weight, -1)
        return ops.multiply(weight, ops.ones_like(y_pred))

    def _count(self, y_true: Any, y_pred: Any, weight: Any) -> None:
        labels = () if self._labels is None else (self._labels,)
        positive = ops.cast(ops.not_equal(y_true, 0.0), self.dtype)
        negative = ops.subtract(1.0, positive)
        if weight is not None:
            positive, negative = ops.multiply(positive, weight), ops.multiply(negative, weight)
        y_pred, positive, negative = (ops.reshape(v, (-1, *labels)) for v in (y_pred, positive, negative))
        tp, fp = (self._buckets if self._even else self._compared)(y_pred, positive, negative)
        found = {"true_positives": tp, "false_positives": fp}
        if "false_negatives" in self._counts:
            found["false_negatives"] = ops.subtract(ops.sum(positive, 0), tp)
        if "true_negatives" in self._counts:
            found["true_negatives"] = ops.subtract(ops.sum(negative, 0), fp)
        for name in self._counts:
            getattr(self, name).assign_add(found[name])

    def _compared(self, y_pred: Any, positive: Any, negative: Any) -> tuple[Any, Any]:
        """Positives at any thresholds, each prediction compared with all of them."""
        limits = np.array(self._limits, self.dtype).reshape((-1, 1) + (1,) * (rank(y_pred) - 1))
        found = ops.cast(ops.greater(ops.expand_dims(y_pred, 0), limits), self.dtype)
        right, wrong = (ops.sum(ops.multiply(found, ops.expand_dims(v, 0)), 1) for v in (positive, negative))
        return right, wrong

    def _buckets(self, y_pred: Any, positive: Any, negative: Any) -> tuple[Any, Any]:
        """Positives at even thresholds: each prediction is counted once, between two of them, and then summed up."""
        number, labels = len(self._limits), self._labels
        place = ops.subtract(ops.ceil(ops.multiply(ops.clip(y_pred, 0.0, 1.0), number - 1.0)), 1.0)
        if self._limits[0] < 0:
            place = ops.maximum(place, 0.0)
        # What is below all thresholds, or NaN, is in no bucket.
        place = ops.cast(ops.where(ops.greater_equal(place, 0.0), place, -1.0), "int32")
        if labels is not None:
            own = np.arange(labels, dtype="int32")
            place = ops.where(ops.less(place, 0), place, ops.add(ops.multiply(place, labels), own))
            place, positive, negative = (ops.reshape(v, (-1,)) for v in (place, positive, negative))
        sums = ops.segment_sum(ops.stack([positive, negative], -1), place, number * (labels or 1))
        sums = ops.reshape(sums, (number, 2) if labels is None else (number, labels, 2))
        above = ops.flip(ops.cumsum(ops.flip(sums, 0), 0), 0)
        return ops.getitem(above, (Ellipsis, 0)), ops.getitem(above, (Ellipsis, 1))


def evenly_spaced(thresholds: list[float]) -> bool:
    """Whether these are three or more numbers from 0 to 1 at equal distances."""
    if len(thresholds) < 3:
        return False
    return bool(np.allclose(thresholds, np.linspace(0, 1, len(thresholds)), atol=epsilon()))


def as_list(thresholds: Any, default: float = 0.5) -> list[float]:
    """Thresholds as numbers from 0 to 1.

    Raises:
        ValueError: if they are not.
    """
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    if not values or not all(t is not None and 0 <= t <= 1 for t in values):
        raise ValueError(f"`thresholds` must be numbers from 0 to 1, not {thresholds!r}.")
    return values


class _Given(Confusion):
    """Counts at thresholds that the user gives.

    Attributes:
        thresholds: a list.
        init_thresholds: as they were given.
    """

    def __init__(
        self, thresholds: Any, counts: tuple[str, ...], name: str | None, dtype: Any, **chosen: int | None
    ) -> None:
        default = 0.5 if chosen.get("top_k") is None else _LOWEST
        self.init_thresholds = thresholds
        self.thresholds = as_list(thresholds, default)
        super().__init__(self.thresholds, counts, name, dtype, **chosen)  # type: ignore[arg-type]
        self._build()

    def _scalar(self, values: Any) -> Any:
        # A copy: a view of the state would change with it.
        return ops.copy(ops.reshape(values, ()) if len(self._limits) == 1 else values)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        given = self.init_thresholds
        given = [float(t) for t in given] if isinstance(given, (list, tuple, np.ndarray)) else given
        return {**super().get_config(), "thresholds": given}


class _Number(_Given):
    """How many there are of one kind; a scalar for one threshold.

    Args:
        thresholds: a number from 0 to 1 (0.5 by default), or several: predictions above it are positive.
    """

    _kind = ""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(thresholds, (self._kind,), name, dtype)

    def _variable_name(self, count: str) -> str:
        return "accumulator"

    @property
    def accumulator(self) -> Any:
        """The variable."""
        return getattr(self, self._kind)

    def result(self) -> Any:
        """The number at the threshold, or at each."""
        return self._scalar(self.accumulator)


class TruePositives(_Number):
    """How many targets 1 are found."""

    _kind = "true_positives"


class FalsePositives(_Number):
    """How many targets 0 are taken for 1."""

    _kind = "false_positives"


class TrueNegatives(_Number):
    """How many targets 0 are left."""

    _kind = "true_negatives"


class FalseNegatives(_Number):
    """How many targets 1 are missed."""

    _kind = "false_negatives"


class Precision(_Given):
    """Which part of the positive predictions is right; 0 if there are none. A scalar for one threshold.

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
        super().__init__(thresholds, ("true_positives", "false_positives"), name, dtype, top_k=top_k, class_id=class_id)

    def result(self) -> Any:
        """The ratio at the threshold, or at each."""
        return self._scalar(part(self.true_positives, self.false_positives))


class Recall(_Given):
    """Which part of the positive targets is found; 0 if there are none. Arguments as for `Precision`."""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(thresholds, ("true_positives", "false_negatives"), name, dtype, top_k=top_k, class_id=class_id)

    def result(self) -> Any:
        """The ratio at the threshold, or at each."""
        return self._scalar(part(self.true_positives, self.false_negatives))


def part(a: Any, b: Any) -> Any:
    """``a / (a + b)``, 0 where both are 0."""
    return ops.divide_no_nan(a, ops.add(a, b))
