"""`Layer`: building, calling, training, masks, losses, names, weights, configuration, native code."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from counting import python_calls

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.layers import _base

on_torch = pytest.mark.skipif(active.name != "torch", reason="the limit is stated for PyTorch")


def host(value: Any) -> np.ndarray:
    return active.to_numpy(value)


def tensor(*shape: int) -> Any:
    return ops.convert_to_tensor(np.random.default_rng(0).standard_normal(shape).astype("float32"))


@pytest.fixture
def no_masks() -> Any:
    """As in a process in which no layer has made a mask yet."""
    before, _base.state.masks = _base.state.masks, False
    yield
    _base.state.masks = before


class Scale(layers.Layer):
    """Multiplies by a learned number."""

    def __init__(self, start: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.builds = 0

    def build(self, input_shape: Any) -> None:
        self.builds += 1
        self.scale = self.add_weight((), lambda shape, dtype: np.full(shape, self.start, dtype), name="scale")

    def call(self, inputs: Any) -> Any:
        return ops.multiply(inputs, self.scale)


class Block(layers.Layer):
    """Layers inside a layer: as an attribute, in a list, in a dict."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.Dense(4)
        self.more = [layers.Dense(4), layers.BatchNormalization()]
        self.named = {"last": layers.Dense(2)}

    def call(self, inputs: Any) -> Any:
        x = self.first(inputs)
        for layer in self.more:
            x = layer(x)
        return self.named["last"](x)


