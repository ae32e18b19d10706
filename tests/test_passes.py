"""Passes over the graph: what they change, and that results and gradients stay those of the plain path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from counting import python_calls

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.graph.graph import Graph
from unidl.graph.passes import counted_on_host, optimized, relu_after_max_pool
from unidl.graph.replay import replay, write
from unidl.graph.symbolic import Dim, TensorSpec
from unidl.graph.trace import trace

trains = pytest.mark.skipif(not active.trains, reason=f"the {active.name} backend does not train")


def recorded(function: Callable[..., Any], *shapes: tuple[int | None, ...], owner: Any = None) -> Graph:
    """The lowered graph of a function of float32 tensors."""
    graph = trace(function, tuple(TensorSpec(shape, "float32") for shape in shapes), owner=owner)
    return graph.lower(lambda op: op.kind == "opaque" or op.name in active.table)


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def host(values: Any) -> list[np.ndarray]:
    return [active.to_numpy(v) for v in values]


def tensor(array: Any) -> Any:
    return ops.convert_to_tensor(np.asarray(array, "float32"))


# -- ReLU behind max-pool --------------------------------------------------------------------------


def pooled(padding: str) -> Callable[[Any], Any]:
    return lambda x: ops.max_pool(ops.relu(x), 2, 2, padding, "channels_last")


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_relu_goes_behind_the_pool_and_the_values_stay(padding: str) -> None:
    graph = recorded(pooled(padding), (None, 5, 7, 3))
    moved = relu_after_max_pool(graph)
    assert names(graph) == ["relu", "max_pool"]
    assert names(moved) == ["max_pool", "relu"]
    x = np.random.default_rng(0).integers(-2, 3, (4, 5, 7, 3)).astype("float32")  # with many ties
    x[0, 0, 0, 0] = np.inf
    expected, found = (host(write(g, active)(tensor(x)))[0] for g in (graph, moved))
    np.testing.assert_array_equal(found, expected)


@trains
def test_the_gradient_through_the_pool_stays() -> None:
    x = np.random.default_rng(1).integers(-2, 3, (4, 6, 6, 3)).astype("float32")
    weights = tensor(np.random.default_rng(2).normal(size=(4, 3, 3, 3)))
    graph = recorded(pooled("valid"), (None, 6, 6, 3))
    found = []
    for g in (graph, relu_after_max_pool(graph)):
        run = write(g, active)
        found.append(host(unidl.grad(lambda v, run=run: ops.sum(run(v)[0] * weights))(tensor(x)) for _ in range(1))[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0]).sum() > 0


def test_relu_stays_where_something_else_reads_it() -> None:
    def both(x: Any) -> Any:
        y = ops.relu(x)
        return ops.max_pool(y, 2, 2, "valid", "channels_last"), y

    assert names(relu_after_max_pool(recorded(both, (None, 4, 4, 1)))) == ["relu", "max_pool"]


def test_a_layer_called_like_an_op_is_not_taken_for_it() -> None:
    class Relu(layers.Layer):
        def call(self, x: Any) -> Any:
            return active.to_tensor(np.maximum(active.to_numpy(x), 0) - 1)  # code that cannot be recorded

    layer = Relu(name="relu")
    graph = recorded(lambda x: ops.max_pool(layer(x), 2, 2, "valid", "channels_last"), (None, 4, 4, 1))
    assert [n.op.kind for n in relu_after_max_pool(graph).nodes] == ["opaque", "primitive"]


# -- counting --------------------------------------------------------------------------------------


def test_sums_of_ones_are_sizes() -> None:
    def counts(x: Any, total: Any) -> Any:
        count = ops.sum(ops.ones_like(x[:, 0]))
        weights = count * ops.ones_like(total)
        return total + count, ops.sum(total * weights), total * ops.ones_like(total)

    graph = recorded(counts, (None, 3), ())
    counted = counted_on_host(graph)
    assert names(counted) == ["add", "multiply"]
    size = counted.nodes[0].args[1]
    assert isinstance(size, Dim) and size.args == (graph.inputs[0], 0)
    x, total = tensor(np.zeros((5, 3))), tensor(2.5)
    for a, b in zip(host(write(counted, active)(x, total)), [7.5, 12.5, 2.5], strict=True):
        np.testing.assert_allclose(a, b)


def test_counts_that_are_returned_are_still_tensors() -> None:
    graph = recorded(lambda x: ops.sum(ops.ones_like(x)), (None, 3))
    (found,) = host(replay(graph, active)(tensor(np.zeros((4, 3)))))
    assert found == 12.0 and found.dtype == np.float32


# -- sums in place ---------------------------------------------------------------------------------


class Totals(layers.Layer):
    """Adds to one variable, and to the other what the first held before."""

    def build(self, shape: Any) -> None:
        self.first = self.add_weight(shape=(), initializer="ones", trainable=False, name="first")
        self.second = self.add_weight(shape=(), initializer="zeros", trainable=False, name="second")

    def call(self, x: Any) -> Any:
        before = ops.copy(self.first)
        self.first.assign(self.first + ops.sum(x))
        self.second.assign(self.second + before)
        return x


def test_a_variable_is_added_to_in_place() -> None:
    layer = Totals()
    layer.build((None, 2))
    run = replay(recorded(layer, (None, 2), owner=layer), active)
    assert run.source.count("assign_add(") == 2  # type: ignore[attr-defined]
    for _ in range(2):
        run(tensor(np.ones((3, 2))))
    assert host([layer.first, layer.second]) == [13.0, 8.0]


def test_a_variable_that_takes_another_ones_place_is_not() -> None:
    """``a, b = a + b, b + 1``: the sum needs the old value of b."""

    class Swap(Totals):
        def call(self, x: Any) -> Any:
            first, second = self.first + self.second, self.second + 1.0
            self.second.assign(second)
            self.first.assign(first)
            return x

    layer = Swap()
    layer.build((None, 2))
    run = replay(recorded(layer, (None, 2), owner=layer), active)
    for _ in range(3):
        run(tensor(np.ones((3, 2))))
    assert host([layer.first, layer.second]) == [4.0, 3.0]


# -- a whole step ----------------------------------------------------------------------------------


def small_cnn() -> Any:
    unidl.utils.set_random_seed(0)
    model = unidl.Sequential(
        [
            unidl.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(unidl.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 8, 8, 1)).astype("float32"), rng.integers(0, 3, 20).astype("int32")


@trains
@pytest.mark.parametrize("weighted", [False, True])
def test_a_replayed_step_does_what_a_plain_one_does(weighted: bool) -> None:
    x, y = pictures()
    sample_weight = np.linspace(0.5, 2.0, 20).astype("float32") if weighted else None
    found = []
    for eagerly in (False, True):
        model = small_cnn()
        model.run_eagerly = eagerly
        history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, sample_weight=sample_weight, verbose=0)
        found.append((history.history, model.get_weights()))
    (fast, ours), (slow, theirs) = found
    for name, values in slow.items():
        np.testing.assert_allclose(fast[name], values, rtol=1e-5, err_msg=name)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


#: Calls of Python functions in one more batch of `fit`, at most: the engines' own wrappers included.
MOST_CALLS = {"torch": 140, "tensorflow": 120, "mxnet": 140}


@trains
def test_a_training_step_makes_few_python_calls() -> None:
    model = small_cnn()
    x, y = pictures()
    x, y = np.concatenate([x] * 10), np.concatenate([y] * 10)

    def fit(batches: int) -> int:
        return python_calls(lambda: model.fit(x[: 8 * batches], y[: 8 * batches], batch_size=8, verbose=0))

    fit(2)
    more = (fit(24) - fit(4)) / 20
    assert more <= MOST_CALLS[active.name], more


def test_the_train_graph_counts_on_the_host() -> None:
    model = small_cnn()
    x, y = pictures()
    specs = (TensorSpec((None, 8, 8, 1), "float32"), TensorSpec((None,), "int32"))
    model.test_on_batch(x, y)  # makes the metrics
    graph = trace(lambda x, y: model._forward_train(x, y, None, True), specs, owner=model)
    lowered = graph.lower(lambda op: op.name in active.table)
    assert "ones_like" in names(lowered)
    assert "ones_like" not in names(optimized(lowered, numbers=True))
