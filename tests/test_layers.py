"""What holds for every layer of `layer_cases`: shapes, replay, configuration, graphs."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from layer_cases import (
    CASES,
    OTHER_SIZES,
    SIZES,
    TRAINED,
    Case,
    data,
    dims,
    dtype,
    make,
    structure,
    weight_value,
)
from weighted import weighted_sum

import unidl
from unidl import layers, ops, tree
from unidl.backend import active
from unidl.graph.inspect import run_nodes
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.graph.trace import trace
from unidl.layers import foreign
from unidl.layers._calling import call_spec
from unidl.layers.preprocessing._host import HostLayer

every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
#: Layers whose call knows about training.
trained = pytest.mark.parametrize(
    "case",
    [case for case in CASES if "training" in call_spec(getattr(layers, case.layer)).names],
    ids=lambda case: case.name,
)


def host(value: Any) -> list[np.ndarray]:
    return [active.to_numpy(v) for v in tree.flatten(value)]


def native(value: Any) -> Any:
    return tree.map_structure(ops.convert_to_tensor, value)


def built(case: Case, sizes: dict[str, int] | None = None) -> tuple[Any, Any, dict[str, Any]]:
    """The layer with known weights, and native tensors for its call."""
    layer = make(case, layers)
    inputs, tensors = (native(v) for v in data(case, sizes))
    layer(inputs, **tensors, **case.flags)
    set_weights(layer, case)
    return layer, inputs, tensors


def set_weights(layer: Any, case: Case) -> None:
    layer.set_weights(
        [weight_value(v.name, tuple(active.shape(v)), f"{case.name}{i}") for i, v in enumerate(layer.weights)]
    )


def functional(case: Case, layer: Any) -> Any:
    """A model of the layer alone, every size unknown that may be."""

    def symbol(shape: str) -> Any:
        return layers.Input(batch_shape=dims(shape, None), dtype=dtype(shape))

    inputs, tensors = structure(case.inputs, symbol), structure(case.tensors, symbol)
    return unidl.Model([*tree.flatten(inputs), *tree.flatten(tensors)], layer(inputs, **tensors, **case.flags))


def agrees(symbolic: Any, actual: Any) -> bool:
    """Whether a shape with unknown dimensions describes an actual one."""
    return len(symbolic) == len(actual) and all(s in (None, a) for s, a in zip(symbolic, actual, strict=True))


@trained
def test_training_replayed_is_training_called(case: Case) -> None:
    """Outputs (shapes where they are random), and the weights that the call moved."""
    layer, inputs, tensors = built(case)
    start = layer.get_weights()
    eager = layer(inputs, **tensors, **case.flags, training=True)
    moved = layer.get_weights()
    layer.set_weights(start)
    model = functional(case, layer)
    replayed = model([*tree.flatten(inputs), *tree.flatten(tensors)], training=True)
    for a, b in zip(host(eager), host(replayed), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if not case.random:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=case.tolerance)
    for a, b in zip(moved, layer.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not active.trains, reason="this backend has no gradients")
@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case.name)
def test_gradients_replayed_are_those_of_the_call(case: Case) -> None:
    layer, inputs, tensors = built(case)
    model, flat = functional(case, layer), [*tree.flatten(inputs), *tree.flatten(tensors)]
    start, variables = layer.get_weights(), layer.trainable_variables

    def gradients(outputs: Any) -> list[np.ndarray]:
        layer.set_weights(start)
        _, found = unidl.value_and_grad(lambda: weighted_sum(outputs()), variables)()
        return host([ops.zeros_like(v) if g is None else g for v, g in zip(variables, found, strict=True)])

    called = gradients(lambda: layer(inputs, **tensors, **case.flags, training=True))
    replayed = gradients(lambda: model(flat, training=True))
    for a, b in zip(called, replayed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=20 * case.tolerance)


@every
def test_symbolic_shapes_and_dtypes_are_the_actual_ones(case: Case) -> None:
    layer, inputs, tensors = built(case)
    actual = [(a.shape, a.dtype.name) for a in host(layer(inputs, **tensors, **case.flags))]

    def symbol(array: Any) -> SymbolicTensor:
        return SymbolicTensor(tuple(active.shape(array)), active.dtype(array))

    known = layer.compute_output_spec(
        tree.map_structure(symbol, inputs),
        **{k: tree.map_structure(symbol, v) for k, v in tensors.items()},
        **case.flags,
    )
    assert [(s.shape, s.dtype) for s in tree.flatten(known)] == actual
    model = functional(case, layer)
    for symbolic, (shape, kind) in zip(model.outputs, actual, strict=True):
        assert agrees(symbolic.shape, shape), f"{symbolic.shape} against {shape}"
        assert symbolic.dtype == kind


@every
def test_one_model_replays_every_batch_size_and_length(case: Case) -> None:
    """What the layer gives when called, the recorded model gives, too."""
    layer, *_ = built(case)
    model = functional(case, layer)
    for sizes in (SIZES, OTHER_SIZES):
        inputs, tensors = (native(v) for v in data(case, sizes))
        eager = host(layer(inputs, **tensors, **case.flags, training=False))
        replayed = host(model([*tree.flatten(inputs), *tree.flatten(tensors)]))
        for symbolic, a, b in zip(model.outputs, eager, replayed, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=case.tolerance)
            assert agrees(symbolic.shape, a.shape)


@every
def test_each_node_of_the_graph_has_the_shape_it_says(case: Case) -> None:
    nodes_have_their_shapes(case, training=False)


@trained
def test_each_node_of_the_training_graph_has_the_shape_it_says(case: Case) -> None:
    nodes_have_their_shapes(case, training=True)


def nodes_have_their_shapes(case: Case, training: bool) -> None:
    layer, inputs, tensors = built(case)
    flat = [*tree.flatten(inputs), *tree.flatten(tensors)]
    model = functional(case, layer)
    specs = [TensorSpec((None, *active.shape(v)[1:]), active.dtype(v)) for v in flat]
    graph = trace(lambda *values: model(list(values), training=training), tuple(specs), owner=model)
    for node, values in run_nodes(graph, active, flat):
        assert len(values) == len(node.outputs)
        for symbolic, value in zip(node.outputs, values, strict=True):
            assert agrees(symbolic.shape, active.shape(value)), f"{node}: {symbolic.shape}, {active.shape(value)}"
            assert symbolic.dtype == active.dtype(value), f"{node}: {symbolic.dtype}, {active.dtype(value)}"


def compiled_with(case: Case) -> str:
    """What cases have in common of which one is compiled: the layer in any number of dimensions; of images, the module.

    PyTorch's compiler needs five seconds for a layer of three dimensions, ten for the geometry of an image.
    """
    module = getattr(layers, case.layer).__module__
    return module if ".image." in module else re.sub(r"[123]D", "", case.layer)


#: The first case of each, those aside that compute with NumPy on the host: for what takes long.
ONE_EACH = list(
    {
        compiled_with(c): c
        for c in reversed(CASES)
        if not c.random and not issubclass(getattr(layers, c.layer), HostLayer)
    }.values()
)


@pytest.mark.long
@pytest.mark.skipif(active.name not in ("torch", "tensorflow"), reason="what replay uses is all there is")
@pytest.mark.parametrize("case", ONE_EACH, ids=lambda case: case.name)
def test_the_compiler_of_the_engine_gives_the_same(case: Case) -> None:
    """Outputs outside of training and, where the layer knows it, in training, with the weights that this moved."""
    layer, inputs, tensors = built(case)
    start = layer.get_weights()
    modes = (False, True) if "training" in call_spec(type(layer)).names else (False,)
    expected = [v for mode in modes for v in host(layer(inputs, **tensors, **case.flags, training=mode))]
    moved = layer.get_weights()
    layer.set_weights(start)
    model, flat = functional(case, layer), [*tree.flatten(inputs), *tree.flatten(tensors)]
    specs = [TensorSpec(tuple(active.shape(v)), active.dtype(v)) for v in flat]

    def run(*values: Any) -> list[Any]:
        return tree.flatten([model(list(values), training=mode) for mode in modes])

    with active.no_grad():
        found = active.executable(trace(run, tuple(specs), owner=model), jit=True)(*flat)
    for a, b in zip(expected, host(list(found)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=5 * case.tolerance)
    for a, b in zip(moved, layer.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@every
def test_a_configuration_makes_an_equal_layer(case: Case) -> None:
    layer, inputs, tensors = built(case)
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert again.name == layer.name
    assert json.dumps(again.get_config()) == json.dumps(config)
    expected = host(layer(inputs, **tensors, **case.flags, training=False))
    again(inputs, **tensors, **case.flags)
    assert [(v.name, active.shape(v), v.trainable) for v in again.weights] == [
        (v.name, active.shape(v), v.trainable) for v in layer.weights
    ]
    again.set_weights(layer.get_weights())
    for a, b in zip(expected, host(again(inputs, **tensors, **case.flags, training=False)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


#: Layers that take or give something else than floats, or hold what no 16-bit float can.
floats = pytest.mark.parametrize(
    "case",
    [c for c in CASES if not c.random and not any(dtype(v) == "string" for v in tree.flatten(c.inputs))],
    ids=lambda case: case.name,
)


#: The 16-bit float of policies here: mxnet has no bfloat16.
SHORT = "bfloat16" if "bfloat16" in active.dtypes else "float16"


@floats
@pytest.mark.parametrize("policy", [f"mixed_{SHORT}", SHORT])
def test_policies_of_16_bits(case: Case, policy: str) -> None:
    """Outputs that are float32 otherwise are of 16 bits, near the same; mixed policies keep the dtypes of weights."""
    layer, inputs, tensors = built(case)
    expected = host(layer(inputs, **tensors, **case.flags))
    mixed = make(case, layers, dtype=policy)
    found = tree.flatten(mixed(inputs, **tensors, **case.flags))
    for mine, plain in zip(mixed.weights, layer.weights, strict=True):
        # LoRA's factors move in small steps: they stay in float32.
        short = policy == SHORT and active.dtype(plain) == "float32" and not plain.name.startswith("lora")
        assert active.dtype(mine) == (SHORT if short else active.dtype(plain)), mine.path
    mixed.set_weights(layer.get_weights())
    found = tree.flatten(mixed(inputs, **tensors, **case.flags))
    for a, b in zip(expected, found, strict=True):
        assert active.dtype(b) == (SHORT if a.dtype == "float32" else a.dtype.name)
        close = np.asarray(active.to_numpy(ops.cast(b, "float32") if a.dtype == "float32" else b))
        assert np.abs(close - a).mean() <= 0.03 * max(1.0, np.abs(a).mean())
    again = type(mixed).from_config(mixed.get_config())
    assert again.dtype_policy.name == policy


def test_every_layer_class_is_in_the_table() -> None:
    abstract = {"Layer", "InputLayer", "Wrapper", "Lambda", *foreign.__all__}
    abstract |= {"StringLookup", "TextVectorization", "Pipeline"}  # of strings and of layers: tests of their own
    classes = {
        value.__name__
        for name in layers.__all__
        if isinstance(value := getattr(layers, name), type) and issubclass(value, layers.Layer)
    }
    assert classes - abstract == {case.layer for case in CASES}


# -- what single layers do -------------------------------------------------------------------------


def ones(*shape: int) -> Any:
    return ops.ones(shape)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    out = host(layers.Dropout(0.25, seed=3)(ones(100, 200), training=True))[0]
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(out.mean() - 1) < 0.02


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(0).standard_normal((200, 300)).astype("float32")
    layer = layers.AlphaDropout(0.3, seed=3)
    out = host(layer(x, training=True))[0]
    assert abs(out.mean() - x.mean()) < 0.02 and abs(out.std() - x.std()) < 0.02
    _, counts = np.unique(out, return_counts=True)
    assert abs(counts.max() / out.size - 0.3) < 0.01
    shared = host(layers.AlphaDropout(0.5, noise_shape=(None, 1))(np.zeros((40, 6), "float32"), training=True))[0]
    assert (shared == shared[:, :1]).all() and len(np.unique(shared)) == 2


@pytest.mark.once
def test_a_layer_without_state_is_built_from_the_start_unless_a_subclass_builds() -> None:
    class Built(layers.ReLU):
        def build(self, input_shape: Any) -> None:
            self.weight = self.add_weight((input_shape[-1],), "ones")

        def call(self, inputs: Any) -> Any:
            return ops.multiply(super().call(inputs), self.weight)

    assert layers.ReLU().built and layers.MaxPooling2D().built and layers.Dropout(0.5).built
    layer = Built()
    assert not layer.built
    np.testing.assert_array_equal(host(layer(ones(2, 3)))[0], 1)
    assert layer.built and len(layer.weights) == 1


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (layers.SpatialDropout1D, (8, 5, 16), (1,)),
        (layers.SpatialDropout2D, (8, 5, 4, 16), (1, 2)),
        (layers.SpatialDropout3D, (4, 3, 4, 2, 16), (1, 2, 3)),
    ],
)
def test_spatial_dropout_drops_whole_channels(layer: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    out = host(layer(0.5)(ones(*shape), training=True))[0]
    assert (out.min(axes) == out.max(axes)).all()
    assert set(np.unique(out)) == {np.float32(0), np.float32(2)}


def test_noise_has_the_asked_spread() -> None:
    noisy = host(layers.GaussianNoise(0.5)(ops.zeros((100, 200)), training=True))[0]
    assert abs(noisy.mean()) < 0.02 and abs(noisy.std() - 0.5) < 0.02
    scaled = host(layers.GaussianDropout(0.5)(ones(100, 200), training=True))[0]
    assert abs(scaled.mean() - 1) < 0.05 and abs(scaled.std() - 1) < 0.05


def test_each_run_of_a_recorded_dropout_draws_anew() -> None:
    x = layers.Input((50,))
    model = unidl.Model(x, layers.Dropout(0.5)(x))
    first, second = host(model(ones(20, 50), training=True)), host(model(ones(20, 50), training=True))
    assert (first[0] != second[0]).any()
    np.testing.assert_array_equal(host(model(ones(20, 50)))[0], 1)


def test_input_dropout_of_a_recurrent_layer_is_the_same_at_every_step() -> None:
    layer = layers.SimpleRNN(3, activation=None, dropout=0.5, recurrent_initializer="zeros", return_sequences=True)
    out = host(layer(ones(4, 6, 8), training=True))[0]
    np.testing.assert_allclose(out, np.repeat(out[:, :1], 6, 1), rtol=1e-5)


def test_batch_normalization_moves_its_averages_only_in_training_and_while_trainable() -> None:
    layer = layers.BatchNormalization(momentum=0.9)
    x = np.random.default_rng(0).normal(3, 2, (64, 4)).astype("float32")
    layer(x)
    np.testing.assert_array_equal(host(layer.moving_mean)[0], 0)
    layer(x, training=True)
    np.testing.assert_allclose(host(layer.moving_mean)[0], 0.1 * x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(host(layer.moving_variance)[0], 0.9 + 0.1 * x.var(0), rtol=1e-4)
    layer.trainable = False
    before = host(layer.moving_mean)[0].copy()
    out = host(layer(x, training=True))[0]
    np.testing.assert_array_equal(host(layer.moving_mean)[0], before)
    np.testing.assert_array_equal(out, host(layer(x))[0])


def test_frozen_batch_normalization_is_seen_by_a_recorded_model() -> None:
    x = layers.Input((4,))
    layer = layers.BatchNormalization()
    model = unidl.Model(x, layer(x))
    data = np.random.default_rng(0).normal(3, 2, (16, 4)).astype("float32")
    model(data, training=True)
    moved = host(layer.moving_mean)[0].copy()
    assert (moved != 0).all()
    layer.trainable = False
    model(data, training=True)
    np.testing.assert_array_equal(host(layer.moving_mean)[0], moved)


@pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")
def test_spectral_normalization_trains_the_weight_that_it_has_normalized() -> None:
    """Recorded as eagerly: the optimizer starts from the weight that the call has set."""
    x = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
    ends = []
    for run_eagerly in (False, True):
        unidl.utils.set_random_seed(1)
        layer = layers.SpectralNormalization(layers.Dense(3))
        model = unidl.Sequential([layers.Input((4,)), layer, layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=run_eagerly)
        model.fit(x, x[:, :1], epochs=3, batch_size=4, shuffle=False, verbose=0)
        ends.append(model.get_weights())
        assert abs(np.linalg.svd(host(layer.kernel)[0])[1][0] - 1) < 0.3
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_layer_without_a_weight_has_nothing_to_normalize() -> None:
    with pytest.raises(ValueError, match=r"spectral_normalization.*ReLU.*'kernel' nor 'embeddings'"):
        layers.SpectralNormalization(layers.ReLU())(ones(2, 3))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("recorded", [False, True], ids=["eager", "recorded"])
def test_a_stateful_layer_continues_where_it_ended(kind: str, recorded: bool) -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 3)).astype("float32")
    whole = getattr(layers, kind)(4)
    expected = host(whole(x))[0]
    layer = getattr(layers, kind)(4, stateful=True)
    call: Any = layer
    if recorded:
        symbol = layers.Input(batch_shape=(2, 3, 3))
        call = unidl.Model(symbol, layer(symbol))
    else:
        layer.build((2, 3, 3))
    layer.set_weights(whole.get_weights())
    call(x[:, :3])
    np.testing.assert_allclose(host(call(x[:, 3:]))[0], expected, rtol=1e-4, atol=1e-5)
    layer.reset_states()
    call(x[:, :3])
    np.testing.assert_allclose(host(call(x[:, 3:]))[0], expected, rtol=1e-4, atol=1e-5)


def test_a_stateful_layer_needs_a_batch_size() -> None:
    with pytest.raises(ValueError, match=r"stateful.*batch_shape"):
        layers.LSTM(3, stateful=True)(layers.Input((5, 4)))


def test_lstm_starts_with_forget_biases_of_one() -> None:
    layer = layers.LSTM(3)
    layer.build((None, None, 4))
    np.testing.assert_array_equal(host(layer.cell.bias)[0], [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_an_embedding_masks_what_follows_and_the_result_does_not_depend_on_padding() -> None:
    tokens = np.array([[3, 1, 2, 0, 0], [4, 4, 0, 0, 0]], "int32")
    symbol = layers.Input((None,), dtype="int32")
    embedded = layers.Embedding(6, 4, mask_zero=True)(symbol)
    assert embedded.mask.shape == (None, None)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(embedded)
    x = layers.Dropout(0.2)(x)
    assert x.mask is not None
    out = layers.GlobalAveragePooling1D()(x)
    assert out.mask is None
    model = unidl.Model(symbol, out)
    short, long = host(model(tokens))[0], host(model(np.pad(tokens, ((0, 0), (0, 4)))))[0]
    np.testing.assert_allclose(short, long, rtol=1e-4, atol=1e-5)


def test_eager_masks_reach_later_layers_as_recorded_ones_do() -> None:
    tokens = np.array([[3, 1, 2, 0, 0], [4, 4, 0, 0, 0]], "int32")
    stack = [layers.Embedding(6, 4, mask_zero=True), layers.Dense(4), layers.GRU(3)]
    model = unidl.Sequential([layers.Input((5,), dtype="int32"), *stack])
    replayed = host(model(tokens))[0]
    x: Any = tokens
    for layer in stack:
        x = layer(x)
    np.testing.assert_allclose(host(x)[0], replayed, rtol=1e-5, atol=1e-6)
    shorter = tokens[:, :3]
    y: Any = shorter
    for layer in stack:
        y = layer(y)
    np.testing.assert_allclose(host(y)[0], replayed, rtol=1e-5, atol=1e-6)


def test_lambda_runs_any_function_and_its_code_is_read_only_if_asked_for() -> None:
    layer = layers.Lambda(lambda x, scale: x * scale, arguments={"scale": 2.0})
    x = layers.Input((3,))
    np.testing.assert_array_equal(host(unidl.Model(x, layer(x))(ones(2, 3)))[0], 2)
    np.testing.assert_array_equal(host(layer(ones(2, 3)))[0], 2)
    config = json.loads(json.dumps(unidl.saving.serialize_keras_object(layer)))
    with pytest.raises(ValueError, match=r"lambda.*safe_mode=False"):
        unidl.saving.deserialize_keras_object(config)
    again = unidl.saving.deserialize_keras_object(config, safe_mode=False)
    np.testing.assert_array_equal(host(again(ones(2, 3)))[0], 2)
    trained = layers.Lambda(lambda x, training: x + 1.0 if training else x)
    assert host(trained(ones(1, 1), training=True))[0] == 2


def test_merging_functions_make_the_layers() -> None:
    a, b = ops.convert_to_tensor([[1.0, 2.0]]), ops.convert_to_tensor([[3.0, -4.0]])
    expected = {
        "add": [4, -2],
        "subtract": [-2, 6],
        "multiply": [3, -8],
        "average": [2, -1],
        "maximum": [3, 2],
        "minimum": [1, -4],
    }
    for name, value in expected.items():
        np.testing.assert_array_equal(host(getattr(layers, name)([a, b]))[0], [value])
    np.testing.assert_array_equal(host(layers.concatenate([a, b]))[0], [[1, 2, 3, -4]])
    np.testing.assert_array_equal(host(layers.dot([a, b], axes=1))[0], [[-5]])


@pytest.mark.parametrize(
    ("kind", "expected"), [("Multiply", [[3, 8], [5, 6]]), ("Maximum", [[3, 4], [5, 6]]), ("Minimum", [[1, 2], [5, 6]])]
)
@pytest.mark.parametrize("recorded", [False, True], ids=["eager", "recorded"])
def test_what_is_masked_in_one_tensor_is_what_the_other_has(kind: str, expected: Any, recorded: bool) -> None:
    x = np.array([[[1, 2], [0, 0]]], "float32")
    y = np.array([[[3, 4], [5, 6]]], "float32")
    layer = getattr(layers, kind)()
    if recorded:
        a, b = layers.Input((2, 2)), layers.Input((2, 2))
        out = unidl.Model([a, b], layer([layers.Masking()(a), b]))([x, y])
    else:
        out = layer([layers.Masking()(x), ops.convert_to_tensor(y)])
    np.testing.assert_array_equal(host(out)[0], [expected])
