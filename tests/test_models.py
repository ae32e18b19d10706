"""Functional models, `Sequential`, subclasses, nesting, sharing, and weights in files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting import python_calls

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.errors import OpError

trains = pytest.mark.skipif(not active.trains, reason="the backend has no gradients")


def host(value: Any) -> np.ndarray:
    return active.to_numpy(value)


def data(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def mlp(units: int = 4, name: str | None = None) -> Any:
    x = layers.Input((3,))
    return unidl.Model(x, layers.Dense(2)(layers.Dense(units, activation="relu")(x)), name=name)


class Twin(unidl.Model):
    """A subclass with its own computation."""

    def __init__(self, units: int = 4) -> None:
        super().__init__()
        self.hidden = layers.Dense(units, activation="relu")
        self.head = layers.Dense(2)

    def call(self, inputs: Any, training: Any = None) -> Any:
        return self.head(self.hidden(inputs))


# -- functional ------------------------------------------------------------------------------------


def test_a_functional_model_knows_its_parts() -> None:
    x = layers.Input((3,), name="x")
    y = layers.Dense(2, name="head")(x)
    model = unidl.Model(x, y, name="net")
    assert [v.name for v in model.layers] == ["x", "head"]
    assert model.input is x and model.output is y
    assert (model.input_shape, model.output_shape) == ((None, 3), (None, 2))
    assert model.get_layer("head") is model.get_layer(index=1)
    assert model.output_names == ["head"]
    with pytest.raises(ValueError, match=r"no layer 'tail'.*'head'"):
        model.get_layer("tail")
    value = data(5, 3)
    np.testing.assert_allclose(host(model(value)), host(model.get_layer("head")(value)), rtol=1e-6)


def test_ops_and_operators_stand_between_layers() -> None:
    x = layers.Input((3,))
    y = layers.Dense(3, use_bias=False, kernel_initializer="ones")(x)
    model = unidl.Model(x, ops.concatenate([ops.relu(y) + 1.0, 2.0 * x[:, :2], -x], -1))
    value = data(5, 3)
    total = np.repeat(value.sum(1, keepdims=True), 3, 1)
    expected = np.concatenate([np.maximum(total, 0) + 1, 2 * value[:, :2], -value], 1)
    np.testing.assert_allclose(host(model(value)), expected, rtol=1e-5, atol=1e-5)


def test_unknown_sizes_are_followed_through_ops() -> None:
    x = layers.Input((None, 3))
    n = ops.shape(x)
    model = unidl.Model(x, ops.reshape(x, (n[0], n[1] * 3)))
    for time in (2, 5):
        value = data(4, time, 3)
        np.testing.assert_array_equal(host(model(value)), value.reshape(4, -1))


def test_inputs_come_as_list_tuple_or_dict_and_outputs_in_any_structure() -> None:
    a, b = layers.Input((2,), name="a"), layers.Input((3,), name="b")
    joined = layers.Concatenate()([a, b])
    model = unidl.Model([a, b], {"sum": layers.Dense(1, name="d")(joined), "all": [joined, a]})
    x, y = data(4, 2), data(4, 3)
    results = [model([x, y]), model((x, y)), model({"b": y, "a": x, "unused": x})]
    for result in results:
        assert list(result) == ["sum", "all"] and len(result["all"]) == 2
        np.testing.assert_array_equal(host(result["all"][0]), np.concatenate([x, y], 1))
        np.testing.assert_array_equal(host(result["sum"]), host(results[0]["sum"]))
    named = unidl.Model({"first": a, "second": b}, joined)
    np.testing.assert_array_equal(host(named({"second": y, "first": x})), np.concatenate([x, y], 1))


def test_a_shared_layer_is_one_layer() -> None:
    shared = layers.Dense(2, use_bias=False)
    a, b = layers.Input((3,)), layers.Input((3,))
    model = unidl.Model([a, b], layers.Add()([shared(a), shared(b)]))
    assert len(model.weights) == 1 and model.layers.count(shared) == 1
    x, y = data(4, 3), data(5, 3)[:4]
    np.testing.assert_allclose(host(model([x, y])), (x + y) @ host(shared.kernel), rtol=1e-4, atol=1e-5)


@trains
def test_the_gradient_of_a_shared_layer_is_the_sum_over_its_uses() -> None:
    shared = layers.Dense(1, use_bias=False)
    x = layers.Input((3,))
    model = unidl.Model(x, shared(x) + shared(x))
    value = ops.convert_to_tensor(data(4, 3))
    _, (gradient,) = unidl.value_and_grad(lambda: ops.sum(model(value)), [shared.kernel])()
    np.testing.assert_allclose(host(gradient)[:, 0], 2 * host(value).sum(0), rtol=1e-4)


def test_models_are_layers_of_models() -> None:
    inner = mlp(name="inner")
    x = layers.Input((3,))
    outer = unidl.Model(x, layers.Dense(1)(inner(layers.Dropout(0.5)(x))), name="outer")
    assert inner.layers[1].kernel.path.startswith("outer/inner/dense")
    assert len(outer.weights) == 6
    value = data(4, 3)
    np.testing.assert_allclose(host(outer(value)), host(outer.layers[-1](inner(value))), rtol=1e-5)
    part = unidl.Model(outer.input, outer.layers[-1].input)
    np.testing.assert_allclose(host(part(value)), host(inner(value)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: unidl.Model(layers.Input((2,)), layers.Input((3,), name="other") + 1.0), "depend on input 'other'"),
        (lambda: unidl.Model(layers.Input((2,))), "needs `inputs` and `outputs`"),
        (lambda: unidl.Model(np.zeros(3), layers.Input((2,))), "must be KerasTensors"),
        (lambda: unidl.Sequential([layers.Dense(1, name="a"), layers.Dense(1, name="a")]), "named 'a'"),
        (lambda: unidl.Sequential([layers.Dense(1), layers.Input((2,))]), "only come first"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_two_layers_of_one_name_are_refused() -> None:
    x = layers.Input((2,))
    with pytest.raises(ValueError, match=r"share the names \['same'\]"):
        unidl.Model(x, layers.Dense(1, name="same")(layers.Dense(1, name="same")(x)))


def test_wrong_inputs_of_a_model_name_what_is_wrong() -> None:
    a, b = layers.Input((2,), name="a"), layers.Input((3,), name="b")
    model = unidl.Model([a, b], layers.Concatenate()([a, b]), name="net")
    with pytest.raises(ValueError, match=r"'net' expects 2 inputs \(\['a', 'b'\]\), but 1 came"):
        model([data(1, 2)])
    with pytest.raises(ValueError, match=r"lacks inputs \['b'\]"):
        model({"a": data(1, 2)})
    with pytest.raises(ValueError, match=r"net.*name 'b'.*\(None, 3\).*\((None|1), 4\)"):
        model([data(1, 2), data(1, 4)])


def test_a_wrong_size_names_layer_shapes_and_remedy_in_replay_too() -> None:
    model = mlp(name="net")
    model(data(4, 3))
    for shape in ((4, 5), (4, 3, 2)):
        with pytest.raises(ValueError) as caught:
            model(data(*shape))
        for word in ("'net'", "(None, 3)", "found shape", "Reshape"):
            assert word in str(caught.value), str(caught.value)
    np.testing.assert_array_equal(host(model(data(4, 3))).shape, (4, 2))


def test_freezing_a_layer_is_seen_by_the_next_call() -> None:
    x = layers.Input((3,))
    norm = layers.BatchNormalization()
    model = unidl.Model(x, norm(x))
    value = data(8, 3) + 5
    trained = host(model(value, training=True))
    model.trainable = False
    frozen = host(model(value, training=True))
    assert np.abs(trained.mean(0)).max() < 1e-4 < np.abs(frozen.mean(0)).max()


def test_replay_of_ten_layers_makes_hardly_more_python_calls_than_the_engine_alone() -> None:
    if active.name != "torch":
        pytest.skip("the limit is stated for PyTorch")
    import torch

    native = torch.nn.Sequential(*[v for _ in range(10) for v in (torch.nn.Linear(8, 8), torch.nn.ReLU())])
    x = inputs = layers.Input((8,))
    for _ in range(10):
        x = layers.Dense(8, activation="relu")(x)
    model = unidl.Model(inputs, x)
    value = torch.randn(4, 8)

    with torch.no_grad():
        model(value), native(value)  # the first call records
        assert python_calls(lambda: model(value)) <= 1.2 * python_calls(lambda: native(value))


def test_run_eagerly_gives_the_same() -> None:
    model = mlp()
    value = data(4, 3)
    replayed = host(model(value))
    model.run_eagerly = True
    np.testing.assert_allclose(host(model(value)), replayed, rtol=1e-6)


def test_control_flow_in_a_functional_model_runs_eagerly() -> None:
    x = inputs = unidl.Input((4, 3))
    x = ops.scan(lambda total, row: (total + row, total * 2), ops.zeros_like(x[:, 0]), ops.swapaxes(x, 0, 1))[1]
    model = unidl.Model(
        inputs, ops.cond(ops.sum(x) > 0, lambda: ops.while_loop(lambda a: ops.sum(a) < 9, _twice, x), lambda: -x)
    )
    for value in (np.ones((2, 4, 3), "float32"), -np.ones((2, 4, 3), "float32")):
        model.run_eagerly = False
        replayed = host(model(value))
        model.run_eagerly = True
        np.testing.assert_allclose(host(model(value)), replayed, rtol=1e-6)


def _twice(value: Any) -> Any:
    return value * 2


def test_a_constant_of_a_functional_model_is_recorded() -> None:
    inputs = unidl.Input((3,))
    model = unidl.Model(inputs, inputs * ops.cast(ops.arange(3), "float32"))
    assert [n.op.name for n in model.graph().nodes] == ["multiply"]
    np.testing.assert_array_equal(host(model(np.ones((2, 3), "float32"))), [[0, 1, 2]] * 2)


def test_a_graph_can_be_asked_for_and_read() -> None:
    model = mlp(name="net")
    text = str(model.graph())
    for word in ("net/dense", "linear", "relu", "float32[?, 2]", "parameters"):
        assert word in text
    twin = Twin()
    with pytest.raises(ValueError, match="not seen data"):
        twin.graph()
    assert [n.op.name for n in twin.graph((None, 3)).nodes] == ["linear", "relu", "linear"]


def test_predict_in_batches_gives_what_a_call_gives() -> None:
    for model in (mlp(), Twin(), unidl.Sequential([layers.Dense(2)])):
        value = data(7, 3)
        np.testing.assert_allclose(
            model.predict(value, batch_size=3, verbose=0), host(model(value)), rtol=1e-5, atol=1e-6
        )


@trains
def test_losses_of_layers_inside_are_trained_on() -> None:
    class Small(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight((3,), "ones", name="w")

        def call(self, inputs: Any) -> Any:
            self.add_loss(ops.sum(ops.square(self.w)))
            return ops.multiply(inputs, self.w)

    for eagerly in (False, True):
        x = layers.Input((3,))
        model = unidl.Model(x, Small()(x))
        model.compile(unidl.optimizers.SGD(0.1), run_eagerly=eagerly)
        logs = model.fit(data(4, 3), epochs=1, batch_size=4, verbose=0).history
        assert logs["loss"] == pytest.approx([3.0])
        np.testing.assert_allclose(host(model.weights[0]), 0.8, rtol=1e-5)


# -- Sequential ------------------------------------------------------------------------------------


def test_a_sequential_is_built_by_its_input_a_shape_or_its_first_data() -> None:
    value = data(4, 3)
    made = [
        unidl.Sequential([layers.Input((3,)), layers.Dense(2)]),
        unidl.Sequential([layers.Dense(2, input_shape=(3,))]),
        unidl.Sequential([layers.Dense(2)]),
        unidl.Sequential([layers.Dense(2)]),
    ]
    assert [m.built for m in made] == [True, True, False, False]
    made[2].build((None, 3))
    made[3](value)
    for model in made:
        assert model.built and len(model.weights) == 2 and len(model.layers) == 1
        assert model.output_shape == (None, 2)
        np.testing.assert_allclose(host(model(value)), host(model.layers[0](value)), rtol=1e-6)


def test_layers_can_be_added_and_removed() -> None:
    model = unidl.Sequential()
    model.add(layers.Input((3,)))
    model.add(layers.Dense(4))
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    value = data(4, 3)
    full = host(model(value))
    last = model.pop()
    assert model.output_shape == (None, 4)
    np.testing.assert_allclose(host(last(model(value))), full, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="instances of Layer"):
        model.add(3)
    with pytest.raises(ValueError, match="no layers to pop"):
        unidl.Sequential().pop()


def test_a_sequential_comes_back_from_its_configuration() -> None:
    model = unidl.Sequential(
        [layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dropout(0.5), layers.Dense(2)]
    )
    again = unidl.Sequential.from_config(model.get_config())
    assert [v.get_config() for v in again.layers] == [v.get_config() for v in model.layers]
    again.set_weights(model.get_weights())
    value = data(4, 3)
    np.testing.assert_allclose(host(again(value)), host(model(value)), rtol=1e-6)


# -- subclasses ------------------------------------------------------------------------------------


def test_a_subclass_is_built_by_its_first_data() -> None:
    model = Twin()
    assert not model.built
    value = data(4, 3)
    out = model(value)
    assert out.shape == (4, 2) and len(model.weights) == 4
    np.testing.assert_allclose(host(model.head(model.hidden(value))), host(out), rtol=1e-6)


def test_a_subclass_without_call_says_what_is_missing() -> None:
    class Empty(unidl.Model):
        pass

    with pytest.raises(NotImplementedError, match="no `call"):
        Empty()(data(1, 2))


def test_a_subclass_with_dict_inputs_and_several_outputs() -> None:
    class Several(unidl.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return {"out": self.dense(inputs["a"]), "in": inputs["b"]}

    value = {"a": data(4, 3), "b": data(4, 1)}
    result = Several()(value)
    assert result["out"].shape == (4, 2)
    np.testing.assert_array_equal(host(result["in"]), value["b"])


# -- weights in files ------------------------------------------------------------------------------


def equal(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


@pytest.mark.parametrize(
    "make",
    [
        mlp,
        lambda: unidl.Sequential([layers.Input((3,)), layers.BatchNormalization(), layers.Dense(2)]),
        lambda: unidl.Sequential([layers.Input((5, 3)), layers.Bidirectional(layers.LSTM(2))]),
        lambda: unidl.Sequential([layers.Input((3,)), mlp(), layers.Dense(2)]),
    ],
    ids=["functional", "norm", "bidirectional", "nested"],
)
def test_weights_come_back_from_a_file(make: Any, tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    model, other = make(), make()
    assert not equal(model, other) or not model.weights[0].trainable
    model.save_weights(file)
    other.load_weights(file)
    assert equal(model, other)
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_built_subclass_takes_the_weights_of_another(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    model, other = Twin(), Twin()
    model(data(1, 3))
    model.save_weights(file)
    with pytest.raises(ValueError, match="no weights yet"):
        other.load_weights(file)
    other(data(1, 3))
    other.load_weights(file)
    assert equal(model, other)


def test_a_file_of_another_architecture_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    mlp(4).save_weights(file)
    for model, words in (
        (mlp(5), r"dense\.kernel has shape \(3, 4\) in the file and \(3, 5\) in the model"),
        (unidl.Sequential([layers.Input((3,)), layers.Dense(4, name="other")]), r"the file lacks other\.kernel"),
        (unidl.Sequential([layers.Input((3,)), layers.Dense(4)]), r"the model lacks dense_1\.bias"),
    ):
        before = model.get_weights()
        with pytest.raises(ValueError, match=words):
            model.load_weights(file)
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_skip_mismatch_loads_what_fits(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    source, target = mlp(4), mlp(5)
    source.save_weights(file)
    before = target.get_weights()
    target.load_weights(file, skip_mismatch=True)
    np.testing.assert_array_equal(target.get_weights()[3], source.get_weights()[3])
    np.testing.assert_array_equal(target.get_weights()[0], before[0])


def test_damaged_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    model = mlp()
    file = tmp_path / "net.safetensors"
    model.save_weights(file)
    whole = file.read_bytes()
    for content in (whole[:-5], whole[:20], b"", b"not a weights file at all, only text"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="not a whole safetensors file"):
            model.load_weights(file)
    with pytest.raises(FileNotFoundError, match="missing"):
        model.load_weights(tmp_path / "missing.safetensors")
    with pytest.raises(ValueError, match=r"\.safetensors"):
        model.save_weights(tmp_path / "net.h5")


def test_saving_replaces_a_file_only_if_allowed(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    first = mlp()
    first.save_weights(file)
    with pytest.raises(FileExistsError, match="overwrite"):
        mlp().save_weights(file, overwrite=False)
    second = mlp()
    second.save_weights(file)
    first.load_weights(file)
    assert equal(first, second)
    with pytest.raises(ValueError, match="no weights to save"):
        Twin().save_weights(file)


def test_a_sequential_built_by_data_takes_other_lengths() -> None:
    """Sizes that nobody declared are no promise."""
    model = unidl.Sequential([layers.GRU(3, return_sequences=True), layers.Dense(2)])
    assert host(model(np.ones((2, 4, 5), "float32"))).shape == (2, 4, 2)
    assert host(model(np.ones((2, 7, 5), "float32"))).shape == (2, 7, 2)
    assert model.predict(np.ones((3, 6, 5), "float32"), verbose=0).shape == (3, 6, 2)
    with pytest.raises(ValueError, match="5 elements along axis 2"):
        model(np.ones((2, 4, 6), "float32"))


@pytest.mark.parametrize(
    "trained", [False, pytest.param(True, marks=pytest.mark.skipif(not active.trains, reason="no gradients"))]
)
def test_a_deep_copy_computes_and_trains_by_itself(trained: bool) -> None:
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    model = unidl.Sequential([unidl.Input((2,)), unidl.layers.Dense(3, "tanh"), unidl.layers.Dense(1)])
    model.compile("adam", "mse")
    before = model.predict(x, verbose=0)
    if trained:
        model.fit(x, x[:, :1], verbose=0)
        before = model.predict(x, verbose=0)
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(twin.predict(x, verbose=0), before)
    if trained:
        twin.fit(x, x[:, :1], epochs=2, verbose=0)
        assert [int(active.to_numpy(m.optimizer.iterations)) for m in (model, twin)] == [1, 3]
    twin.set_weights([w * 0 for w in twin.get_weights()])
    assert not twin.predict(x, verbose=0).any() and not active.to_numpy(twin(active.to_tensor(x))).any()
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)


def test_the_batch_may_have_another_size_than_the_input_declares() -> None:
    model = unidl.Model(x := unidl.Input(batch_shape=(3, 2)), ops.sum(x, axis=1))
    assert host(model(np.ones((5, 2), "float32"))).tolist() == [2.0] * 5
    with pytest.raises(ValueError, match=r"found shape=\(3, 4\)"):
        model(np.ones((3, 4), "float32"))


def test_declared_batch_sizes_are_part_of_the_shapes_that_a_net_is_made_for() -> None:
    """Also of inputs that hold no examples: their sizes decide about the shapes of others."""
    x, axes = unidl.Input((4,), name="x"), unidl.Input(batch_shape=(3,), name="weights")
    scale = unidl.Input(batch_shape=(), name="scale")
    model = unidl.Model([x, axes, scale], ops.multiply(ops.reshape(ops.tile(x, (1, 3)), (-1, *axes.shape, 4)), scale))
    for n in (2, 5):
        value = np.ones((n, 4), "float32")
        result = host(model([value, np.ones(3, "float32"), np.float32(2)]))
        np.testing.assert_array_equal(result, np.full((n, 3, 4), 2, "float32"))


def test_a_net_that_fits_one_batch_size_runs_for_it() -> None:
    model = unidl.Model(x := unidl.Input(batch_shape=(2, 6)), ops.sum(ops.reshape(x, (2, 3, 2)), axis=0))
    value = data(2, 6)
    for _ in range(2):
        np.testing.assert_allclose(host(model(value)), value.reshape(2, 3, 2).sum(0), rtol=1e-6)
        np.testing.assert_allclose(model.predict(value, verbose=0), value.reshape(2, 3, 2).sum(0), rtol=1e-6)
        with pytest.raises(OpError, match="newshape"):
            model(data(4, 6))
