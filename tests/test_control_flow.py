"""Control flow in layers and models, its errors, and what is assigned inside. The kit tests values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.errors import OpError, UntraceableError
from unidl.graph.analysis import flops
from unidl.graph.inspect import run_nodes
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.testing import assert_close

X = np.arange(6, dtype="float32").reshape(2, 3)


class Counting(layers.Layer):
    """Counts the rounds of a loop, and the batches whose sum is positive, in variables."""

    def build(self, shape: Any) -> None:
        self.rounds = self.add_weight(shape=(), initializer="zeros", trainable=False, name="rounds")
        self.positive = self.add_weight(shape=(), initializer="zeros", trainable=False, name="positive")

    def call(self, x: Any) -> Any:
        def body(i: Any, value: Any) -> Any:
            self.rounds.assign(self.rounds + 1.0)
            return i + 1, value * 2.0

        def seen() -> Any:
            self.positive.assign(self.positive + 1.0)
            return x

        _, doubled = ops.while_loop(lambda i, _: i < 3, body, (0, x))
        return doubled + ops.cond(ops.sum(x) > 0, seen, lambda: x)


@pytest.mark.parametrize("how", ["eager", "predict"])
def test_variables_assigned_in_bodies(how: str) -> None:
    inputs = unidl.Input((3,))
    layer = Counting()
    model = unidl.Model(inputs, layer(inputs))
    for sign in (1, -1, 1):
        found = layer(active.to_tensor(X * sign)) if how == "eager" else model.predict(X * sign, verbose=0)
        assert_close(found, X * 9 * sign)
    assert_close(layer.rounds, np.float32(9))
    assert_close(layer.positive, np.float32(2))


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_scan_between_the_inputs_and_outputs_of_a_model(eagerly: bool) -> None:
    inputs = unidl.Input((3, 2))
    start = ops.ones((2, 2))  # a tensor of the engine, which the model keeps as a constant
    last, _ = ops.scan(lambda carry, row: (carry + row, row), start, ops.swapaxes(inputs, 0, 1))
    model = unidl.Model(inputs, last)
    model.run_eagerly = eagerly
    x = np.arange(12, dtype="float32").reshape(2, 3, 2)
    assert_close(model(active.to_tensor(x)), 1 + x.sum(1))
    outer = unidl.Sequential([unidl.Input((3, 2)), model])
    assert_close(outer.predict(x, verbose=0), 1 + x.sum(1))


def test_scan_reads_and_writes_a_variable() -> None:
    total = unidl.Variable(np.zeros((3,), "float32"), trainable=False)

    def running(x: Any) -> Any:
        def step(carry: Any, row: Any) -> Any:
            total.assign(total + row)
            return carry, total * 1.0

        return ops.scan(step, 0, x)[1]

    graph = trace(running, (TensorSpec((None, 3), "float32"),))
    assert_close(active.executable(graph)(active.to_tensor(X))[0], np.cumsum(X, 0))
    assert_close(total, X.sum(0))


@pytest.mark.skipif(not active.trains, reason="needs gradients")
def test_a_model_with_control_flow_trains() -> None:
    class Iterated(layers.Layer):
        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), initializer="glorot_uniform", name="kernel")

        def call(self, x: Any) -> Any:
            def step(state: Any, row: Any) -> Any:
                state = ops.tanh(ops.matmul(state, self.kernel) + row)
                return state, None

            start = ops.zeros_like(x[:, 0])
            return ops.scan(step, start, ops.swapaxes(x, 0, 1))[0]

    unidl.utils.set_random_seed(1)
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(64, 5, 4)).astype("float32")
    y = x.sum((1, 2), keepdims=False)[:, None]
    model = unidl.Sequential([unidl.Input((5, 4)), Iterated(), layers.Dense(1)])
    model.compile(optimizer=unidl.optimizers.Adam(0.05), loss="mse")
    losses = model.fit(x, y, epochs=5, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


# -- errors ----------------------------------------------------------------------------------------

SPEC = (TensorSpec((None, 3), "float32"),)


@pytest.mark.parametrize("recorded", [False, True], ids=["eager", "recorded"])
@pytest.mark.parametrize(
    "function, words",
    [
        (lambda x: ops.cond(x > 0, lambda: x, lambda: x), ["ops.cond", "`pred`", "one bool"]),
        (lambda x: ops.switch(0, []), ["ops.switch", "`branches`"]),
        (lambda x: ops.while_loop(lambda a: ops.sum(a) > 1, lambda a: (a, a), (x,)), ["ops.while_loop", "2 tensors"]),
        (lambda x: ops.scan(lambda c, r: (c, r), 0), ["ops.scan", "`length`"]),
        (lambda x: ops.scan(3, 0, x), ["ops.scan", "`f`"]),
        (lambda x: ops.map(lambda r: r, ops.sum(x)), ["ops.map", "0-d"]),
        (lambda x: ops.scan(lambda c, r: (c, r), 0, (ops.zeros((2, 1)), ops.zeros((3, 1)))), ["ops.scan", "3", "2"]),
    ],
)
def test_errors(function: Any, words: list[str], recorded: bool) -> None:
    with pytest.raises(OpError) as caught:
        if recorded:
            trace(function, SPEC)
        else:
            function(active.to_tensor(X))
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: (x, x)), ["ops.cond", "2 tensors", "1"]),
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: ops.sum(x)), ["dimensions"]),
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: ops.cast(x, "int32")), ["float32", "int32", "cast"]),
        (lambda x: ops.while_loop(lambda a: ops.sum(a) < 1, lambda a: ops.cast(a, "int32"), x), ["float32", "int32"]),
        (lambda x: ops.while_loop(lambda a: a < 1, lambda a: a, x), ["`cond`", "one bool"]),
    ],
)
def test_errors_of_recorded_bodies(function: Any, words: list[str]) -> None:
    with pytest.raises(OpError) as caught:
        trace(function, SPEC)
    assert all(word in str(caught.value) for word in words), caught.value


def test_losses_cannot_be_added_inside() -> None:
    class Inside(layers.Layer):
        def call(self, x: Any) -> Any:
            def body(value: Any) -> Any:
                self.add_loss(ops.sum(value))
                return value

            return ops.map(body, x)

    with pytest.raises(UntraceableError, match="add_loss"):
        trace(Inside(), SPEC)


# -- the graph -------------------------------------------------------------------------------------


def test_bodies_are_counted_shown_and_inspected() -> None:
    def function(x: Any) -> Any:
        weight = ops.sum(x, 0)
        return ops.scan(lambda c, r: (c + r * weight, None), weight, x)[0]

    graph = trace(function, (TensorSpec((4, 3), "float32"),))
    assert [n.op.name for n in graph.nodes] == ["sum", "steps"]
    assert flops(graph) == 12 + 4 * 2 * 3
    assert "steps" in str(graph)
    x = np.ones((4, 3), "float32")
    *_, (node, outputs) = run_nodes(graph, active, [active.to_tensor(x)])
    assert node.op.name == "steps"
    assert_close(outputs[0], np.full(3, 20, "float32"))


def test_vectorized_map_runs_the_function_once_where_the_engine_can() -> None:
    calls = []

    def function(row: Any) -> Any:
        calls.append(1)
        return ops.sum(row * row)

    x = np.ones((50, 2), "float32")
    assert_close(ops.vectorized_map(function, active.to_tensor(x)), np.full(50, 2, "float32"))
    assert len(calls) < 5 if active.name in ("torch", "tensorflow") else len(calls) == 50


def test_a_function_that_looks_at_values_is_mapped_all_the_same() -> None:
    def function(row: Any) -> Any:
        return row * 2 if float(ops.convert_to_numpy(row)[0]) > 1 else row

    if active.name == "tensorflow":
        pytest.skip("tf.vectorized_map traces the function: values are not there")
    assert_close(ops.vectorized_map(function, active.to_tensor(X)), np.stack([X[0], X[1] * 2]))
