"""Models as configurations: written, read, cloned; and what functional models take as inputs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, models, ops
from unidl.backend import active


def host(value: Any) -> Any:
    return unidl.tree.map_structure(active.to_numpy, value)


def branching() -> Any:
    """Two inputs, a shared layer, ops between layers, an unknown size in a reshape, a dict of outputs."""
    a, b = layers.Input((None, 4), name="a"), layers.Input((4,), name="b")
    shared = layers.Dense(3, activation="tanh", name="shared")
    x, y = shared(a), shared(b)
    x = ops.mean(x * 2.0, axis=1) + y
    x = ops.reshape(x, (ops.shape(x)[0], 3, 1))
    merged = layers.Concatenate(name="joined")([x[:, 1:, 0], y])
    return unidl.Model({"a": a, "b": b}, {"out": layers.Dense(2, name="out")(merged), "y": y}, name="net")


def inner_and_outer() -> Any:
    inner = unidl.Sequential([layers.Input((4,)), layers.Dense(3, name="one")], name="inner")
    x = layers.Input((4,), name="x")
    return unidl.Model(x, layers.Dense(2, name="two")(inner(x)), name="outer")


def deferred() -> Any:
    model = unidl.Sequential([layers.Dense(3, activation="relu"), layers.Dropout(0.5), layers.Dense(2)], name="stack")
    model.build((None, 4))
    return model


CASES = {
    "branching": (branching, lambda rng: {"a": rng.random((2, 5, 4)), "b": rng.random((2, 4))}),
    "nested": (inner_and_outer, lambda rng: rng.random((2, 4))),
    "deferred": (deferred, lambda rng: rng.random((2, 4))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("how", ["json", "config", "clone"])
def test_a_copy_computes_the_same_with_the_same_weights(name: str, how: str) -> None:
    make, data = CASES[name]
    model, x = make(), data(np.random.default_rng(0))
    x = unidl.tree.map_structure(lambda v: v.astype("float32"), x)
    if how == "json":
        copy = models.model_from_json(model.to_json())
        assert json.loads(copy.to_json()) == json.loads(model.to_json())
    elif how == "config":
        copy = type(model).from_config(model.get_config())
    else:
        copy = models.clone_model(model)
    assert not {id(v) for v in copy.variables} & {id(v) for v in model.variables}
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    copy.set_weights(model.get_weights())
    for mine, theirs in zip(unidl.tree.flatten(host(copy(x))), unidl.tree.flatten(host(model(x))), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


def test_clones_may_be_made_and_called_in_other_ways() -> None:
    model = inner_and_outer()

    def renamed(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_copy"})

    copy = models.clone_model(model, clone_function=renamed, recursive=True)
    assert [layer.name for layer in copy.layers] == ["x", "inner", "two_copy"]
    assert copy.get_layer("inner").layers[0].name == "one_copy"

    calls = []

    def called(layer: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(layer.name)
        return layer(*args, **kwargs)

    start = layers.Input((4,), batch_size=7, name="start")
    copy = models.clone_model(model, input_tensors=start, call_function=called)
    assert calls == ["inner", "two"] and copy.input_shape == (7, 4)
    with pytest.raises(ValueError, match=r"clone_function.*subclassed"):
        models.clone_model(Subclassed(3), clone_function=renamed)
    assert models.clone_model(Subclassed(3)).units == 3


class Subclassed(unidl.Model):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)

    def call(self, x: Any) -> Any:
        return self.dense(x)


@unidl.saving.register_keras_serializable("tests")
class Scaled(layers.Layer):
    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x: Any) -> Any:
        return x * self.scale


def test_only_known_classes_are_built() -> None:
    class Unknown(Scaled):
        pass

    def of(layer: Any) -> Any:
        x = layers.Input((2,))
        return unidl.Model(x, layer(x))

    assert models.model_from_json(of(Scaled(2.0)).to_json()).layers[1].scale == 2.0
    text = of(Unknown(3.0)).to_json()
    with pytest.raises(TypeError, match=r"Could not locate class 'Unknown'.*register_keras_serializable"):
        models.model_from_json(text)
    assert models.model_from_json(text, {"Unknown": Unknown}).layers[1].scale == 3.0
    with unidl.saving.custom_object_scope({"Unknown": Unknown}):
        assert type(models.model_from_json(text).layers[1]) is Unknown


def call_of(config: Any) -> Any:
    return config["layers"][1]["inbound_nodes"][0]["args"][0]["config"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: call_of(c).update(keras_history=["lost", 0, 0]), "lost"),
        (lambda c: call_of(c).update(keras_history=["d", 0, 0]), "loop"),
        (lambda c: c.update(output_layers=["nobody", 0, 0]), "nobody"),
    ],
)
def test_configurations_that_are_no_net_are_refused(change: Any, words: str) -> None:
    x = layers.Input((2,), name="x")
    config = json.loads(json.dumps(unidl.Model(x, layers.Dense(1, name="d")(x)).get_config()))
    change(config)
    with pytest.raises(ValueError, match=words):
        unidl.Model.from_config(config)


def test_a_variable_outside_of_all_layers_has_no_configuration() -> None:
    free = unidl.Variable(np.ones(2, "float32"), name="free")
    x = layers.Input((2,))
    model = unidl.Model(x, x * free)
    with pytest.raises(ValueError, match=r"free.*weight of a layer"):
        model.get_config()


def test_a_state_tree_holds_all_variables_by_path() -> None:
    model = inner_and_outer()
    model.compile("adam", "mse")
    tree = model.get_state_tree("numpy_array")
    assert set(tree["trainable_variables"]) == {"inner", "two"}
    assert tree["trainable_variables"]["inner"]["one"]["kernel"].shape == (4, 3)
    model.set_state_tree({"trainable_variables": {"two": {"bias": np.array([3.0, 4.0])}}})
    np.testing.assert_array_equal(host(model.get_layer("two").bias), [3, 4])
    with pytest.raises(ValueError, match="nothing"):
        model.set_state_tree({"trainable_variables": {"two": {"nothing": 0}}})


def test_optional_inputs_may_be_none() -> None:
    class Sum(layers.Layer):
        def call(self, x: Any, y: Any = None) -> Any:
            return x if y is None else x + y

    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b", optional=True)
    model = unidl.Model([a, b], Sum()(a, b))
    ones = np.ones((3, 2), "float32")
    assert host(model([ones, None])).sum() == 6 and host(model([ones, ones])).sum() == 12
    assert host(model({"a": ones})).sum() == 6
    assert model.predict([ones, None], verbose=0).sum() == 6
    with pytest.raises(ValueError, match="'a' is not optional"):
        model([None, ones])


def test_inputs_take_the_declared_dtype_and_rank() -> None:
    x, n = layers.Input((2,)), layers.Input((2, 1), dtype="int32")
    model = unidl.Model([x, n], [x + 1, n + 1])
    first, second = model([np.ones((3, 2, 1), "int32"), np.ones((3, 2), "float64")])
    assert active.dtype(first) == "float32" and tuple(active.shape(first)) == (3, 2)
    assert active.dtype(second) == "int32" and tuple(active.shape(second)) == (3, 2, 1)


def test_a_model_between_inner_tensors_has_inputs_of_its_own() -> None:
    x = layers.Input((4,))
    middle = layers.Dense(3, name="first")(x)
    whole = unidl.Model(x, layers.Dense(2, name="second")(middle))
    tail = unidl.Model(middle, whole.output)
    assert [layer.name for layer in tail.layers][1:] == ["second"] and isinstance(tail.layers[0], layers.InputLayer)
    assert tail.get_layer("second") is whole.get_layer("second")
    ones = np.ones((1, 4), "float32")
    np.testing.assert_allclose(host(tail(unidl.Model(x, middle)(ones))), host(whole(ones)), rtol=1e-6)


def test_sequential_models_take_structures() -> None:
    class Both(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return {"sum": inputs["a"] + inputs["b"]}

    model = unidl.Sequential([Both()])
    ones = np.ones((3, 2), "float32")
    assert host(model({"a": ones, "b": ones}))["sum"].sum() == 12
    for change in (lambda m: m.build((3, 4)), lambda m: m.add(layers.Input((2,)))):
        declared = unidl.Sequential([layers.Input((2,)), layers.Dense(1)])
        with pytest.raises(ValueError, match="already been configured"):
            change(declared)


def test_functional_models_of_keras_2_are_read() -> None:
    def layer(kind: str, name: str, *calls: Any, **config: Any) -> dict[str, Any]:
        return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": list(calls)}

    config = {
        "name": "old",
        "layers": [
            layer("InputLayer", "x", batch_input_shape=[None, 3]),
            layer("Dense", "d", [["x", 0, 0, {}]], units=3),
            layer("Add", "sum", [["x", 0, 0, {}], ["d", 0, 0, {}]]),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["sum", 0, 0]],
    }
    model = unidl.Model.from_config(config)
    assert [layer.name for layer in model.layers] == ["x", "d", "sum"]
    x = np.ones((2, 3), "float32")
    np.testing.assert_allclose(host(model(x)), x + host(model.get_layer("d")(x)), rtol=1e-6)


def test_a_list_of_one_output_is_that_output() -> None:
    x = layers.Input((3,))
    assert tuple(active.shape(unidl.Model(x, [layers.Dense(2)(x)])(np.ones((4, 3), "float32")))) == (4, 2)


def test_ops_are_found_in_backend_too() -> None:
    from unidl import backend

    assert backend.mean is ops.mean and backend.random is unidl.random
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = backend.nothing_of_the_kind
