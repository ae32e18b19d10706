"""Functions made by the C interface compute what `tf.function` computes, and leave nothing behind."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import unidl
from unidl_tensorflow import tracing
from unidl_tensorflow._engine import context
from unidl_tensorflow.compiling import Compiled

x = np.random.default_rng(0).standard_normal((32, 8)).astype("float32")
y = np.arange(32, dtype="int32") % 4


def trained() -> list[np.ndarray]:
    unidl.utils.set_random_seed(0)
    hidden = [unidl.layers.Dense(8, activation="relu"), unidl.layers.BatchNormalization(), unidl.layers.Dense(8)]
    net = unidl.Sequential([unidl.Input((8,)), *hidden, unidl.layers.Dropout(0.1), unidl.layers.Dense(4)])
    loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(unidl.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    net.fit(x, y, batch_size=8, epochs=2, verbose=0)
    return [np.asarray(v) for v in (*net.weights, *net.optimizer.variables)]


def test_training_is_that_of_tf_function(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = trained()
    monkeypatch.setattr(tracing, "possible", lambda: False)
    for one, other in zip(quick, trained(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_reads_and_writes_keep_the_order_of_the_code() -> None:
    variable = tf.Variable(1.0)

    def plain(value: Any) -> tuple[Any, ...]:
        before = variable.read_value()
        variable.assign(value)
        between = variable.read_value()
        variable.assign_add(10.0)
        return before, between, variable.read_value()

    call = Compiled(plain, [tf.TensorSpec((), "float32")])
    for first in (1.0, 15.0, 15.0):
        assert [float(v) for v in call(tf.constant(5.0))] == [first, 5.0, 15.0]
    assert float(variable) == 15.0


def test_handles_of_many_variables_come_in_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_ALONE", 2)
    monkeypatch.setattr(tracing, "_PACK", 4)
    variables = [unidl.Variable(np.float32(i), name=f"v{i}") for i in range(7)]  # 2 alone, 4 and 1 in packs

    def plain(value: Any) -> tuple[Any, ...]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            total = tf.add_n([v * v for v in variables]) * value
        for variable, gradient in zip(variables, tape.gradient(total, variables), strict=True):
            tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=gradient)
        return (total,)

    function = tracing.Function(plain, [tf.TensorSpec((), "float32")])
    assert [tuple(t.shape) for t in function._captured] == [(), (), (4,), (4,)]
    call = function.caller(context.context().function_call_options)
    for scale in (1.0, 0.25):  # each step takes 2 v × 0.25 off v
        assert float(call([tf.constant(0.25)])[0]) == sum(i * i for i in range(7)) * 0.25 * scale
    assert [float(v) for v in variables] == [i / 4 for i in range(7)]


def test_deep_models_train_as_without_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trained()
    monkeypatch.setattr(tracing, "_ALONE", 0)
    for one, other in zip(plain, trained(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)  # rewriting of the graph fuses other ops


def test_tapes_see_the_call() -> None:
    variable = tf.Variable(3.0)
    call = Compiled(lambda value: (value * variable,), [tf.TensorSpec((), "float32")])
    assert float(call(tf.constant(2.0))[0]) == 6.0
    with tf.GradientTape() as tape:
        (product,) = call(tf.constant(2.0))
    assert float(tape.gradient(product, variable)) == 2.0


def test_a_function_goes_with_its_last_caller_without_the_collector() -> None:
    function = tracing.Function(lambda value: (tf.nn.relu(value) + 1.0,), [tf.TensorSpec((None,), "float32")])
    call = function.caller(context.context().function_call_options)
    name, runtime = function._name, context.context()
    gc.disable()
    try:
        del function
        assert runtime.has_function(name)
        assert call([tf.constant([1.0])])[0].numpy().tolist() == [2.0]
        del call
        assert not runtime.has_function(name)
    finally:
        gc.enable()
