"""Scopes: other values of variables, names, devices, recomputing."""

from __future__ import annotations

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.errors import GraphError
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace


def values(tensor: object) -> list[float]:
    return ops.convert_to_numpy(tensor).tolist()


# -- StatelessScope --------------------------------------------------------------------------------


def test_variables_have_the_values_of_the_scope_and_assigning_stays_in_it() -> None:
    v, untouched = unidl.Variable([1.0, 2.0]), unidl.Variable([5.0])
    with unidl.StatelessScope([(v, ops.array([10.0, 20.0]))]) as scope:
        assert values(v + 1.0) == [11.0, 21.0]
        v.assign_add([1.0, 1.0])
        assert values(v.value) == v.numpy().tolist() == values(ops.convert_to_tensor(v)) == [11.0, 21.0]
        assert values(ops.stack([v, v])) == [[11.0, 21.0]] * 2
        assert values(untouched * 2.0) == [10.0]
    assert v.numpy().tolist() == [1.0, 2.0]
    assert v.value is v
    assert values(scope.get_current_value(v)) == [11.0, 21.0]
    assert scope.get_current_value(untouched) is None
    v.assign(scope.get_current_value(v))
    assert v.numpy().tolist() == [11.0, 21.0]


def test_an_inner_scope_sees_the_outer_one() -> None:
    a, b = unidl.Variable([1.0]), unidl.Variable([2.0])
    with unidl.StatelessScope({a: np.array([10.0])} if active.name != "tensorflow" else [(a, np.array([10.0]))]):
        with unidl.StatelessScope([(b, np.array([20.0]))]):
            a.assign([11.0])
            assert values(a + b) == [31.0]
        assert values(a + b) == [12.0]


def test_layers_and_models_are_functions_of_their_state_inside() -> None:
    layer = layers.Dense(2)
    model = unidl.Sequential([unidl.Input((3,)), layer, layers.Dense(1)])
    x = np.ones((4, 3), np.float32)
    before = model.predict(x, verbose=0)
    model(x)  # recorded: what is replayed holds the variables
    with unidl.StatelessScope([(w, np.full(w.shape, 2.0)) for w in model.weights]):
        assert values(layer(x)) == [[8.0, 8.0]] * 4
        assert values(model(x)) == [[34.0]] * 4
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), before, rtol=1e-6)


def test_moving_averages_are_collected() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    with unidl.StatelessScope() as scope:
        layer(np.ones((4, 3), np.float32), training=True)
    assert layer.moving_mean.numpy().tolist() == [0.0] * 3
    np.testing.assert_allclose(values(scope.get_current_value(layer.moving_mean)), [0.01] * 3, rtol=1e-5)


@pytest.mark.skipif(not active.trains, reason="no gradients")
def test_the_gradient_by_state_that_was_passed_in() -> None:
    layer = layers.Dense(1, use_bias=False)
    layer.build((None, 2))

    def loss(kernel: object) -> object:
        with unidl.StatelessScope([(layer.kernel, kernel)]):
            return ops.sum(layer(np.array([[3.0, 4.0]], np.float32)))

    assert values(unidl.grad(loss)(ops.zeros((2, 1)))) == [[3.0], [4.0]]


def test_symbolic_state_is_recorded() -> None:
    v = unidl.Variable([1.0, 2.0])
    with unidl.StatelessScope([(v, unidl.KerasTensor((2,)))]):
        result = v * 2.0
    assert isinstance(result, unidl.KerasTensor)
    assert result.shape == (2,)


def test_state_that_does_not_fit_is_refused() -> None:
    v = unidl.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"`mapping` gives values to Variables, but one of its keys is 'v'"):
        unidl.StatelessScope([("v", np.ones(2))])
    with pytest.raises(ValueError, match=r"shape \(2,\); a value of shape \(3,\)"):
        unidl.StatelessScope([(v, np.ones(3))])


# -- names and devices -----------------------------------------------------------------------------


@pytest.mark.once
def test_names_of_variables() -> None:
    with unidl.name_scope("outer") as outer, unidl.name_scope("inner"):
        assert unidl.Variable(1.0, name="v").path == "outer/inner/v"
        assert outer.name == "outer"
        with unidl.name_scope("leaf", override_parent="/a/b"):
            assert unidl.Variable(1.0, name="v").path == "a/b/leaf/v"
    with unidl.name_scope("same", caller=1), unidl.name_scope("same", caller=1):
        assert unidl.Variable(1.0, name="v").path == "same/v"
    with unidl.name_scope("same"), unidl.name_scope("same"):
        assert unidl.Variable(1.0, name="v").path == "same/same/v"
    assert unidl.Variable(1.0, name="v").path == "v"
    for wrong in ("a/b", 4):
        with pytest.raises(ValueError, match="must be a string without '/'"):
            unidl.name_scope(wrong)  # type: ignore[arg-type]


