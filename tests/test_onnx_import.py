"""`unidl.onnx.load`: models as other tools write them, as functional models."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_package
import pytest
import torch
from onnx import TensorProto, helper
from onnx_models import built, reference
from torch import nn

import unidl
from unidl import onnx, ops
from unidl.backend import active

trains = pytest.mark.skipif(not active.trains, reason="this backend does not train")


def exported(module: nn.Module, x: torch.Tensor, dynamo: bool, dims: Any = (0,)) -> bytes:
    """A module as torch's exporters write it, with dynamic `dims`."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            names = {d: torch.export.Dim(f"d{d}") for d in dims}
            program = torch.onnx.export(module, (x,), dynamo=True, dynamic_shapes=(names,), verbose=False)
            program.save(file)
        else:
            axes = {"x": {d: f"d{d}" for d in dims}, "y": {d: f"d{d}" for d in dims}}
            torch.onnx.export(
                module, (x,), file, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes=axes
            )
    return file.getvalue()


class Images(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.norm(self.conv(x))))
        return self.head(torch.relu(self.down(x)).mean((2, 3)))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.lstm = nn.LSTM(6, 4, bidirectional=True, batch_first=True)
        self.queries, self.keys = nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.gru = nn.GRU(8, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, _ = self.lstm(self.table(x))
        scores = self.queries(x) @ self.keys(x).transpose(1, 2)
        return self.gru(self.norm(x + torch.softmax(scores, -1) @ x))[0]


def _drawn(module: nn.Module) -> nn.Module:
    """A module without equal weights, which exporters would make one."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p += 0.05 * torch.randn(p.shape, generator=generator)
    return module.eval()


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_torch_images(dynamo: bool, tmp_path: Path) -> None:
    module = _drawn(Images())
    data = exported(module, torch.randn(2, 3, 9, 9), dynamo)
    x = np.random.default_rng(0).normal(size=(3, 3, 9, 9)).astype("float32")
    (want,) = reference(data, x)
    model = onnx.load(data)
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(onnx.prepare(data)([x])[0], want, rtol=1e-4, atol=1e-5)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == 2 and kinds.count("Dense") == 1 and kinds.count("MaxPooling2D") == 1
    model.save(tmp_path / "model.keras")
    again = unidl.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x[:1], verbose=0), want[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_torch_words(dynamo: bool, tmp_path: Path) -> None:
    data = exported(_drawn(Words()), torch.randint(0, 11, (2, 5)), dynamo, (0, 1))
    x = np.random.default_rng(0).integers(0, 11, (3, 7))
    (want,) = reference(data, x)
    model = onnx.load(data)
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-4, atol=1e-5)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert {"Embedding", "LSTM", "GRU", "LayerNormalization", "Dense"} <= kinds
    model.save(tmp_path / "model.keras")
    again = unidl.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x[:1, :4], verbose=0), reference(data, x[:1, :4])[0], rtol=1e-4, atol=1e-5)


def test_normalizations_that_share_weights() -> None:
    """Exporters write equal initializers once: scales of 1, shifts of 0. Averages are no weights that train."""
    rng = np.random.default_rng(0)
    weights = {"ones": np.ones(3, "float32"), "zeros": np.zeros(3, "float32")}
    weights |= {name: rng.uniform(0.5, 2, 3).astype("float32") for name in ("m0", "v0", "m1", "v1")}
    nodes = [
        helper.make_node("Identity", ["zeros"], ["same"]),
        helper.make_node("BatchNormalization", ["x", "ones", "zeros", "m0", "v0"], ["a"]),
        helper.make_node("BatchNormalization", ["a", "ones", "same", "m1", "v1"], ["b"]),
        helper.make_node("BatchNormalization", ["b", "ones", "same", "m1", "v1"], ["y"]),  # the same module again
    ]
    data, x = built(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, weights), rng.normal(size=(4, 3)).astype("float32")
    model = onnx.load(data)
    np.testing.assert_allclose(model.predict(x, verbose=0), reference(data, x)[0], rtol=1e-5, atol=1e-5)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("BatchNormalization") == 2 and "Weight" not in kinds
    assert [len(model.trainable_weights), len(model.non_trainable_weights)] == [4, 4]


def test_averages_of_normalizations_that_are_no_layers_do_not_train() -> None:
    weights = {n: np.full(80, 2, "float32") for n in ("scale", "bias", "mean", "variance")}
    nodes = [
        helper.make_node("Mul", ["scale", "k"], ["s"]),
        helper.make_node("BatchNormalization", ["x", "s", "bias", "mean", "variance"], ["y"]),
    ]
    data = built(nodes, {"x": ["n", 80], "k": [1]}, {"y": ["n", 80]}, weights)
    model, inputs = onnx.load(data), [np.ones((2, 80), "float32"), np.ones(1, "float32")]
    np.testing.assert_allclose(ops.convert_to_numpy(model(inputs)), reference(data, *inputs)[0], rtol=1e-5)
    assert [layer.name for layer in model.layers if layer.trainable_weights] == ["scale", "bias"]


def test_group_normalization_of_pytorch_has_no_weights_of_groups(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights: dict[str, Any] = {"ones": np.ones(2, "float32"), "zeros": np.zeros(2, "float32")}
    weights |= {"scale": rng.normal(size=(6, 1)).astype("float32"), "shift": rng.normal(size=(6, 1)).astype("float32")}
    weights |= {"groups": np.array([0, 2, -1]), "channels": np.array([0, 6, -1])}
    nodes = [
        helper.make_node("Reshape", ["x", "groups"], ["a"]),
        helper.make_node("InstanceNormalization", ["a", "ones", "zeros"], ["b"], epsilon=1e-3),
        helper.make_node("Reshape", ["b", "channels"], ["c"]),
        helper.make_node("Mul", ["c", "scale"], ["d"]),
        helper.make_node("Add", ["d", "shift"], ["y"]),
    ]
    data, x = built(nodes, {"x": ["n", 6, "t"]}, {"y": None}, weights), rng.normal(size=(3, 6, 4)).astype("float32")
    model, (want,) = onnx.load(data), reference(data, x)
    assert [layer.name for layer in model.layers if layer.weights] == ["scale", "shift"]
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-4, atol=1e-5)
    onnx.export(model, tmp_path / "again.onnx")
    np.testing.assert_allclose(reference((tmp_path / "again.onnx").read_bytes(), x)[0], want, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(active.name != "tensorflow", reason="tf2onnx takes functions of TensorFlow")
def test_tensorflow() -> None:
    import tensorflow as tf
    import tf2onnx

    rng = np.random.default_rng(0)
    kernel, bias, last = (rng.normal(size=s).astype("float32") for s in ((3, 3, 2, 4), (4,), (4, 3)))

    def images(x: Any) -> Any:
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 2, "SAME"), bias))
        return tf.nn.softmax(tf.reduce_mean(tf.nn.max_pool2d(x, 2, 2, "VALID"), [1, 2]) @ last)

    def decayed(x: Any) -> Any:
        def step(i: Any, total: Any) -> Any:
            return i + 1, total * 0.5 + x[:, i]

        return tf.while_loop(lambda i, total: i < tf.shape(x)[1], step, [0, tf.zeros_like(x[:, 0])])[1]

    def products(x: Any) -> Any:  # the exporter compares the batch sizes of both operands
        return tf.einsum("bij,bkj->bik", x, x)

    def resized(x: Any) -> Any:  # 9 times the scale 13 / 9 is 13 in float32 alone
        return tf.image.resize(x, (5, 13))

    cases: Any = ((images, (3, 8, 8, 2)), (decayed, (3, 5, 4)), (products, (2, 3, 4)))
    for function, shape in (*cases, (resized, (2, 8, 9, 3))):
        free = (None, None, 4) if function is decayed else (None, *shape[1:])
        spec = [tf.TensorSpec(free, tf.float32, name="x")]
        proto, _ = tf2onnx.convert.from_function(tf.function(function), input_signature=spec, opset=18)
        x = rng.normal(size=shape).astype("float32")
        (want,) = reference(proto.SerializeToString(), x)
        np.testing.assert_allclose(onnx.load(proto).predict(x, verbose=0), want, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(onnx.prepare(proto)([x])[0], want, rtol=1e-5, atol=1e-6)


@trains
def test_fine_tune() -> None:
    module = _drawn(nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, 3)))
    model = onnx.load(exported(module, torch.randn(2, 2, 5, 5), False))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 2, 5, 5)).astype("float32"), rng.normal(size=(8, 3)).astype("float32")

    loss = ((module(torch.from_numpy(x)) - torch.from_numpy(y)) ** 2).mean()
    loss.backward()
    conv, dense = module[0], module[3]
    want = [
        conv.weight.grad.numpy().transpose(2, 3, 1, 0),
        conv.bias.grad.numpy(),
        dense.weight.grad.numpy().T,
        dense.bias.grad.numpy(),
    ]

    weights = [v.numpy() for v in model.trainable_variables]
    rate = 1.0
    model.compile(unidl.optimizers.SGD(rate), "mse")
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    got = [(w - v.numpy()) / rate for w, v in zip(weights, model.trainable_variables, strict=True)]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-5)

    model.compile(unidl.optimizers.Adam(0.01), "mse")
    losses = model.fit(x, y, batch_size=8, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_weights_that_belong_to_no_layer(tmp_path: Path) -> None:
    scale = np.arange(1, 5, dtype="float32")
    node = helper.make_node("Mul", ["x", "scale"], ["y"])
    model = onnx.load(built([node], {"x": ["n", 4]}, {"y": ["n", 4]}, {"scale": scale}))
    layer = model.get_layer("scale")
    assert isinstance(layer, onnx.Weight) and [v.name for v in model.trainable_variables] == ["value"]
    layer.value.assign(2 * scale)
    model.save(tmp_path / "model.keras")
    again = unidl.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(np.ones((2, 4), "float32"), verbose=0), [2 * scale] * 2)


def test_computed_shapes_with_unknown_batch() -> None:
    """Shape → Gather → Concat → Reshape, as exporters of before dynamic shapes wrote ``x.view(x.size(0), -1)``."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch"], ["batches"], axes=[0]),
        helper.make_node("Concat", ["batches", "rest"], ["new"], axis=0),
        helper.make_node("Reshape", ["x", "new"], ["y"]),
    ]
    weights = {"zero": np.array(0), "rest": np.array([-1])}
    model = onnx.load(built(nodes, {"x": ["n", 2, 3]}, {"y": ["n", 6]}, weights, opset=11))
    assert model.output_shape == (None, 6)
    assert model.predict(np.ones((5, 2, 3), "float32"), verbose=0).shape == (5, 6)


