"""`Metric`: numbers that accumulate on the device until somebody asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unidl import dtypes, ops
from unidl._objects import Configurable, snake_case
from unidl.backend import active


class Metric(Configurable):
    """A running value over batches.

    Subclasses make variables in the constructor with `add_variable`, change them in `update_state`
    with `unidl.ops` (so that training records it), and compute the value in `result`.

    Args:
        dtype: dtype of the state, or a dtype policy; None: the default float.
        name: shown in logs.
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self._name = name or snake_case(type(self).__name__)
        self._dtype = dtypes.dtype_name(getattr(dtype, "compute_dtype", dtype))
        self._variables: list[Any] = []

    @property
    def name(self) -> str:
        """What logs call it."""
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def dtype(self) -> str:
        """The dtype of the state."""
        return self._dtype

    @property
    def variables(self) -> list[Any]:
        """The state, with that of metrics among the attributes."""
        from unidl.backend.variables import Variable

        found = list(self._variables)
        known = {id(v) for v in found}
        for value in (v for attribute in vars(self).values() for v in _contents(attribute)):
            own = value.variables if isinstance(value, Metric) else [value] if isinstance(value, Variable) else []
            found += [v for v in own if id(v) not in known]
            known.update(id(v) for v in own)
        return found

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

        if not hasattr(self, "_variables"):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before add_variable.")
        variable = Variable(
            "zeros" if initializer is None else initializer, tuple(shape), dtype or self.dtype, trainable=False,
            aggregation=aggregation, name=name or "state",
        )  # fmt: skip
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
        for variable in self.variables:
            variable.assign(ops.zeros_like(variable))

    def state_dict(self) -> dict[str, Any]:
        """The state, for `unidl.saving.Checkpoint`."""
        return {str(i): active.to_numpy(v).copy() for i, v in enumerate(self.variables)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned."""
        for i, variable in enumerate(self.variables):
            variable.assign(state[str(i)])

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take one batch into account."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state.")

    def result(self) -> Any:
        """The present value, a tensor."""
        raise NotImplementedError(f"{type(self).__name__} must define result.")

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """What the state `metric_variables` becomes with one batch more; the metric itself does not change."""
        with self._borrowed(metric_variables):
            self.update_state(*args, **kwargs)
            return [ops.copy(v) for v in self.variables]

    def stateless_result(self, metric_variables: Any) -> Any:
        """The value for the state `metric_variables`; the metric itself does not change."""
        with self._borrowed(metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Any]:
        """The state before the first batch; the metric itself does not change."""
        return [ops.zeros_like(v) for v in self.variables]

    @contextmanager
    def _borrowed(self, values: Any) -> Iterator[None]:
        """The variables hold `values` for a while."""
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"`metric_variables` must have one entry for each of the {len(variables)} variables of "
                f"{type(self).__name__}, not {len(values)}."
            )
        own = [ops.copy(v) for v in variables]
        try:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            yield
        finally:
            for variable, value in zip(variables, own, strict=True):
                variable.assign(value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update, and return the present value."""
        self.update_state(*args, **kwargs)
        return self.result()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _contents(value: Any) -> Iterator[Any]:
    """`value`, or what is in it if it is a list, tuple or dict of anything."""
    if isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _contents(item)
    else:
        yield value


def display_name(fn: Any) -> str:
    """A metric name for a function or object."""
    name = getattr(fn, "name", None) or getattr(fn, "__name__", None) or type(fn).__name__
    return re.sub(r"\W+", "", str(name))


def plain_sizes(what: str, y_true: Any, y_pred: Any) -> int:
    """How many outputs there are: the last dimension of (batch, outputs).

    Raises:
        ValueError: if targets or predictions have another rank, or the number is not known.
    """
    shapes = [tuple(d if isinstance(d, int) else None for d in ops.shape(v)) for v in (y_true, y_pred)]
    if any(len(s) != 2 or s[1] is None for s in shapes):
        raise ValueError(
            f"{what} expects 2D inputs with shape (batch, outputs), the number of outputs known; not targets "
            f"of shape {shapes[0]} and predictions of shape {shapes[1]}."
        )
    return int(shapes[1][1] or 0)
