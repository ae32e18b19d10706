"""How an update is put together: one function of the gradients, with every option resolved beforehand."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from unidl import ops
from unidl._state import state
from unidl.backend import active
from unidl.backend.variables import VariableMixin
from unidl.errors import UntraceableError
from unidl.graph.graph import Graph
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.ops._bind import host_array
from unidl.optimizers import _transforms
from unidl.optimizers._state import OptimizerState, is_overwritten, path_of

Gradients = Sequence[Any]
Apply = Callable[[Gradients], None]


class Updating(OptimizerState):
    """The half of `Optimizer` that changes variables.

    An update goes through these steps, of which only those that the options ask for are there: variables that take
    their gradient as it is; undoing the scale of the loss; gathering gradients; clipping; the schedule; weight decay;
    the rule; moving averages; constraints; counting.

    Attributes:
        kernel: the name of the engine's fused kernel that does what `update_step` does, if any.
    """

    kernel: ClassVar[str | None] = None
    weight_decay: float | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    use_ema: bool
    _rate: Any
    _schedule: Any
    _iterations: Any
    _updates: Any
    _shared: dict[tuple[str, str], Any] | None = None

    @property
    def iterations(self) -> Any:
        """How many updates have been made: an int32 variable, or with gradient accumulation a tensor."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._excluded: tuple[set[int], tuple[str, ...]] = (set(), ())
        self._updaters: dict[tuple[int, ...], Update] = {}

    # -- the rule: what a subclass defines ----------------------------------------------------

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable and its slots: the definition of the optimizer, in ops.

        Args:
            learning_rate: 0-d tensor of the variable's dtype.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate).")

    def begin_update(self) -> None:
        """Called once before the variables of an update are changed: for state that they share."""

    def update_number(self, variable: Any) -> Any:
        """The number of the present update, 1 for the first: a 0-d float, exact whatever the variable's dtype."""
        dtype = "float64" if active.dtype(variable) == "float64" else "float32"
        return self.once_per_update("step", dtype, lambda: ops.cast(ops.add(self.iterations, 1), dtype))

    def once_per_update(self, name: str, dtype: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, made once in each update for all variables of `dtype`: for numbers such as biases."""
        if self._shared is None:  # `update_step` was called on its own
            return make()
        key = (name, dtype)
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def assign(self, variable: Any, value: Any) -> None:
        """Overwrite a variable: for `update_step`."""
        if isinstance(variable, VariableMixin):
            variable.assign(value)
        else:  # one of the engine's own
            active.assign(variable, ops.convert_to_tensor(value, active.dtype(variable)))

    def assign_add(self, variable: Any, value: Any) -> None:
        """Add to a variable: for `update_step`."""
        self.assign(variable, ops.add(variable, value))

    def assign_sub(self, variable: Any, value: Any) -> None:
        """Subtract from a variable: for `update_step`."""
        self.assign(variable, ops.subtract(variable, value))

    # -- updating ---------------------------------------------------------------------------

    def apply(self, grads: Gradients, trainable_variables: Sequence[Any] | None = None) -> None:
        """Make one update; none if `grads` is empty.

        Args:
            grads: one gradient for each variable; None where the loss does not depend on one.
            trainable_variables: those of `build` by default.

        Raises:
            ValueError: if the numbers differ, or all gradients are None.
        """
        if state.trace is not None:
            raise UntraceableError(f"Optimizer {self.name!r} was applied while a graph was being recorded.")
        self._check_constructed()
        if trainable_variables is None:
            if not self.built:
                raise ValueError(
                    f"Optimizer {self.name!r} must be built before gradients come without variables: "
                    "pass the variables to apply(), or call build()."
                )
            trainable_variables = self._trained
        grads, trainable_variables = list(grads), list(trainable_variables)
        if not grads:
            return
        if len(grads) != len(trainable_variables):
            raise ValueError(
                f"Optimizer {self.name!r} got {len(grads)} gradients for {len(trainable_variables)} variables; "
                "they must match one to one."
            )
        self._run([_as_gradient(g, v) for g, v in zip(grads, trainable_variables, strict=True)], trainable_variables)

    def apply_gradients(self, grads_and_vars: Any) -> Any:
        """Make one update by pairs of gradient and variable; returns `iterations`."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def _run(self, gradients: Gradients, variables: Sequence[Any]) -> None:
        """The update of `variables`, put together when it is first wanted."""
        key = tuple([id(v) for v in variables])
        (self._updaters.get(key) or self.updater(variables))(gradients)

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Gradients, trainable_variables: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """What `apply` makes of the given values, while all variables stay as they are.

        Args:
            optimizer_variables: values for `variables`.
            trainable_variables: values for the variables that the optimizer was built for.

        Returns:
            The new values of the trained variables, and those of the optimizer's.

        Raises:
            ValueError: if the optimizer is not built, or a number of values differs.
        """
        kind, own, trained = type(self).__name__, self.variables, self._trained
        if not self.built:
            raise ValueError(f"{kind} must be built before stateless_apply: call build(trainable_variables).")
        for what, given, wanted in (
            ("optimizer_variables", optimizer_variables, own),
            ("trainable_variables", trainable_variables, trained),
        ):
            if len(given) != len(wanted):
                raise ValueError(
                    f"{kind}.stateless_apply: `{what}` has {len(given)} values for {len(wanted)} variables."
                )
        variables, count = [*trained, *own], len(trained)
        before = [ops.copy(v) for v in variables]
        with active.no_grad():
            try:
                for variable, value in zip(variables, [*trainable_variables, *optimizer_variables], strict=True):
                    if value is not variable:
                        self.assign(variable, value)
                self.apply(grads, trained)
                after = [ops.copy(v) for v in variables]
            finally:
                for variable, value in zip(variables, before, strict=True):
                    self.assign(variable, value)
        return after[:count], after[count:]

    # -- putting an update together -----------------------------------------------------------

    def updater(self, variables: Sequence[Any]) -> Update:
        """The update of `variables` as one function of their gradients, with every option resolved."""
        variables = list(variables)
        self._ensure_built(variables)
        update = self._updaters[tuple([id(v) for v in variables])] = Update(self, variables)
        return update

    def _tell_missing(self, variables: list[Any], present: tuple[int, ...]) -> None:
        missing = [path_of(v) for i, v in enumerate(variables) if i not in present]
        if not present:
            raise ValueError(
                f"No gradients provided for any variable that optimizer {self.name!r} was given "
                f"({', '.join(missing) or 'there are none'}). Does the loss depend on them?"
            )
        warnings.warn(
            f"Gradients do not exist for variables {missing}, which are left as they are: the loss does not depend "
            "on them.",
            stacklevel=5,
        )

    def _resolved(self, variables: list[Any]) -> Apply:
        """The update of variables that all have gradients: only what the options ask for."""
        if not variables:
            return lambda gradients: self._tell_missing([], ())
        iterations, increment, no_grad = self._iterations, active.increment, active.no_grad
        ruled = [i for i, v in enumerate(variables) if not is_overwritten(v)]
        direct = [i for i, v in enumerate(variables) if is_overwritten(v)]
        change, is_lean = self._change([variables[i] for i in ruled]) if ruled else (None, False)
        if change is not None and is_lean and not direct:
            return ByKernel(change, iterations)
        overwrite = _transforms.overwriting(self, [variables[i] for i in direct]) if direct else None

        def apply(gradients: Gradients) -> None:
            with no_grad():
                if overwrite is not None:
                    overwrite([gradients[i] for i in direct])
                    gradients = [gradients[i] for i in ruled]
                if change is not None:
                    change(gradients)
            increment(iterations)

        return apply

    def graph(self, variables: Sequence[Any]) -> Graph | None:
        """The update of `variables` as a graph of their gradients, counting included; None if it cannot be recorded.

        It is for engines that compile a whole training step: they fuse its ops as well as a kernel written by hand.
        """
        variables = list(variables)
        self._ensure_built(variables)
        if any(is_overwritten(v) for v in variables):
            return None
        change, _ = self._change(variables, kernels=False)

        def update(*gradients: Any) -> None:
            change(gradients)
            self._iterations.assign(ops.add(self._iterations, 1))

        specs = tuple(TensorSpec(tuple(active.shape(v)), active.dtype(v)) for v in variables)
        try:
            return trace(update, specs, owner=self, name=f"{self.name} update")
        except Exception:  # a rule in native code, say: the plain update says what is wrong, if anything is
            return None

    def _change(self, variables: list[Any], kernels: bool = True) -> tuple[Apply, bool]:
        """What follows the rule, without counting; and whether it is one of the engine's kernels and nothing else."""
        decays = [self._decay_of(v) for v in variables]
        fused = decays[0] if len(set(decays)) == 1 else 0.0
        kernel = self._fused(variables, fused) if kernels else None
        if kernel is not None and fused and self._kernel_name(True) == "adamw":
            decays = [0.0] * len(variables)
        clip = self._clip_gradients if _transforms.clips(self) else None
        before = [] if self._schedule is None else [self._refresh_rate]
        if any(decays):
            pairs = [(v, d) for v, d in zip(variables, decays, strict=True) if d]
            before.append(lambda: _transforms.decay(self, pairs))
        after = [_transforms.averaging(self)] if self.use_ema else []
        if constrained := [v for v in variables if getattr(v, "constraint", None) is not None]:
            after.append(lambda: _transforms.constrain(constrained))
        rule = kernel or self._plain(variables)
        scale, steps = self.loss_scale_factor, self.gradient_accumulation_steps
        if kernel is not None and clip is None and not (before or after or scale or steps):
            return kernel, True

        def update(gradients: Gradients) -> None:
            if clip is not None:
                gradients = clip(gradients)
            for action in before:
                action()
            rule(gradients)

        gathered = _transforms.accumulating(self, variables, update) if steps else update

        def change(gradients: Gradients) -> None:
            if scale is not None:
                gradients = [ops.divide(g, float(scale)) for g in gradients]
            gathered(gradients)
            for action in after:
                action()

        return change, False

    def _kernel_name(self, decays: bool) -> str | None:
        """The kernel to ask the engine for; "adamw" decays weights by itself."""
        return self.kernel

    def _fused(self, variables: list[Any], decay: float) -> Apply | None:
        """The engine's kernel for `variables`, if it has one for a rule that nobody has overridden."""
        defining = next(c for c in type(self).__mro__ if "update_step" in vars(c))
        name = self._kernel_name(decay > 0)
        if name is None or not defining.__module__.startswith("unidl.optimizers."):
            return None
        if not all(isinstance(v, VariableMixin) for v in variables):
            return None
        view = _View(self, variables)
        view.decoupled_decay = decay if name == "adamw" else 0.0
        return active.optimizer_kernel(name, view, variables)  # type: ignore[return-value]

    def _plain(self, variables: list[Any]) -> Apply:
        """The update by `update_step`."""

        def apply(gradients: Gradients) -> None:
            rate = self._rate
            self._shared = {}
            try:
                self.begin_update()
                for gradient, variable in zip(gradients, variables, strict=True):
                    self.update_step(gradient, variable, ops.cast(rate, active.dtype(variable)))
            finally:
                self._shared = None

        return apply

    def _clip_gradients(self, gradients: Gradients) -> Gradients:
        """`gradients`, clipped as the options say."""
        return _transforms.clipped(self, [ops.convert_to_tensor(g) for g in gradients])

    def _refresh_rate(self) -> None:
        raise NotImplementedError

    def _decay_of(self, variable: Any) -> float:
        """The factor by which `variable` decays; 0 if it does not."""
        raise NotImplementedError


class ByKernel:
    """An update by one of the engine's kernels, and counting."""

    def __init__(self, kernel: Apply, iterations: Any) -> None:
        self._kernel, self._iterations, self._increment = kernel, iterations, active.increment

    def __call__(self, gradients: Gradients) -> None:
        self._kernel(gradients)
        self._increment(self._iterations)


class Update:
    """The update of some variables as one function of their gradients.

    Attributes:
        slots: lists parallel to the variables, by name, if one of the engine's kernels does it all; else None.
    """

    def __init__(self, optimizer: Updating, variables: list[Any]) -> None:
        self._optimizer, self._variables = optimizer, variables
        self._full = optimizer._resolved(variables)
        self._parts: dict[tuple[int, ...], Apply] = {}
        self.slots = _View(optimizer, variables).slots if isinstance(self._full, ByKernel) else None

    def __call__(self, gradients: Gradients) -> None:
        if [1 for g in gradients if g is None]:
            variables, present = self._variables, tuple([i for i, g in enumerate(gradients) if g is not None])
            if present not in self._parts:
                self._optimizer._tell_missing(variables, present)
                self._parts[present] = self._optimizer._resolved([variables[i] for i in present])
            self._parts[present]([gradients[i] for i in present])
        else:
            self._full(gradients)


class _View:
    """An optimizer as a kernel for some of its variables sees it: slots parallel to those."""

    decoupled_decay: float

    def __init__(self, optimizer: Updating, variables: list[Any]) -> None:
        self._optimizer = optimizer
        self.learning_rate = optimizer._rate
        self.iterations = optimizer._updates if optimizer.gradient_accumulation_steps else optimizer._iterations
        places = [optimizer._get_variable_index(v) for v in variables]
        self.slots = {name: [slots[i] for i in places] for name, slots in optimizer.slots.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)


def _as_gradient(gradient: Any, variable: Any) -> Any:
    """`gradient` as a tensor of the variable's dtype: users may give arrays, or the engine's sparse gradients."""
    if gradient is None or (type(gradient) in active.tensor_types and gradient.dtype == variable.dtype):
        return gradient
    dtype = active.dtype(variable)
    if not active.is_tensor(gradient):
        known = isinstance(gradient, (np.ndarray, np.generic, list, tuple, int, float))
        gradient = host_array(gradient, dtype) if known else active.to_tensor(gradient)  # what only the engine knows
    return ops.convert_to_tensor(gradient, dtype)