@pytest.mark.parametrize("which", ["rows of a weight", "rows and columns of an input"])
def test_tiles_of_unknown_number(which: str, tmp_path: Path) -> None:
    """`Tile` with sizes as counts, as exporters write learned tokens that each element of a batch begins with."""
    weights = {"one": np.array([1]), "two": np.array([2]), "w": np.array([[1, 2, 3]], "float32")}
    end, tiled = (1, "w") if which == "rows of a weight" else (2, "x")
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], start=0, end=end),
        helper.make_node("Concat", ["shape", "one" if end == 1 else "two"][: 3 - end], ["counts"], axis=0),
        helper.make_node("Tile", [tiled, "counts"], ["y"]),
    ]
    data = built(nodes, {"x": ["n", "m"]}, {"y": ["rows", "columns"]}, weights, opset=17)
    model = onnx.load(data)
    onnx.export(model, tmp_path / "again.onnx")
    model.save(tmp_path / "again.keras")
    for n in (1, 4):
        x = np.random.default_rng(n).normal(size=(n, 3)).astype("float32")
        (want,) = reference(data, x)
        for again in (model, unidl.saving.load_model(tmp_path / "again.keras")):
            np.testing.assert_array_equal(again.predict(x, verbose=0), want)
        np.testing.assert_array_equal(reference((tmp_path / "again.onnx").read_bytes(), x)[0], want)


