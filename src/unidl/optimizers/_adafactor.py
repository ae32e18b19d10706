"""Adafactor."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.optimizers._base import Optimizer
from unidl.optimizers._state import path_of


class Adafactor(Optimizer):
    """Adam's scale from row and column means only, which saves memory (N. Shazeer, M. Stern, ICML 2018).

    Of a variable of two or more dimensions the squares are kept as their means over the last (`r`) and the last but one
    dimension (`c`), and taken to be their product. ``b = 1 - t ** beta_2_decay``,
    ``r = b * r + (1 - b) * mean(g * g + epsilon_1)``, `c` and (of other variables) `v` likewise;
    ``s = g / sqrt(v)``, ``w -= max(epsilon_2, rms(w)) * rate * s / max(1, rms(s) / clip_threshold)`` with
    ``rate = min(learning_rate, 1 / sqrt(t))``.

    Args:
        beta_2_decay: exponent, below 0: how fast the averages become longer.
        epsilon_1: added to squares.
        epsilon_2: the least size of a variable that steps are measured by.
        clip_threshold: greatest root mean square of a step.
        relative_step: accepted for compatibility: the rate is never above ``1 / sqrt(t)``, in Keras as here.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    @property
    def slot_names(self) -> tuple[str, ...]:
        return ("r", "c", "velocity")

    def make_slot(self, name: str, variable: Any) -> Any:
        if name == "velocity":
            return self.add_variable_from_reference(variable, name)
        shape = tuple(active.shape(variable))
        kept = shape[:-1] if name == "r" else (*shape[:-2], *shape[-1:])
        # Vectors have no use for these two; they are there so that the state is laid out as that of Keras.
        kept = kept if len(shape) > 1 else ()
        return self.add_variable(kept, dtype=active.dtype(variable), name=f"{path_of(variable)}_{name}")

    def _numbers(self, t: Any, dtype: str) -> tuple[Any, Any]:
        """What an average keeps, and the greatest rate."""
        kept = ops.subtract(1.0, ops.power(t, float(self.beta_2_decay)))
        return ops.cast(kept, dtype), ops.cast(ops.rsqrt(t), dtype)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        dtype, t = active.dtype(variable), self.update_number(variable)
        v = self.slot("velocity", variable)
        kept, limit = self.once_per_update("numbers", dtype, lambda: self._numbers(t, dtype))
        squares = ops.add(ops.square(gradient), self.epsilon_1)
        if len(active.shape(variable)) < 2:
            self.assign(v, _mixed(v, squares, kept))
        else:
            r, c = self.slot("r", variable), self.slot("c", variable)
            self.assign(r, _mixed(r, ops.mean(squares, axis=-1), kept))
            self.assign(c, _mixed(c, ops.mean(squares, axis=-2), kept))
            share = ops.divide(r, ops.mean(r, axis=-1, keepdims=True))
            self.assign(v, ops.multiply(ops.expand_dims(share, -1), ops.expand_dims(c, -2)))
        step = ops.divide(gradient, ops.sqrt(v))
        step = ops.divide(step, ops.maximum(ops.divide(_rms(step), float(self.clip_threshold)), 1.0))
        rate = ops.minimum(learning_rate, limit)
        size = ops.maximum(_rms(variable), float(self.epsilon_2))
        self.assign_sub(variable, ops.multiply(step, ops.multiply(size, rate)))


def _mixed(average: Any, value: Any, kept: Any) -> Any:
    return ops.add(ops.multiply(average, kept), ops.multiply(value, ops.subtract(1.0, kept)))


def _rms(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
