"""unidl layers inside gluon code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unidl import layers
from unidl_mxnet._engine import mx

gluon = mx.gluon


def net_of(kind: Any) -> Any:
    net = kind()
    net.add(gluon.nn.Dense(8), layers.Dense(6, activation="relu"), layers.BatchNormalization(), gluon.nn.Dense(2))
    net.initialize()
    return net


@pytest.mark.parametrize("kind", [gluon.nn.Sequential, gluon.nn.HybridSequential])
def test_a_net_with_unidl_layers_trains_with_gluons_trainer(kind: Any) -> None:
    net = net_of(kind)
    rng = np.random.default_rng(0)
    x, y = mx.np.array(rng.standard_normal((32, 5)).astype("float32")), mx.np.array(np.arange(32) % 2)
    net(x)
    parameters = net.collect_params()
    trainer = gluon.Trainer(parameters, "adam", {"learning_rate": 0.05})
    criterion = gluon.loss.SoftmaxCrossEntropyLoss()
    moved = net[2].moving_mean.asnumpy().copy()
    losses = []
    for _ in range(40):
        with mx.autograd.record():
            loss = criterion(net(x), y).mean()
        loss.backward()
        trainer.step(1)
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
    assert (net[2].moving_mean.asnumpy() != moved).any()  # recording means training, as in gluon
    outside = net[2].moving_mean.asnumpy().copy()
    net(x)
    np.testing.assert_array_equal(outside, net[2].moving_mean.asnumpy())


def test_parameters_share_memory_and_gradients_with_the_variables() -> None:
    layer = layers.Dense(2)
    layer(np.zeros((1, 3), "float32"))
    parameters = layer.collect_params()
    assert len(parameters.keys()) == 2
    assert list(layer.collect_params(".*kernel").values()) == [p for k, p in parameters.items() if "kernel" in k]
    (kernel,) = layer.collect_params(".*kernel").values()
    kernel.set_data(mx.np.ones((3, 2)))
    np.testing.assert_array_equal(layer.kernel.asnumpy(), np.ones((3, 2)))
    assert kernel.grad() is layer.kernel.gradient
    layer.trainable = False
    (kernel,) = layer.collect_params(".*kernel").values()
    assert kernel.grad_req == "null"


def test_a_layer_needs_no_initialization_and_no_hybridization() -> None:
    layer = layers.Dense(2)
    layer(np.zeros((1, 3), "float32"))
    before = layer.kernel.asnumpy()
    layer.collect_params().initialize(force_reinit=True)
    layer.hybridize()
    np.testing.assert_array_equal(layer.kernel.asnumpy(), before)
    with pytest.raises(TypeError, match="dtype when the layer is made"):
        layer.cast("float16")
