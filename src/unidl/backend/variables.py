"""Variables: the engine's own, with the few things a layer needs to know about one."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl._state import state


class VariableMixin:
    """Mixed into an engine's variable class.

    A variable *is* a native tensor, so native code takes it as it is; only the operators go through
    `unidl.ops`, so that a trace sees them. State first:

    Attributes:
        name: last part of the path, e.g. ``"kernel"``.
        path: where it sits in its model, e.g. ``"sequential/dense/kernel"``.
        trainable: whether training changes it. On PyTorch this is ``requires_grad``.
        regularizer, constraint: callables or None, applied by the training loop.
        autocast: whether layers that compute in another float dtype read it in that one.
    """

    autocast: bool = True
    _path: str | None = None
    _name: str = "variable"
    regularizer: Any = None
    constraint: Any = None
    overwrite_with_gradient: bool = False
    aggregation: str = "none"
    synchronization: str = "auto"

    @property
    def name(self) -> str:
        return self._name

    @property
    def path(self) -> str:
        return self._path or self._name

    @property
    def value(self) -> Any:
        """The variable itself: it is a native tensor already. In a `StatelessScope` its value there."""
        if state.plain or state.scope is None:
            return self
        from unidl.ops._bind import read_variable

        return read_variable(self)

    def assign(self, value: Any) -> Any:
        """Overwrite with `value`, which must have this variable's shape; cast to its dtype."""
        from unidl.backend import active
        from unidl.ops._bind import prepared_value

        prepared = prepared_value(self, value)
        if state.scope is not None:
            state.scope.add_update((self, prepared))
        elif state.trace is not None:
            state.trace.assign(self, prepared)
        else:
            active.assign(self, prepared)
        return self

    def assign_add(self, value: Any) -> Any:
        """Add `value` in place."""
        return self._moved("add", value)

    def assign_sub(self, value: Any) -> Any:
        """Subtract `value` in place."""
        return self._moved("subtract", value)

    def _moved(self, op: str, value: Any) -> Any:
        """Assign what `op` gives, computed in the variable's own dtype also where layers compute in another."""
        from unidl import ops

        previous, state.autocast = state.autocast, None
        try:
            return self.assign(getattr(ops, op)(self, value))
        finally:
            state.autocast = previous

    def numpy(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """The value on the host: a copy, since the variable changes in place."""
        from unidl.backend import active

        if state.trace is not None:
            from unidl.errors import UntraceableError

            raise UntraceableError(f"The value of variable {self.path!r} was asked for during a trace.")
        return np.array(active.to_numpy(self if state.scope is None else state.scope.get(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """For NumPy: the value, as `numpy` gives it."""
        value = self.numpy()
        return value if dtype is None else value.astype(dtype, copy=False)


class _VariableMeta(type):
    def __instancecheck__(cls, value: object) -> bool:
        from unidl.backend import active

        return isinstance(value, active.Variable)

    def __getattr__(cls, name: str) -> Any:
        from unidl.backend import active

        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(active.Variable, name)  # its instances are instances of that


class Variable(metaclass=_VariableMeta):
    """A tensor that can change: an instance of the engine's own variable class.

    Args:
        initializer: array-like, or a callable ``(shape, dtype)``, or the name of an initializer.
        shape: tuple of ints; needed with a callable or a name.
        dtype: dtype name; by default that of an array, else the default float.
        trainable: whether training changes it.
        name: its name in messages and files.
    """

    def __new__(
        cls,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = None,
        layout: Any = None,
        **kwargs: Any,
    ) -> Any:
        from unidl import initializers
        from unidl.backend import active
        from unidl.dtypes import dtype_name
        from unidl.ops._bind import host_array

        postponed = False
        if callable(initializer) or isinstance(initializer, (str, dict)):
            if shape is None:
                raise ValueError("Variable(initializer=<callable>) needs `shape`.")
            dtype = dtype_name(dtype)
            shape = tuple(int(d) for d in shape)
            initializer = initializers.get(initializer)
            value = None if state.allowance is None else state.allowance.first_value(initializer, shape, dtype)
            postponed = value is not None
            if value is None:
                value = initializers.host_value(initializer, shape, dtype)
        else:
            value = host_array(initializer, None if dtype is None else dtype_name(dtype))
            if shape is not None and tuple(shape) != value.shape:
                raise ValueError(f"Variable: `shape` is {tuple(shape)}, but the value has shape {value.shape}.")
        variable: Any = active.make_variable(value, trainable=trainable, name=name or "variable")
        if postponed and state.allowance is not None:
            state.allowance.postpone(variable, initializer, shape, dtype)
        if state.names:
            variable._path = "/".join((*state.names, variable.name))
        variable.aggregation, variable.synchronization = aggregation, synchronization
        if not autocast:
            variable.autocast = False
        return variable


def _operators() -> None:
    """Give the mixin operators that go through `unidl.ops`."""
    binary = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
        "floordiv": "floor_divide", "mod": "mod", "matmul": "matmul",
    }  # fmt: skip
    compare = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}

    def forward(op: str) -> Any:
        def method(self: Any, other: Any) -> Any:
            from unidl import ops

            return getattr(ops, op)(self, other)

        return method

    def backward(op: str) -> Any:
        def method(self: Any, other: Any) -> Any:
            from unidl import ops

            return getattr(ops, op)(other, self)

        return method

    def unary(op: str) -> Any:
        def method(self: Any) -> Any:
            from unidl import ops

            return getattr(ops, op)(self)

        return method

    for python, op in {**binary, **compare}.items():
        setattr(VariableMixin, f"__{python}__", forward(op))
    for python, op in binary.items():
        setattr(VariableMixin, f"__r{python}__", backward(op))
    for python, op in {"neg": "negative", "abs": "absolute"}.items():
        setattr(VariableMixin, f"__{python}__", unary(op))

    def rounded(self: Any, ndigits: int | None = None) -> Any:
        from unidl import ops

        return ops.round(self, ndigits or 0)

    setattr(VariableMixin, "__round__", rounded)  # noqa: B010

    def getitem(self: Any, key: Any) -> Any:
        from unidl import ops

        return ops.getitem(self, key)

    setattr(VariableMixin, "__getitem__", getitem)  # noqa: B010  (mypy takes the plain form for a generic)


_operators()