class Told(layers.Layer):
    """Gives back what `training` it was called with."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        return ops.add(ops.zeros_like(inputs), 1.0 if training else 0.0)


class Around(layers.Layer):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = Told()

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


# -- lean calls ------------------------------------------------------------------------------------


@on_torch
def test_a_built_dense_makes_at_most_12_python_calls(no_masks: Any) -> None:
    x = tensor(4, 5)
    for activation in (None, "relu"):
        layer = layers.Dense(3, activation=activation)
        layer(x)
        assert python_calls(lambda: layer(x)) <= 12  # noqa: B023


@on_torch
def test_add_makes_at_most_2_python_calls() -> None:
    x = tensor(4, 5)
    assert python_calls(lambda: ops.add(x, x)) <= 2


@on_torch
def test_layers_with_training_and_masks_in_their_call_stay_lean(no_masks: Any) -> None:
    x = tensor(4, 6, 5)
    for layer in (layers.Dropout(0.5), layers.BatchNormalization(), layers.GlobalAveragePooling1D()):
        layer(x)
        assert python_calls(lambda: layer(x)) <= 16, layer  # noqa: B023


# -- building --------------------------------------------------------------------------------------


def test_a_layer_is_built_once_by_its_first_call() -> None:
    layer = Scale()
    assert not layer.built and layer.weights == []
    x = tensor(2, 3)
    for _ in range(3):
        np.testing.assert_allclose(host(layer(x)), 2 * host(x))
    assert layer.built and layer.builds == 1 and len(layer.weights) == 1


@pytest.mark.parametrize("build", [lambda v: v.build((None, 3)), lambda v: v.build(input_shape=(None, 3))])
def test_a_layer_built_by_hand_is_not_built_again(build: Any) -> None:
    layer = Scale()
    build(layer)
    assert layer.built
    layer(tensor(2, 3))
    assert layer.builds == 1 and len(layer.weights) == 1
    assert layer.get_build_config() == {"input_shape": (None, 3)}
    again = Scale()
    again.build_from_config(layer.get_build_config())
    assert again.built and len(again.weights) == 1


def test_a_build_that_extends_another_builds_once() -> None:
    class Twice(Scale):
        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            self.offset = self.add_weight((input_shape[-1],), "ones", name="offset")

        def call(self, inputs: Any) -> Any:
            return ops.add(super().call(inputs), self.offset)

    layer = Twice()
    layer.build((None, 3))
    assert [v.name for v in layer.weights] == ["scale", "offset"]
    x = tensor(2, 3)
    np.testing.assert_allclose(host(layer(x)), 2 * host(x) + 1, rtol=1e-6)


def test_a_weight_of_unknown_size_is_refused_with_the_layer_and_the_remedy() -> None:
    class Free(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.add_weight(input_shape[1:], name="all")

        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(ValueError, match=r"'free.*'all'.*unknown.*fixed size"):
        Free()(layers.Input((None,)))


def test_a_layer_without_call_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="call"):
        layers.Layer()(tensor(2, 3))


def test_call_and_build_are_ordinary_methods() -> None:
    with pytest.raises(TypeError, match="ordinary method"):

        class Wrong(layers.Layer):
            @staticmethod
            def call(inputs: Any) -> Any:
                return inputs


# -- inputs ----------------------------------------------------------------------------------------


def test_arrays_lists_and_other_floats_become_tensors_of_the_layers_dtype() -> None:
    layer = layers.Dense(2, kernel_initializer="ones")
    for value in (np.ones((1, 3)), np.ones((1, 3), "float16"), [[1.0, 1.0, 1.0]], ops.ones((1, 3))):
        out = layer(value)
        assert active.dtype(out) == "float32"
        np.testing.assert_array_equal(host(out), [[3, 3]])


def test_an_array_inside_a_recorded_call_is_a_constant() -> None:
    class Offset(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2, kernel_initializer="ones")

        def call(self, inputs: Any) -> Any:
            return ops.add(inputs, self.dense(np.ones((1, 3), "float32")))

    symbol, layer = layers.Input((2,)), Offset()
    model = unidl.Model(symbol, layer(symbol))
    if active.name != "numpy":  # where every array is a tensor, one may be anything that native code made
        assert not model.graph().opaque
    np.testing.assert_array_equal(host(model(ops.zeros((2, 2)))), np.full((2, 2), 3))


def test_arrays_given_to_a_layer_of_a_functional_model_are_constants_of_its_graph() -> None:
    x = unidl.Input((5, 3))
    start = np.ones((1, 4), "float32")  # what runs on zeros in place of `x` would have another batch size
    outputs = layers.LSTM(4, name="lstm")(x, initial_state=[start, 2 * start])
    model = unidl.Model(x, outputs)
    assert not model.graph().opaque
    data = np.random.default_rng(0).normal(size=(1, 5, 3)).astype("float32")
    want = model.get_layer("lstm")(data, initial_state=[start, 2 * start])
    np.testing.assert_allclose(host(model(data)), host(want), atol=1e-6)
    assert not unidl.Model.from_config(model.get_config()).graph().opaque


@pytest.mark.parametrize("value", [np.array([["a", "b"]]), np.array([[None, {}]], dtype=object)])
def test_strings_and_objects_are_refused(value: Any) -> None:
    layer = layers.Dense(2, name="head")
    with pytest.raises(ValueError, match=r"head.*numbers and bools.*Encode"):
        layer(value)


def test_wrong_arguments_of_call_show_the_signature() -> None:
    with pytest.raises(TypeError, match=r"Told\.call.*inputs, training"):
        Told()(tensor(1, 1), nonsense=1)


def test_a_layer_of_float64_computes_in_float64() -> None:
    layer = layers.Dense(2, dtype="float64")
    out = layer(np.ones((1, 3), "float32"))
    assert active.dtype(out) == "float64" and active.dtype(layer.kernel) == "float64"
    symbol = layers.Dense(2, dtype="float64")(layers.Input((3,)))
    assert symbol.dtype == "float64"


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [Told, Around])
def test_training_comes_from_the_outermost_call(layer: Any) -> None:
    made = layer()
    x = ops.zeros((1, 1))
    for _ in range(2):
        assert host(made(x)) == 0
        assert host(made(x, training=True)) == 1
        assert host(made(x, training=False)) == 0
    symbol = layers.Input((1,))
    model = unidl.Model(symbol, made(symbol))
    assert host(model(x)) == 0
    assert host(model(x, training=True)) == 1


def test_a_value_given_inside_wins() -> None:
    class Fixed(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Told()

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs, training=False)

    assert host(Fixed()(ops.zeros((1, 1)), training=True)) == 0


@on_torch
def test_train_and_eval_of_torch_decide_when_nobody_says() -> None:
    layer = Told()
    layer.train()
    assert host(layer(ops.zeros((1, 1)))) == 1
    layer.eval()
    assert host(layer(ops.zeros((1, 1)))) == 0


# -- weights ---------------------------------------------------------------------------------------


def test_weights_of_inner_layers_are_found_in_order_and_once() -> None:
    block = Block()
    block(tensor(3, 5))
    names = ["kernel", "bias", "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "kernel", "bias"]
    assert [v.name for v in block.weights] == names
    assert [v.name for v in block.non_trainable_weights] == ["moving_mean", "moving_variance"]
    assert len(block.trainable_weights) == 8
    assert block.count_params() == sum(host(v).size for v in block.weights)


def test_trainable_holds_for_everything_inside_and_comes_back() -> None:
    block = Block()
    block(tensor(3, 5))
    block.trainable = False
    assert block.trainable_weights == [] and len(block.non_trainable_weights) == 10
    assert not block.more[1].trainable
    block.trainable = True
    assert [v.name for v in block.non_trainable_weights] == ["moving_mean", "moving_variance"]
    frozen = Scale(trainable=False)
    frozen(tensor(1, 1))
    assert frozen.trainable_weights == []
    frozen.trainable = True
    assert len(frozen.trainable_weights) == 1


def test_set_weights_checks_number_and_shapes_before_it_changes_anything() -> None:
    layer = layers.Dense(2)
    layer(tensor(1, 3))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"2 weights, 1 arrays"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"bias.*\(2,\).*\(3,\)"):
        layer.set_weights([before[0] + 1, np.zeros(3)])
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_count_params_of_an_unbuilt_layer_says_so() -> None:
    with pytest.raises(ValueError, match="not built"):
        layers.Dense(2).count_params()


def test_names_are_unique_and_paths_follow_the_model() -> None:
    a, b = layers.Dense(2), layers.Dense(2)
    assert a.name != b.name
    with pytest.raises(ValueError, match="name"):
        layers.Dense(2, name="a/b")
    x = layers.Input((3,))
    model = unidl.Model(x, Around(name="around")(layers.Dense(2, name="head")(x)), name="net")
    assert model.get_layer("head").kernel.path == "net/head/kernel"
    assert model.get_layer("around").inner.path.startswith("net/around/told")


# -- losses ----------------------------------------------------------------------------------------


class Penalized(layers.Layer):
    def call(self, inputs: Any) -> Any:
        self.add_loss(ops.sum(inputs))
        return inputs


def test_losses_are_those_of_the_latest_call() -> None:
    layer = Penalized()
    for n in (2, 3, 4):
        layer(ops.ones((n, 1)))
        assert [float(host(v)) for v in layer.losses] == [n]
    used = Penalized()
    used(layers.Input((1,)))  # built by a symbolic call
    for n in (2, 3, 4):
        used(ops.ones((n, 1)))
        assert [float(host(v)) for v in used.losses] == [n]


def test_regularizers_of_weights_and_activity_are_losses() -> None:
    layer = layers.Dense(
        1, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer="l1", use_bias=False
    )
    layer(ops.ones((1, 3)))
    assert [round(float(host(v)), 5) for v in layer.losses] == [0.03, 0.03]
    layer.trainable = False
    assert len(layer.losses) == 1
    layer(ops.ones((4, 3)))  # the activity's loss is divided by the batch size
    assert [round(float(host(v)), 5) for v in layer.losses] == [0.03]


# -- masks -----------------------------------------------------------------------------------------


class SeesMask(layers.Layer):
    """The mask as numbers; ones without a mask."""

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return ops.ones_like(inputs) if mask is None else ops.multiply(ops.ones_like(inputs), ops.cast(mask, "float32"))


def test_masks_pass_layers_that_support_them_and_end_at_those_that_do_not() -> None:
    tokens = np.array([[1, 2, 0]], "int32")
    embedded = layers.Embedding(3, 1, mask_zero=True)(tokens)
    picked = ops.convert_to_tensor(np.ones((1, 3), "float32"))
    np.testing.assert_array_equal(host(SeesMask()(picked, mask=np.array([[True, True, False]]))), [[1, 1, 0]])
    flat = layers.Flatten()(layers.Dropout(0.1)(embedded))
    np.testing.assert_array_equal(host(SeesMask()(flat)), [[1, 1, 1]])

    class Squeezes(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.supports_masking = True

        def call(self, inputs: Any) -> Any:
            return ops.squeeze(inputs, -1)

    np.testing.assert_array_equal(host(SeesMask()(Squeezes()(embedded))), [[1, 1, 0]])
    symbol = layers.Input((3,), dtype="int32")
    model = unidl.Model(symbol, SeesMask()(Squeezes()(layers.Embedding(3, 1, mask_zero=True)(symbol))))
    np.testing.assert_array_equal(host(model(tokens)), [[1, 1, 0]])


def test_a_layer_that_makes_a_mask_makes_it_at_every_call() -> None:
    class Positive(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs

        def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
            return ops.greater(inputs, 0.0)

    makes, sees = Positive(), SeesMask()
    for value in ([[1.0, -1.0]], [[-1.0, 1.0]], [[-1.0, -1.0]]):
        x = ops.convert_to_tensor(value)
        np.testing.assert_array_equal(host(sees(makes(x))), np.array(value) > 0)


# -- configuration ---------------------------------------------------------------------------------


def test_constructor_arguments_are_the_configuration_of_a_users_layer() -> None:
    layer = Scale(3.0, name="mine")
    config = layer.get_config()
    policy = unidl.dtype_policies.serialize(unidl.dtype_policies.DTypePolicy("float32"))
    assert config == {"name": "mine", "trainable": True, "dtype": policy, "start": 3.0}
    again = Scale.from_config(json.loads(json.dumps(config)))
    assert again.start == 3.0 and again.name == "mine"


def test_an_argument_without_a_plain_form_is_named() -> None:
    with pytest.raises(TypeError, match=r"'start'.*get_config"):
        Scale(object()).get_config()  # type: ignore[arg-type]


def test_serialize_and_deserialize_build_only_known_layers() -> None:
    config = layers.serialize(layers.Conv2D(4, 3, kernel_regularizer="l2", name="c"))
    again = layers.deserialize(json.loads(json.dumps(config)))
    assert isinstance(again, layers.Conv2D) and json.dumps(again.get_config()) == json.dumps(config["config"])
    assert isinstance(layers.deserialize(layers.serialize(Scale()), {"Scale": Scale}), Scale)
    for name in ("Scale", "deserialize", "os.system", None):
        with pytest.raises(TypeError, match="Could not locate class"):
            layers.deserialize({"class_name": name, "config": {}})


def test_output_shapes_can_be_asked_for() -> None:
    assert layers.Conv2D(4, 3).compute_output_shape((None, 8, 8, 3)) == (None, 6, 6, 4)
    assert layers.Add().compute_output_shape([(None, 3), (None, 3)]) == (None, 3)
    with pytest.raises(ValueError, match="has not been called"):
        layers.Dense(2).output
    x = layers.Input((3,))
    layer = layers.Dense(2)
    y = layer(x)
    assert layer.input is x and layer.output is y


# -- native code -----------------------------------------------------------------------------------


class Native(layers.Layer):
    """Python control flow on values, which cannot be recorded."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(4, use_bias=False)
        self.calls = self.add_weight((), "zeros", trainable=False, name="calls")

    def call(self, inputs: Any, training: Any = None) -> Any:
        x = self.dense(inputs)
        self.calls.assign(ops.add(self.calls, 1.0))
        return x if float(ops.convert_to_numpy(ops.sum(inputs))) > 0 else ops.negative(x)


