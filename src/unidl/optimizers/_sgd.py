"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.optimizers._base import Optimizer


class SGD(Optimizer):
    """``w -= learning_rate * g``, with `momentum` ``v = momentum * v - learning_rate * g; w += v``.

    Args:
        momentum: from 0 to 1.
        nesterov: look ahead: ``w += momentum * v - learning_rate * g`` (I. Sutskever et al., ICML 2013).
    """

    kernel = "sgd"

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: `momentum` must be from 0 to 1, not {momentum}.")
        self.momentum, self.nesterov = momentum, nesterov

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step = ops.multiply(gradient, learning_rate)
        if not self.momentum:
            self.assign_sub(variable, step)
            return
        velocity = self.slot("momentum", variable)
        self.assign(velocity, ops.subtract(ops.multiply(velocity, self.momentum), step))
        change = ops.subtract(ops.multiply(velocity, self.momentum), step) if self.nesterov else velocity
        self.assign_add(variable, change)
