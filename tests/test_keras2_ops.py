"""Functions of TensorFlow between the layers of Keras 2's models: what they compute, against NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras2_files as k2
import numpy as np
import pytest

import unidl
from unidl.backend import active

RNG = np.random.default_rng(8)
X = RNG.normal(size=(4, 6)).astype("float32")
SERIES = RNG.normal(size=(2, 3, 4)).astype("float32")
OTHER = RNG.normal(size=(2, 5, 4)).astype("float32")
IMAGES = RNG.random((2, 4, 6, 3)).astype("float32")
NEAR: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def op(name: str, function: str, *calls: Any, kind: str = "TFOpLambda") -> dict[str, Any]:
    """A layer as tf.keras 2.4 to 2.15 described it; a call is a place with its arguments, or a list of places."""
    config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": list(calls)}


def net(path: Path, inputs: dict[str, tuple[int | None, ...]], layers: list[Any], *outputs: Any) -> Path:
    first = [k2.called(k2.input_layer(name, *shape)) for name, shape in inputs.items()]
    ends = [list(place) for place in outputs]
    config = k2.functional("net", [*first, *layers], [[name, 0, 0] for name in inputs], ends, "Functional")
    return k2.write(path, config, {layer["config"]["name"]: [] for layer in [*first, *layers]}, "2.11.0")


def check(path: Path, x: Any, *want: Any) -> Any:
    """The file computes `want`, and so does what is saved of it."""
    model = unidl.saving.load_model(path)
    model.save(path.with_suffix(".keras"))
    for one in (model, unidl.saving.load_model(path.with_suffix(".keras"))):
        found = one.predict(x, verbose=0)
        for mine, theirs in zip(found if isinstance(found, list) else [found], want, strict=True):
            assert mine.shape == np.shape(theirs)
            np.testing.assert_allclose(mine, theirs, **NEAR)
    return model


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


ALONE: list[Any] = [
    ("math.abs", {}, np.abs),
    ("math.square", {}, np.square),
    ("math.exp", {}, np.exp),
    ("math.negative", {}, lambda x: -x),
    ("math.sigmoid", {}, k2.sigmoid),
    ("math.tanh", {}, np.tanh),
    ("nn.relu", {}, lambda x: np.maximum(x, 0)),
    ("nn.leaky_relu", {}, lambda x: np.where(x > 0, x, 0.2 * x)),
    ("nn.leaky_relu", {"alpha": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    ("nn.silu", {"beta": 1.0}, lambda x: x * k2.sigmoid(x)),
    ("nn.softmax", {"axis": -1}, softmax),
    ("compat.v1.nn.softmax", {}, softmax),
    ("math.add", {"y": 2.0, "name": None}, lambda x: x + 2),
    ("__operators__.add", {"y": [1, 2, 3, 4, 5, 6]}, lambda x: x + [1, 2, 3, 4, 5, 6]),
    ("__operators__.rsub", {"x": 3.0}, lambda x: 3 - x),
    ("math.subtract", {"y": 0.5}, lambda x: x - 0.5),
    ("math.multiply", {"y": 2}, lambda x: 2 * x),
    ("math.truediv", {"y": 4.0}, lambda x: x / 4),
    ("__operators__.rtruediv", {"x": 1.0}, lambda x: 1 / x),
    ("math.pow", {"y": 2.0}, lambda x: x**2),
    ("math.scalar_mul", {"x": 3.0}, lambda x: x * 3),
    ("math.maximum", {"y": 0.1}, lambda x: np.maximum(x, 0.1)),
    ("clip_by_value", {"clip_value_min": -0.5, "clip_value_max": 0.5}, lambda x: np.clip(x, -0.5, 0.5)),
    ("cast", {"dtype": "int32"}, lambda x: x.astype("int32")),
    ("convert_to_tensor", {"dtype": "float32"}, lambda x: x),
    ("math.reduce_sum", {"axis": 1, "keepdims": True}, lambda x: x.sum(1, keepdims=True)),
    ("math.reduce_mean", {"axis": [1], "keepdims": False}, lambda x: x.mean(1)),
    ("math.reduce_max", {"axis": -1}, lambda x: x.max(-1)),
    ("math.reduce_std", {"axis": 1}, lambda x: x.std(1)),
    ("math.reduce_variance", {"axis": 1}, lambda x: x.var(1)),
    ("math.reduce_logsumexp", {"axis": 1}, lambda x: np.log(np.exp(x).sum(1))),
    ("math.argmax", {"axis": 1, "output_type": "int64"}, lambda x: x.argmax(1)),
    ("math.cumsum", {"axis": 1}, lambda x: x.cumsum(1)),
    ("expand_dims", {"axis": 1}, lambda x: x[:, None]),
    ("reshape", {"shape": [-1, 2, 3]}, lambda x: x.reshape(-1, 2, 3)),
    ("transpose", {"perm": [0, 1]}, lambda x: x),
    ("tile", {"multiples": [1, 2]}, lambda x: np.tile(x, (1, 2))),
    ("repeat", {"repeats": 2, "axis": 1}, lambda x: np.repeat(x, 2, 1)),
    ("reverse", {"axis": [1]}, lambda x: x[:, ::-1]),
    ("roll", {"shift": 2, "axis": 1}, lambda x: np.roll(x, 2, 1)),
    ("gather", {"indices": [0, 2], "axis": 1}, lambda x: x[:, [0, 2]]),
    ("pad", {"paddings": [[0, 0], [1, 2]]}, lambda x: np.pad(x, ((0, 0), (1, 2)))),
    (
        "compat.v1.pad",
        {"paddings": [[0, 0], [1, 2]], "mode": "REFLECT"},
        lambda x: np.pad(x, ((0, 0), (1, 2)), "reflect"),
    ),
    ("math.l2_normalize", {"axis": 1}, lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)),
    ("nn.bias_add", {"bias": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "data_format": "NHWC"}, lambda x: x + np.arange(1, 7)),
    ("ones_like", {}, np.ones_like),
    ("math.greater", {"y": 0.0}, lambda x: x > 0),
]


@pytest.mark.parametrize(("function", "arguments", "want"), ALONE, ids=[f"{i}-{a[0]}" for i, a in enumerate(ALONE)])
def test_functions_of_one_tensor(function: str, arguments: Any, want: Any, tmp_path: Path) -> None:
    layer = op("f", function, ["x", 0, 0, arguments])
    check(net(tmp_path / "m.h5", {"x": (6,)}, [layer], ("f", 0, 0)), X, want(X))


def test_functions_of_several_tensors(tmp_path: Path) -> None:
    layers = [
        op("product", "linalg.matmul", ["a", 0, 0, {"b": ["b", 0, 0], "transpose_b": True}]),
        op("attention", "nn.softmax", ["product", 0, 0, {}]),
        op("read", "linalg.matmul", ["attention", 0, 0, {"b": ["b", 0, 0], "name": None}]),
        op("both", "concat", [["a", 0, 0, {"axis": -1}], ["read", 0, 0, {"axis": -1}]]),
        op("chosen", "where", ["positive", 0, 0, {"x": ["a", 0, 0], "y": ["read", 0, 0]}]),
        op("positive", "math.greater", ["a", 0, 0, {"y": 0.0}]),
        op("pile", "stack", [["a", 0, 0, {"axis": 1}], ["read", 0, 0, {"axis": 1}]]),
        op("three", "split", ["a", 0, 0, {"num_or_size_splits": [1, 3], "axis": -1}]),
        op("constant", "math.subtract", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["three", 0, 1], "name": None}]),
    ]
    path = net(
        tmp_path / "m.h5",
        {"a": (3, 4), "b": (5, 4)},
        layers,
        ("both", 0, 0),
        ("chosen", 0, 0),
        ("pile", 0, 0),
        ("constant", 0, 0),
    )
    read = softmax(SERIES @ OTHER.transpose(0, 2, 1)) @ OTHER
    want = [np.concatenate([SERIES, read], -1), np.where(SERIES > 0, SERIES, read), np.stack([SERIES, read], 1)]
    check(path, [SERIES, OTHER], *want, 1 - SERIES[..., 1:])


def test_slices(tmp_path: Path) -> None:
    whole = {"start": None, "stop": None, "step": None}
    layers = [
        op(
            "bgr",
            "__operators__.getitem",
            ["x", 0, 0, {"slice_spec": [{"class_name": "__ellipsis__"}, {**whole, "step": -1}]}],
            kind="SlicingOpLambda",
        ),
        op("less", "nn.bias_add", ["bgr", 0, 0, {"bias": [-0.1, -0.2, -0.3], "data_format": "channels_last"}]),
        op(
            "part",
            "__operators__.getitem",
            ["x", 0, 0, {"slice_spec": [whole, {**whole, "start": 1, "stop": 3}, 2, None]}],
            kind="SlicingOpLambda",
        ),
    ]
    path = net(tmp_path / "m.h5", {"x": (4, 6, 3)}, layers, ("less", 0, 0), ("part", 0, 0))
    check(path, IMAGES, IMAGES[..., ::-1] - np.array([0.1, 0.2, 0.3]), IMAGES[:, 1:3, 2, None])


def test_sizes_that_are_computed(tmp_path: Path) -> None:
    """``tf.reshape(x, [tf.shape(x)[0], …])``: the batch, and the length, are known when the model is called."""
    layers = [
        op("shape", "compat.v1.shape", ["x", 0, 0, {}]),
        op("batch", "__operators__.getitem", ["shape", 0, 0, {"slice_spec": 0}], kind="SlicingOpLambda"),
        op("length", "__operators__.getitem", ["shape", 0, 0, {"slice_spec": [-2]}], kind="SlicingOpLambda"),
        op("twice", "math.multiply", ["length", 0, 0, {"y": 2, "name": None}]),
        op("flat", "reshape", ["x", 0, 0, {"shape": [["batch", 0, 0], ["twice", 0, 0], 2]}]),
        op("list", "stack", [["batch", 0, 0, {"axis": 0}], ["_CONSTANT_VALUE", -1, -1, {"axis": 0}]]),
        op("row", "reshape", ["x", 0, 0, {"shape": ["list", 0, 0]}]),
    ]
    path = net(tmp_path / "m.h5", {"x": (3, 4)}, layers, ("flat", 0, 0), ("row", 0, 0))
    check(path, SERIES, SERIES.reshape(2, 6, 2), SERIES.reshape(2, 12))


def node(name: str, kind: str, *places: str, constants: Any = None, **attributes: Any) -> dict[str, Any]:
    """A layer as tf.keras 2.0 to 2.3 described an op: by the node of TensorFlow's graph."""
    described = {"name": name, "op": kind, "input": [*places], "attr": {"T": {"type": "DT_FLOAT"}, **attributes}}
    config = {"name": f"tf_op_layer_{name}", "trainable": True, "dtype": "float32", "node_def": json.dumps(described)}
    config["constants"] = constants or {}
    calls = [[[place, 0, 0, {}] for place in places]]
    return {"class_name": "TensorFlowOpLayer", "config": config, "name": config["name"], "inbound_nodes": calls}


