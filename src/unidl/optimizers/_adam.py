"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.optimizers._base import Optimizer


class Adam(Optimizer):
    """Steps of moving averages of the gradient and its square (D. Kingma, J. Ba, ICLR 2015).

    ``m += (g - m) * (1 - beta_1)``, ``v += (g * g - v) * (1 - beta_2)``,
    ``w -= learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * m / (sqrt(v) + epsilon)``: the
    form before section 2.1 of the paper, in which epsilon is its "epsilon hat".

    Args:
        beta_1, beta_2: how much of an average one step keeps.
        amsgrad: use the greatest `v` so far (S. Reddi et al., ICLR 2018).
    """

    kernel = "adam"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        for what, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{type(self).__name__}: `{what}` must be at least 0 and below 1, not {beta}.")
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity")

    @property
    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"), ("velocity_hat",)) if self.amsgrad else (self.slot_names,)

    def _kernel_name(self, decays: bool) -> str | None:
        return "adamw" if decays else self.kernel

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        dtype, t = active.dtype(variable), self.update_number(variable)
        scale = self.once_per_update("scale", dtype, lambda: debiased(self.beta_1, self.beta_2, t, dtype))
        rate = ops.multiply(learning_rate, scale)
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        self.assign_add(m, ops.multiply(ops.subtract(gradient, m), 1.0 - self.beta_1))
        self.assign_add(v, ops.multiply(ops.subtract(ops.square(gradient), v), 1.0 - self.beta_2))
        if self.amsgrad:
            largest = self.slot("velocity_hat", variable)
            self.assign(largest, ops.maximum(largest, v))
            v = largest
        self.assign_sub(variable, ops.divide(ops.multiply(m, rate), ops.add(ops.sqrt(v), self.epsilon)))


def without_power(beta: float, t: Any) -> Any:
    """``1 - beta ** t``; by `expm1`, since in float32 the difference would lose half of its digits for small t."""
    return ops.negative(ops.expm1(ops.multiply(t, math.log(beta) if beta else -math.inf)))


def debiased(beta_1: float, beta_2: float, t: Any, dtype: str) -> Any:
    """What makes up for averages that start at 0: ``sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t)``."""
    return ops.cast(ops.divide(ops.sqrt(without_power(beta_2, t)), without_power(beta_1, t)), dtype)


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (I. Loshchilov, F. Hutter, ICLR 2019)."""

    kernel = "adamw"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue, global_clipnorm,
            use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
            **kwargs,
        )  # fmt: skip
        if weight_decay is None:
            raise ValueError("AdamW: `weight_decay` must be a number. Use Adam to train without it.")