def test_names_are_kept(tmp_path: Path) -> None:
    """Of inputs and outputs, also those that are no names of layers, by `.keras` files and by ONNX again."""
    nodes = [
        helper.make_node("MatMul", ["input.1", "w"], ["h"], name="dense"),
        helper.make_node("Relu", ["h"], ["out:0"]),
        helper.make_node("Add", ["h", "/b/x"], ["sum"]),
        helper.make_node("Identity", ["input.1"], ["same"]),
        helper.make_node("Identity", ["sum"], ["twice"]),
    ]
    inputs: dict[str, Any] = {"input.1": ["n", 2], "/b/x": ["n", 3]}
    outputs = {n: ["n", 2 if n == "same" else 3] for n in ("out:0", "sum", "same", "twice")}
    data = built(nodes, inputs, outputs, {"w": np.ones((2, 3), "float32")})
    model = onnx.load(data)
    assert model.output_names == list(outputs)
    assert [type(layer).__name__ for layer in model.layers if layer.weights] == ["Dense"]
    model.save(tmp_path / "model.keras")
    given = [np.ones((4, 2), "float32"), np.ones((4, 3), "float32")]
    for net in (model, unidl.saving.load_model(tmp_path / "model.keras")):
        written = onnx.export(net, tmp_path / "again.onnx")
        assert written.inputs == list(inputs) and written.outputs == list(outputs)
        for want, got in zip(reference(data, *given), net.predict(dict(zip(inputs, given, strict=True)), verbose=0)):
            np.testing.assert_array_equal(got, want)