def test_nodes_of_graphs(tmp_path: Path) -> None:
    whole = {
        "begin_mask": {"i": "1"},
        "end_mask": {"i": "3"},
        "ellipsis_mask": {"i": "0"},
        "shrink_axis_mask": {"i": "4"},
    }
    before = "tf_op_layer_"
    layers = [
        node("times", "Mul", "x", constants={"0": 2.0}),
        node("plus", "AddV2", f"{before}times", "x"),
        node("sum", "Sum", f"{before}plus", constants={"1": [1, 2]}, keep_dims={"b": True}),
        node("part", "StridedSlice", "x", constants={"1": [0, 1, 2], "2": [0, 0, 3], "3": [1, 1, 1]}, **whole),
        node("cat", "ConcatV2", "x", f"{before}plus", constants={"2": -1}, N={"i": "2"}),
        node("thin", "Squeeze", f"{before}sum", squeeze_dims={"list": {"i": ["2"]}}),
        node("whole", "Cast", f"{before}part", DstT={"type": "DT_INT32"}),
        node("product", "BatchMatMulV2", "x", "x", adj_y={"b": True}),
    ]
    ends = [(f"{before}{name}", 0, 0) for name in ("plus", "thin", "cat", "whole", "product")]
    path = net(tmp_path / "m.h5", {"x": (3, 4)}, layers, *ends)
    plus = 3 * SERIES
    want = [plus, plus.sum((1, 2))[:, None], np.concatenate([SERIES, plus], -1), SERIES[:, 1:, 2].astype("int32")]
    check(path, SERIES, *want, SERIES @ SERIES.transpose(0, 2, 1))


