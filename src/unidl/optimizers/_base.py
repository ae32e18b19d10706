"""What all optimizers share: state, clipping, decay, averages, and how an update is put together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from unidl import ops
from unidl._objects import Configurable, snake_case
from unidl._state import state
from unidl.backend import active
from unidl.backend.variables import Variable
from unidl.errors import UntraceableError
from unidl.optimizers import _transforms
from unidl.optimizers.schedules import LearningRateSchedule
from unidl.saving.objects import plain

Gradients = Sequence[Any]
Apply = Callable[[Gradients], None]


class Optimizer(Configurable):
    """Changes variables by their gradients. Subclasses define `slot_names` and `update_step`.

    Args:
        learning_rate: a number, or a schedule: a function of `iterations`.
        weight_decay: before each update variables are multiplied by ``1 - learning_rate * weight_decay``.
        clipnorm: greatest norm of each gradient.
        clipvalue: greatest absolute value of each element.
        global_clipnorm: greatest norm of all gradients together. Only one of the three may be given.
        use_ema: keep exponential moving averages of the variables.
        ema_momentum: how much of an average one step keeps.
        ema_overwrite_frequency: after so many steps, again and again, the averages are copied into the
            variables; None: only by `finalize_variable_values`.
        name: for messages and the names of variables.

    Attributes:
        slots: slot name to a list of variables, parallel to the variables being trained.
        iterations: how many updates have been made (an int32 variable).
        kernel: the name of the engine's fused kernel that does what `update_step` does, if any.
    """

    kernel: ClassVar[str | None] = None

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        if kwargs:
            raise TypeError(f"{kind} does not take {sorted(kwargs)}.")
        for what, value in (
            ("loss_scale_factor", loss_scale_factor),
            ("gradient_accumulation_steps", gradient_accumulation_steps),
        ):
            if value not in (None, 1):
                raise ValueError(f"{kind}: `{what}` must be None: unidl has no such thing yet.")
        _transforms.check_clipping(kind, clipnorm, clipvalue, global_clipnorm)
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"{kind}: `ema_momentum` must be from 0 to 1, not {ema_momentum}.")
        if ema_overwrite_frequency is not None and (not use_ema or ema_overwrite_frequency < 1):
            raise ValueError(f"{kind}: `ema_overwrite_frequency` must be at least 1, and goes with use_ema=True.")
        if weight_decay is not None and weight_decay < 0:
            raise ValueError(f"{kind}: `weight_decay` must be at least 0, not {weight_decay}.")
        self.name = name or snake_case(kind)
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor, self.gradient_accumulation_steps = loss_scale_factor, gradient_accumulation_steps
        self.built = False
        self.slots: dict[str, list[Any]] = {}
        self._trained: list[Any] = []
        self._index: dict[int, int] = {}
        self._added: list[Any] = []
        self._excluded: tuple[set[int], tuple[str, ...]] = (set(), ())
        self._updaters: dict[tuple[int, ...], Apply] = {}
        self._warned: set[tuple[str, ...]] = set()
        self._schedule: LearningRateSchedule | None = None
        if isinstance(learning_rate, dict):
            from unidl.optimizers import schedules

            learning_rate = schedules.deserialize(learning_rate)
        if isinstance(learning_rate, LearningRateSchedule):
            self._schedule = learning_rate
            start = float(active.to_numpy(ops.convert_to_tensor(learning_rate(np.int32(0)), "float32")))
        else:
            start = _number(learning_rate, kind)
        self.iterations = Variable(np.int32(0), trainable=False, name="iterations")
        self.iterations._path = f"{self.name}/iterations"
        self._rate = Variable(np.float32(start), trainable=False, name="learning_rate")
        self._rate._path = f"{self.name}/learning_rate"

    # -- learning rate ----------------------------------------------------------------------

    @property
    def learning_rate(self) -> Any:
        """The present learning rate: a float32 variable. Assign a number to change it.

        Raises:
            TypeError: on assignment, if a schedule decides.
        """
        if self._schedule is not None:
            self._refresh_rate()
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule):
            if self._updaters:
                raise RuntimeError(
                    f"Optimizer {self.name!r} is in use: a schedule must be given before training. "
                    "Make a new optimizer with the schedule, and compile the model again."
                )
            self._schedule = value
        elif self._schedule is not None:
            raise TypeError(
                f"Optimizer {self.name!r} has a schedule ({self._schedule!r}), which decides its learning rate."
            )
        else:
            self._rate.assign(_number(value, type(self).__name__))

    def _refresh_rate(self) -> None:
        assert self._schedule is not None
        self._rate.assign(self._schedule(self.iterations))

    # -- state ------------------------------------------------------------------------------

    @property
    def slot_names(self) -> tuple[str, ...]:
        """Names of the variables kept for each trained variable; they start as zeros."""
        return ()

    def build(self, variables: Sequence[Any]) -> None:
        """Make the slots for `variables`. Variables that come later get theirs when they come."""
        names = (*self.slot_names, *(("average",) if self.use_ema else ()))
        for name in names:
            self.slots.setdefault(name, [])
        for variable in variables:
            if id(variable) in self._index:
                continue
            self._index[id(variable)] = len(self._trained)
            self._trained.append(variable)
            for name in names:
                slot = self.add_variable_from_reference(variable, name)
                self._added.pop()
                if name == "average":
                    slot.assign(variable)
                self.slots[name].append(slot)
        self.built = True

    @property
    def variables(self) -> list[Any]:
        """`iterations`, `learning_rate` (unless there is a schedule), and all slots, variable by variable."""
        head = [self.iterations] if self._schedule is not None else [self.iterations, self._rate]
        return head + [v for group in zip(*self.slots.values(), strict=True) for v in group] + self._added

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
        variable = Variable(
            initializer, shape, dtype, trainable=False, aggregation=aggregation, name=name or "variable"
        )
        variable._path = f"{self.name}/{variable.name}"
        self._added.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros"
    ) -> Any:
        """A variable of the shape and dtype of another one."""
        full = f"{reference_variable.path.replace('/', '_')}_{name or 'slot'}"
        shape, dtype = tuple(active.shape(reference_variable)), active.dtype(reference_variable)
        return self.add_variable(shape, initializer, dtype, name=full)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Any], name: str, initializer: Any = "zeros"
    ) -> list[Any]:
        """One such variable for each of `trainable_variables`."""
        return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]

    def slot(self, name: str, variable: Any) -> Any:
        """The slot `name` of `variable`."""
        return self.slots[name][self._get_variable_index(variable)]

    def _get_variable_index(self, variable: Any) -> int:
        try:
            return self._index[id(variable)]
        except KeyError:
            raise ValueError(
                f"Optimizer {self.name!r} was not built for variable {getattr(variable, 'path', variable)!r}."
            ) from None

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite `variables` with arrays.

        Raises:
            ValueError: if their number or a shape differs.
        """
        variables = self.variables
        if len(weights) != len(variables):
            raise ValueError(
                f"Optimizer {self.name!r} has {len(variables)} variables, {len(weights)} arrays were given"
                + ("." if self.built else ": build it for the model's variables first.")
            )
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def save_own_variables(self, store: Any) -> None:
        """Put the state into a dict of arrays, under "0", "1", …, in the order of `variables`."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = active.to_numpy(variable).copy()

    def load_own_variables(self, store: Any) -> None:
        """Take the state that `save_own_variables` wrote, for the same variables."""
        self.set_weights([store[str(i)] for i in range(len(store))])

    # -- updating ---------------------------------------------------------------------------

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable and its slots: the definition of the optimizer, in ops.

        Args:
            learning_rate: 0-d tensor of the variable's dtype.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate).")

    def apply(self, grads: Gradients, trainable_variables: Sequence[Any] | None = None) -> None:
        """Make one update.

        Args:
            grads: one gradient for each variable; None where the loss does not depend on one.
            trainable_variables: those of `build` by default.

        Raises:
            ValueError: if the numbers differ, or all gradients are None.
        """
        if state.trace is not None:
            raise UntraceableError(f"Optimizer {self.name!r} was applied while a graph was being recorded.")
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    f"Optimizer {self.name!r} is not built: pass the variables to apply(), or call build()."
                )
            trainable_variables = self._trained
        grads, trainable_variables = list(grads), list(trainable_variables)
        if len(grads) != len(trainable_variables):
            raise ValueError(
                f"Optimizer {self.name!r} got {len(grads)} gradients for {len(trainable_variables)} variables."
            )
        key = tuple([id(v) for v in trainable_variables])
        if key not in self._updaters:
            self._updaters[key] = self.updater(trainable_variables)
        self._updaters[key](grads)

    def apply_gradients(self, grads_and_vars: Any) -> Any:
        """Make one update by pairs of gradient and variable; returns `iterations`."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self.iterations

    def updater(self, variables: Sequence[Any]) -> Apply:
        """The update of `variables` as one function of their gradients, with every option resolved."""
        variables = list(variables)
        self.build(variables)
        full = self._resolved(variables)
        parts: dict[tuple[int, ...], Apply] = {}

        def apply(gradients: Gradients) -> None:
            if [1 for g in gradients if g is None]:
                present = tuple([i for i, g in enumerate(gradients) if g is not None])
                if present not in parts:
                    self._tell_missing(variables, present)
                    parts[present] = self._resolved([variables[i] for i in present])
                parts[present]([gradients[i] for i in present])
            else:
                full(gradients)

        self._updaters.setdefault(tuple([id(v) for v in variables]), apply)
        return apply

    def _tell_missing(self, variables: list[Any], present: tuple[int, ...]) -> None:
        missing = [v.path for i, v in enumerate(variables) if i not in present]
        if not present:
            raise ValueError(
                f"Optimizer {self.name!r}: no variable has a gradient ({', '.join(missing) or 'none were given'}). "
                "Does the loss depend on them?"
            )
        warnings.warn(f"The loss has no gradient by {', '.join(missing)}: left as they are.", stacklevel=4)

    def _resolved(self, variables: list[Any]) -> Apply:
        """The update of variables that all have gradients: only what the options ask for."""
        if not variables:
            return lambda gradients: self._tell_missing([], ())
        iterations, increment, no_grad = self.iterations, active.increment, active.no_grad
        decayed = [v for v in variables if self._decays(v)]
        fused = len(decayed) == len(variables)
        kernel = self._fused(variables, float(self.weight_decay or 0.0) if fused else 0.0)
        if kernel is not None and fused and self._kernel_name(True) == "adamw":
            decayed = []
        change = _transforms.clipping(self)
        before = [] if self._schedule is None else [self._refresh_rate]
        if decayed:
            before.append(lambda: _transforms.decay(decayed, self._rate, self.weight_decay))
        after = [_transforms.averaging(self, variables)] if self.use_ema else []
        if constrained := [v for v in variables if v.constraint is not None]:
            after.append(lambda: _transforms.constrain(constrained))
        update = kernel or self._plain(variables)
        if kernel is not None and change is None and not before and not after:

            def lean(gradients: Gradients) -> None:
                update(gradients)
                increment(iterations)

            return lean

        def apply(gradients: Gradients) -> None:
            with no_grad():
                if change is not None:
                    gradients = change(gradients)
                for action in before:
                    action()
                update(gradients)
                for action in after:
                    action()
            increment(iterations)

        return apply

    def _kernel_name(self, decays: bool) -> str | None:
        """The kernel to ask the engine for; "adamw" decays weights by itself."""
        return self.kernel

    def _fused(self, variables: list[Any], decay: float) -> Apply | None:
        """The engine's kernel for `variables`, if it has one for a rule that nobody has overridden."""
        defining = next(c for c in type(self).__mro__ if "update_step" in vars(c))
        name = self._kernel_name(decay > 0)
        if name is None or not defining.__module__.startswith("unidl.optimizers."):
            return None
        view = _View(self, variables)
        view.decoupled_decay = decay if name == "adamw" else 0.0
        return active.optimizer_kernel(name, view, variables)  # type: ignore[return-value]

    def _plain(self, variables: list[Any]) -> Apply:
        """The update by `update_step`."""

        def apply(gradients: Gradients) -> None:
            rate = self._rate
            for gradient, variable in zip(gradients, variables, strict=True):
                self.update_step(gradient, variable, ops.cast(rate, active.dtype(variable)))

        return apply

    # -- options ----------------------------------------------------------------------------

    def exclude_from_weight_decay(
        self, var_list: Sequence[Any] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Leave variables out of weight decay: those in `var_list`, and those whose path contains one of `var_names`.

        Raises:
            RuntimeError: once an update has been put together.
        """
        if self._updaters:
            raise RuntimeError(f"Optimizer {self.name!r} is in use: exclude variables before training.")
        self._excluded = ({id(v) for v in var_list or ()}, tuple(var_names or ()))

    def _decays(self, variable: Any) -> bool:
        ids, names = self._excluded
        return bool(self.weight_decay) and id(variable) not in ids and not any(n in variable.path for n in names)

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """With `use_ema`: copy the averages into the variables."""
        if self.use_ema:
            for variable in var_list:
                if id(variable) in self._index:
                    variable.assign(self.slot("average", variable))

    def assign(self, variable: Any, value: Any) -> None:
        """Overwrite a variable: for `update_step`."""
        variable.assign(value)

    def assign_add(self, variable: Any, value: Any) -> None:
        """Add to a variable: for `update_step`."""
        variable.assign(ops.add(variable, value))

    def assign_sub(self, variable: Any, value: Any) -> None:
        """Subtract from a variable: for `update_step`."""
        variable.assign(ops.subtract(variable, value))

    # -- configuration ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Hyperparameters as plain data, with the present learning rate (or the schedule)."""
        from unidl._objects import parameter_names

        config = {n: plain(getattr(self, n), n) for n in parameter_names(type(self)) if n != "learning_rate"}
        for name in parameter_names(Optimizer)[1:]:
            config.setdefault(name, plain(getattr(self, name), name))
        rate = float(active.to_numpy(self._rate)) if self._schedule is None else plain(self._schedule, "schedule")
        return {"learning_rate": rate, **config}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class _View:
    """An optimizer as a kernel for some of its variables sees it: slots parallel to those."""

    decoupled_decay: float

    def __init__(self, optimizer: Optimizer, variables: list[Any]) -> None:
        self._optimizer = optimizer
        self.learning_rate = optimizer._rate
        self.iterations = optimizer.iterations
        places = [optimizer._get_variable_index(v) for v in variables]
        self.slots = {name: [slots[i] for i in places] for name, slots in optimizer.slots.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)


def _number(value: Any, kind: str) -> float:
    """A learning rate given as a number or 0-d tensor."""
    if active.is_tensor(value):
        value = active.to_numpy(value)
    try:
        rate = float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{kind}: `learning_rate` must be a number or a schedule of unidl.optimizers.schedules, not {value!r}."
        ) from None
    if not rate >= 0:
        raise ValueError(f"{kind}: `learning_rate` must be at least 0, not {rate}.")
    return rate