def test_control_flow(tmp_path: Path) -> None:
    def branch(op: str, name: str) -> Any:
        node = helper.make_node(op, ["x"], [name])
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=branch("Neg", "a"), else_branch=branch("Exp", "b")),
    ]
    data = built(nodes, {"x": ["n", 2]}, {"y": ["n", 2]}, {"zero": np.float32(0)})
    model = onnx.load(data)
    model.save(tmp_path / "model.keras")
    for net in (model, unidl.saving.load_model(tmp_path / "model.keras")):
        for sign in (1, -1):
            x = np.full((3, 2), sign, "float32")
            np.testing.assert_allclose(ops.convert_to_numpy(net(x)), reference(data, x)[0], rtol=1e-6)


def test_branches_that_take_only_some_sizes_ask_for_them() -> None:
    def branch(name: str, *more: Any) -> Any:
        nodes = [helper.make_node("Conv", ["x", "w"], [f"{name}0"], name="wide"), *more]
        return helper.make_graph(
            nodes, name, [], [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)]
        )

    # Results of different ranks: such a node cannot be recorded, and is run on zeros to see what it gives.
    mean = helper.make_node("ReduceMean", ["b0"], ["b1"], axes=[1, 2], keepdims=0)
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("a"), else_branch=branch("b", mean)),
    ]
    data = built(nodes, {"x": ["n", 1, "t"]}, {"y": None}, {"w": np.ones((1, 1, 5), "float32")})
    with pytest.raises(onnx.OnnxError, match=r"'wide' \(Conv\).*shapes=.*'x': \(None, 1, None\)"):
        onnx.load(data)
    model, x = onnx.load(data, shapes={"x": (None, 1, 8)}), np.zeros((2, 1, 8), "float32")
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), reference(data, x)[0], atol=1e-6)


# -- quantized models ------------------------------------------------------------------------------


def test_quantized_convolution() -> None:
    # Weights of seven bits: on processors without VNNI onnxruntime adds pairs of products in 16 bits, which saturate.
    rng = np.random.default_rng(0)
    weights = {
        "s": np.float32(0.05), "z": np.uint8(120), "w": rng.integers(-63, 64, (4, 2, 3, 3)).astype("int8"),
        "ws": rng.uniform(0.01, 0.02, 4).astype("float32"), "wz": np.zeros(4, "int8"),
        "ys": np.float32(0.1), "yz": np.uint8(128), "b": rng.integers(-500, 500, 4).astype("int32"),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "ws", "wz", "ys", "yz", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("DequantizeLinear", ["c", "ys", "yz"], ["y"]),
    ]
    data = built(nodes, {"x": ["n", 2, 6, 6]}, {"y": ["n", 4, 6, 6]}, weights)
    x = rng.normal(size=(2, 2, 6, 6)).astype("float32")
    for got in (onnx.prepare(data)([x])[0], onnx.load(data).predict(x, verbose=0)):
        np.testing.assert_allclose(got, reference(data, x)[0], atol=0.11)  # one step, where a tie is rounded
        assert np.mean(np.abs(got - reference(data, x)[0]) > 1e-4) < 0.01


