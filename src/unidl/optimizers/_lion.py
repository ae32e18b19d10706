"""Lion."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.optimizers._base import Optimizer


class Lion(Optimizer):
    """Steps of one size, in the direction of a momentum's signs (X. Chen et al., NeurIPS 2023).

    ``w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)``, ``m = beta_2 * m + (1 - beta_2) * g``.

    Args:
        beta_1: weight of the momentum in the step, above 0 and at most 1.
        beta_2: how much of the momentum one step keeps.
    """

    kernel = "lion"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        if not 0 < beta_1 <= 1:
            raise ValueError(
                f"Lion: `beta_1` must be above 0 and at most 1, not {beta_1}: with 0 the momentum would have no say."
            )
        self.beta_1, self.beta_2 = beta_1, beta_2

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m = self.slot("momentum", variable)
        direction = ops.sign(ops.add(ops.multiply(m, self.beta_1), ops.multiply(gradient, 1.0 - self.beta_1)))
        self.assign_sub(variable, ops.multiply(direction, learning_rate))
        self.assign(m, ops.add(ops.multiply(m, self.beta_2), ops.multiply(gradient, 1.0 - self.beta_2)))
