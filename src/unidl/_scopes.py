"""What holds for the code inside a ``with``: other values of variables, names, a device, symbolic computing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from unidl._state import state
from unidl.backend import active


class StatelessScope:
    """Inside of it variables have the values that it was given, and assigning to one changes only what the scope knows.

    So code with state, such as a layer's call, becomes a function of the state. Everything made of `unidl.ops` sees
    the scope's values, and so do `variable.value`, `ops.convert_to_tensor(variable)` and `variable.numpy()`. Code of
    the engine that takes a variable as its own tensor sees the variable itself. Variables made inside are ordinary
    ones.

    Args:
        state_mapping: pairs (variable, value), or a dict of them by variable; the others start as they are.
        collect_losses: whether what layers add with `add_loss` is kept in `losses`.
        initialize_variables: accepted as in Keras; variables have values from the start here.

    Attributes:
        losses: what was added, if that was asked for.

    Raises:
        ValueError: if a key is no variable, or a value has another shape than its variable.

    Example:
        >>> import unidl
        >>> from unidl import ops
        >>> v = unidl.Variable([1.0, 2.0])
        >>> with unidl.StatelessScope([(v, ops.array([10.0, 20.0]))]) as scope:
        ...     v.assign_add(ops.ones((2,)))
        ...     doubled = v * 2.0
        <...>
        >>> print(ops.convert_to_numpy(doubled), v.numpy())
        [22. 42.] [1. 2.]
        >>> print(ops.convert_to_numpy(scope.get_current_value(v)))
        [11. 21.]
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Any, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ) -> None:
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.losses: list[Any] = []
        self._values: dict[int, tuple[Any, Any]] = {}
        self._outer: StatelessScope | None = None
        from unidl.ops._bind import prepared_value

        pairs = state_mapping.items() if isinstance(state_mapping, dict) else state_mapping or ()
        for variable, value in pairs:
            if not isinstance(variable, active.Variable):
                raise ValueError(
                    "StatelessScope: `mapping` gives values to Variables, but one of its keys is "
                    f"{variable!r} ({type(variable).__name__})."
                )
            try:
                self._values[id(variable)] = variable, prepared_value(variable, value)
            except ValueError as error:
                raise ValueError(
                    f"StatelessScope: a value in `mapping` does not have the shape of its variable. {error}"
                ) from None

    def __enter__(self) -> StatelessScope:
        self._outer, state.scope = state.scope, self
        return self

    def __exit__(self, *error: Any) -> None:
        state.scope = self._outer

    def get_current_value(self, variable: Any) -> Any:
        """The value of `variable` in this scope: what was assigned last, else what was given; None if nothing was."""
        found = self._values.get(id(variable))
        return None if found is None else found[1]

    def get(self, variable: Any) -> Any:
        """What ops read as `variable`: its value in this scope or the one around it, else the variable itself."""
        scope: StatelessScope | None = self
        while scope is not None:
            if (found := scope._values.get(id(variable))) is not None:
                return found[1]
            scope = scope._outer
        return variable

    def assigned(self) -> list[tuple[Any, Any]]:
        """The variables that the scope knows, those that it was given included, each with its value."""
        return list(self._values.values())

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Take the pair (variable, value): `variable` has this value in the scope from now on."""
        self._values[id(update[0])] = update[0], update[1]

    def add_loss(self, loss: Any) -> None:
        """Keep `loss` in `losses`."""
        self.losses.append(loss)


class SymbolicScope:
    """Marks code that is run for its shapes and dtypes only, so that it can ask and leave out what costs time.

    Ops compute as ever inside of it; `SymbolicScope.active` says whether some scope is entered in this thread.

    Example:
        >>> import unidl
        >>> with unidl.SymbolicScope():
        ...     unidl.SymbolicScope.active()
        True
    """

    def __enter__(self) -> SymbolicScope:
        state.symbolic += 1
        return self

    def __exit__(self, *error: Any) -> None:
        state.symbolic -= 1

    @staticmethod
    def active() -> bool:
        """Whether code runs for its shapes only: in a `SymbolicScope`, or while a graph is recorded."""
        return bool(state.symbolic) or state.trace is not None


class name_scope:
    """Variables made inside of it have `name` before their own names in their paths.

    Args:
        name: without "/".
        caller: who enters it: a scope that the same caller enters inside its own, under the same name, adds nothing.
        deduplicate: whether that is so.
        override_parent: a path that stands in place of the scopes around.

    Example:
        >>> import unidl
        >>> with unidl.name_scope("encoder"):
        ...     print(unidl.Variable(1.0, name="scale").path)
        encoder/scale
    """

    def __init__(
        self, name: str, caller: Any = None, deduplicate: bool = True, override_parent: str | None = None
    ) -> None:
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"name_scope: `name` must be a string without '/', not {name!r}.")
        self.name = name
        self.caller = caller
        self.deduplicate = deduplicate
        self.override_parent = override_parent
        self._outer: tuple[tuple[str, ...], Any] | None = None

    def __enter__(self) -> name_scope:
        self._outer = state.names, state.namer
        around = state.names
        if self.override_parent is not None:
            around = tuple(part for part in self.override_parent.split("/") if part)
        same = self.caller is not None and state.namer is self.caller and around[-1:] == (self.name,)
        if not (self.deduplicate and same):
            state.names = (*around, self.name)
        state.namer = self.caller
        return self

    def __exit__(self, *error: Any) -> None:
        if self._outer is not None:
            state.names, state.namer = self._outer


def device(device_name: str) -> contextlib.AbstractContextManager[Any]:
    """A context manager: tensors and variables made inside of it are on that device.

    Args:
        device_name: ``"cpu"``, ``"gpu:1"``, or the engine's own name for one, such as ``"cuda:0"``.

    Raises:
        ValueError: if it is no string, or the backend has no such device.

    Example:
        >>> import unidl
        >>> with unidl.device("cpu"):
        ...     x = unidl.ops.ones((2,))
    """
    if not isinstance(device_name, str):
        raise ValueError(f"device: `device_name` must be a string such as 'cpu:0', not {device_name!r}.")
    kind, _, number = device_name.lower().partition(":")
    name = f"{'gpu' if kind == 'cuda' else kind}:{number or 0}"
    if name not in active.devices():
        raise ValueError(
            f"device: the {active.name} backend has no device {device_name!r}; there are {active.devices()}."
        )
    return active.device(name)


__all__ = ["StatelessScope", "SymbolicScope", "device", "name_scope"]
