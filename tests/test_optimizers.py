"""Optimizers: against formulas in plain NumPy, kernels against the rules in ops, options, state, schedules."""

from __future__ import annotations

import copy
import doctest
import inspect
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import ops, optimizers
from unidl.backend import active
from unidl.optimizers import schedules

Arrays = list[np.ndarray]
SHAPES: list[tuple[int, ...]] = [(3, 4), (5,), ()]
STEPS = 5


def start() -> tuple[Arrays, list[Arrays]]:
    """Weights, and the gradients of each step."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s).astype("float32") for s in SHAPES]
    return weights, [[rng.normal(size=s).astype("float32") for s in SHAPES] for _ in range(STEPS)]


def made(weights: Arrays) -> list[Any]:
    return [unidl.Variable(w, name=f"w{i}") for i, w in enumerate(weights)]


def values(variables: list[Any]) -> Arrays:
    return [active.to_numpy(v).copy() for v in variables]


def trained(optimizer: Any, steps: int = STEPS) -> Arrays:
    """What the optimizer makes of the weights, by its updater."""
    weights, gradients = start()
    variables = made(weights)
    update = optimizer.updater(variables)
    for some in gradients[:steps]:
        update([active.to_tensor(g) for g in some])
    return values(variables)


# -- the rules, in float64 -------------------------------------------------------------------------


def sgd(
    w: Any, g: Any, s: dict[str, Any], t: int, lr: float = 0.01, momentum: float = 0.0, nesterov: bool = False
) -> Any:
    s["m"] = momentum * s.get("m", 0) - lr * g
    return w + (momentum * s["m"] - lr * g if nesterov else s["m"])


def adam(
    w: Any, g: Any, s: dict[str, Any], t: int, lr: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-7, amsgrad: bool = False,
) -> Any:  # fmt: skip
    s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g * g
    v = s["h"] = np.maximum(s.get("h", 0), s["v"]) if amsgrad else s["v"]
    return w - lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * s["m"] / (np.sqrt(v) + epsilon)


def rmsprop(
    w: Any, g: Any, s: dict[str, Any], t: int, lr: float = 0.001, rho: float = 0.9, momentum: float = 0.0,
    epsilon: float = 1e-7, centered: bool = False,
) -> Any:  # fmt: skip
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    s["a"] = rho * s.get("a", 0) + (1 - rho) * g
    scale = s["v"] - s["a"] ** 2 if centered else s["v"]
    s["m"] = momentum * s.get("m", 0) + lr * g / np.sqrt(scale + epsilon)
    return w - s["m"]


def schedule_free(
    w: Any, g: Any, s: dict[str, Any], t: int, lr: float = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-8, warmup_steps: int = 0,
) -> Any:  # fmt: skip
    z, x, v = s.setdefault("z", w), s.setdefault("x", w), s.setdefault("v", 0 * g)
    s["v"] = beta_2 * v + (1 - beta_2) * g * g
    rate = lr * min(1.0, t / warmup_steps) if warmup_steps else lr
    s["z"] = z - rate * g / (np.sqrt(s["v"] / (1 - beta_2**t)) + epsilon)
    s["x"] = (1 - 1 / t) * x + s["z"] / t
    return (1 - beta_1) * s["z"] + beta_1 * s["x"]


def reference(rule: Any, decay: float = 0.0, lr: float = 0.01, clip: Any = None, **kwargs: Any) -> Arrays:
    weights, gradients = start()
    state: list[dict[str, Any]] = [{} for _ in weights]
    current = [w.astype("float64") for w in weights]
    for t, some in enumerate(gradients, 1):
        some = [g.astype("float64") for g in some]
        some = clip(some) if clip else some
        for i, g in enumerate(some):
            current[i] = rule(current[i] * (1 - lr * decay), g, state[i], t, lr=lr, **kwargs)
    return current


RULES: list[Any] = [
    ("SGD", sgd, {}),
    ("SGD", sgd, {"momentum": 0.9}),
    ("SGD", sgd, {"momentum": 0.9, "nesterov": True}),
    ("Adam", adam, {}),
    ("Adam", adam, {"beta_1": 0.0}),
    ("Adam", adam, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 0.01}),
    ("Adam", adam, {"amsgrad": True, "beta_2": 0.5}),
    ("AdamW", adam, {}),
    ("AdamW", adam, {"amsgrad": True, "beta_2": 0.5}),
    ("RMSprop", rmsprop, {}),
    ("RMSprop", rmsprop, {"momentum": 0.5, "rho": 0.8}),
    ("RMSprop", rmsprop, {"centered": True, "epsilon": 0.01}),
    ("RMSprop", rmsprop, {"centered": True, "epsilon": 0.01, "momentum": 0.5}),
]
each_rule = pytest.mark.parametrize(("name", "rule", "kwargs"), RULES, ids=lambda v: str(v) if not callable(v) else "")


def close(got: Arrays, expected: Arrays) -> None:
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@each_rule
@pytest.mark.parametrize("decay", [None, 0.1])
@pytest.mark.parametrize("fused", [True, False])
def test_updates_follow_the_formula(
    name: str, rule: Any, kwargs: Any, decay: float | None, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fused:
        monkeypatch.setattr(optimizers.Optimizer, "_fused", lambda *args: None)
    options = {} if name == "AdamW" and decay is None else {"weight_decay": decay}
    optimizer = getattr(optimizers, name)(0.01, **options, **kwargs)
    expected = reference(rule, decay or (0.004 if name == "AdamW" else 0.0), **kwargs)
    close(trained(optimizer), expected)
    assert int(active.to_numpy(optimizer.iterations)) == STEPS


@pytest.mark.parametrize("kwargs", [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01}, {"warmup_steps": 4}], ids=str)
def test_schedule_free_follows_the_paper(kwargs: Any) -> None:
    close(trained(optimizers.ScheduleFreeAdamW(0.01, **kwargs)), reference(schedule_free, lr=0.01, **kwargs))


def clipped_each(limit: float) -> Any:
    return lambda gs: [g * min(1.0, limit / np.sqrt((g * g).sum())) for g in gs]


def clipped_together(limit: float) -> Any:
    def clip(gs: Arrays) -> Arrays:
        norm = np.sqrt(sum((g * g).sum() for g in gs))
        return [g * min(1.0, limit / norm) for g in gs]

    return clip


@pytest.mark.parametrize(
    ("option", "clip"),
    [
        ({"clipnorm": 1.0}, clipped_each(1.0)),
        ({"clipnorm": 50.0}, clipped_each(50.0)),
        ({"global_clipnorm": 1.0}, clipped_together(1.0)),
        ({"clipvalue": 0.3}, lambda gs: [np.clip(g, -0.3, 0.3) for g in gs]),
    ],
    ids=str,
)
def test_clipping(option: dict[str, float], clip: Any) -> None:
    close(trained(optimizers.SGD(0.1, momentum=0.9, **option)), reference(sgd, lr=0.1, momentum=0.9, clip=clip))


def test_moving_averages() -> None:
    weights, gradients = start()
    optimizer = optimizers.SGD(0.1, use_ema=True, ema_momentum=0.7)
    variables = made(weights)
    average: Any = None
    for some in gradients:
        optimizer.apply([active.to_tensor(g) for g in some], variables)
        average = values(variables)[0] if average is None else 0.7 * average + 0.3 * values(variables)[0]
    np.testing.assert_allclose(values(optimizer.slots["average"])[0], average, rtol=1e-5)
    optimizer.finalize_variable_values(variables)
    np.testing.assert_allclose(values(variables)[0], average, rtol=1e-5)


@pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")
def test_fit_ends_with_the_averages_as_weights() -> None:
    model = unidl.Sequential([unidl.Input((2,)), unidl.layers.Dense(1)])
    optimizer = optimizers.Adam(0.1, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, "mse")
    model.fit(np.ones((8, 2), "float32"), np.ones((8, 1), "float32"), batch_size=2, epochs=2, verbose=0)
    for weight in model.trainable_variables:
        np.testing.assert_array_equal(values([weight])[0], values([optimizer.slot("average", weight)])[0])


def by_hand(model: Any, optimizer: Any, x: np.ndarray, y: np.ndarray) -> None:
    """What `fit` does with batches of 4."""
    loss_of = unidl.losses.MeanSquaredError()
    step = unidl.value_and_grad(lambda x, y: optimizer.scale_loss(loss_of(y, model(x))), model)
    for i in range(0, len(x), 4):
        _, gradients = step(x[i : i + 4], y[i : i + 4])
        optimizer.apply(gradients, model.trainable_variables)
    optimizer.finalize_variable_values(model.trainable_variables)


@pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")
def test_options_hold_inside_a_compiled_step() -> None:
    """One run of fit per option, against the same steps by `apply`."""
    x = np.random.default_rng(0).normal(size=(12, 2)).astype("float32")
    y = x[:, :1] * 2 - 1
    for make in (
        lambda: optimizers.SGD(schedules.ExponentialDecay(0.1, 1, 0.5), momentum=0.9),
        lambda: optimizers.Adam(schedules.CosineDecay(0.1, 3), clipnorm=0.5, weight_decay=0.1),
        lambda: optimizers.RMSprop(0.01, global_clipnorm=0.5, use_ema=True, ema_overwrite_frequency=2),
        lambda: optimizers.Nadam(0.05, gradient_accumulation_steps=2, use_ema=True, loss_scale_factor=64.0),
        lambda: optimizers.Adam(0.05, gradient_accumulation_steps=2, weight_decay=0.1),
        lambda: optimizers.LossScaleOptimizer(optimizers.Adagrad(0.1), 2.0, dynamic_growth_steps=2),
        lambda: optimizers.MultiOptimizer(
            optimizers.OptimizerMap(optimizers.Muon(0.05), {".*bias": optimizers.Lion(schedules.CosineDecay(0.1, 3))}),
            loss_scale_factor=8.0,
        ),
    ):
        results = []
        for by_fit in (True, False):
            unidl.utils.set_random_seed(0)
            model = unidl.Sequential([unidl.Input((2,)), unidl.layers.Dense(3, "tanh"), unidl.layers.Dense(1)])
            model.layers[0].kernel.constraint = unidl.constraints.MaxNorm(0.7)
            optimizer = make()
            if by_fit:
                model.compile(optimizer, "mse")
                model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
            else:
                by_hand(model, optimizer, x, y)
            results.append(model.get_weights())
        close(results[0], results[1])


def small_model() -> Any:
    unidl.utils.set_random_seed(0)
    return unidl.Sequential([unidl.Input((2,)), unidl.layers.Dense(3, "tanh"), unidl.layers.Dense(1)])


@pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")
def test_options_may_change_between_calls_of_fit() -> None:
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    y = x[:, :1] * 2 - 1
    changes: list[tuple[str, Any]] = [
        ("momentum", 0.9), ("clipvalue", 0.01), ("weight_decay", 0.3), ("gradient_accumulation_steps", 2),
        ("use_ema", True), ("learning_rate", schedules.ExponentialDecay(0.5, 1, 0.5)),
    ]  # fmt: skip
    for name, value in changes:
        ends = []
        for by_fit in (True, False):
            model, optimizer = small_model(), optimizers.SGD(0.1, momentum=0.5)
            if by_fit:
                model.compile(optimizer, "mse")
            for turn in range(2):
                if turn:
                    setattr(optimizer, name, value)
                if by_fit:
                    model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
                else:
                    by_hand(model, optimizer, x, y)
            ends.append(model.get_weights())
        close(ends[0], ends[1])
        unchanged, optimizer = small_model(), optimizers.SGD(0.1, momentum=0.5)
        by_hand(unchanged, optimizer, x, y)
        by_hand(unchanged, optimizer, x, y)
        assert not np.allclose(unchanged.get_weights()[0], ends[0][0], atol=1e-5), name


@pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")
def test_models_in_float16_get_a_loss_scale() -> None:
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    y = x.sum(1, keepdims=True)
    unidl.utils.set_random_seed(0)
    policy = "mixed_float16"
    model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(4, "tanh", dtype=policy), unidl.layers.Dense(1)])
    model.dtype_policy = policy
    model.compile(optimizers.SGD(0.05), "mse", auto_scale_loss=False)
    assert type(model.optimizer) is optimizers.SGD
    model.compile(optimizers.SGD(0.05), "mse")
    scaled = model.optimizer
    assert type(scaled) is optimizers.LossScaleOptimizer
    scaled.dynamic_scale.assign(2.0**40)  # far too high: it comes down by itself
    losses = model.fit(x, y, epochs=12, batch_size=16, verbose=0).history["loss"]
    scale, updates = (float(active.to_numpy(v)) for v in (scaled.dynamic_scale, scaled.iterations))
    assert 2.0**8 < scale < 2.0**20 and losses[-1] < 0.5 * losses[0] and 16 < updates < 48 - 15
    before = model.get_weights()
    model.fit(x * np.float32(np.inf), y, epochs=1, batch_size=64, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(active.to_numpy(scaled.dynamic_scale)) == scale / 2


def test_averages_overwrite_variables_every_few_steps() -> None:
    plain, w = start()[0][0].astype("float64"), start()[0][0].astype("float64")
    average: Any = None
    for t, some in enumerate(start()[1], 1):
        w = w - 0.1 * some[0]
        average = w if average is None else 0.7 * average + 0.3 * w
        w = average if t % 2 == 0 else w
    assert not np.allclose(plain, w)
    got = trained(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=2))
    np.testing.assert_allclose(got[0], w, rtol=1e-5)


def test_some_variables_may_be_left_out_of_decay() -> None:
    for cls in (optimizers.SGD, optimizers.AdamW):
        variables = made([np.ones((2,), "float32"), np.ones((2,), "float32"), np.ones((2,), "float32")])
        variables[1]._name = "bias"
        optimizer = cls(0.5, weight_decay=0.1)
        optimizer.exclude_from_weight_decay([variables[2]], ["bias"])
        optimizer.apply([active.to_tensor(np.zeros(2, "float32"))] * 3, variables)
        assert [v[0] for v in values(variables)] == pytest.approx([0.95, 1.0, 1.0])


def test_constraints_hold_after_each_update() -> None:
    variable = unidl.Variable(np.array([0.1, 2.0], "float32"))
    variable.constraint = unidl.constraints.NonNeg()
    optimizers.SGD(1.0).apply([active.to_tensor(np.ones(2, "float32"))], [variable])
    np.testing.assert_allclose(active.to_numpy(variable), [0.0, 1.0])


def test_a_missing_gradient_leaves_its_variable_and_warns() -> None:
    weights, gradients = start()
    variables = made(weights)
    optimizer = optimizers.Adam(0.01)
    with pytest.warns(UserWarning, match="w1"):
        optimizer.apply([active.to_tensor(gradients[0][0]), None, active.to_tensor(gradients[0][2])], variables)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # told once
        optimizer.apply([active.to_tensor(gradients[1][0]), None, active.to_tensor(gradients[1][2])], variables)
    np.testing.assert_array_equal(values(variables)[1], weights[1])
    state: dict[str, Any] = {}
    expected = weights[0].astype("float64")
    for t in (1, 2):
        expected = adam(expected, gradients[t - 1][0], state, t, lr=0.01)
    np.testing.assert_allclose(values(variables)[0], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="w0, w1, w2"):
        optimizer.apply([None, None, None], variables)


def test_a_subset_of_the_variables_uses_its_own_slots() -> None:
    weights, gradients = start()
    variables = made(weights)
    optimizer = optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(variables)
    update = optimizer.updater([variables[2], variables[0]])
    for some in gradients[:3]:
        update([active.to_tensor(some[2]), active.to_tensor(some[0])])
    w, state = weights[0].astype("float64"), {}  # type: ignore[var-annotated]
    for t, some in enumerate(gradients[:3], 1):
        w = sgd(w, some[0], state, t, lr=0.1, momentum=0.9)
    np.testing.assert_allclose(values(variables)[0], w, rtol=1e-5, atol=1e-6)
    assert not values([optimizer.slot("momentum", variables[1])])[0].any()


def test_state_can_be_saved_and_goes_on_where_it_was() -> None:
    weights, gradients = start()
    for cls in (optimizers.Adam, lambda: optimizers.SGD(0.1, momentum=0.9), lambda: optimizers.RMSprop(centered=True)):
        variables, optimizer = made(weights), cls()
        for some in gradients[:3]:
            optimizer.apply([active.to_tensor(g) for g in some], variables)
        store: dict[str, Any] = {}
        optimizer.save_own_variables(store)
        other, copies = cls(), made(values(variables))
        other.build(copies)
        other.load_own_variables(store)
        for some in gradients[3:]:
            optimizer.apply([active.to_tensor(g) for g in some], variables)
            other.apply([active.to_tensor(g) for g in some], copies)
        for a, b in zip(values(variables), values(copies), strict=True):
            np.testing.assert_array_equal(a, b)
        late, copies = cls(), made(values(copies))
        late.load_own_variables(store)  # kept until there are slots
        late.build(copies)
        late.apply([active.to_tensor(g) for g in gradients[0]], copies)
        assert int(active.to_numpy(late.iterations)) == 4
        with pytest.warns(UserWarning, match="Skipping"):
            late.load_own_variables({"0": store["0"]})


def test_numpy_of_a_variable_stays_when_the_variable_changes() -> None:
    variable = unidl.Variable(np.ones(2, "float32"))
    before, also = variable.numpy(), ops.convert_to_numpy(variable)
    optimizers.SGD(0.5).apply([active.to_tensor(np.ones(2, "float32"))], [variable])
    np.testing.assert_array_equal(before, [1.0, 1.0])
    np.testing.assert_array_equal(also, [1.0, 1.0])
    np.testing.assert_array_equal(variable.numpy(), [0.5, 0.5])


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


# -- schedules -------------------------------------------------------------------------------------


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


# -- names, own rules, errors ----------------------------------------------------------------------


def test_own_optimizers_need_only_a_rule() -> None:
    class Signs(optimizers.Optimizer):
        slot_names = ("count",)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.assign_add(self.slot("count", variable), ops.ones_like(gradient))
            self.assign_sub(variable, ops.multiply(ops.sign(gradient), learning_rate))

    class Halved(optimizers.SGD):  # the fused kernel of SGD must not be used
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            super().update_step(ops.multiply(gradient, 0.5), variable, learning_rate)

    weights, gradients = start()
    signs = Signs(0.1)
    expected = weights[0] - 0.1 * sum(np.sign(g[0]) for g in gradients)
    np.testing.assert_allclose(trained(signs)[0], expected, rtol=1e-5, atol=1e-6)
    assert (values(signs.slots["count"])[0] == STEPS).all()
    np.testing.assert_allclose(trained(Halved(0.1))[0], weights[0] - 0.05 * sum(g[0] for g in gradients), rtol=1e-5)


def test_optimizers_written_for_keras_work() -> None:
    class Heavy(optimizers.Optimizer):
        def __init__(self, learning_rate: float = 0.01, momentum: float = 0.9, name: str = "heavy", **kw: Any) -> None:
            super().__init__(learning_rate=learning_rate, name=name, **kw)
            self.momentum = momentum
            self.total = unidl.Variable(np.float32(0.0), trainable=False, name="total")

        def build(self, variables: Any) -> None:
            super().build(variables)
            self.momentums, self.norms = self.add_optimizer_variables(variables, ["momentum", "norm"])

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            rate = ops.cast(learning_rate, variable.dtype)
            m = self.momentums[self._get_variable_index(variable)]
            self.assign(m, m * ops.cast(self.momentum, variable.dtype) - gradient * rate)
            self.assign_add(self.total, ops.sum(gradient))
            self.assign_add(variable, m)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "momentum": self.momentum}

    weights, gradients = start()
    optimizer, variables = Heavy(0.1, weight_decay=0.1), made(weights)
    for some in gradients:
        optimizer.apply_gradients(zip([active.to_tensor(g) for g in some], variables, strict=True))
    close(values(variables), reference(sgd, decay=0.1, lr=0.1, momentum=0.9))
    assert len(optimizer.variables) == 2 + 1 + 2 * len(SHAPES)
    assert float(active.to_numpy(optimizer.total)) == pytest.approx(
        sum(g.sum() for s in gradients for g in s), rel=1e-4
    )
    again = optimizers.deserialize(optimizers.serialize(optimizer), {"Heavy": Heavy})
    assert again.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match="Unknown variable 'late'"):
        optimizer.apply([active.to_tensor(np.float32(1.0))], [unidl.Variable(np.float32(1.0), name="late")])


def test_a_constructor_without_super_is_told() -> None:
    class Forgetful(optimizers.Optimizer):
        def __init__(self) -> None:
            self.rate = 1.0

    with pytest.raises(RuntimeError, match="super"):
        Forgetful().apply([1.0], [unidl.Variable(np.float32(1.0))])


def test_copies_and_pickles_go_on_where_the_original_was() -> None:
    weights, gradients = start()
    for make in (
        lambda: optimizers.Adam(schedules.CosineDecay(0.1, 9), amsgrad=True, use_ema=True),
        lambda: optimizers.Nadam(0.1),
        lambda: optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.1), {"w1": optimizers.Lion(0.1)})),
    ):
        optimizer, variables = make(), made(weights)
        for some in gradients[:2]:
            optimizer.apply([active.to_tensor(g) for g in some], variables)
        twins = [pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)]
        ends = []
        for each in (optimizer, *twins):
            own = made(values(variables))
            if each is optimizer:
                each = make()
                each.build(own)
                each.set_weights(values(optimizer.variables))
            for some in gradients[2:]:
                each.apply([active.to_tensor(g) for g in some], own)
            ends.append(values(own))
        for end in ends[1:]:
            for a, b in zip(ends[0], end, strict=True):
                np.testing.assert_array_equal(a, b)
        assert twins[0].get_config() == optimizer.get_config()


def test_gradients_may_be_arrays_of_other_dtypes() -> None:
    variable = unidl.Variable(np.ones(3, "float32"))
    optimizers.Adam(0.5).apply([np.array([1.0, 2.0, -3.0])], [variable])
    np.testing.assert_allclose(active.to_numpy(variable), [0.5, 0.5, 1.5], rtol=1e-5)
    optimizers.SGD(0.5).apply([[1, 2, 3]], [variable])
    np.testing.assert_allclose(active.to_numpy(variable), [0.0, -0.5, 0.0], atol=1e-5)


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


@pytest.mark.once
def test_maps_of_optimizers() -> None:
    default, slow, fast = optimizers.SGD(), optimizers.Adam(0.1), optimizers.Adam(0.2)
    table = optimizers.OptimizerMap(default, {"encoder/.*": slow, "encoder/top/kernel": fast})
    assert table["encoder/dense/kernel"] is slow and table["encoder/top/kernel"] is fast and table["head"] is default
    table["enc.*dense/.*"] = fast
    with pytest.raises(ValueError, match="multiple keys"):
        table["encoder/dense/kernel"]
    del table["enc.*dense/.*"]
    assert list(table) == ["encoder/.*", "encoder/top/kernel"] and len(table) == 2
    several = optimizers.MultiOptimizer(table)
    assert several.optimizers == [slow, fast, default]
    with pytest.raises(AttributeError, match="optimizers"):
        several.learning_rate = 0.1
    assert not hasattr(several, "learning_rate")
    chosen = optimizers.MultiOptimizer(lambda variable: slow if variable.name == "a" else fast)
    variables = [unidl.Variable(np.float32(1.0), name=n) for n in "ab"]
    chosen.apply([np.float32(1.0)] * 2, variables)
    assert [float(active.to_numpy(v)) for v in variables] == pytest.approx([0.9, 0.8], rel=1e-4)
    assert chosen.optimizers == [slow, fast]


def test_names_and_configurations() -> None:
    for name in ("sgd", "SGD", "adam", "Adam", "adamw", "AdamW", "rmsprop", "RMSprop"):
        assert type(optimizers.get(name)).__name__.lower() == name.lower()
    original = optimizers.AdamW(0.5, weight_decay=0.1, amsgrad=True, clipnorm=2.0)
    again = optimizers.deserialize(optimizers.serialize(original))
    assert again.get_config() == original.get_config()
    assert (again.weight_decay, again.amsgrad, again.clipnorm) == (0.1, True, 2.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(-1.0),
        lambda: optimizers.SGD("fast"),
        lambda: optimizers.SGD(momentum=2.0),
        lambda: optimizers.Adam(beta_1=1.0),
        lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0),
        lambda: optimizers.Adam(clipnorm=0.0),
        lambda: optimizers.Adam(weight_decay=-1.0),
        lambda: optimizers.Adam(ema_overwrite_frequency=3),
        lambda: optimizers.Adam(gradient_accumulation_steps=1),
        lambda: optimizers.Adam(loss_scale_factor=0.0),
        lambda: optimizers.Adagrad(initial_accumulator_value=-1.0),
        lambda: optimizers.Ftrl(learning_rate_power=0.5),
        lambda: optimizers.Ftrl(l1_regularization_strength=-1.0),
        lambda: optimizers.Lion(beta_1=0.0),
        lambda: optimizers.Nadam(beta_2=1.0),
        lambda: optimizers.ScheduleFreeAdamW(beta_1=0.0),
        lambda: optimizers.Muon().zeropower_via_newtonschulz5(np.ones(3, "float32"), 5),
        lambda: optimizers.LossScaleOptimizer("sgd"),
        lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), initial_scale=0.0),
        lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), dynamic=False),
        lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0),
        lambda: optimizers.LossScaleOptimizer(optimizers.SGD(), speed=1.0),
        lambda: optimizers.OptimizerMap(optimizers.SGD(), {"a": "sgd"}),
        lambda: optimizers.OptimizerMap(optimizers.SGD(), {"a": optimizers.LossScaleOptimizer(optimizers.SGD())}),
        lambda: optimizers.SGD().stateless_apply([], [], []),
        lambda: optimizers.SGD().add_optimizer_variables([], ["a", "b"], ["zeros"]),
        lambda: optimizers.get("nonsense"),
        lambda: optimizers.get(lambda g: g),
        lambda: optimizers.SGD().apply([1.0]),
        lambda: optimizers.SGD().apply([1.0], []),
        lambda: optimizers.SGD(decays=0.1),
        lambda: optimizers.SGD().set_weights([]),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


@pytest.mark.once
def test_old_optimizers_say_what_is_in_their_place() -> None:
    for name in optimizers.legacy.__all__:
        with pytest.raises(ImportError, match=f"unidl.optimizers.{name}"):
            getattr(optimizers.legacy, name)(0.1, decay=0.1)


@pytest.mark.once
def test_maps_take_optimizers_only() -> None:
    with pytest.raises(TypeError, match="default_optimizer"):
        optimizers.OptimizerMap("sgd")
    with pytest.raises(TypeError, match="dictionary"):
        optimizers.OptimizerMap(optimizers.SGD(), ["a"])
    with pytest.raises(TypeError, match="OptimizerMap or a function"):
        optimizers.MultiOptimizer("sgd").build([])
    with pytest.raises(ValueError, match="already exists"):
        optimizers.OptimizerMap(optimizers.SGD(), {"a": optimizers.SGD()})["a"] = optimizers.SGD()
    with pytest.warns(UserWarning, match="decay"):
        optimizers.SGD(decay=0.1)


@pytest.mark.parametrize("name", [n for n in optimizers.__all__ if inspect.isclass(getattr(optimizers, n))])
def test_examples_in_docstrings(name: str) -> None:
    tests = doctest.DocTestFinder(recurse=False).find(getattr(optimizers, name), name, module=False, globs={})
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
