"""Adagrad and Adadelta: steps divided by the root of past squares."""

from __future__ import annotations

from typing import Any

from unidl import initializers, ops
from unidl.optimizers._base import Optimizer


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squares (J. Duchi et al., JMLR 12, 2011).

    ``a += g * g``, ``w -= learning_rate * g / sqrt(a + epsilon)``.

    Args:
        initial_accumulator_value: where each sum starts, at least 0.
    """

    kernel = "adagrad"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
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
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        if initial_accumulator_value < 0:
            raise ValueError(
                f"Adagrad: `initial_accumulator_value` must be at least 0, not {initial_accumulator_value}."
            )
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("accumulator",)

    def make_slot(self, name: str, variable: Any) -> Any:
        return self.add_variable_from_reference(variable, name, initializers.Constant(self.initial_accumulator_value))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        squares = self.slot("accumulator", variable)
        self.assign_add(squares, ops.square(gradient))
        scale = ops.rsqrt(ops.add(squares, self.epsilon))
        self.assign_sub(variable, ops.multiply(ops.multiply(gradient, learning_rate), scale))


class Adadelta(Optimizer):
    """Steps scaled by the size of past steps (M. Zeiler, 2012, arXiv:1212.5701).

    ``a = rho * a + (1 - rho) * g * g``, ``d = g * sqrt(e + epsilon) / sqrt(a + epsilon)``,
    ``e = rho * e + (1 - rho) * d * d``, ``w -= learning_rate * d``. The paper's learning rate is 1.

    Args:
        rho: how much of an average one step keeps.
    """

    kernel = "adadelta"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
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
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.rho, self.epsilon = rho, epsilon

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("accumulated_grad", "accumulated_delta_var")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        squares, steps = self.slot("accumulated_grad", variable), self.slot("accumulated_delta_var", variable)
        self.assign(squares, self._averaged(squares, gradient))
        size = ops.sqrt(ops.divide(ops.add(steps, self.epsilon), ops.add(squares, self.epsilon)))
        step = ops.multiply(gradient, size)
        self.assign(steps, self._averaged(steps, step))
        self.assign_sub(variable, ops.multiply(step, learning_rate))

    def _averaged(self, average: Any, value: Any) -> Any:
        return ops.add(ops.multiply(average, self.rho), ops.multiply(ops.square(value), 1.0 - self.rho))