def test_tensors_are_made_on_the_device_that_is_asked_for() -> None:
    for name in ("cpu", "cpu:0", "CPU:0"):
        with unidl.device(name):
            assert values(ops.ones((1,))) == [1.0]
    with pytest.raises(ValueError, match=r"has no device 'gpu:77'; there are \['cpu"):
        unidl.device("gpu:77")
    with pytest.raises(ValueError, match="must be a string"):
        unidl.device(0)  # type: ignore[arg-type]


@pytest.mark.once
def test_code_can_ask_whether_it_runs_for_shapes_only() -> None:
    assert not unidl.SymbolicScope.active()
    with unidl.SymbolicScope():
        assert unidl.SymbolicScope.active()
        assert values(ops.zeros((1,))) == [0.0]
    assert not unidl.SymbolicScope.active()
    seen = []
    trace(lambda x: seen.append(unidl.SymbolicScope.active()) or x, (TensorSpec((2,), "float32"),))
    assert seen == [True]


# -- computing again -------------------------------------------------------------------------------


def test_remat_computes_the_same_in_every_way() -> None:
    weight = unidl.Variable([2.0, 3.0])

    @unidl.remat
    def block(x: object, scale: float = 1.0) -> dict[str, object]:
        return {"y": ops.tanh(x * weight) * scale}

    x = ops.array([0.1, 0.2])
    expected = (np.tanh(np.array([0.2, 0.6])) * 2).tolist()
    np.testing.assert_allclose(values(block(x, scale=2.0)["y"]), expected, rtol=1e-5)
    np.testing.assert_allclose(values(unidl.jit(lambda v: block(v, 2.0)["y"])(x)), expected, rtol=1e-5)
    graph = trace(lambda v: block(v)["y"], (TensorSpec((None, 2), "float32"),))
    assert [n.op.name for n in graph.nodes] == ["recomputed"]
    assert graph.outputs[0].shape == (None, 2)


@pytest.mark.skipif(not active.trains, reason="no gradients")
@pytest.mark.parametrize("compiled", [False, True])
def test_the_gradient_of_remat(compiled: bool) -> None:
    weight = unidl.Variable([2.0, 3.0])
    block = unidl.remat(lambda x: ops.sum(ops.sin(x * weight)))
    run = unidl.jit(block) if compiled else block
    x = np.array([0.1, 0.2], np.float32)
    by_x = unidl.grad(run)(ops.array(x))
    np.testing.assert_allclose(values(by_x), np.cos(x * [2, 3]) * [2, 3], rtol=1e-5)
    if not compiled:
        _, (by_weight,) = unidl.value_and_grad(lambda: block(ops.array(x)), variables=[weight])()
        np.testing.assert_allclose(values(by_weight), np.cos(x * [2, 3]) * x, rtol=1e-5)


@pytest.mark.skipif(active.name != "torch", reason="counts the calls of PyTorch's functions")
def test_torch_keeps_nothing_and_calls_again() -> None:
    calls = []

    def block(x: object) -> object:
        calls.append(1)
        return ops.sum(ops.sin(x))

    unidl.grad(unidl.remat(block))(ops.ones((3,)))
    assert len(calls) == 2


def test_what_remat_assigns_is_an_update_of_the_graph() -> None:
    count = unidl.Variable(0.0)

    def step(x: object) -> object:
        count.assign_add(1.0)
        return x * count

    graph = trace(unidl.remat(step), (TensorSpec((2,), "float32"),))
    assert values(active.executable(graph)(ops.array([1.0, 2.0]))[0]) == [1.0, 2.0]
    assert count.numpy() == 1.0
    with pytest.raises(GraphError, match="a variable is assigned"):
        unidl.remat(step)(unidl.KerasTensor((2,)))


@pytest.mark.once
def test_which_layers_a_scope_takes() -> None:
    from unidl._state import state

    with unidl.RematScope() as outer:
        assert state.remat is outer
        with unidl.RematScope("larger_than", output_size_threshold=10) as inner:
            assert state.remat is inner
            assert not inner.takes("dense", lambda: (None, 10))
            assert inner.takes("dense", lambda: [(None, 6), (1, 5)])
        assert state.remat is outer
        assert outer.takes("dense", lambda: (1,))
    assert state.remat is None
    assert unidl.RematScope("list_of_layers", layer_names=["a"]).takes("a", lambda: ())
    assert not unidl.RematScope("activations").takes("a", lambda: ())  # not the whole call
    with pytest.raises(ValueError, match="`mode` must be None or one of"):
        unidl.RematScope("some")


def twice_curved(x: object) -> object:
    """An activation function with something to keep on the way."""
    if active.is_tensor(x):
        CALLS.append(x)
    return ops.tanh(ops.sin(x))


