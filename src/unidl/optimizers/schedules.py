"""Learning rates as functions of the number of updates made, computed in ops so that they can be compiled."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl._objects import Configurable, Registry
from unidl.backend import active


class LearningRateSchedule(Configurable):
    """Subclasses define ``__call__(step)``, made of ops: the learning rate as a 0-d float tensor.

    `step` is 0 at the first update.
    """

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step).")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.get_config()}>"


def _number(value: Any) -> Any:
    """A tensor or variable as the number that it is now; other values as they are."""
    return active.to_numpy(value).item() if active.is_tensor(value) else value


def _positive(value: Any, what: str) -> Any:
    value = _number(value)
    if not value > 0:
        raise ValueError(f"A schedule's `{what}` must be above 0, not {value}.")
    return value


def _float(step: Any) -> Any:
    return ops.cast(step, "float32")


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``; `staircase` rounds the exponent down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = _number(initial_learning_rate)
        self.decay_steps = _positive(decay_steps, "decay_steps")
        self.decay_rate, self.staircase, self.name = _number(decay_rate), staircase, name

    def __call__(self, step: Any) -> Any:
        p = ops.divide(_float(step), float(self.decay_steps))
        p = ops.floor(p) if self.staircase else p
        return ops.multiply(ops.power(float(self.decay_rate), p), float(self.initial_learning_rate))


class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``; `staircase` rounds the quotient down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = _number(initial_learning_rate)
        self.decay_steps = _positive(decay_steps, "decay_steps")
        self.decay_rate, self.staircase, self.name = _number(decay_rate), staircase, name

    def __call__(self, step: Any) -> Any:
        p = ops.divide(_float(step), float(self.decay_steps))
        p = ops.floor(p) if self.staircase else p
        return ops.divide(float(self.initial_learning_rate), ops.add(ops.multiply(p, float(self.decay_rate)), 1.0))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` for steps up to and including ``boundaries[i]``, the last value after the last of them."""

    def __init__(self, boundaries: list[float], values: list[float], name: str = "PiecewiseConstant") -> None:
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay needs one value more than boundaries, not {len(values)} and {len(boundaries)}."
            )
        if list(boundaries) != sorted(boundaries):
            raise ValueError(f"PiecewiseConstantDecay: `boundaries` must ascend, not {boundaries}.")
        self.boundaries, self.name = [_number(b) for b in boundaries], name
        self.values = [_number(v) for v in values]

    def __call__(self, step: Any) -> Any:
        step = _float(step)
        rate = ops.add(ops.multiply(step, 0.0), float(self.values[-1]))
        for boundary, value in zip(reversed(self.boundaries), reversed(self.values[:-1]), strict=True):
            rate = ops.where(ops.less_equal(step, float(boundary)), float(value), rate)
        return rate


class PolynomialDecay(LearningRateSchedule):
    """From `initial_learning_rate` to `end_learning_rate` in `decay_steps`, as ``(1 - step / decay_steps) ** power``.

    With `cycle` it starts again from a lower point whenever the end is reached, over as many steps more.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = _number(initial_learning_rate)
        self.decay_steps = _positive(decay_steps, "decay_steps")
        self.end_learning_rate, self.power = _number(end_learning_rate), _number(power)
        self.cycle, self.name = cycle, name

    def __call__(self, step: Any) -> Any:
        p = ops.divide(_float(step), float(self.decay_steps))
        p = ops.divide(p, ops.maximum(ops.ceil(p), 1.0)) if self.cycle else ops.minimum(p, 1.0)
        rest = ops.power(ops.subtract(1.0, p), float(self.power))
        span = float(self.initial_learning_rate) - float(self.end_learning_rate)
        return ops.add(ops.multiply(rest, span), float(self.end_learning_rate))


def _cosine(fraction: Any) -> Any:
    """1 at 0, 0 at 1, half a cosine wave between."""
    return ops.multiply(ops.add(ops.cos(ops.multiply(fraction, math.pi)), 1.0), 0.5)


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave down to ``alpha`` times the start (I. Loshchilov, F. Hutter, ICLR 2017).

    Args:
        warmup_target, warmup_steps: first rise in a straight line from `initial_learning_rate` to
            `warmup_target`, which is then the start of the decay.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = _number(initial_learning_rate)
        self.decay_steps = _positive(decay_steps, "decay_steps")
        self.alpha, self.name = _number(alpha), name
        self.warmup_target, self.warmup_steps = _number(warmup_target), _number(warmup_steps)

    def __call__(self, step: Any) -> Any:
        step, first, alpha = _float(step), float(self.initial_learning_rate), float(self.alpha)
        warmup = self.warmup_steps if self.warmup_target is not None else 0
        top = first if self.warmup_target is None else float(self.warmup_target)
        p = ops.clip(ops.divide(ops.subtract(step, float(warmup)), float(self.decay_steps)), 0.0, 1.0)
        decayed = ops.multiply(ops.add(ops.multiply(_cosine(p), 1.0 - alpha), alpha), top)
        if not warmup:
            return decayed
        rising = ops.add(ops.multiply(step, (top - first) / warmup), first)
        return ops.where(ops.less(step, float(warmup)), rising, decayed)


class CosineDecayRestarts(LearningRateSchedule):
    """`CosineDecay` that starts again and again (I. Loshchilov, F. Hutter, ICLR 2017).

    Args:
        first_decay_steps: length of the first period.
        t_mul: each period is so many times as long as the one before.
        m_mul: each starts so many times as high.
        alpha: lowest rate, as a fraction of the first.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = _number(initial_learning_rate)
        self.first_decay_steps = _positive(first_decay_steps, "first_decay_steps")
        self.t_mul, self.m_mul, self.alpha, self.name = _number(t_mul), _number(m_mul), _number(alpha), name

    def __call__(self, step: Any) -> Any:
        p, t, alpha = ops.divide(_float(step), float(self.first_decay_steps)), float(self.t_mul), float(self.alpha)
        if t == 1.0:
            period = ops.floor(p)
            p = ops.subtract(p, period)
        else:
            # The sum of a geometric series, solved for the number of periods that are over.
            grown = ops.add(ops.multiply(p, t - 1.0), 1.0)
            period = ops.floor(ops.divide(ops.log(grown), math.log(t)))
            scale = ops.power(t, period)
            p = ops.divide(ops.subtract(p, ops.divide(ops.subtract(scale, 1.0), t - 1.0)), scale)
        height = ops.multiply(_cosine(p), ops.power(float(self.m_mul), period))
        decayed = ops.add(ops.multiply(height, 1.0 - alpha), alpha)
        return ops.multiply(decayed, float(self.initial_learning_rate))


_registry = Registry(
    "learning rate schedule",
    [
        CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay,
    ],
    base=LearningRateSchedule,
)  # fmt: skip


def serialize(learning_rate_schedule: Any) -> Any:
    """A schedule as plain data."""
    return _registry.serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The schedule that `serialize` described."""
    return _registry.deserialize(config, custom_objects)


__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]  # fmt: skip
