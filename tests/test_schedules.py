"""Learning rates: schedules, functions, numbers that are set."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from optimizer_rules import (
    adam,
    by_hand,
    close,
    sgd,
    small_model,
)

import unidl
from unidl import ops, optimizers
from unidl.backend import active
from unidl.optimizers import schedules


def test_learning_rate_can_be_read_and_set_while_training() -> None:
    variable = unidl.Variable(np.float32(1.0))
    optimizer = optimizers.SGD(0.5)
    one = active.to_tensor(np.float32(1.0))
    optimizer.apply([one], [variable])
    optimizer.learning_rate = 0.125
    optimizer.apply([one], [variable])
    assert float(active.to_numpy(variable)) == 0.375
    assert float(active.to_numpy(optimizer.learning_rate)) == 0.125
    assert float(round(optimizer.learning_rate, 2)) == pytest.approx(0.12)
    assert optimizer.get_config()["learning_rate"] == 0.125


def cosine(p: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(p, 1.0)))


SCHEDULES: list[Any] = [
    (schedules.ExponentialDecay(0.1, 4, 0.5), lambda t: 0.1 * 0.5 ** (t / 4)),
    (schedules.ExponentialDecay(0.1, 4, 0.5, staircase=True), lambda t: 0.1 * 0.5 ** (t // 4)),
    (schedules.InverseTimeDecay(0.1, 4, 0.5), lambda t: 0.1 / (1 + 0.5 * t / 4)),
    (schedules.InverseTimeDecay(0.1, 4, 0.5, staircase=True), lambda t: 0.1 / (1 + 0.5 * (t // 4))),
    (schedules.PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1]), lambda t: 1.0 if t <= 2 else 0.5 if t <= 5 else 0.1),
    (schedules.PolynomialDecay(0.1, 8, 0.01, 2.0), lambda t: 0.09 * (1 - min(t, 8) / 8) ** 2 + 0.01),
    (
        schedules.PolynomialDecay(0.1, 4, 0.01, cycle=True),
        lambda t: 0.09 * (1 - t / (4 * max(1, math.ceil(t / 4)))) + 0.01,
    ),
    (schedules.CosineDecay(0.1, 8, alpha=0.2), lambda t: 0.1 * (0.8 * cosine(t / 8) + 0.2)),
    (
        schedules.CosineDecay(0.0, 8, warmup_target=0.1, warmup_steps=4),
        lambda t: 0.1 * t / 4 if t < 4 else 0.1 * cosine((t - 4) / 8),
    ),
    (schedules.CosineDecayRestarts(0.1, 3, t_mul=1.0), lambda t: 0.1 * cosine((t % 3) / 3)),
    # Periods of 3 and 6 steps.
    (
        schedules.CosineDecayRestarts(0.1, 3, 2.0, 0.5, 0.1),
        lambda t: 0.1 * (0.9 * (cosine(t / 3) if t < 3 else 0.5 * cosine((t - 3) / 6)) + 0.1),
    ),
]


@pytest.mark.parametrize(("schedule", "expected"), SCHEDULES, ids=lambda v: type(v).__name__)
def test_schedules(schedule: Any, expected: Any) -> None:
    # At the ends of the restarts' periods rounding decides which side of the jump a step is on.
    steps = [t for t in range(9) if not isinstance(schedule, schedules.CosineDecayRestarts) or t not in (3, 6)]
    got = [float(active.to_numpy(schedule(active.to_tensor(np.int32(t))))) for t in steps]
    np.testing.assert_allclose(got, [expected(t) for t in steps], rtol=1e-5, atol=1e-7)
    again = schedules.deserialize(schedules.serialize(schedule))
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()


def test_a_schedule_decides_the_learning_rate_of_each_step() -> None:
    for fast in (optimizers.SGD, optimizers.Adam):
        variable = unidl.Variable(np.float32(1.0))
        optimizer = fast(schedules.ExponentialDecay(0.5, 1, 0.5))
        w, state, one = 1.0, {}, active.to_tensor(np.float32(1.0))  # type: ignore[var-annotated]
        update = optimizer.updater([variable])
        for t in (1, 2, 3):
            assert float(active.to_numpy(optimizer.learning_rate)) == pytest.approx(0.5**t)
            update([one])
            rule = sgd if fast is optimizers.SGD else adam
            w = rule(w, np.float64(1.0), state, t, lr=0.5**t)
        assert float(active.to_numpy(variable)) == pytest.approx(w, rel=1e-4)
        with pytest.raises(TypeError, match="schedule"):
            optimizer.learning_rate = 0.1
        again = optimizers.deserialize(optimizers.serialize(optimizer))
        assert again.get_config() == optimizer.get_config()


def test_functions_give_the_learning_rate_of_each_update() -> None:
    rates = iter([0.5, 0.25])
    optimizer, variable = optimizers.SGD(lambda: next(rates)), unidl.Variable(np.float32(1.0))
    for _ in range(2):
        optimizer.apply([np.float32(1.0)], [variable])
    assert float(active.to_numpy(variable)) == 0.25
    plain = optimizers.SGD(0.5)
    assert len(plain.variables) == 2
    plain.learning_rate = schedules.PolynomialDecay(plain.learning_rate, 4)
    assert len(plain.variables) == 1 and plain.get_config()["learning_rate"]["class_name"] == "PolynomialDecay"
    for _ in range(2):  # rates 0.5 and 0.3750…: the schedule keeps the number that the variable held
        plain.apply([np.float32(1.0)], [variable])
    assert float(active.to_numpy(variable)) == pytest.approx(0.25 - 0.5 - (0.4999 * 0.75 + 0.0001), rel=1e-5)


@pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")
def test_schedules_of_one_s_own() -> None:
    class Warm(schedules.LearningRateSchedule):
        def __init__(self, units: int, steps: int = 4) -> None:
            super().__init__()
            self.units, self.steps = units, steps

        def __call__(self, step: Any) -> Any:
            step = ops.cast(step, "float32")
            return self.units**-0.5 * ops.minimum(ops.rsqrt(step), step * self.steps**-1.5)

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units, "steps": self.steps}

    x = np.random.default_rng(0).normal(size=(24, 2)).astype("float32")
    y = x[:, :1] * 2 - 1
    ends = []
    for by_fit in (True, False):
        model, optimizer = small_model(), optimizers.Adam(Warm(16), beta_2=0.98)
        if by_fit:
            model.compile(optimizer, "mse")
            model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
        else:
            by_hand(model, optimizer, x, y)
        assert float(active.to_numpy(optimizer.learning_rate)) == pytest.approx(0.25 * 6**-0.5, rel=1e-5)
        ends.append(model.get_weights())
    close(ends[0], ends[1])
    again = optimizers.deserialize(optimizers.serialize(optimizer), {"Warm": Warm})
    assert again.get_config() == optimizer.get_config()
