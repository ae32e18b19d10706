"""What an optimizer holds: its variables, and how they are made, found, saved and restored."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from unidl._objects import Configurable
from unidl.backend import active
from unidl.backend.variables import Variable


class OptimizerState(Configurable, active.Tracked):  # type: ignore[name-defined,misc]
    """The half of `Optimizer` that keeps variables.

    Attributes:
        name: for messages and the names of variables.
        built: whether there are slots.
        slots: slot name to a list parallel to the variables being trained; None for those that have no such slot.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.built = False
        self.slots: dict[str, list[Any]] = {}
        self._variables: list[Any] = []
        self._trained: list[Any] = []
        self._index: dict[int, int] = {}
        self._pending: dict[str, Any] | None = None

    # -- what subclasses define -------------------------------------------------------------

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept for each trained variable; they start as zeros."""
        return ()

    @property
    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """`slot_names` in the order of the state: each group is made for all variables before the next one."""
        return (self.slot_names,)

    def make_slot(self, name: str, variable: Any) -> Any:
        """The slot `name` of `variable`, None for none: override where zeros of its shape will not do."""
        return self.add_variable_from_reference(variable, name)

    def _common_slots(self) -> tuple[str, ...]:
        """Names of the slots that options ask for, whatever the rule: made before the others."""
        return ()

    # -- building ---------------------------------------------------------------------------

    def build(self, variables: Sequence[Any]) -> None:
        """Make the slots for `variables`. Variables that come later get theirs when they come."""
        self._check_constructed()
        new = [v for v in variables if id(v) not in self._index]
        for variable in new:
            self._index[id(variable)] = len(self._trained)
            self._trained.append(variable)
        for name in self._common_slots():
            self._add_common(name, new)
        for group in self.slot_groups:
            for variable in new:
                for name in group:
                    self._put(name, variable, None if is_overwritten(variable) else self.make_slot(name, variable))
        self.built = True

    def _add_common(self, name: str, variables: Sequence[Any]) -> None:
        for variable in variables:
            if name == "average" and is_overwritten(variable):
                continue
            slot = self.add_variable_from_reference(variable, name)
            if name == "average":
                slot.assign(variable)
            self._put(name, variable, slot)

    def _put(self, name: str, variable: Any, slot: Any) -> None:
        slots = self.slots.setdefault(name, [])
        slots += [None] * (len(self._trained) - len(slots))
        slots[self._index[id(variable)]] = slot

    def _check_constructed(self) -> None:
        if "_variables" not in vars(self):
            kind = type(self).__name__
            raise RuntimeError(f"{kind}: call super().__init__(learning_rate, …) first in {kind}.__init__.")

    def _ensure_built(self, variables: Sequence[Any]) -> None:
        """Have slots for `variables`, with the values that were loaded before there were any.

        Raises:
            ValueError: if a class with a `build` of its own was built for other variables.
        """
        unknown = [v for v in variables if id(v) not in self._index]
        if not unknown and self.built and self._pending is None and set(self._common_slots()) <= set(self.slots):
            return
        with active.at_once():
            self._complete(variables, unknown)

    def _complete(self, variables: Sequence[Any], unknown: list[Any]) -> None:
        if not self.built:
            self.build(variables)
            self.built = True
        elif unknown:
            if not type(self).build.__module__.startswith("unidl."):
                raise ValueError(
                    f"Unknown variable {path_of(unknown[0])!r}: optimizer {self.name!r} was built for "
                    f"{[path_of(v) for v in self._trained]}. Make a new optimizer, and build it for all variables."
                )
            self.build(variables)
        for name in self._common_slots():
            if name not in self.slots:  # the option was set later
                self._add_common(name, self._trained)
        if self._pending is not None:
            store, self._pending = self._pending, None
            self.load_own_variables(store)

    def _hold(self, variable: Any) -> None:
        """Take a variable into the state."""
        if id(variable) not in self._index and all(v is not variable for v in self._variables):
            self._variables.append(variable)

    def _release(self, variable: Any) -> None:
        self._variables = [v for v in self._variables if v is not variable]

    # -- making variables -------------------------------------------------------------------

    @property
    def variables(self) -> list[Any]:
        """The whole state: the count of updates, the learning rate (unless it is computed), and all slots."""
        return list(self._variables)

    def add_variable(
        self,
        shape: Any,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Any:
        """A variable that belongs to the optimizer's state."""
        self._check_constructed()
        variable = Variable(
            initializer, shape, dtype, trainable=False, aggregation=aggregation, name=name or "variable"
        )
        variable._path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros"
    ) -> Any:
        """A variable of the shape and dtype of another one."""
        full = f"{path_of(reference_variable).replace('/', '_')}_{name or 'var'}"
        shape, dtype = tuple(active.shape(reference_variable)), active.dtype(reference_variable)
        return self.add_variable(shape, initializer, dtype, name=full)

    def add_optimizer_variables(self, trainable_variables: Sequence[Any], name: Any, initializer: Any = "zeros") -> Any:
        """One such variable for each of `trainable_variables`; None for one that is overwritten with its gradient.

        Args:
            name: a name, or a list of names.
            initializer: one for all, or one for each name.

        Returns:
            A list; for a list of names a tuple of lists.
        """
        names = [name] if isinstance(name, str) else list(name)
        many = isinstance(initializer, (list, tuple))
        initializers = list(initializer) if many else [initializer] * len(names)
        if len(initializers) != len(names):
            raise ValueError(
                f"add_optimizer_variables: the number of initializers ({len(initializers)}) must match the number of "
                f"names, {names}."
            )
        made: tuple[list[Any], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for column, own, start in zip(made, names, initializers, strict=True):
                skipped = is_overwritten(variable)
                column.append(None if skipped else self.add_variable_from_reference(variable, own, start))
        return made[0] if isinstance(name, str) else made

    # -- finding ----------------------------------------------------------------------------

    def slot(self, name: str, variable: Any) -> Any:
        """The slot `name` of `variable`."""
        return self.slots[name][self._get_variable_index(variable)]

    def _get_variable_index(self, variable: Any) -> int:
        try:
            return self._index[id(variable)]
        except KeyError:
            raise ValueError(f"Optimizer {self.name!r} was not built for variable {path_of(variable)!r}.") from None

    # -- saving and restoring ---------------------------------------------------------------

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite `variables` with arrays.

        Raises:
            ValueError: if there are no slots yet, or a number or a shape differs.
        """
        variables = self.variables
        if not self.built:
            raise ValueError(
                f"You are calling set_weights() on optimizer {self.name!r}, which has no state to set yet: "
                "call build(model.trainable_variables) first."
            )
        if len(weights) != len(variables):
            raise ValueError(
                f"Optimizer {self.name!r} has {len(variables)} variables, {len(weights)} arrays were given."
            )
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def save_own_variables(self, store: Any) -> None:
        """Put the state into a dict of arrays, under "0", "1", …, in the order of `variables`."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = active.to_numpy(variable).copy()

    def load_own_variables(self, store: Any) -> None:
        """Take the state that `save_own_variables` wrote, for the same variables.

        Before `build` the arrays are kept, and used once there are slots. A state of another number of variables is
        left alone, with a warning.
        """
        if not self.built:
            self._pending = {name: store[name] for name in store}
            return
        if len(store) != len(self.variables):
            warnings.warn(
                f"Skipping the state of optimizer {self.name!r}: it has {len(self.variables)} variables, "
                f"and {len(store)} were saved.",
                stacklevel=2,
            )
            return
        self.set_weights([store[str(i)] for i in range(len(store))])

    def state_dict(self) -> dict[str, Any]:
        """The state as `save_own_variables` puts it, for `unidl.saving.Checkpoint`."""
        store: dict[str, Any] = {}
        self.save_own_variables(store)
        return store

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The same as `load_own_variables`."""
        self.load_own_variables(state)

    def __reduce__(self) -> Any:
        """Copies and pickles are made of the configuration and the state."""
        return _restored, (type(self), self.get_config(), self.state_dict() if self.built else None)


def _restored(cls: Any, config: dict[str, Any], store: dict[str, Any] | None) -> Any:
    optimizer = cls.from_config(config)
    if store is not None:
        optimizer.load_own_variables(store)
    return optimizer


def is_overwritten(variable: Any) -> bool:
    """Whether the variable takes its gradient as its new value, as scales of 8-bit floats do."""
    return bool(getattr(variable, "overwrite_with_gradient", False))


def path_of(variable: Any) -> str:
    """The path of a variable; the name of one that is not unidl's."""
    return str(getattr(variable, "path", None) or getattr(variable, "name", None) or "variable")
