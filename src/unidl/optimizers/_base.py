"""`Optimizer`: its options, its learning rate, its configuration."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import initializers, ops
from unidl._objects import parameter_names
from unidl.backend import active
from unidl.backend.variables import Variable
from unidl.optimizers import _transforms
from unidl.optimizers._updating import Updating
from unidl.optimizers.schedules import LearningRateSchedule
from unidl.saving.objects import plain

_OWN = frozenset({"_iterations", "_rate", "_updates"})


class Optimizer(Updating):
    """Changes variables by their gradients. Subclasses define `slot_names` and `update_step`.

    Args:
        learning_rate: a number, a schedule (a function of the number of updates), or a function without arguments.
        weight_decay: before each update variables are multiplied by ``1 - learning_rate * weight_decay``.
        clipnorm: greatest norm of each gradient.
        clipvalue: greatest absolute value of each element.
        global_clipnorm: greatest norm of all gradients together. Only one of the three may be given.
        use_ema: keep exponential moving averages of the variables.
        ema_momentum: how much of an average one step keeps.
        ema_overwrite_frequency: after so many updates, again and again, the averages are copied into the
            variables; None: only by `finalize_variable_values`.
        loss_scale_factor: by which `scale_loss` multiplies and gradients are divided, so that small gradients are not
            lost in float16.
        gradient_accumulation_steps: update at every so many-th call only, by the mean of the gradients since. Schedules
            count calls; moving averages count updates.
        name: for messages and the names of variables.

    Attributes:
        iterations: how many updates have been made.

    Options may be changed while training; what has been compiled is then put together anew.

    Example:
        >>> import unidl
        >>> class Signs(unidl.optimizers.Optimizer):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         self.assign_sub(variable, learning_rate * unidl.ops.sign(gradient))
        >>> weight = unidl.Variable([1.0, 2.0])
        >>> Signs(0.5).apply([unidl.ops.array([3.0, -4.0])], [weight])
        >>> print(unidl.ops.convert_to_numpy(weight))
        [0.5 2.5]
    """

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
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                f"{kind}: `decay` has no effect. Give `learning_rate` a schedule such as "
                "unidl.optimizers.schedules.InverseTimeDecay.",
                stacklevel=3,
            )
        if kwargs:
            raise ValueError(f"{kind} does not take {sorted(kwargs)}: argument(s) not recognized.")
        _transforms.check_clipping(kind, clipnorm, clipvalue, global_clipnorm)
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"{kind}: `ema_momentum` must be from 0 to 1, not {ema_momentum}.")
        _check_steps(kind, use_ema, ema_overwrite_frequency, gradient_accumulation_steps)
        if weight_decay is not None and weight_decay < 0:
            raise ValueError(f"{kind}: `weight_decay` must be at least 0, not {weight_decay}.")
        if loss_scale_factor is not None and not loss_scale_factor > 0:
            raise ValueError(f"{kind}: `loss_scale_factor` must be above 0, not {loss_scale_factor}.")
        super().__init__(name or _automatic_name(kind))
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor, self.gradient_accumulation_steps = loss_scale_factor, gradient_accumulation_steps
        if isinstance(learning_rate, dict):
            from unidl.optimizers import schedules

            learning_rate = schedules.deserialize(learning_rate)
        self._schedule = learning_rate if callable(learning_rate) and not active.is_tensor(learning_rate) else None
        rate = 0.0 if self._schedule is not None else _number(learning_rate, kind)
        self._iterations = self.add_variable((), dtype="int32", name="iteration")
        self._rate = self.add_variable((), initializers.Constant(rate), "float32", name="learning_rate")
        if self._schedule is not None:
            self._release(self._rate)
        # How many updates there were, for kernels: no state of its own, since it follows from the count of calls.
        self._updates = Variable(np.int32(0), trainable=False, name="updates")

    # -- learning rate ----------------------------------------------------------------------

    @property
    def learning_rate(self) -> Any:
        """The present learning rate: a float32 variable. Assign a number, a schedule or a function to change it.

        Raises:
            TypeError: on assignment of a number, if a schedule decides.
        """
        if self._schedule is not None:
            self._refresh_rate()
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(value) and not active.is_tensor(value):
            self._schedule = value
            self._release(self._rate)
            self._changed()
        elif self._schedule is not None:
            raise TypeError(
                f"Optimizer {self.name!r} has a schedule ({self._schedule!r}), which decides its learning rate: "
                "make the optimizer with a number to set it."
            )
        else:
            self._rate.assign(_number(value, type(self).__name__))

    def _refresh_rate(self) -> None:
        schedule = self._schedule
        rate = schedule(self._iterations) if isinstance(schedule, LearningRateSchedule) else schedule()
        self._rate.assign(ops.cast(rate, "float32"))

    def scale_loss(self, loss: Any) -> Any:
        """`loss` times `loss_scale_factor`: what gradients are taken of in mixed precision; `apply` undoes it."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # -- options ----------------------------------------------------------------------------

    def exclude_from_weight_decay(
        self, var_list: Sequence[Any] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Leave variables out of weight decay: those in `var_list`, and those whose names contain one of `var_names`.

        The names are regular expressions. They are looked for in ``variable.name``, e.g. "bias", not in the path.
        """
        self._excluded = ({id(v) for v in var_list or ()}, tuple(var_names or ()))
        self._changed()

    def _decay_of(self, variable: Any) -> float:
        return 0.0 if self._is_excluded(variable) else float(self.weight_decay or 0.0)

    def _is_excluded(self, variable: Any) -> bool:
        ids, patterns = self._excluded
        name = str(getattr(variable, "name", ""))
        return id(variable) in ids or any(re.search(p, name) for p in patterns)

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """With `use_ema`: copy the averages into the variables."""
        if self.use_ema:
            for variable in var_list:
                if id(variable) in self._index and (average := self.slot("average", variable)) is not None:
                    self.assign(variable, average)

    def _common_slots(self) -> tuple[str, ...]:
        options = (("average", self.use_ema), ("gradient_accumulator", self.gradient_accumulation_steps))
        return tuple(name for name, wanted in options if wanted)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, active.Variable):
            if name not in _OWN:
                self._hold(value)
        elif vars(self).get("_updaters") and name in _options(type(self)):  # type: ignore[arg-type]
            self._changed()

    def _changed(self) -> None:
        """Have updates, and the steps of models that contain them, put together anew."""
        if self._updaters:
            from unidl.layers._base import structure

            self._updaters.clear()
            structure["version"] += 1

    # -- configuration ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Hyperparameters as plain data, with the present learning rate (or the schedule)."""
        names = [*parameter_names(Optimizer), *parameter_names(type(self))]
        config = {n: plain(getattr(self, n), n) for n in names if n != "learning_rate" and hasattr(self, n)}
        rate = float(active.to_numpy(self._rate)) if self._schedule is None else plain(self._schedule, "schedule")
        return {"learning_rate": rate, **config}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The optimizer that `get_config` described, without its state."""
        from unidl.optimizers import schedules

        rate = config.get("learning_rate")
        if isinstance(rate, dict):
            config = {**config, "learning_rate": schedules.deserialize(rate, custom_objects)}
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def _check_steps(kind: str, use_ema: bool, overwrite: Any, accumulation: Any) -> None:
    """Raise ValueError unless the numbers of steps make sense."""
    if overwrite is not None and (not use_ema or not isinstance(overwrite, int) or overwrite < 1):
        raise ValueError(
            f"{kind}: `ema_overwrite_frequency` must be an integer above 0, with use_ema=True, not {overwrite}."
        )
    if accumulation is not None and (not isinstance(accumulation, int) or accumulation < 2):
        raise ValueError(f"{kind}: `gradient_accumulation_steps` must be an integer above 1, not {accumulation}.")


@functools.cache
def _options(cls: type) -> frozenset[str]:
    """The arguments of a class that updates depend on."""
    return frozenset({*parameter_names(Optimizer), *parameter_names(cls)} - {"learning_rate", "name"})


def _automatic_name(kind: str) -> str:
    """``adam``, and ``adam_1`` for the next one; layers count with them."""
    from unidl.layers._base import snake_case, unique_name

    return unique_name(snake_case(kind))


def _number(value: Any, kind: str) -> float:
    """A learning rate given as a number or 0-d tensor."""
    if active.is_tensor(value):
        value = active.to_numpy(value)
    try:
        rate = float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{kind}: `learning_rate` must be a number, a schedule of unidl.optimizers.schedules, or a function "
            f"without arguments, not {value!r}."
        ) from None
    if not rate >= 0:
        raise ValueError(f"{kind}: `learning_rate` must be at least 0, not {rate}.")
    return rate
