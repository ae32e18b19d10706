"""Running sums and means, of values and of functions of targets and predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import ops
from unidl.metrics._base import Metric, squeezed, visible_weight, weighted
from unidl.ops._bind import dtype_of


class Sum(Metric):
    """The sum of all values."""

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add `values`, each times its weight."""
        self.total.assign_add(weighted(_floats(values, self.dtype), sample_weight)[0])

    def result(self) -> Any:
        return ops.copy(self.total)


class Mean(Metric):
    """The mean of all values, by weight; 0 before the first."""

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable((), name="total")
        self.count = self.add_variable((), name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take `values` into the mean, each with its weight."""
        total, count = weighted(_floats(values, self.dtype), sample_weight)
        self.total.assign_add(total)
        self.count.assign_add(count)

    def result(self) -> Any:
        return _ratio(self.total, self.count)


class MeanMetricWrapper(Mean):
    """The mean of ``fn(y_true, y_pred, **kwargs)`` over samples."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(str(name or getattr(fn, "__name__", "mean")), dtype)
        self.fn = fn
        self.kwargs = kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take one batch into account; `sample_weight` has its leading dimensions.

        What a mask that comes with `y_pred` hides does not count.
        """
        from unidl.layers._calling import mask_of

        values = self.fn(y_true, y_pred, **self.kwargs)
        super().update_state(values, visible_weight(sample_weight, mask_of(y_pred), self.dtype))


class _Fixed(MeanMetricWrapper):
    """A mean of the class's own function."""

    function: Callable[..., Any]

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(type(self).function, name, dtype, **kwargs)


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """``(y_true - y_pred)**2``, averaged over the last dimension."""
    y_true, y_pred = squeezed(y_true, y_pred)
    return _last_mean(ops.square(ops.subtract(y_pred, ops.cast(y_true, dtype_of(y_pred)))))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """``|y_true - y_pred|``, averaged over the last dimension."""
    y_true, y_pred = squeezed(y_true, y_pred)
    return _last_mean(ops.absolute(ops.subtract(y_pred, ops.cast(y_true, dtype_of(y_pred)))))


class MeanSquaredError(_Fixed):
    """Mean squared difference."""

    function = staticmethod(mean_squared_error)

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class MeanAbsoluteError(_Fixed):
    """Mean absolute difference."""

    function = staticmethod(mean_absolute_error)

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class RootMeanSquaredError(_Fixed):
    """The square root of the mean squared difference."""

    function = staticmethod(mean_squared_error)

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> Any:
        return ops.sqrt(super().result())


def _last_mean(values: Any) -> Any:
    return ops.mean(values, -1) if len(ops.shape(values)) > 1 else values


def _floats(values: Any, dtype: str) -> Any:
    return ops.cast(ops.convert_to_tensor(values), dtype)


def _ratio(a: Any, b: Any) -> Any:
    """``a / b``, and 0 where b is 0."""
    safe = ops.where(ops.equal(b, 0), ops.ones_like(b), b)
    return ops.where(ops.equal(b, 0), ops.zeros_like(b), ops.divide(a, safe))