def test_a_layer_of_native_code_becomes_one_node_and_gives_what_it_gives_eagerly() -> None:
    layer = Native(name="native")
    symbol = layers.Input((3,))
    out = layer(symbol)
    assert out.shape == (None, 4) and out.dtype == "float32"
    assert host(layer.calls) == 0, "finding the shapes leaves no trace in the state"
    model = unidl.Model(symbol, layers.Dense(2)(out))
    graph = model.graph()
    assert graph.opaque and [n.op.kind for n in graph.nodes].count("opaque") == 1
    for sign in (1, -1):
        x = ops.convert_to_tensor(np.full((5, 3), sign, "float32"))
        expected = model.layers[-1](layer(x))
        np.testing.assert_allclose(host(model(x)), host(expected), rtol=1e-5)


@pytest.mark.skipif(not active.trains, reason="the backend has no gradients")
def test_a_model_with_native_code_trains() -> None:
    layer = Native()
    model = unidl.Sequential([layers.Input((3,)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    losses = model.fit(
        np.ones((8, 3), "float32"), np.ones((8, 1), "float32"), epochs=5, batch_size=4, verbose=0
    ).history["loss"]
    assert losses[-1] < losses[0]
    assert host(layer.calls) == 10


@pytest.mark.skipif(not active.trains, reason="the backend has no gradients")
def test_gradients_pass_through_native_code() -> None:
    layer = Native()
    symbol = layers.Input((3,))
    model = unidl.Model(symbol, layer(symbol))
    x = ops.ones((2, 3))
    _, (gradient,) = unidl.value_and_grad(lambda: ops.sum(model(x)), [layer.dense.kernel])()
    np.testing.assert_allclose(host(gradient), np.full((3, 4), 2.0))


@on_torch
def test_on_torch_a_layer_is_a_module_with_parameters() -> None:
    import torch

    block = Block()
    block(tensor(3, 5))
    assert isinstance(block, torch.nn.Module)
    assert len(block.state_dict()) == 10
    assert {id(p) for p in block.parameters()} == {id(v) for v in block.weights}
    net = torch.nn.Sequential(torch.nn.Linear(7, 5), block)
    net(torch.randn(3, 7)).sum().backward()
    assert block.first.kernel.grad is not None


def test_a_refused_input_does_not_leave_training_set() -> None:
    from unidl._state import state

    layer = layers.BatchNormalization()
    model = unidl.Model(x := unidl.Input((4,)), layer(x))
    with pytest.raises(ValueError):
        model(np.zeros((2, 5), "float32"), training=True)
    with pytest.raises(ValueError):
        layer(unidl.Input((5,)), training=True)
    assert state.training is None


def test_a_class_with_a_get_config_of_its_own_starts_from_what_every_layer_takes() -> None:
    class Wrapped(layers.Layer):
        def __init__(self, function: Any, size: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.function, self.size = function, size

        def get_config(self) -> dict[str, Any]:
            return dict(size=self.size, function="by name", **super().get_config())

    class Wide(layers.Dense):
        def __init__(self, units: int, hook: Any = None, **kwargs: Any) -> None:
            super().__init__(2 * units, **kwargs)
            self.hook = hook

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "hook": None}

    config = Wrapped(object(), 3).get_config()
    assert config["size"] == 3 and set(config) == {"name", "trainable", "dtype", "size", "function"}
    again = Wide.from_config(Wide(4, hook=object()).get_config())
    assert again.units == 8 and again.hook is None


def test_paths_begin_with_the_layer_around() -> None:
    class Inner(layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight((1,), name="scale")
            self.made = layers.Dense(1, name="made")
            self.made.build(shape)

        def call(self, x: Any) -> Any:
            return self.made(x) * self.scale

    class Outer(layers.Layer):
        def __init__(self, given: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = Inner(name="inner")
            self.recurrent = layers.Bidirectional(layers.SimpleRNN(1, return_sequences=True, name="rnn"), name="both")
            self.given = given

        def call(self, x: Any) -> Any:
            return self.given(self.recurrent(self.inner(x)))

    given = layers.Dense(1, name="given")
    given(tensor(1, 2, 2))
    for outer, argument in (
        (Outer(given, name="eager"), tensor(1, 2, 3)),
        (Outer(given, name="s"), unidl.Input((2, 3))),
    ):
        outer(argument)
        paths = [v.path for v in outer.variables]
        start = f"{outer.name}/"
        assert paths[:3] == [f"{start}inner/scale", f"{start}inner/made/kernel", f"{start}inner/made/bias"]
        assert f"{start}both/forward_rnn/simple_rnn_cell/kernel" in paths
        assert paths[-2:] == ["given/kernel", "given/bias"]  # what is in use already keeps its name
        assert outer.inner.made.path == f"{start}inner/made"


def test_output_shapes_may_be_a_structure_with_dicts_in_it() -> None:
    class Native(layers.Layer):
        def call(self, x: Any) -> Any:
            raise RuntimeError("the shapes are known")

        def compute_output_shape(self, shape: Any) -> Any:
            return {"a": shape, "b": [shape, {"c": (*shape, 1)}]}

    spec = Native().compute_output_spec(unidl.KerasTensor((None, 3)))
    assert spec["a"].shape == (None, 3) and spec["b"][0].shape == (None, 3)
    assert spec["b"][1]["c"].shape == (None, 3, 1)
