"""`unidl.onnx.load`: models as other tools write them, as functional models."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_package
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import unidl
from unidl import onnx, ops
from unidl.backend import active

trains = pytest.mark.skipif(not active.trains, reason="this backend does not train")


def reference(model: bytes, *inputs: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)})


def built(
    nodes: Any, inputs: Any, outputs: Any, weights: Any = (), opset: int = 13, domains: Any = (), **kwargs: Any
) -> bytes:
    """A model of nodes; inputs and outputs are name → shape (float32)."""

    def values(given: Any) -> Any:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in given.items()]

    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in dict(weights).items()]
    graph = helper.make_graph(list(nodes), "graph", values(inputs), values(outputs), tensors)
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(
        graph, opset_imports=imports, ir_version=kwargs.pop("ir_version", 8), **kwargs
    ).SerializeToString()


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

    def masked(x: Any) -> Any:  # and here the sizes of a product and of a tiled mask
        mask = tf.tile(tf.zeros((1, 1, 3)), [tf.shape(x)[0], 3, 1])
        return tf.einsum("bij,bjk->bik", products(x) + mask, x)

    def resized(x: Any) -> Any:  # 9 times the scale 13 / 9 is 13 in float32 alone
        return tf.image.resize(x, (5, 13))

    cases: Any = ((images, (3, 8, 8, 2)), (decayed, (3, 5, 4)), (products, (2, 3, 4)), (masked, (2, 3, 4)))
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


# -- files as old tools wrote them -----------------------------------------------------------------


def test_cntk_style() -> None:
    """CNTK 2: opset 7, a fixed batch of 1 that is meant to vary, weights with leading ones, Reshape with zeros."""
    rng = np.random.default_rng(0)
    weights = {
        "W": rng.normal(size=(6, 3, 3, 3)).astype("float32"), "b": rng.normal(size=(1, 6, 1, 1)).astype("float32"),
        "R": rng.normal(size=(96, 5)).astype("float32"), "c": rng.normal(size=(1, 5)).astype("float32"),
        "to": np.array([0, 96]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "W"], ["conv"], kernel_shape=[3, 3], auto_pad="SAME_UPPER", strides=[1, 1]),
        helper.make_node("Add", ["conv", "b"], ["biased"]),
        helper.make_node("Relu", ["biased"], ["active"]),
        helper.make_node("AveragePool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2], auto_pad="VALID"),
        helper.make_node("Reshape", ["pooled", "to"], ["flat"]),
        helper.make_node("Gemm", ["flat", "R", "c"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["y"], axis=1),
    ]
    data = built(nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 5]}, weights, opset=7, ir_version=3, producer_name="CNTK")
    model = onnx.load(data, shapes={"x": (None, 3, 8, 8)})
    x = rng.normal(size=(4, 3, 8, 8)).astype("float32")
    for row, got in zip(x, model.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(got, reference(data, row[None])[0][0], rtol=1e-4, atol=1e-6)


def test_pytorch_1_style() -> None:
    """PyTorch 1.0: initializers among the inputs, numbers as names, `Dropout` with a ratio, constants as nodes."""
    rng = np.random.default_rng(0)
    weights = {"1": rng.normal(size=(4, 3)).astype("float32"), "2": rng.normal(size=4).astype("float32")}
    two = numpy_helper.from_array(np.float32(2))
    nodes = [
        helper.make_node("Gemm", ["0", "1", "2"], ["3"], alpha=1.0, beta=1.0, transB=1),
        helper.make_node("Dropout", ["3"], ["4", "5"], ratio=0.5),
        helper.make_node("Constant", [], ["6"], value=two),
        helper.make_node("Pow", ["4", "6"], ["7"]),
    ]
    inputs = {"0": [2, 3], "1": [4, 3], "2": [4]}
    data = built(nodes, inputs, {"7": [2, 4]}, weights, opset=9, ir_version=3)
    x = rng.normal(size=(2, 3)).astype("float32")
    model = onnx.load(data)
    assert len(model.inputs) == 1 and len(model.trainable_variables) == 2
    np.testing.assert_allclose(model.predict(x, verbose=0), (x @ weights["1"].T + weights["2"]) ** 2, rtol=1e-5)


def test_first_opsets() -> None:
    """Caffe2 and the first exporters: `broadcast` and `axis`, `consumed_inputs`, attributes that became inputs."""
    nodes = [
        helper.make_node("Add", ["x", "bias"], ["a"], broadcast=1, axis=1, consumed_inputs=[0, 0]),
        helper.make_node("Reshape", ["a"], ["b"], shape=[0, -1], consumed_inputs=[0]),
        helper.make_node("Clip", ["b"], ["c"], min=0.5, max=2.0),
        helper.make_node("Slice", ["c"], ["d"], axes=[1], starts=[0], ends=[4]),
        helper.make_node("Squeeze", ["d"], ["y"], axes=[0]),
    ]
    bias = np.array([0, 1, 2], "float32")
    data = built(nodes, {"x": [1, 3, 2]}, {"y": [4]}, {"bias": bias}, opset=4, ir_version=3)
    x = np.arange(6, dtype="float32").reshape(1, 3, 2) / 4
    want = np.clip((x + bias[:, None]).reshape(1, -1), 0.5, 2)[0, :4]
    np.testing.assert_allclose(onnx.prepare(data)([x])[0], want)


# -- quantized models ------------------------------------------------------------------------------


def test_quantized_convolution() -> None:
    rng = np.random.default_rng(0)
    weights = {
        "s": np.float32(0.05), "z": np.uint8(120), "w": rng.integers(-127, 127, (4, 2, 3, 3)).astype("int8"),
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


def _contrib(op: str, inputs: dict[str, Any], **attributes: Any) -> tuple[bytes, list[np.ndarray]]:
    """A model of one of onnxruntime's own operators, its inputs all given, and what onnxruntime computes."""
    names = [n if v is not None else "" for n, v in inputs.items()]
    outputs = ["y", "m"] if op == "EmbedLayerNormalization" else ["y"]
    node = helper.make_node(op, names, outputs, domain="com.microsoft", **attributes)
    given = {n: np.asarray(v) for n, v in inputs.items() if v is not None}
    values = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in given.items()
    ]
    kind = TensorProto.UINT8 if op.startswith("QLinear") else TensorProto.FLOAT
    graph = helper.make_graph([node], "one", values, [helper.make_tensor_value_info("y", kind, None)])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    data = helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString()
    return data, list(given.values())


