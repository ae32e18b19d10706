"""Schedule-free AdamW."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.optimizers._adam import without_power
from unidl.optimizers._base import Optimizer


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its iterates in place of a schedule (A. Defazio et al., NeurIPS 2024).

    The weights are ``w = (1 - beta_1) * z + beta_1 * x``: `z` takes Adam's steps, ``z -= rate * g / (sqrt(v') +
    epsilon)`` with ``v' = v / (1 - beta_2 ** t)``, and `x` is the mean of all `z`, ``x += (z - x) / t``.

    Args:
        beta_1: weight of the mean in the weights, above 0.
        beta_2: how much of the average of squares one step keeps.
        warmup_steps: over how many updates the learning rate rises in a straight line.
    """

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
            raise ValueError(f"ScheduleFreeAdamW: `beta_1` must be above 0 and at most 1, not {beta_1}.")
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = beta_1, beta_2, epsilon, warmup_steps

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def make_slot(self, name: str, variable: Any) -> Any:
        slot = self.add_variable_from_reference(variable, name)
        if name == "momentum":
            self.assign(slot, variable)
        return slot

    def _numbers(self, t: Any, dtype: str) -> tuple[Any, Any, Any]:
        """Weight of the newest iterate in their mean, bias of the average of squares, share of the learning rate."""
        weight = ops.divide(1.0, t)
        share = ops.minimum(ops.divide(t, float(self.warmup_steps or 1)), 1.0)
        weight, bias, share = (ops.cast(v, dtype) for v in (weight, without_power(self.beta_2, t), share))
        return weight, bias, share

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        z, v = self.slot("momentum", variable), self.slot("velocity", variable)
        t, dtype, beta = self.update_number(variable), active.dtype(variable), self.beta_1
        weight, bias, share = self.once_per_update("numbers", dtype, lambda: self._numbers(t, dtype))
        rate = ops.multiply(learning_rate, share)
        mean = ops.divide(ops.subtract(variable, ops.multiply(z, 1.0 - beta)), beta)
        self.assign_add(v, ops.multiply(ops.subtract(ops.square(gradient), v), 1.0 - self.beta_2))
        square = ops.divide(v, bias)
        self.assign_sub(z, ops.divide(ops.multiply(gradient, rate), ops.add(ops.sqrt(square), self.epsilon)))
        mean = ops.add(ops.multiply(mean, ops.subtract(1.0, weight)), ops.multiply(z, weight))
        self.assign(variable, ops.add(ops.multiply(z, 1.0 - beta), ops.multiply(mean, beta)))
