"""FTRL."""

from __future__ import annotations

from typing import Any

from unidl import initializers, ops
from unidl.optimizers._base import Optimizer


class Ftrl(Optimizer):
    """Follow the regularized leader, for sparse linear models (H. B. McMahan et al., KDD 2013).

    With ``p = -learning_rate_power``, ``n' = n + g * g``, ``g' = g + 2 * l2_shrinkage * w``:
    ``z += g' - (n' ** p - n ** p) / learning_rate * w``,
    ``w = (clip(z, -l1, l1) - z) / (n' ** p / learning_rate + 2 * l2 + beta / learning_rate)``.

    Args:
        learning_rate_power: at most 0; at 0 the learning rate stays as it is.
        initial_accumulator_value: where each sum of squares `n` starts, at least 0.
        l1_regularization_strength, l2_regularization_strength: of the weights, at least 0.
        l2_shrinkage_regularization_strength: of the loss, at least 0: added to gradients, and not to `n`.
        beta: makes first steps smaller.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl: `learning_rate_power` must be at most 0, not {learning_rate_power}.")
        for what, value in (
            ("initial_accumulator_value", initial_accumulator_value),
            ("l1_regularization_strength", l1_regularization_strength),
            ("l2_regularization_strength", l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength),
        ):
            if value < 0:
                raise ValueError(f"Ftrl: `{what}` needs to be positive or zero, not {value}.")
        self.learning_rate_power, self.initial_accumulator_value = learning_rate_power, initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength, self.beta = l2_shrinkage_regularization_strength, beta

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("accumulator", "linear")

    def make_slot(self, name: str, variable: Any) -> Any:
        start = self.initial_accumulator_value if name == "accumulator" else 0.0
        return self.add_variable_from_reference(variable, name, initializers.Constant(start))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        squares, linear = self.slot("accumulator", variable), self.slot("linear", variable)
        power = -float(self.learning_rate_power)
        total = ops.add(squares, ops.square(gradient))
        before, after = ops.power(squares, power), ops.power(total, power)
        if self.l2_shrinkage_regularization_strength:
            shrinking = ops.multiply(variable, 2.0 * self.l2_shrinkage_regularization_strength)
            gradient = ops.add(gradient, shrinking)
        change = ops.multiply(ops.divide(ops.subtract(after, before), learning_rate), variable)
        self.assign_add(linear, ops.subtract(gradient, change))
        fixed = 2.0 * self.l2_regularization_strength
        scale = ops.add(ops.divide(ops.add(after, float(self.beta)), learning_rate), fixed)
        l1 = float(self.l1_regularization_strength)
        self.assign(variable, ops.divide(ops.subtract(ops.clip(linear, -l1, l1), linear), scale))
        self.assign(squares, total)
