"""A gluon block as a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers

if unidl.backend.backend() != "mxnet":
    pytest.skip("needs UNIDL_BACKEND=mxnet", allow_module_level=True)

from unidl_mxnet._engine import mx

X = np.random.default_rng(0).standard_normal((12, 4)).astype("float32")
Y = X[:, :1] * 2


def net(hybridize: bool = False) -> Any:
    with mx.util.np_array(True), mx.util.np_shape(True):
        block = mx.gluon.nn.HybridSequential()
        block.add(mx.gluon.nn.Dense(8), mx.gluon.nn.BatchNorm(), mx.gluon.nn.Activation("tanh"), mx.gluon.nn.Dense(1))
        if hybridize:
            block.hybridize()
    return block


def test_its_parameters_are_weights() -> None:
    layer = layers.GluonBlockWrapper(net(), name="net")
    assert layer(X).shape == (12, 1)
    assert (len(layer.trainable_variables), len(layer.non_trainable_variables)) == (6, 2)
    assert all(v.path.startswith("net/") for v in layer.variables)
    parameter = next(iter(layer.block.collect_params().values()))
    assert parameter.data() is layer.trainable_variables[0]
    before = layer(X).asnumpy()
    layer.set_weights([w * 2 for w in layer.get_weights()])
    assert np.abs(layer(X).asnumpy() - before).max() > 1e-3
    layer.trainable = False
    assert not layer.trainable_variables


@pytest.mark.parametrize("hybridize", [False, True])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_fit_trains_it_and_counts_its_statistics(run_eagerly: bool, hybridize: bool) -> None:
    model = unidl.Sequential([unidl.Input((4,)), layers.GluonBlockWrapper(net(hybridize)), layers.Dense(1)])
    assert model.output_shape == (None, 1)
    wrapper = model.layers[-2]
    before = wrapper.get_weights()
    model.compile(unidl.optimizers.SGD(0.05), "mse", run_eagerly=run_eagerly)
    losses = model.fit(X, Y, batch_size=6, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    trained = wrapper.get_weights()
    assert all(np.abs(a - b).max() > 0 for a, b in zip(before, trained, strict=True) if a.shape != (8,))
    assert np.abs(trained[-1] - before[-1]).max() > 0  # the variance of the batches seen
    model.predict(X, verbose=0)
    np.testing.assert_array_equal(wrapper.get_weights()[-1], trained[-1])


def test_a_block_that_is_an_attribute_becomes_a_layer() -> None:
    class Net(unidl.Model):
        def __init__(self) -> None:
            super().__init__()
            with mx.util.np_array(True), mx.util.np_shape(True):
                self.first = mx.gluon.nn.Dense(3)
            self.last = layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.last(self.first(x))

    model = Net()
    model(X)
    assert isinstance(model.first, layers.GluonBlockWrapper)
    assert len(model.trainable_variables) == 4
    with pytest.raises(TypeError, match="gluon Block"):
        layers.GluonBlockWrapper("dense")