@pytest.mark.skipif(not active.trains, reason="needs training")
def test_training_goes_through_them(tmp_path: Path) -> None:
    w = k2.array(6, 1)
    layers = [
        op("twice", "math.multiply", ["x", 0, 0, {"y": 2.0}]),
        k2.called(k2.dense("d", 1, use_bias=False), [["twice", 0, 0]]),
    ]
    path = net(tmp_path / "m.h5", {"x": (6,)}, layers, ("d", 0, 0))
    config = json.loads(h5_attribute(path))
    k2.write(path, config, {"x": [], "twice": [], "d": k2.named("d", kernel=w)}, "2.11.0")
    model = unidl.saving.load_model(path)
    model.compile(unidl.optimizers.SGD(0.1), "mse")
    model.fit(X, X[:, :1], batch_size=4, epochs=1, verbose=0)
    gradient = (2 * X).T @ (2 * X @ w - X[:, :1]) * 2 / 4
    np.testing.assert_allclose(model.get_weights()[0], w - 0.1 * gradient, **NEAR)


def h5_attribute(path: Path) -> str:
    import h5py

    with h5py.File(path) as file:
        return str(file.attrs["model_config"])


REFUSED: list[Any] = [
    (op("f", "io.read_file", ["x", 0, 0, {}]), r"Layer 'f' calls .* tf.io.read_file, which is none of those"),
    (op("f", "py_function", ["x", 0, 0, {}]), "py_function"),
    (op("f", "__import__", ["x", 0, 0, {}]), "__import__"),
    (op("f", "os.system", ["x", 0, 0, {}]), "os.system"),
    (
        op("f", "nn.silu", ["x", 0, 0, {"beta": 2.0}]),
        "tf.nn.silu in a way that is not known: beta=2.0 has no counterpart",
    ),
    (op("f", "math.reduce_sum", ["x", 0, 0, {"what": 1}]), r"the arguments \['what'\] have no counterpart"),
    (op("f", "concat", [["x", 0, 0, {}]]), "lacks the argument 'axis'"),
    (op("f", "split", ["x", 0, 0, {"num_or_size_splits": [1, -1]}]), r"the sizes \[1, -1\]"),
    (op("f", "math.l2_normalize", ["x", 0, 0, {}]), "axis=None is not one axis"),
    (op("f", "linalg.matmul", ["x", 0, 0, {"b": ["x", 0, 0], "adjoint_a": True}]), "adjoint_a"),
    (op("f", "math.add", [3]), "called on '3', which is no tensor"),
    (op("f", "math.add", {}), "in a way that is not known"),
    (op("f", "math.add"), "is not called, or in ways that differ"),
    (
        {**node("g", "ReadFile", "x"), "name": "f"},
        "Layer 'f' is a node 'ReadFile' of TensorFlow, which is none of those",
    ),
    ({**node("g", "Mul", "x"), "name": "f"}, "a node 'Mul' of TensorFlow has 2 inputs, not 1"),
    (
        {**node("g", "StridedSlice", "x", constants={"1": 0, "2": 0, "3": 1}), "name": "f"},
        "slice whose ends are not in the file",
    ),
]