@pytest.mark.parametrize("kind", ["int4", "uint4", "float8_e4m3fn"])
def test_packed_weights(kind: str) -> None:
    import ml_dtypes

    rng = np.random.default_rng(0)
    dtype = np.dtype(getattr(ml_dtypes, kind))
    weight = rng.integers(0 if kind == "uint4" else -7, 7, (4, 3)).astype("float32").astype(dtype)
    weights = {"w": weight, "s": rng.uniform(0.1, 0.2, 3).astype("float32")}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"], axis=1),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    ]
    data = built(nodes, {"x": ["n", 4]}, {"y": ["n", 3]}, weights, opset=21, ir_version=10)
    x = rng.normal(size=(2, 4)).astype("float32")
    want = x @ (weight.astype("float32") * weights["s"])
    np.testing.assert_allclose(onnx.prepare(data)([x])[0], want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(onnx.load(data).predict(x, verbose=0), want, rtol=1e-4, atol=1e-5)


# -- what is missing, and how it is supplied -------------------------------------------------------


def test_missing_operator_is_named_before_anything_runs() -> None:
    body = helper.make_graph([helper.make_node("Strange", ["x"], ["z"], name="inner", domain="my.own")], "b", [], [
        helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])  # fmt: skip
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body),
    ]
    data = built(nodes, {"x": [2]}, {"y": [2]}, domains=["my.own"])
    for read in (onnx.prepare, onnx.load):
        with pytest.raises(
            onnx.MissingOperatorError, match=r"'inner' \(my.own.Strange\).*'my.own', opset 1.*register_op"
        ):
            read(data)

    from unidl.interchange.onnx.importing._table import ADDED

    onnx.register_op("Strange", lambda call, x: ops.multiply(x, 3.0), domain="my.own")
    try:
        np.testing.assert_allclose(onnx.prepare(data)([np.ones(2, "float32")])[0], [3, 3])
    finally:
        ADDED.clear()


def test_sequences_are_for_prepare() -> None:
    node = helper.make_node("SequenceConstruct", ["x", "x"], ["y"])
    value = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])], [value])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    (got,) = onnx.prepare(data)([np.ones(2, "float32")])
    assert isinstance(got, list) and len(got) == 2
    with pytest.raises(onnx.OnnxError, match="prepare"):
        onnx.load(data)


@pytest.mark.once
def test_every_operator_of_the_standard_is_known() -> None:
    """All that the onnx package declares, in its newest version, but for a few named ones."""
    from unidl.interchange.onnx.importing._table import find

    lacking = {
        s.name
        for s in onnx_package.defs.get_all_schemas()
        if s.domain == "" and not s.deprecated and not s.has_function and not s.has_context_dependent_function
        and find(s.name, "", s.since_version) is None
    }  # fmt: skip
    assert lacking == set()


# -- sizes that are unknown while the model is read ----------------------------------------------------

_LIKE = [
    helper.make_node("Shape", ["x"], ["shape"]),
    helper.make_node("Slice", ["shape", "two", "four"], ["image"]),
    helper.make_node("Shape", ["z"], ["z_shape"]),
    helper.make_node("Slice", ["z_shape", "zero", "two"], ["rest"]),
    helper.make_node("Concat", ["rest", "image"], ["sizes"], axis=0),
]