CALLS: list[object] = []
WITH_ACTIVATION = {
    "Dense": ({"units": 2}, (3, 4)),
    "EinsumDense": ({"equation": "ab,bc->ac", "output_shape": 2}, (3, 4)),
    "Conv1D": ({"filters": 2, "kernel_size": 2}, (2, 4, 3)),
    "SeparableConv1D": ({"filters": 2, "kernel_size": 2}, (2, 4, 3)),
    "GRU": ({"units": 2, "recurrent_activation": twice_curved}, (2, 3, 4)),
    "Activation": ({}, (2, 3)),
}


@pytest.mark.skipif(not active.trains, reason="no gradients")
@pytest.mark.parametrize("name", WITH_ACTIVATION)
def test_activations_are_computed_again(name: str) -> None:
    """The same outputs, gradients and configuration; the function is called once more where engines can."""
    arguments, shape = WITH_ACTIVATION[name]
    plain = getattr(layers, name)(activation=twice_curved, name="layer", **arguments)
    with unidl.RematScope("activations"):
        again = getattr(layers, name)(activation=twice_curved, name="layer", **arguments)
    x = ops.array(np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape))
    for layer in (plain, again):
        layer(x)
    again.set_weights(plain.get_weights())
    assert again.activation is twice_curved and again.get_config() == plain.get_config()

    def results(layer: object, run: object) -> tuple[int, list[np.ndarray]]:
        CALLS.clear()
        variables = layer.trainable_variables
        loss = lambda v: ops.sum(ops.square(run(v)))
        by_x = unidl.grad(loss)(x)
        calls = len(CALLS)
        _, by_weights = unidl.value_and_grad(lambda: loss(x), variables)() if variables else (0, ())
        return calls, [ops.convert_to_numpy(v) for v in (run(x), by_x, *by_weights)]

    calls, expected = results(plain, plain)
    calls_again, found = results(again, again)
    assert calls > 0 and calls_again == (calls if active.name == "mxnet" else 2 * calls)
    symbol = layers.Input(batch_shape=(None, *shape[1:]))
    model = unidl.Model(symbol, again(symbol))
    for values in (found, results(again, model)[1]):
        for a, b in zip(expected, values, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_activations_in_the_graph_of_a_model() -> None:
    with unidl.RematScope("activations"):
        last = [layers.LeakyReLU(0.1), layers.Dense(4), layers.PReLU(), layers.Softmax()]
        model = unidl.Sequential([unidl.Input((8,)), layers.Dense(4, activation="gelu"), *last])
    graph = trace(model, (TensorSpec((None, 8), "float32"),), owner=model)
    bodies = [n.args[0].nodes for n in graph.nodes if n.op.name == "recomputed"]
    assert [nodes[-1].op.name for nodes in bodies] == ["gelu", "leaky_relu", "subtract", "softmax"]
    assert "linear" in {n.op.name for n in graph.nodes}


@pytest.mark.skipif(not active.trains, reason="no gradients")
@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("mode", ["full", "activations", "larger_than", "list_of_layers"])
def test_training_in_a_scope_is_training_without(mode: str, eagerly: bool) -> None:
    """Losses, weights, moving averages; how often the activation function of the first layer is called."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 5)).astype("float32"), rng.integers(0, 3, 8)
    found = []
    for used in (None, mode):
        with unidl.RematScope(used, output_size_threshold=3, layer_names=["first"]):
            first = layers.Dense(4, activation=twice_curved, name="first")
            model = unidl.Sequential([unidl.Input((5,)), first, layers.BatchNormalization(), layers.Dense(3)])
        model.set_weights([np.linspace(0.1, 0.9, w.numpy().size).reshape(w.shape) for w in model.weights])
        loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(unidl.optimizers.SGD(0.1), loss, run_eagerly=eagerly)
        model.fit(x, y, epochs=1, batch_size=8, verbose=0)
        CALLS.clear()
        history = model.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False)
        found.append((len(CALLS), [np.array(history.history["loss"]), *model.get_weights()]))
    (plain_calls, plain), (calls, again) = found
    for a, b in zip(plain, again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    if eagerly:
        assert plain_calls == 4 and (calls == 4 if active.name == "mxnet" else calls > 4)


@pytest.mark.skipif(not active.trains, reason="no gradients")
def test_what_is_dropped_is_dropped_the_second_time() -> None:
    with unidl.RematScope("full"):
        layer, inner = layers.Dropout(0.5), layers.Dropout(0.5)
    symbol = layers.Input((50,))
    model = unidl.Model(symbol, layer(inner(symbol)))
    for call in (lambda v: layer(inner(v, training=True), training=True), lambda v: model(v, training=True)):

        def loss(v: object, call: object = call) -> tuple[object, object]:
            out = call(v)
            return ops.sum(out), out

        (_, out), gradient = unidl.value_and_grad(loss, has_aux=True)(ops.ones((2, 50)))
        found = np.array(values(out))
        assert 0 < (found > 0).mean() < 0.6
        np.testing.assert_array_equal(values(gradient), found)
