"""Optimizers: against formulas in plain NumPy, kernels against the rules in ops, options."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from optimizer_rules import (
    STEPS,
    Arrays,
    adam,
    by_hand,
    close,
    made,
    reference,
    rmsprop,
    schedule_free,
    sgd,
    small_model,
    start,
    trained,
    values,
)

import unidl
from unidl import ops, optimizers
from unidl.backend import active
from unidl.optimizers import schedules

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


RULES_BY_NAME = [
    name
    for name in optimizers.__all__
    if inspect.isclass(getattr(optimizers, name))
    and name not in ("Optimizer", "OptimizerMap", "MultiOptimizer", "LossScaleOptimizer")
]
DTYPES = [("float64",) * 2, ("float16",) * 2, ("bfloat16",) * 2, ("float32", "float16"), ("float64", "float32")]


@pytest.mark.parametrize("dtypes", [d for d in DTYPES if set(d) <= set(active.dtypes)], ids="-".join)
@pytest.mark.parametrize("name", RULES_BY_NAME)
def test_variables_of_any_dtype(name: str, dtypes: tuple[str, str]) -> None:
    options: dict[str, Any] = {"weight_decay": 0.1, "clipnorm": 1.0, "use_ema": True, "gradient_accumulation_steps": 2}
    weights, gradients = start()
    for kwargs in ({}, options):
        ends = []
        for own in (dtypes, ("float32", "float32")):
            variables = [
                unidl.Variable(active.to_numpy(ops.cast(active.to_tensor(w), d)), name=f"w{i}")
                for i, (w, d) in enumerate(zip(weights, own, strict=False))
            ]
            optimizer = getattr(optimizers, name)(0.05, **kwargs)
            for some in gradients[:4]:
                optimizer.apply([ops.cast(active.to_tensor(g), d) for g, d in zip(some, own, strict=False)], variables)
            assert tuple(active.dtype(v) for v in variables) == own
            ends.append([active.to_numpy(ops.cast(v, "float32")) for v in variables])
        tolerance = 0.1 if "bfloat16" in dtypes else 0.02 if "float16" in dtypes else 1e-3
        for a, b in zip(*ends, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_gradients_may_be_arrays_of_other_dtypes() -> None:
    variable = unidl.Variable(np.ones(3, "float32"))
    optimizers.Adam(0.5).apply([np.array([1.0, 2.0, -3.0])], [variable])
    np.testing.assert_allclose(active.to_numpy(variable), [0.5, 0.5, 1.5], rtol=1e-5)
    optimizers.SGD(0.5).apply([[1, 2, 3]], [variable])
    np.testing.assert_allclose(active.to_numpy(variable), [0.0, -0.5, 0.0], atol=1e-5)