@pytest.mark.parametrize(
    ("mode", "kind", "rounding"),
    [
        ("nearest", "asymmetric", "floor"), ("nearest", "half_pixel", "round_prefer_ceil"),
        ("linear", "half_pixel", "floor"), ("linear", "align_corners", "floor"),
        ("linear", "pytorch_half_pixel", "floor"), ("cubic", "half_pixel", "floor"),
    ],
)  # fmt: skip
def test_resizing_to_a_size_that_is_unknown(mode: str, kind: str, rounding: str, tmp_path: Path) -> None:
    """As pyramids and U-nets are written: one image resized to the size of another one."""
    settings = {"mode": mode, "coordinate_transformation_mode": kind, "nearest_mode": rounding}
    nodes = [*_LIKE, helper.make_node("Resize", ["z", "", "", "sizes"], ["large"], **settings),
             helper.make_node("Add", ["large", "x"], ["y"])]  # fmt: skip
    weights = {"zero": np.array([0]), "two": np.array([2]), "four": np.array([4])}
    data = built(nodes, {"x": ["n", 2, "h", "w"], "z": ["n", 2, "p", "q"]}, {"y": None}, weights, opset=13)
    _resized_alike(data, (3, 4), tmp_path)


@pytest.mark.parametrize(
    ("mode", "kind", "rounding"),
    [
        ("nearest", "asymmetric", "ceil"), ("nearest", "half_pixel", "floor"), ("linear", "half_pixel", "floor"),
        ("cubic", "align_corners", "floor"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("scale", [2.0, 1.5, 0.5])
def test_resizing_by_a_scale_from_a_size_that_is_unknown(
    mode: str, kind: str, rounding: str, scale: float, tmp_path: Path
) -> None:
    settings = {"mode": mode, "coordinate_transformation_mode": kind, "nearest_mode": rounding}
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], **settings)
    weights = {"scales": np.array([1, 1, scale, 2], "float32")}
    data = built([node], {"x": ["n", 2, "h", "w"]}, {"y": None}, weights, opset=13)
    _resized_alike(data, None, tmp_path)


def _resized_alike(data: bytes, other: Any, folder: Path) -> None:
    model = onnx.load(data)
    onnx.export(model, folder / "again.onnx")
    for n, height, width in ((1, 5, 7), (2, 6, 4)):
        given = [np.random.default_rng(n).normal(size=(n, 2, height, width)).astype("float32")]
        given += [] if other is None else [np.random.default_rng(9).normal(size=(n, 2, *other)).astype("float32")]
        (want,) = reference(data, *given)
        got = model.predict(given if len(given) > 1 else given[0], verbose=0)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
        again = reference((folder / "again.onnx").read_bytes(), *given)
        np.testing.assert_allclose(again[0], want, rtol=1e-4, atol=1e-5)


def _image_nodes() -> dict[str, tuple[list[Any], dict[str, Any]]]:
    to_eight = [
        helper.make_node("Shape", ["x"], ["shape"]), helper.make_node("Gather", ["shape", "two"], ["height"]),
        helper.make_node("Mod", ["height", "eight"], ["over"]), helper.make_node("Sub", ["eight", "over"], ["lacking"]),
        helper.make_node("Concat", ["left", "lacking", "none"], ["pads"], axis=0),
    ]  # fmt: skip
    numbers = {"two": np.array([2]), "eight": np.array([8]), "none": np.array([0]), "left": np.array([0] * 6)}
    pools = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
    weights = {"w": np.random.default_rng(0).normal(size=(2, 2, 2, 2)).astype("float32")}
    return {
        "pad": ([*to_eight, helper.make_node("Pad", ["x", "pads"], ["y"])], numbers),
        "pad reflect": ([*to_eight, helper.make_node("Pad", ["x", "pads"], ["y"], mode="reflect")], numbers),
        "max": ([helper.make_node("MaxPool", ["x"], ["y"], **pools)], {}),
        "mean": ([helper.make_node("AveragePool", ["x"], ["y"], **pools)], {}),
        "same lower": ([helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER")], weights),
    }


@pytest.mark.parametrize("which", _image_nodes())
def test_images_of_unknown_size(which: str, tmp_path: Path) -> None:
    """Pads up to a multiple, windows that reach over the end, pads that are larger before than after."""
    nodes, weights = _image_nodes()[which]
    data = built(nodes, {"x": ["n", 2, "h", "w"]}, {"y": None}, weights, opset=13)
    model = onnx.load(data)
    onnx.export(model, tmp_path / "again.onnx")
    for height, width in ((9, 10), (12, 7)):
        x = np.random.default_rng(height).normal(size=(2, 2, height, width)).astype("float32")
        (want,) = reference(data, x)
        np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(reference((tmp_path / "again.onnx").read_bytes(), x)[0], want, rtol=1e-4, atol=1e-6)


def test_places_of_maxima_in_a_batch_of_unknown_size() -> None:
    """As nets like SegNet are written: maxima go back to where they came from."""
    sizes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["maxima", "places"], **sizes),
        helper.make_node("MaxUnpool", ["maxima", "places"], ["y"], **sizes),
    ]
    data = built(nodes, {"x": ["n", 2, 4, 6]}, {"y": None}, opset=13)
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 6)).astype("float32")
    np.testing.assert_allclose(onnx.load(data).predict(x, verbose=0), reference(data, x)[0])


