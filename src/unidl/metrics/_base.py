"""`Metric`: numbers that accumulate on the device until somebody asks."""

from __future__ import annotations

import re
from typing import Any

from unidl import dtypes, ops
from unidl._objects import Configurable, snake_case
from unidl.losses._shapes import pair as squeezed
from unidl.ops._bind import dtype_of


class Metric(Configurable):
    """A running value over batches.

    Subclasses make variables in the constructor with `add_variable`, change them in `update_state`
    with `unidl.ops` (so that training records it), and compute the value in `result`.

    Args:
        dtype: dtype of the state; None: the default float.
        name: shown in logs.
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self._name = name or snake_case(type(self).__name__)
        self._dtype = dtypes.dtype_name(dtype)
        self._variables: list[Any] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def variables(self) -> list[Any]:
        """The state."""
        return list(self._variables)

    def add_variable(
        self,
        shape: Any,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Any:
        """A new variable of the state, which `reset_state` sets to zeros."""
        from unidl.backend.variables import Variable

        variable = Variable(initializer, tuple(shape), dtype or self.dtype, trainable=False, name=name or "state")
        variable._path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None
    ) -> Any:
        """The same as `add_variable`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    def reset_state(self) -> None:
        """Forget all batches."""
        from unidl.backend import active

        for variable in self._variables:
            active.assign(variable, active.table["zeros_like"](variable, None))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take one batch into account."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state.")

    def result(self) -> Any:
        """The present value, a tensor without dimensions."""
        raise NotImplementedError(f"{type(self).__name__} must define result.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update, and return the present value."""
        self.update_state(*args, **kwargs)
        return self.result()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def weighted(values: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Sum of `values` times weights, and the sum of the weights (the number of values without any).

    `sample_weight` has the leading dimensions of `values`; values over further dimensions are averaged.
    """
    if sample_weight is None:
        return ops.sum(values), _count(values)
    weight = ops.cast(sample_weight, dtype_of(values))
    rank, weights = len(ops.shape(values)), len(ops.shape(weight))
    if weights == rank + 1:
        weight = ops.squeeze(weight, -1)
    elif weights < rank:
        values = ops.mean(values, tuple(range(weights, rank)))
    return ops.sum(ops.multiply(values, weight)), ops.sum(ops.multiply(weight, ops.ones_like(values)))


def _count(values: Any) -> Any:
    """How many elements there are, as a float scalar on the device."""
    count = ops.axis_size(values) if len(ops.shape(values)) else 1.0
    for axis in range(1, len(ops.shape(values))):
        count = ops.multiply(count, ops.axis_size(values, axis))
    return count


def visible_weight(sample_weight: Any, mask: Any, dtype: str) -> Any:
    """`sample_weight` with zeros where `mask` is False; None if both are."""
    if mask is None:
        return sample_weight
    visible = ops.cast(mask, dtype)
    if sample_weight is None:
        return visible
    weight = ops.cast(sample_weight, dtype)
    for _ in range(len(ops.shape(visible)) - len(ops.shape(weight))):
        weight = ops.expand_dims(weight, -1)
    for _ in range(len(ops.shape(weight)) - len(ops.shape(visible))):
        visible = ops.expand_dims(visible, -1)
    return ops.multiply(weight, visible)


def display_name(fn: Any) -> str:
    """A metric name for a function or object."""
    name = getattr(fn, "name", None) or getattr(fn, "__name__", None) or type(fn).__name__
    return re.sub(r"\W+", "", str(name))


__all__ = ["Metric", "display_name", "squeezed", "visible_weight", "weighted"]
