"""Relatives of Adam: the greatest gradient as the scale, Nesterov's momentum, steps scaled by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unidl import initializers, ops
from unidl.backend import active
from unidl.ops._bind import dtype_of
from unidl.optimizers._adam import without_power
from unidl.optimizers._base import Optimizer


class _Moments(Optimizer):
    """What the three share: moving averages of the gradient and of its square."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        for what, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{type(self).__name__}: `{what}` must be at least 0 and below 1, not {beta}.")
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def _moved(self, gradient: Any, variable: Any) -> tuple[Any, Any]:
        """The two averages after this gradient."""
        m, v = self.slot("momentum", variable), self.slot("velocity", variable)
        self.assign_add(m, ops.multiply(ops.subtract(gradient, m), 1.0 - self.beta_1))
        self.assign_add(v, ops.multiply(ops.subtract(ops.square(gradient), v), 1.0 - self.beta_2))
        return m, v


class Adamax(_Moments):
    """Adam with the infinity norm (D. Kingma, J. Ba, ICLR 2015, section 7).

    ``m += (g - m) * (1 - beta_1)``, ``u = max(beta_2 * u, |g|)``,
    ``w -= learning_rate / (1 - beta_1 ** t) * m / (u + epsilon)``.

    Args:
        beta_1: how much of the average one step keeps.
        beta_2: how much of the norm one step keeps.
    """

    kernel = "adamax"

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "norm")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m, u = self.slot("momentum", variable), self.slot("norm", variable)
        self.assign_add(m, ops.multiply(ops.subtract(gradient, m), 1.0 - self.beta_1))
        self.assign(u, ops.maximum(ops.multiply(u, self.beta_2), ops.absolute(gradient)))
        dtype, t = active.dtype(variable), self.update_number(variable)
        bias = self.once_per_update("bias", dtype, lambda: ops.cast(without_power(self.beta_1, t), dtype))
        rate = ops.divide(learning_rate, bias)
        self.assign_sub(variable, ops.divide(ops.multiply(m, rate), ops.add(u, self.epsilon)))


class Nadam(_Moments):
    """Adam with Nesterov's momentum (T. Dozat, ICLR 2016 workshop).

    With ``u(t) = beta_1 * (1 - 0.96 ** t / 2)`` and its product ``U(t) = u(1) * … * u(t)``:
    ``m' = u(t + 1) * m / (1 - U(t + 1)) + (1 - u(t)) * g / (1 - U(t))``,
    ``w -= learning_rate * m' / (sqrt(v / (1 - beta_2 ** t)) + epsilon)``, `m` and `v` as in Adam.

    Args:
        beta_1, beta_2: how much of an average one step keeps.
    """

    def build(self, variables: Sequence[Any]) -> None:
        super().build(variables)
        if "_product" not in vars(self):
            dtype = active.dtype(variables[0]) if variables else "float32"
            self._product = self.add_variable((), initializers.Ones(), dtype, name="u_product")

    def _weight(self, t: Any) -> Any:
        return ops.multiply(ops.subtract(1.0, ops.multiply(ops.power(0.96, t), 0.5)), self.beta_1)

    def begin_update(self) -> None:
        weight = self._weight(self.update_number(self._product))
        self.assign(self._product, ops.multiply(self._product, ops.cast(weight, active.dtype(self._product))))

    def _numbers(self, t: Any, dtype: str) -> tuple[Any, Any, Any]:
        """Factors of the average and of the gradient in a step, and the bias of the average of squares."""
        now, later = self._weight(t), self._weight(ops.add(t, 1.0))
        product = ops.cast(self._product, dtype_of(t))
        old = ops.divide(later, ops.subtract(1.0, ops.multiply(product, later)))
        new = ops.divide(ops.subtract(1.0, now), ops.subtract(1.0, product))
        old, new, bias = (ops.cast(v, dtype) for v in (old, new, without_power(self.beta_2, t)))
        return old, new, bias

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m, v = self._moved(gradient, variable)
        t, dtype = self.update_number(variable), active.dtype(variable)
        old, new, bias = self.once_per_update("numbers", dtype, lambda: self._numbers(t, dtype))
        mean = ops.add(ops.multiply(m, old), ops.multiply(gradient, new))
        scale = ops.add(ops.sqrt(ops.divide(v, bias)), self.epsilon)
        self.assign_sub(variable, ops.divide(ops.multiply(mean, learning_rate), scale))


class Lamb(_Moments):
    """Adam's steps made as large as each variable's norm (Y. You et al., ICLR 2020).

    ``s = m / (1 - beta_1 ** t) / (sqrt(v / (1 - beta_2 ** t)) + epsilon)``,
    ``w -= learning_rate * norm(w) / norm(s) * s``; the quotient is 1 where a norm is 0.

    Args:
        beta_1, beta_2: how much of an average one step keeps.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m, v = self._moved(gradient, variable)
        t, dtype = self.update_number(variable), active.dtype(variable)
        bias_1, bias_2 = self.once_per_update(
            "biases", dtype, lambda: [ops.cast(without_power(b, t), dtype) for b in (self.beta_1, self.beta_2)]
        )
        step = ops.divide(ops.divide(m, bias_1), ops.add(ops.sqrt(ops.divide(v, bias_2)), self.epsilon))
        size, length = (ops.sqrt(ops.sum(ops.square(x))) for x in (variable, step))
        fits = ops.logical_and(ops.greater(size, 0.0), ops.greater(length, 0.0))
        ratio = ops.where(fits, ops.divide(size, ops.where(fits, length, 1.0)), 1.0)
        self.assign_sub(variable, ops.multiply(step, ops.multiply(learning_rate, ops.cast(ratio, dtype))))
