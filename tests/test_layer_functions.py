"""A layer's call as a function of its state, and computed again for the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active

X = np.random.default_rng(2).random((4, 3)).astype("float32")
trains = pytest.mark.skipif(not active.trains, reason="this backend has no gradients")


def host(values: Any) -> list[np.ndarray]:
    return [active.to_numpy(v) for v in unidl.tree.flatten(values)]


class Counting(layers.Layer):
    def build(self, shape: Any) -> None:
        self.scale = self.add_weight((shape[-1],), "ones")
        self.calls = self.add_weight((), "zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        self.add_loss(ops.sum(self.scale))
        return self.scale * x


def test_a_stateless_call_uses_the_given_values_and_returns_the_new_ones() -> None:
    layer = Counting()
    layer(X)
    before = layer.get_weights()
    scale, calls = np.array([2, 3, 4], "float32"), np.float32(10)
    outputs, (after,), losses = layer.stateless_call([scale], [calls], X, return_losses=True)
    np.testing.assert_allclose(host(outputs)[0], X * scale, rtol=1e-6)
    assert host(after)[0] == 11 and host(losses)[0] == 9
    for mine, old in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


def test_models_are_functions_of_their_state_too() -> None:
    model = unidl.Sequential([layers.Input((3,)), layers.Dense(2), layers.BatchNormalization(), layers.Dropout(0.5)])
    model(X)
    values = [np.full(v.shape, 0.5, "float32") for v in model.trainable_variables]
    others = [active.to_numpy(v) for v in model.non_trainable_variables]
    outputs, moved = model.stateless_call(values, others, X, training=True)
    assert tuple(active.shape(outputs)) == (4, 2)
    assert any(np.abs(m - o).max() > 1e-3 for m, o in zip(host(moved), others, strict=True))
    np.testing.assert_array_equal(host(model.non_trainable_variables)[0], others[0])


@trains
def test_gradients_by_the_given_values() -> None:
    layer = layers.Dense(1, use_bias=False)
    layer.build((None, 3))

    def loss(kernel: Any) -> Any:
        return ops.sum(layer.stateless_call([kernel], [], X)[0])

    _, (gradient,) = unidl.value_and_grad(loss)(ops.ones((3, 1))), (unidl.grad(loss)(ops.ones((3, 1))),)
    np.testing.assert_allclose(host(gradient)[0][:, 0], X.sum(0), rtol=1e-5)


@trains
def test_the_loss_as_a_function_of_the_state() -> None:
    model = unidl.Sequential([layers.Input((3,)), layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    zeros = [np.zeros((3, 1), "float32")]
    shown = [active.to_numpy(v) for v in model.metrics_variables]
    y_pred, _ = model.stateless_call(zeros, [], X)
    loss, (trained, _, _) = model.stateless_compute_loss(zeros, [], shown, X, np.ones((4, 1), "float32"), y_pred)
    assert float(host(loss)[0]) == 1 and not host(trained)[0].any()


def test_mistakes_in_the_state_are_told() -> None:
    with pytest.raises(ValueError, match="not built"):
        layers.Dense(1).stateless_call([], [], X)
    layer = layers.Dense(1)
    layer.build((None, 3))
    with pytest.raises(ValueError, match=r"trainable_variables.*2 values.*not 1"):
        layer.stateless_call([np.zeros((3, 1))], [], X)


@trains
@pytest.mark.parametrize(
    "scope", [{}, {"mode": "activations"}, {"mode": "larger_than", "output_size_threshold": 1}, {"mode": None}]
)
def test_layers_made_in_a_remat_scope_give_the_same_values_and_gradients(scope: Any) -> None:
    def weights_after_training(remade: bool) -> list[np.ndarray]:
        unidl.utils.set_random_seed(4)
        dense = layers.Dense(5, activation="tanh", name="dense")
        if remade:
            with unidl.RematScope(**scope):
                dense = layers.Dense.from_config(dense.get_config())
        model = unidl.Sequential([layers.Input((3,)), dense, layers.Dense(1, name="last")])
        model.compile(unidl.optimizers.SGD(0.1), "mse")
        model.set_weights([np.full(v.shape, 0.1, "float32") for v in model.weights])
        model.fit(X, X[:, :1], epochs=3, verbose=0, shuffle=False)
        return [*model.get_weights(), *host(dense(X))]

    for mine, plain in zip(weights_after_training(True), weights_after_training(False), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-5, atol=1e-6)


def test_add_metric_says_what_to_do_instead() -> None:
    with pytest.raises(NotImplementedError, match="update_state"):
        layers.Dense(1).add_metric(1.0)