def test_sizes_of_minus_one_are_unknown() -> None:
    """As some exporters write them."""
    data = built([helper.make_node("Relu", ["x"], ["y"])], {"x": [-1, 3]}, {"y": [-1, 3]})
    assert onnx.load(data).input_shape == (None, 3)
    assert onnx.prepare(data)([np.ones((4, 3), "float32")])[0].shape == (4, 3)


# -- nodes that run as a whole, written again ----------------------------------------------------------


def test_detection_is_written_again(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "overlap"], ["chosen"]),
        helper.make_node("Gather", ["chosen", "two"], ["places"], axis=1),
        helper.make_node("Squeeze", ["boxes"], ["flat"], axes=[0]),
        helper.make_node("Gather", ["flat", "places"], ["y"]),
    ]
    weights = {"most": np.array([3]), "overlap": np.array([0.3], "float32"), "two": np.array(2)}
    data = built(nodes, {"boxes": [1, "n", 4], "scores": [1, 1, "n"]}, {"y": None}, weights, opset=11)
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 4, (1, 6, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 3, (1, 6, 2))], -1).astype("float32")
    scores = rng.uniform(size=(1, 1, 6)).astype("float32")
    (want,) = reference(data, boxes, scores)
    for opset in (11, 17, 20):
        if opset > 11:
            onnx.export(onnx.load(data), tmp_path / "again.onnx", opset=opset)
            (got,) = reference((tmp_path / "again.onnx").read_bytes(), boxes, scores)
            np.testing.assert_array_equal(got, want)


def test_loop_that_collects_is_written_again(tmp_path: Path) -> None:
    """It reads a weight from outside, and its operators came in other versions."""
    number, flag, state = (
        helper.make_tensor_value_info(n, t, s) for n, t, s in (("i", 7, []), ("c", 9, []), ("v", 1, [3]))
    )
    ends = [helper.make_tensor_value_info(n, t, s) for n, t, s in (("d", 9, []), ("s", 1, [3]), ("m", 1, [3]))]
    inner = [
        helper.make_node("Gather", ["x", "i"], ["row"]), helper.make_node("Add", ["v", "row"], ["s"]),
        helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Mul", ["s", "w"], ["m"]),
    ]  # fmt: skip
    body = helper.make_graph(inner, "body", [number, flag, state], ends)
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]), helper.make_node("Gather", ["shape", "zero"], ["rounds"]),
        helper.make_node("Loop", ["rounds", "", "start"], ["last", "y"], body=body),
    ]  # fmt: skip
    weights = {"zero": np.array(0), "start": np.zeros(3, "float32"), "w": np.array([1, 2, 3], "float32")}
    data = built(nodes, {"x": ["n", 3]}, {"y": None, "last": None}, weights, opset=11)
    onnx.export(onnx.load(data), tmp_path / "again.onnx", opset=17)
    for n in (1, 4):
        x = np.random.default_rng(n).normal(size=(n, 3)).astype("float32")
        for got, want in zip(reference((tmp_path / "again.onnx").read_bytes(), x), reference(data, x), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6)