@pytest.mark.parametrize(("layer", "words"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_what_is_refused(layer: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        unidl.saving.load_model(net(tmp_path / "m.h5", {"x": (6,)}, [layer], ("f", 0, 0)))


def test_shapes_that_are_refused(tmp_path: Path) -> None:
    shape = op("shape", "shape", ["x", 0, 0, {}])
    for last, words in (
        (op("f", "reshape", ["x", 0, 0, {"shape": ["shape", 0, 0]}]), "takes the shape of a tensor as a whole"),
        (op("f", "math.reduce_prod", ["shape", 0, 0, {}]), "'reduce_prod' on a shape in a way that is not known"),
    ):
        with pytest.raises(ValueError, match=words):
            unidl.saving.load_model(net(tmp_path / "m.h5", {"x": (6,)}, [shape, last], ("f", 0, 0)))
    config = {"name": "f", "trainable": True, "dtype": "float32", "node_def": "\x08\x01", "constants": {}}
    layer = {"class_name": "TensorFlowOpLayer", "config": config, "name": "f", "inbound_nodes": [[["x", 0, 0, {}]]]}
    with pytest.raises(ValueError, match="a node of TensorFlow that is not described in JSON"):
        unidl.saving.load_model(net(tmp_path / "m.h5", {"x": (6,)}, [layer], ("f", 0, 0)))
