"""`Loss`: a function of targets and predictions, weighted and reduced to a scalar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import dtypes, ops
from unidl._objects import Configurable, snake_case
from unidl.losses import _functions as functions
from unidl.ops._bind import dtype_of

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """Base of losses: subclasses define ``call(y_true, y_pred)``, one number for each sample.

    Args:
        name: shown in messages.
        reduction: "sum_over_batch_size" (divided by the number of values; "mean" is the same), "sum",
            "mean_with_sample_weight" (divided by the sum of the weights), or "none".
        dtype: dtype of the computation; None: the default float.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))}, not {reduction!r}.")
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        self._dtype = dtypes.dtype_name(dtype)

    @property
    def dtype(self) -> str:
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One number for each sample."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        A mask that comes with `y_pred` leaves out what it hides; `sample_weight` has the leading
        dimensions of the values of `call`.
        """
        from unidl.layers._calling import mask_of

        values = self.call(y_true, y_pred)
        mask, own = mask_of(y_pred), self._visible(y_true)
        if own is not None:
            mask = own if mask is None else ops.logical_and(_fitted(mask, own), own)
        return reduced(values, sample_weight, mask, self.reduction)

    def _visible(self, y_true: Any) -> Any:
        """Which of the values count, as a mask; None for all."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}


def reduced(values: Any, sample_weight: Any, mask: Any, reduction: str | None) -> Any:
    """`values` times weights, zero where the mask is False, reduced to a scalar."""
    weight = None if sample_weight is None else _fitted(ops.cast(sample_weight, dtype_of(values)), values)
    if mask is not None:
        visible = ops.cast(_fitted(mask, values), dtype_of(values))
        weight = visible if weight is None else ops.multiply(weight, visible)
        if reduction in ("sum_over_batch_size", "mean"):
            # What is hidden does not count: the rest is scaled as if the batch were that much smaller.
            shown = ops.multiply(visible, ops.ones_like(values))
            values = ops.divide(values, ops.maximum(ops.mean(shown), 1e-7))
    if weight is not None:
        values = ops.multiply(values, weight)
    if reduction in ("none", None):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weight is not None:
        total = ops.sum(ops.multiply(weight, ops.ones_like(values)))
        return ops.divide(ops.sum(values), ops.maximum(total, 1e-7))
    return ops.mean(values)


def _fitted(weight: Any, values: Any) -> Any:
    """`weight` with as many dimensions as `values`."""
    rank, have = len(ops.shape(values)), len(ops.shape(weight))
    if have == rank + 1 and ops.shape(weight)[-1] == 1:
        return ops.squeeze(weight, -1)
    if have > rank:
        raise ValueError(
            f"Weights or mask of shape {tuple(weight.shape)} do not fit a loss with values of shape "
            f"{tuple(values.shape)}."
        )
    for _ in range(rank - have):
        weight = ops.expand_dims(weight, -1)
    return weight


class LossFunctionWrapper(Loss):
    """A loss from a function ``fn(y_true, y_pred, **kwargs)``."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._fn_kwargs}


class MeanSquaredError(LossFunctionWrapper):
    """Mean squared difference."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(functions.mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """Mean absolute difference."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(functions.mean_absolute_error, reduction, name, dtype)


class Huber(LossFunctionWrapper):
    """Squared near 0, linear beyond `delta`."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(functions.huber, reduction, name, dtype, delta=delta)


class CategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of one-hot or soft targets."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            functions.categorical_crossentropy, reduction, name, dtype,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of integer targets. Those equal to `ignore_class` do not count: a mean is over the others."""

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            functions.sparse_categorical_crossentropy, reduction, name, dtype,
            from_logits=from_logits, ignore_class=ignore_class, axis=axis,
        )  # fmt: skip
        self.ignore_class = ignore_class

    def _visible(self, y_true: Any) -> Any:
        if self.ignore_class is None:
            return None
        return ops.not_equal(ops.cast(y_true, "int32"), self.ignore_class)


class BinaryCrossentropy(LossFunctionWrapper):
    """Cross-entropy of independent yes/no targets."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            functions.binary_crossentropy, reduction, name, dtype,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip
