"""RMSprop."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.optimizers._base import Optimizer


class RMSprop(Optimizer):
    """Steps divided by the root of a moving average of squares (T. Tieleman, G. Hinton, lecture 6.5, 2012).

    ``v = rho * v + (1 - rho) * g * g``, ``w -= learning_rate * g / sqrt(v + epsilon)``.

    Args:
        rho: how much of an average one step keeps.
        momentum: from 0 to 1, of the steps.
        centered: divide by an estimate of the gradient's variance instead of its mean square.
    """

    kernel = "rmsprop"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    @property
    def slot_names(self) -> tuple[str, ...]:
        optional = (("momentum", self.momentum), ("average_gradient", self.centered))
        return ("velocity", *(name for name, wanted in optional if wanted))

    @property
    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        return tuple((name,) for name in self.slot_names)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        velocity = self.slot("velocity", variable)
        new = ops.multiply(ops.square(gradient), 1.0 - self.rho)
        self.assign(velocity, ops.add(ops.multiply(velocity, self.rho), new))
        scale: Any = velocity
        if self.centered:
            average = self.slot("average_gradient", variable)
            mean = ops.add(ops.multiply(average, self.rho), ops.multiply(gradient, 1.0 - self.rho))
            self.assign(average, mean)
            scale = ops.subtract(velocity, ops.square(mean))
        step = ops.multiply(ops.multiply(gradient, learning_rate), ops.rsqrt(ops.add(scale, self.epsilon)))
        if self.momentum:
            momentum = self.slot("momentum", variable)
            self.assign(momentum, ops.add(ops.multiply(momentum, self.momentum), step))
            step = momentum
        self.assign_sub(variable, step)
