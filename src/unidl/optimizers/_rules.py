"""The update rules."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.optimizers._base import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum (Sutskever et al., ICML 2013).

    ``m = momentum * m - rate * g``; ``w = w + m``, with `nesterov` ``w = w + momentum * m - rate * g``.
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
        name: str = "SGD",
    ) -> None:
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: `momentum` must be from 0 to 1, not {momentum}.")
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
        )  # fmt: skip
        self.momentum, self.nesterov = momentum, nesterov
        self.slot_names = ("momentum",) if momentum else ()
        if weight_decay:
            self.kernel = None  # the fused rule has no decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step = ops.multiply(gradient, learning_rate)
        if not self.momentum:
            variable.assign_sub(step)
            return
        m = self.slot("momentum", variable)
        m.assign(ops.subtract(ops.multiply(m, self.momentum), step))
        variable.assign_add(ops.subtract(ops.multiply(m, self.momentum), step) if self.nesterov else m)


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradients (Hinton, lecture 6e, 2012).

    ``v = rho * v + (1 - rho) * g * g``; ``w = w - rate * g / sqrt(v + epsilon)``; `centered` subtracts the square of
    the running mean of the gradients from v, and `momentum` accumulates the steps.
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
        name: str = "rmsprop",
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
        )  # fmt: skip
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        self.slot_names = (
            "velocity",
            *(("momentum",) if momentum else ()),
            *(("average_gradient",) if centered else ()),
        )
        if weight_decay:
            self.kernel = None  # the fused rule has no decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        v = self.slot("velocity", variable)
        v.assign(ops.add(ops.multiply(v, self.rho), ops.multiply(ops.square(gradient), 1 - self.rho)))
        divisor: Any = v
        if self.centered:
            mean = self.slot("average_gradient", variable)
            mean.assign(ops.add(ops.multiply(mean, self.rho), ops.multiply(gradient, 1 - self.rho)))
            divisor = ops.subtract(v, ops.square(mean))
        step = ops.divide(ops.multiply(gradient, learning_rate), ops.sqrt(ops.add(divisor, self.epsilon)))
        if self.momentum:
            m = self.slot("momentum", variable)
            m.assign(ops.add(ops.multiply(m, self.momentum), step))
            step = m
        variable.assign_sub(step)


class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba, arXiv:1412.6980).

    ``m = b1 * m + (1 - b1) * g``; ``v = b2 * v + (1 - b2) * g * g``;
    ``w = w - rate * sqrt(1 - b2**t) / (1 - b1**t) * m / (sqrt(v) + epsilon)``. With `amsgrad` the largest v so far
    takes the place of v (Reddi et al., arXiv:1904.09237).
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
        name: str = "adam",
    ) -> None:
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
        )  # fmt: skip
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad
        self.slot_names = ("momentum", "velocity", *(("velocity_hat",) if amsgrad else ()))
        if weight_decay:
            self.kernel = "adamw"

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        t = ops.cast(ops.add(self.iterations, 1), "float32")
        bias_1 = ops.subtract(1.0, ops.power(ops.array(self.beta_1), t))
        bias_2 = ops.subtract(1.0, ops.power(ops.array(self.beta_2), t))
        rate = ops.divide(ops.multiply(learning_rate, ops.sqrt(bias_2)), bias_1)
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        m.assign_add(ops.multiply(ops.subtract(gradient, m), 1 - self.beta_1))
        v.assign_add(ops.multiply(ops.subtract(ops.square(gradient), v), 1 - self.beta_2))
        if self.amsgrad:
            top = self.slot("velocity_hat", variable)
            top.assign(ops.maximum(top, v))
            v = top
        variable.assign_sub(ops.divide(ops.multiply(m, rate), ops.add(ops.sqrt(v), self.epsilon)))


class AdamW(Adam):
    """`Adam` with decoupled weight decay (Loshchilov & Hutter, arXiv:1711.05101)."""

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
        name: str = "adamw",
    ) -> None:
        if weight_decay is None:
            raise ValueError("AdamW needs a `weight_decay`; use Adam to have none.")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue, global_clipnorm,
            use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
        )  # fmt: skip
