"""Means of losses over samples: errors, margins, distributions, cross-entropies."""

from __future__ import annotations

from typing import Any

from unidl import losses, ops
from unidl.losses._shapes import cast, masked_weight, pair, rank
from unidl.metrics._means import Fixed, Mean


class MeanSquaredError(Fixed):
    """Mean squared difference."""

    function = staticmethod(losses.mean_squared_error)
    columns = True

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class MeanAbsoluteError(Fixed):
    """Mean absolute difference."""

    function = staticmethod(losses.mean_absolute_error)
    columns = True

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class MeanAbsolutePercentageError(Fixed):
    """Mean absolute difference in percent of the target."""

    function = staticmethod(losses.mean_absolute_percentage_error)
    columns = True

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class MeanSquaredLogarithmicError(Fixed):
    """Mean squared difference of ``log(1 + y)``."""

    function = staticmethod(losses.mean_squared_logarithmic_error)
    columns = True

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class LogCoshError(Fixed):
    """Mean of ``log(cosh(difference))``."""

    function = staticmethod(losses.log_cosh)
    columns = True

    def __init__(self, name: str = "logcosh", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class Hinge(Fixed):
    """Mean of ``max(1 - y_true * y_pred, 0)`` for targets -1 (or 0) and 1."""

    function = staticmethod(losses.hinge)
    columns = True

    def __init__(self, name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class SquaredHinge(Fixed):
    """Mean square of `Hinge`'s margins."""

    function = staticmethod(losses.squared_hinge)
    columns = True

    def __init__(self, name: str = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class CategoricalHinge(Fixed):
    """How far the right score is from 1 above all others, for one-hot targets."""

    function = staticmethod(losses.categorical_hinge)

    def __init__(self, name: str = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class KLDivergence(Fixed):
    """Kullback-Leibler divergence of the predicted distribution from the target's."""

    function = staticmethod(losses.kl_divergence)

    def __init__(self, name: str = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class Poisson(Fixed):
    """Mean of ``y_pred - y_true * log(y_pred)``, for counts and predicted rates."""

    function = staticmethod(losses.poisson)
    columns = True

    def __init__(self, name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class RootMeanSquaredError(Mean):
    """The square root of the mean squared difference."""

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take one batch into account; `sample_weight` has its leading dimensions."""
        from unidl.layers._calling import mask_of

        mask = mask_of(y_pred)
        y_true, y_pred = pair(cast(y_true, self.dtype), cast(y_pred, self.dtype))
        squares = ops.square(ops.subtract(y_pred, y_true))
        super().update_state(squares, masked_weight(sample_weight, mask, self.dtype))

    def result(self) -> Any:
        """The root of the mean."""
        return ops.sqrt(super().result())


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between vectors along `axis` (the loss of this name is minus that)."""
    return ops.negative(losses.cosine_similarity(y_true, y_pred, axis))


class CosineSimilarity(Fixed):
    """The mean cosine of the angle between targets and predictions along `axis`."""

    function = staticmethod(cosine_similarity)

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(name, dtype, axis=axis)


class BinaryCrossentropy(Fixed):
    """Cross-entropy of independent yes/no targets."""

    function = staticmethod(losses.binary_crossentropy)
    columns = True

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)


class CategoricalCrossentropy(Fixed):
    """Cross-entropy of one-hot or soft targets."""

    function = staticmethod(losses.categorical_crossentropy)

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class SparseCategoricalCrossentropy(Fixed):
    """Cross-entropy of integer targets.

    Those equal to `ignore_class` count as 0; with sample weights they do not count at all.
    """

    function = staticmethod(losses.sparse_categorical_crossentropy)

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)
        self.ignore_class, self.axis = ignore_class, axis

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take one batch into account; `sample_weight` has its leading dimensions."""
        if sample_weight is not None and self.ignore_class is not None:
            labels = ops.convert_to_tensor(y_true)
            if rank(labels) == rank(y_pred) and ops.shape(labels)[self.axis] == 1:
                labels = ops.squeeze(labels, self.axis)
            kept = ops.not_equal(labels, self.ignore_class)
            sample_weight = masked_weight(sample_weight, kept, self.dtype)
        super().update_state(y_true, y_pred, sample_weight)