_U = {k: (np.float32(s), np.uint8(z)) for k, s, z in (("a", 0.1, 9), ("b", 0.2, 3), ("c", 0.05, 128), ("y", 0.3, 7))}


def _u(*names: str) -> dict[str, Any]:
    """Scales and zero points."""
    return {f"{n}{i}": v for n in names for i, v in enumerate(_U[n])}


_R = np.random.default_rng(3)


def _f(*shape: int) -> np.ndarray:
    return _R.normal(size=shape).astype("float32")


def _q(*shape: int) -> np.ndarray:
    return _R.integers(0, 255, shape).astype("uint8")


CONTRIB: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Gelu": ({"x": _f(2, 3)}, {}),
    "FastGelu": ({"x": _f(2, 3), "b": _f(3)}, {}),
    "BiasGelu": ({"x": _f(2, 3), "b": _f(3)}, {}),
    "QuickGelu": ({"x": _f(2, 3)}, {}),
    "FusedMatMul": ({"a": _f(4, 2, 3), "b": _f(4, 5, 3)}, {"transB": 1, "alpha": 0.5}),
    "FusedConv": (
        {"x": _f(1, 2, 5, 5), "w": _f(3, 2, 3, 3), "b": _f(3)}, {"activation": "Relu", "kernel_shape": [3, 3]}),
    "FusedGemm": ({"a": _f(2, 3), "b": _f(3, 4), "c": _f(4)}, {"activation": "LeakyRelu", "activation_alpha": 0.1}),
    "SkipLayerNormalization": (
        {"x": _f(2, 3, 4), "s": _f(2, 3, 4), "g": _f(4), "b": _f(4), "c": _f(4)}, {"epsilon": 1e-5}),
    "SkipSimplifiedLayerNormalization": ({"x": _f(2, 3, 4), "s": _f(2, 3, 4), "g": _f(4)}, {"epsilon": 1e-5}),
    "Attention": (
        {"x": _f(2, 3, 4), "w": _f(4, 12), "b": _f(12), "m": np.array([[1, 1, 0], [1, 1, 1]], "int32")},
        {"num_heads": 2}),
    "MultiHeadAttention": ({"q": _f(2, 3, 4), "k": _f(2, 5, 4), "v": _f(2, 5, 4), "b": _f(12)}, {"num_heads": 2}),
    "EmbedLayerNormalization": (
        {"i": np.array([[1, 2, 0]], "int32"), "s": np.array([[0, 1, 1]], "int32"), "w": _f(4, 6), "p": _f(5, 6),
         "t": _f(2, 6), "g": _f(6), "b": _f(6)}, {"epsilon": 1e-5}),
    "QLinearAdd": ({"a": _q(2, 3), **_u("a"), "b": _q(2, 3), **_u("b"), **_u("y")}, {}),
    "QLinearMul": ({"a": _q(2, 3), **_u("a"), "b": _q(2, 3), **_u("b"), **_u("y")}, {}),
    "QLinearSigmoid": ({"x": _q(2, 3), **_u("c"), "ys": np.float32(0.004), "yz": np.uint8(0)}, {}),
    "QLinearLeakyRelu": ({"x": _q(2, 3), **_u("c"), **_u("a")}, {"alpha": 0.1}),
    "QLinearGlobalAveragePool": ({"x": _q(1, 2, 3, 3), **_u("c"), **_u("a")}, {}),
    "QLinearConcat": ({**_u("y"), "a": _q(2, 3), **_u("a"), "b": _q(2, 3), **_u("b")}, {"axis": 1}),
    "DynamicQuantizeMatMul": (
        {"a": _f(3, 4), "b": _R.integers(-127, 127, (4, 5)).astype("int8"), "s": np.float32(0.02)}, {}),
    "MatMulIntegerToFloat": (
        {"a": _q(3, 4), "b": _R.integers(-127, 127, (4, 5)).astype("int8"), "as": np.float32(0.1),
         "bs": np.float32(0.02), "az": np.uint8(120)}, {}),
    "MatMulNBits": ({"a": _f(2, 32), "b": _q(4, 2, 8), "s": _f(8)}, {"K": 32, "N": 4, "bits": 4, "block_size": 16}),
}  # fmt: skip


@pytest.mark.parametrize("op", sorted(CONTRIB))
def test_operators_of_onnxruntime(op: str) -> None:
    inputs, attributes = CONTRIB[op]
    data, given = _contrib(op, inputs, **attributes)
    (want,), (got,) = reference(data, *given), onnx.prepare(data)(given)
    if want.dtype == np.uint8:
        assert np.abs(want.astype(int) - got.astype(int)).max() <= 1
    else:
        # onnxruntime approximates tanh and erf in some of these.
        np.testing.assert_allclose(got, want, rtol=2e-3, atol=2e-3 if "Gelu" in op else 1e-4)


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
