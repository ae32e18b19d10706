"""Optimizers as objects: state, copies, configurations, rules of one's own, errors."""

from __future__ import annotations

import copy
import doctest
import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from optimizer_rules import (
    SHAPES,
    STEPS,
    close,
    made,
    reference,
    sgd,
    start,
    trained,
    values,
)

import unidl
from unidl import ops, optimizers
from unidl.backend import active
from unidl.optimizers import schedules


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
    before, also, third = variable.numpy(), ops.convert_to_numpy(variable), np.asarray(variable)
    assert np.array(variable, "float64").dtype == "float64"
    optimizers.SGD(0.5).apply([active.to_tensor(np.ones(2, "float32"))], [variable])
    np.testing.assert_array_equal(before, [1.0, 1.0])
    np.testing.assert_array_equal(also, [1.0, 1.0])
    if not isinstance(variable, np.ndarray):  # on the NumPy backend a variable is an array
        np.testing.assert_array_equal(third, [1.0, 1.0])
    np.testing.assert_array_equal(variable.numpy(), [0.5, 0.5])


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


@pytest.mark.once
def test_older_names_of_mixed_precision() -> None:
    before = unidl.mixed_precision.global_policy()
    try:
        unidl.mixed_precision.set_global_policy("mixed_float16")
        assert unidl.mixed_precision.dtype_policy() == unidl.mixed_precision.Policy("mixed_float16")
        assert unidl.layers.Dense(1).compute_dtype == "float16"
    finally:
        unidl.mixed_precision.set_global_policy(before)
    assert unidl.mixed_precision.LossScaleOptimizer is optimizers.LossScaleOptimizer
