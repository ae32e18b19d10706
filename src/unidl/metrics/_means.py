"""Running sums and means, of values and of functions of targets and predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import ops
from unidl._objects import Configurable
from unidl.losses._shapes import cast, masked_weight, plain_shape, rank, same_rank
from unidl.metrics._base import Metric
from unidl.saving.objects import plain


def samplewise(values: Any, sample_weight: Any, reduce: Callable[..., Any], dtype: str) -> tuple[Any, Any]:
    """A weighted value for each sample, and its weight (None without `sample_weight`).

    `sample_weight` has the leading dimensions of `values`; over the further ones `reduce` is applied.
    """
    values = cast(values, dtype)
    weight = None
    if sample_weight is not None:
        values, weight = same_rank(values, cast(sample_weight, dtype))
        have, want = rank(weight), rank(values)
        if have > want > 0:
            raise ValueError(
                f"Weights of shape {plain_shape(ops.shape(weight))} do not fit values of shape "
                f"{plain_shape(ops.shape(values))}."
            )
        if want > have:
            values = reduce(values, tuple(range(have, want)))
        weight = ops.multiply(weight, ops.ones_like(values))
        values = ops.multiply(values, weight)
        weight = _by_sample(weight, reduce)
    return _by_sample(values, reduce), weight


def _by_sample(values: Any, reduce: Callable[..., Any]) -> Any:
    return reduce(values, tuple(range(1, rank(values)))) if rank(values) > 1 else values


class Sum(Metric):
    """The sum of all values."""

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add `values`, each times its weight."""
        self.total.assign_add(ops.sum(samplewise(values, sample_weight, ops.sum, self.dtype)[0]))

    def result(self) -> Any:
        """The sum."""
        return ops.copy(self.total)


class Mean(Metric):
    """The mean of all values, by weight; 0 before the first.

    Each sample (index of the first dimension) counts as one, whatever the other dimensions are.
    """

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), name="total")
        self.count = self.add_variable((), name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take `values` into the mean, each with its weight."""
        values, weight = samplewise(values, sample_weight, ops.mean, self.dtype)
        self.total.assign_add(ops.sum(values))
        if weight is not None:
            self.count.assign_add(ops.sum(weight))
        else:
            self.count.assign_add(ops.axis_size(values) if rank(values) else 1.0)

    def result(self) -> Any:
        """The mean."""
        return ops.divide_no_nan(self.total, self.count)


class MeanMetricWrapper(Mean):
    """The mean of ``fn(y_true, y_pred, **kwargs)`` over samples."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(str(name or getattr(fn, "__name__", "mean")), dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take one batch into account; `sample_weight` has its leading dimensions.

        What a mask that comes with `y_pred` hides does not count.
        """
        from unidl.layers._calling import mask_of

        values = self.fn(y_true, y_pred, **self._fn_kwargs)
        super().update_state(values, masked_weight(sample_weight, mask_of(y_pred), self.dtype))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {"name": self.name, "dtype": self.dtype, "fn": plain(self.fn, "fn"), **plain(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The object that `get_config` described."""
        if isinstance(config.get("fn"), (str, dict)):
            from unidl.metrics import function_of

            config = {**config, "fn": function_of(config["fn"], custom_objects)}
        return cls(**config)


class Fixed(MeanMetricWrapper):
    """A mean of the class's own function; the arguments are attributes, and all of the configuration.

    Attributes:
        columns: whether vectors are taken as columns: one value for each element, not the mean of all.
    """

    function: Callable[..., Any]
    columns = False

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(type(self).function, name, dtype, **kwargs)
        vars(self).update(kwargs)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take one batch into account; `sample_weight` has its leading dimensions."""
        if self.columns and rank(y_true) == rank(y_pred) == 1:
            y_true, y_pred = ops.expand_dims(y_true, -1), ops.expand_dims(y_pred, -1)
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return Configurable.get_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The object that `get_config` described."""
        return cls(**config)
