"""How well predictions follow targets: correlations, and the part of the variance that they explain."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.config import epsilon
from unidl.losses._shapes import cast, float_pair, masked_weight, pair, rank
from unidl.metrics._base import Metric, plain_sizes
from unidl.metrics._means import Fixed


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Pearson's correlation coefficient along `axis`; NaN for constant vectors."""
    y_true, y_pred = float_pair(y_true, y_pred)
    (a, spread_a), (b, spread_b) = _centered(y_true, axis), _centered(y_pred, axis)
    product = ops.multiply(ops.divide(a, ops.sqrt(spread_a)), ops.divide(b, ops.sqrt(spread_b)))
    return ops.mean(product, axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Lin's concordance correlation coefficient along `axis`: as Pearson's, lowered by bias and scale."""
    y_true, y_pred = float_pair(y_true, y_pred)
    (a, spread_a), (b, spread_b) = _centered(y_true, axis), _centered(y_pred, axis)
    gap = ops.square(ops.subtract(ops.mean(y_true, axis), ops.mean(y_pred, axis)))
    spreads = ops.squeeze(ops.add(spread_a, spread_b), axis)
    covariance = ops.mean(ops.multiply(a, b), axis)
    return ops.divide(ops.multiply(covariance, 2.0), ops.add(ops.add(spreads, gap), epsilon()))


def _centered(values: Any, axis: int) -> tuple[Any, Any]:
    """Values less their mean, and their variance with dimensions kept."""
    rest = ops.subtract(values, ops.mean(values, axis, True))
    return rest, ops.mean(ops.square(rest), axis, True)


class PearsonCorrelation(Fixed):
    """The mean of Pearson's correlation coefficients along `axis`."""

    function = staticmethod(pearson_correlation)

    def __init__(self, name: str = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(name, dtype, axis=axis)


class ConcordanceCorrelation(Fixed):
    """The mean of Lin's concordance correlation coefficients along `axis`."""

    function = staticmethod(concordance_correlation)

    def __init__(self, name: str = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(name, dtype, axis=axis)


class R2Score(Metric):
    """The part of the targets' variance that predictions of shape (batch, outputs) explain.

    Args:
        class_aggregation: "uniform_average" or "variance_weighted_average" over outputs, None for one number each.
        num_regressors: how many independent variables there are, to adjust the score for; 0: as it is.
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise ValueError(
                f"Invalid value for argument `class_aggregation` of R2Score: {class_aggregation!r}. There are "
                "'uniform_average', 'variance_weighted_average' and None."
            )
        if num_regressors < 0:
            raise ValueError(f"Invalid value for argument `num_regressors` of R2Score: {num_regressors}, below 0.")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable((), name="num_samples")
        self._built = False

    def _build(self, outputs: int) -> None:
        self.squared_sum = self.add_variable((outputs,), name="squared_sum")
        self.sum = self.add_variable((outputs,), name="sum")
        self.total_mse = self.add_variable((outputs,), name="residual")
        self.count = self.add_variable((outputs,), name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take one batch into account; weights are (batch,) or (batch, outputs)."""
        from unidl.layers._calling import mask_of

        weight = masked_weight(sample_weight, mask_of(y_pred), self.dtype)
        y_true, y_pred = pair(cast(y_true, self.dtype), cast(y_pred, self.dtype))
        outputs = plain_sizes("R2Score", y_true, y_pred)
        if not self._built:
            self._build(outputs)
        ones = ops.ones_like(y_true)
        if weight is not None:
            weight = cast(weight, self.dtype)
            ones = ops.multiply(ones, ops.expand_dims(weight, 1) if rank(weight) == 1 else weight)
        weighted = ops.multiply(y_true, ones)
        self.sum.assign_add(ops.sum(weighted, 0))
        self.squared_sum.assign_add(ops.sum(ops.multiply(weighted, y_true), 0))
        self.total_mse.assign_add(ops.sum(ops.multiply(ops.square(ops.subtract(y_true, y_pred)), ones), 0))
        self.count.assign_add(ops.sum(ones, 0))
        self.num_samples.assign_add(ops.multiply(ops.axis_size(y_true), float(outputs)))

    def result(self) -> Any:
        """The score."""
        if not self._built:
            return ops.multiply(self.num_samples, 0.0)
        total = ops.subtract(self.squared_sum, ops.divide(ops.square(self.sum), self.count))
        scores = ops.subtract(1.0, ops.divide(self.total_mse, total))
        scores = ops.where(ops.isinf(scores), ops.zeros_like(scores), scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation is not None:
            scores = ops.divide(ops.sum(ops.multiply(total, scores)), ops.sum(total))
        if self.num_regressors == 0:
            return scores
        free = ops.subtract(self.num_samples, self.num_regressors + 1.0)
        enough = ops.greater(free, 0.0)
        rest = ops.divide(
            ops.multiply(ops.subtract(1.0, scores), ops.subtract(self.num_samples, 1.0)),
            ops.where(enough, free, ops.ones_like(free)),
        )
        # With fewer samples than that the score cannot be adjusted.
        return ops.where(enough, ops.subtract(1.0, rest), scores)
