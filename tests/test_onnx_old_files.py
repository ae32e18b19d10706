"""Files as old tools wrote them: CNTK 2, Caffe2, MXNet 1, PyTorch 0.4 to 1.13, made by hand after what these wrote.

They are compared with onnxruntime where that runs them, and with NumPy where it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import built, reference

from unidl import onnx
from unidl.interchange.onnx._structures import OnnxError

_R = np.random.default_rng(0)


def _f(*shape: int) -> np.ndarray:
    return _R.normal(size=shape).astype("float32")


def N(op: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """A node; names with blanks between, "_" for one left out."""
    names = [["" if n == "_" else n for n in part.split()] for part in (inputs, outputs)]
    return helper.make_node(op, *names, **attributes)


class Old(NamedTuple):
    """A model of one input x (and more in `inputs`), and of the output y.

    Attributes:
        listed: whether weights are inputs, too, as all files before IR version 4 have it.
        want: what it computes, where onnxruntime does not say.
        loads: whether `load` makes a model of it.
    """

    name: str
    opset: int
    nodes: list[Any]
    x: np.ndarray
    weights: dict[str, Any] = {}
    listed: bool = True
    want: Callable[..., Any] | None = None
    loads: bool = True

    def data(self) -> bytes:
        inputs = {"x": list(self.x.shape)}
        if self.listed:
            inputs |= {n: list(np.shape(v)) for n, v in self.weights.items() if np.asarray(v).dtype == np.float32}
        return built(self.nodes, inputs, {"y": None}, self.weights, self.opset, ir_version=3)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _hardest(x: np.ndarray) -> np.ndarray:
    return np.eye(x.shape[-1], dtype="float32")[x.argmax(-1)]


def _scan_body() -> Any:
    nodes = [N("Add", "s e", "t"), N("Identity", "t", "o")]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in "seto"]
    return helper.make_graph(nodes, "body", values[:2], values[2:])


def _constant(name: str, value: Any) -> Any:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value), name))


_IMAGE = _f(2, 3, 6, 6)
_POSITIVE = np.abs(_f(3)) + 0.5
_NORM = {"g": _f(3), "b": _f(3), "m": _f(3), "v": _POSITIVE}


def _normalized(x: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    g, b, m, v = (a[:, None, None] for a in _NORM.values())
    return (x - m) / np.sqrt(v + epsilon) * g + b


CNTK = [
    # OptimizedRNNStack: each layer an LSTM or GRU over (sequence, batch, features), its directions joined by hand.
    Old("lstm", 7, [N("LSTM", "x W R B", "h", hidden_size=4, direction="bidirectional"),
        N("Transpose", "h", "t", perm=[0, 2, 1, 3]), N("Reshape", "t shape", "j"),
        N("GRU", "j V U C", "g", hidden_size=3, linear_before_reset=1, activations=["Sigmoid", "Tanh"]),
        N("Squeeze", "g", "y", axes=[1])], _f(5, 2, 3),
        {"W": _f(2, 16, 3), "R": _f(2, 16, 4), "B": _f(2, 32), "shape": np.array([0, 0, -1]), "V": _f(1, 9, 8),
         "U": _f(1, 9, 3), "C": _f(1, 18)}),
    Old("lstm_stabilized", 7, [N("Mul", "x s", "t"), N("LSTM", "t W R B _ _ _ P", "y _ c", hidden_size=4,
        activations=["Sigmoid", "Tanh", "Tanh"], direction="reverse")], _f(5, 2, 3),
        {"s": np.float32(1.3), "W": _f(1, 16, 3), "R": _f(1, 16, 4), "B": _f(1, 32), "P": _f(1, 12)}),
    Old("rnn", 7, [N("RNN", "x W R B", "_ y", hidden_size=4, activations=["Relu"])], _f(5, 2, 3),
        {"W": _f(1, 4, 3), "R": _f(1, 4, 4), "B": _f(1, 8)}),
    Old("hardmax", 7, [N("Hardmax", "x", "y", axis=1)], _f(3, 5)),
    Old("hardmax_flat", 9, [N("Hardmax", "x", "y", axis=1)], _f(2, 3, 4)),
    Old("log_softmax_flat", 7, [N("LogSoftmax", "x", "y", axis=0)], _f(3, 5)),
    Old("l2_normalization", 7, [N("LpNormalization", "x", "y", axis=1, p=2)], _f(3, 5)),
    Old("l1_normalization", 8, [N("LpNormalization", "x", "y", axis=0, p=1)], _f(3, 5)),
    Old("image_scaler", 7, [N("ImageScaler", "x", "y", scale=0.5, bias=[1.0, 2.0, 3.0])], _IMAGE),
    Old("crop", 7, [N("Crop", "x", "y", border=[1, 2, 1, 0])], _IMAGE),
    Old("crop_scale", 7, [N("Crop", "x", "y", border=[1, 2, 1, 0], scale=[3, 4])], _IMAGE),
    Old("parametric_softplus", 7, [N("ParametricSoftplus", "x", "y", alpha=0.5, beta=2.0)], _f(3, 4)),
    Old("scaled_tanh", 7, [N("ScaledTanh", "x", "y", alpha=0.5, beta=2.0)], _f(3, 4)),
    Old("affine", 7, [N("Affine", "x", "y", alpha=0.5, beta=2.0)], _f(3, 4)),
    Old("thresholded_relu", 7, [N("ThresholdedRelu", "x", "y", alpha=0.5)], _f(3, 4)),
    *[Old(f"mean_variance_{a}{v}", 8, [N("MeanVarianceNormalization", "x", "y", across_channels=a,
        normalize_variance=v)],
          _IMAGE) for a in (0, 1) for v in (0, 1)],
    Old("mean_variance_axes", 9, [N("MeanVarianceNormalization", "x", "y", axes=[0, 2, 3])], _IMAGE),
    Old("dynamic_slice", 7, [N("DynamicSlice", "x s e a", "y")], _f(4, 5),
        {"s": np.array([1]), "e": np.array([4]), "a": np.array([1])}, want=lambda x: x[:, 1:4]),
    Old("scan", 8, [N("Scan", "_ s x", "f y", num_scan_inputs=1, body=_scan_body())], _f(3, 4, 2),
        {"s": np.zeros((3, 2), "float32")}, want=lambda x: np.cumsum(x, 1)),
    Old("spatial_bn", 7, [N("SpatialBN", "x g b m v", "y", spatial=1, epsilon=1e-3)], _IMAGE, _NORM,
        want=lambda x: _normalized(x, 1e-3)),
    Old("batch_norm_elements", 7, [N("BatchNormalization", "x g b m v", "y", spatial=0, epsilon=1e-3)], _f(2, 3, 2, 2),
        {"g": _f(3, 2, 2), "b": _f(3, 2, 2), "m": _f(3, 2, 2), "v": np.abs(_f(3, 2, 2)) + 0.1}),
    Old("max_roi_pool", 7, [N("MaxRoiPool", "x r", "y", pooled_shape=[2, 2], spatial_scale=0.5)], _IMAGE,
        {"r": np.array([[0, 0, 0, 8, 8], [1, 2, 2, 10, 6]], "float32")}),
    Old("lrn", 7, [N("LRN", "x", "y", size=3, alpha=0.1, beta=0.6, bias=2.0)], _f(2, 5, 3, 3)),
    Old("conv_transpose", 7, [N("ConvTranspose", "x W", "y", strides=[2, 2], auto_pad="SAME_UPPER", output_shape=[12,
        12],
        dilations=[1, 1])], _IMAGE, {"W": _f(3, 4, 3, 3)}),
    Old("pads_lower", 7, [N("Conv", "x W b", "y", kernel_shape=[4, 4], auto_pad="SAME_LOWER", strides=[1, 1],
        dilations=[1, 1], group=1)], _IMAGE, {"W": _f(4, 3, 4, 4), "b": _f(4)}),
    Old("average_pads", 7, [N("AveragePool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER",
        count_include_pad=0)], _IMAGE),
    Old("reduce_log_sum_exp", 7, [N("ReduceLogSumExp", "x", "t", axes=[1], keepdims=1), N("ReduceL2", "t", "y",
        axes=[0], keepdims=0)], _f(3, 4)),
    Old("arg_max", 7, [N("ArgMax", "x", "a", axis=1, keepdims=1), N("Cast", "a", "y", to=1)], _f(3, 4)),
    Old("pad_reflect", 7, [N("Pad", "x", "y", mode="reflect", pads=[0, 0, 2, 1, 0, 0, 1, 3])], _IMAGE),
    Old("depth_to_space", 7, [N("DepthToSpace", "x", "t", blocksize=2), N("SpaceToDepth", "t", "y", blocksize=2)],
        _f(1, 8, 2, 3)),
    Old("prelu", 7, [N("PRelu", "x s", "y")], _IMAGE, {"s": _f(3, 1, 1)}),
    Old("gather_table", 7, [N("Cast", "x", "i", to=7), N("Gather", "W i", "y")], np.array([[1.0, 3.0, 0.0]], "float32"),
        {"W": _f(5, 2)}),
]  # fmt: skip

CAFFE2 = [
    Old("spatial_bn", 6, [N("BatchNormalization", "x g b m v", "y", is_test=1, epsilon=1e-3, momentum=0.9, spatial=1,
        consumed_inputs=[0, 0, 0, 1, 1])], _IMAGE, _NORM, want=lambda x: _normalized(x, 1e-3)),
    Old("spatial_bn_first", 1, [N("BatchNormalization", "x g b m v", "y", is_test=1, epsilon=1e-5,
        consumed_inputs=[0, 0, 0, 1, 1])], _IMAGE, _NORM, want=lambda x: _normalized(x)),
    Old("dropout", 6, [N("Dropout", "x", "y _", is_test=1, ratio=0.5)], _f(2, 3), want=lambda x: x),
    Old("relu", 1, [N("Relu", "x", "y", consumed_inputs=[0])], _f(2, 3), want=lambda x: np.maximum(x, 0)),
    Old("bias", 6, [N("Add", "x b", "y", broadcast=1, axis=1)], _IMAGE, {"b": _f(3)},
        want=lambda x, b: x + b[:, None, None]),
    Old("bias_last", 3, [N("Mul", "x b", "y", broadcast=1)], _f(2, 3, 4), {"b": _f(3, 4)}, want=lambda x, b: x * b),
    Old("bias_negative_axis", 6, [N("Sub", "x b", "y", broadcast=1, axis=-2)], _f(2, 3, 4), {"b": _f(3)},
        want=lambda x, b: x - b[:, None]),
    Old("scalar", 6, [N("Pow", "x b", "y", broadcast=1)], np.abs(_f(2, 3)), {"b": np.array([2.0], "float32")},
        want=lambda x, b: x**2),
    Old("compare", 6, [N("Greater", "x b", "t", broadcast=1, axis=0), N("Cast", "t", "y", to=1)], _f(2, 3),
        {"b": _f(2)},
        want=lambda x, b: (x > b[:, None]).astype("float32")),
    Old("cast_text", 1, [N("Cast", "x", "t", to="INT32"), N("Cast", "t", "y", to="FLOAT")], 3 * _f(2, 3),
        want=lambda x: np.trunc(x)),
    Old("gemm", 6, [N("Gemm", "x W b", "y", broadcast=1, transB=1, alpha=1.0, beta=1.0)], _f(2, 3),
        {"W": _f(4, 3), "b": _f(4)}, want=lambda x, W, b: x @ W.T + b),
    Old("reshape", 1, [N("Reshape", "x", "y", shape=[0, -1])], _IMAGE, want=lambda x: x.reshape(2, -1)),
    Old("concat_first", 1, [N("Concat", "x b", "y")], _f(2, 3), {"b": _f(2, 2)}, want=lambda x, b: np.concatenate([x,
        b], 1)),
    Old("split_first", 1, [N("Split", "x", "y z", axis=1, split=[1, 2])], _f(2, 3), want=lambda x: x[:, :1]),
    Old("pad_first", 1, [N("Pad", "x", "y", paddings=[0, 0, 1, 2, 0, 0, 3, 4], mode="edge")], _IMAGE,
        want=lambda x: np.pad(x, ((0, 0), (0, 0), (1, 3), (2, 4)), "edge")),
    Old("upsample_first", 1, [N("Upsample", "x", "y", height_scale=2.0, width_scale=3.0, mode="nearest")], _IMAGE,
        want=lambda x: x.repeat(2, 2).repeat(3, 3)),
    Old("upsample", 7, [N("Upsample", "x", "y", scales=[1.0, 1.0, 2.0, 2.0], mode="nearest")], _IMAGE),
    Old("upsample_linear", 7, [N("Upsample", "x", "y", scales=[1.0, 1.0, 2.0, 2.0], mode="linear")], _IMAGE),
    Old("upsample_9", 9, [N("Upsample", "x s", "y", mode="linear")], _IMAGE,
        {"s": np.array([1, 1, 1.5, 2], "float32")}, listed=False),
    Old("lrn", 1, [N("LRN", "x", "y", size=5, alpha=0.0001, beta=0.75, bias=1.0)], _f(1, 8, 3, 3),
        want=lambda x: x / (1 + 0.0001 / 5 * np.stack([(x[:, max(i - 2, 0) : i + 3] ** 2).sum(1) for i in range(8)],
            1)) ** 0.75),
    Old("instance_norm", 1, [N("InstanceNormalization", "x g b", "y", epsilon=1e-5, consumed_inputs=[0, 0, 0])], _IMAGE,
        {"g": _f(3), "b": _f(3)}, want=lambda x, g, b: (x - x.mean((2, 3), keepdims=True)) / np.sqrt(
            x.var((2, 3), keepdims=True) + 1e-5) * g[:, None, None] + b[:, None, None]),
    Old("average_pool_ceil_free", 1, [N("AveragePool", "x", "y", kernel_shape=[2, 2], pads=[0, 0, 0, 0], strides=[2,
        2])],
        _IMAGE, want=lambda x: x.reshape(2, 3, 3, 2, 3, 2).mean((3, 5))),
    Old("sum_max", 6, [N("Sum", "x b", "s"), N("Max", "s x", "m", consumed_inputs=[0, 0]), N("Mean", "m x", "y")],
        _f(2, 3), {"b": _f(2, 3)}, want=lambda x, b: (np.maximum(x + b, x) + x) / 2),
    Old("unary", 1, [N("Sigmoid", "x", "a", consumed_inputs=[0]), N("Exp", "a", "b"), N("Sqrt", "b", "c"),
        N("Neg", "c", "y", consumed_inputs=[0])], _f(2, 3), want=lambda x: -np.sqrt(np.exp(_sigmoid(x)))),
    Old("prelu", 6, [N("PRelu", "x s", "y")], _IMAGE, {"s": _f(3)},
        want=lambda x, s: np.where(x < 0, x * s[:, None, None], x)),
    Old("clip_open", 6, [N("Clip", "x", "y", max=0.3)], _f(2, 3), want=lambda x: np.minimum(x, 0.3)),
    Old("tile_first", 1, [N("Tile", "x n a", "y")], _f(2, 3), {"n": np.array(2), "a": np.array(1)},
        want=lambda x: np.tile(x, (1, 2))),
    Old("hardmax_first", 1, [N("Hardmax", "x", "y")], _f(3, 4), want=_hardest),
    Old("top_k_first", 1, [N("TopK", "x", "y i", k=2, axis=1)], _f(3, 4), want=lambda x: -np.sort(-x, 1)[:, :2]),
    Old("global_lp_pool", 1, [N("GlobalLpPool", "x", "y", p=2.0)], _IMAGE,
        want=lambda x: np.sqrt((x**2).sum((2, 3), keepdims=True))),
    Old("constant_fill", 1, [N("ConstantFill", "_", "c", shape=[2, 3], value=2.0), N("Add", "x c", "y")], _f(2, 3),
        want=lambda x: x + 2),
]  # fmt: skip

MXNET = [
    Old("net", 7, [N("BatchNormalization", "x g b m v", "n", spatial=0, epsilon=1e-5, momentum=0.9),
        N("LeakyRelu", "n", "l", alpha=0.25), N("Pad", "l", "p", mode="constant", pads=[0, 0, 1, 1, 0, 0, 1, 1],
            value=0.0),
        N("Conv", "p W c", "k", kernel_shape=[3, 3], pads=[0, 0, 0, 0], strides=[1, 1], dilations=[1, 1], group=1),
        N("Dropout", "k", "d", ratio=0.5), N("Flatten", "d", "f"), N("Gemm", "f D e", "s", alpha=1.0, beta=1.0,
            transA=0,
        transB=1), N("Reshape", "s to", "r"), N("Softmax", "r", "y", axis=1)],
        _IMAGE, {**_NORM, "W": _f(2, 3, 3, 3), "c": _f(2), "D": _f(4, 72), "e": _f(4), "to": np.array([-1, 4])},
        want=lambda x, g, b, m, v, W, c, D, e: _mxnet(x, W, c, D, e)),
    Old("slice_axis", 7, [N("Slice", "x", "s", axes=[1], starts=[1], ends=[3]), N("Unsqueeze", "s", "y", axes=[0])],
        _IMAGE),
    Old("scalars", 7, [N("Mul", "x a", "t"), N("Add", "t b", "u"), N("Clip", "u", "y", min=0.0, max=6.0)], _f(2, 3),
        {"a": np.array([2.0], "float32"), "b": np.array([3.0], "float32")}),
    Old("l2", 7, [N("LpNormalization", "x", "y", axis=1, p=2)], _f(2, 3)),
    Old("max_pool_full", 8, [N("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])], _IMAGE),
    Old("global_pool", 7, [N("GlobalMaxPool", "x", "t"), N("Flatten", "t", "y", axis=1)], _IMAGE),
    Old("selu", 7, [N("Selu", "x", "a", alpha=1.67326, gamma=1.0507), N("Elu", "a", "b", alpha=0.3), N("HardSigmoid",
        "b", "y",
        alpha=0.2, beta=0.5)], _f(2, 3)),
]  # fmt: skip


def _mxnet(x: np.ndarray, W: np.ndarray, c: np.ndarray, D: np.ndarray, e: np.ndarray) -> np.ndarray:
    # MXNet wrote spatial=0 with one number for each channel, and meant the usual normalization.
    y = _normalized(x)
    y = np.pad(np.where(y < 0, 0.25 * y, y), ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows = np.lib.stride_tricks.sliding_window_view(y, (3, 3), (2, 3))
    y = np.einsum("nchwij,ocij->nohw", rows, W) + c[:, None, None]
    scores = y.reshape(2, -1) @ D.T + e
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _branches() -> dict[str, Any]:
    """An If one of whose branches could not run for the input: it would squeeze an axis of size 3."""

    def branch(name: str, node: Any) -> Any:
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    return {
        "then_branch": branch("a", N("Squeeze", "x", "a", axes=[1])), "else_branch": branch("b", N("Identity", "x",
            "b")),
    }  # fmt: skip


PYTORCH = [
    Old("view", 9, [_constant("to", np.array([-1, 12])), N("Reshape", "x to", "y")], _f(2, 3, 4)),
    Old("view_of_shape", 9, [N("Shape", "x", "s"), _constant("i", np.array(0)), N("Gather", "s i", "n", axis=0),
        N("Unsqueeze", "n", "u", axes=[0]), _constant("m", np.array([-1])), N("Concat", "u m", "to", axis=0),
        N("Reshape", "x to", "y")], _f(2, 3, 4)),
    Old("cast_scalar", 9, [_constant("i", np.array(5.0)), N("Cast", "i", "f", to=1), N("Mul", "x f", "y")], _f(2, 3)),
    Old("batch_norm", 9, [N("BatchNormalization", "x g b m v", "y", epsilon=1e-5, momentum=0.9)], _IMAGE, _NORM),
    Old("batch_norm_training", 9, [N("BatchNormalization", "x g b m v", "y m2 v2 sm sv", epsilon=1e-5, momentum=0.9)],
        _IMAGE, _NORM, want=lambda x, g, b, m, v: (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(
            x.var((0, 2, 3), keepdims=True) + 1e-5) * g[:, None, None] + b[:, None, None]),
    Old("slices", 9, [N("Slice", "x", "a", axes=[0], starts=[0], ends=[9223372036854775807]),
        N("Slice", "a", "y", axes=[1], starts=[-2], ends=[9223372036854775807])], _f(2, 3, 4)),
    Old("dynamic_slice", 10, [N("Shape", "x", "s"), _constant("i", np.array([1])), N("Gather", "s i", "n"),
        _constant("two", np.array([2])), N("Div", "n two", "h"), _constant("o", np.array([0])), N("Slice", "x o h i",
            "y")],
        _f(2, 6)),
    Old("upsample", 9, [_constant("s", np.array([1, 1, 2, 2], "float32")), N("Upsample", "x s", "y",
        mode="nearest")], _IMAGE),
    Old("upsample_computed", 9, [N("Shape", "x", "s"), _constant("i", np.array(2)), N("Gather", "s i", "h"),
        N("Cast", "h", "hf", to=1), _constant("two", np.float32(2)), N("Mul", "hf two", "w"), N("Div", "w hf", "q"),
        N("Unsqueeze", "q", "u", axes=[0]), _constant("one", np.array([1, 1], "float32")), N("Concat", "one u u",
            "sc", axis=0),
        N("Upsample", "x sc", "y", mode="nearest")], _IMAGE),
    Old("resize_11", 11, [_constant("roi", np.zeros(0, "float32")), _constant("s", np.array([1, 1, 2, 2], "float32")),
        N("Resize", "x roi s", "y", coordinate_transformation_mode="asymmetric", mode="nearest", nearest_mode="floor",
          cubic_coeff_a=-0.75)], _IMAGE),
    Old("resize_align", 11, [_constant("e", np.zeros(0, "float32")), N("Resize", "x e e z", "y",
        coordinate_transformation_mode="align_corners", mode="linear")],
        _IMAGE, {"z": np.array([2, 3, 11, 9])}),
    Old("dead_branch", 11, [N("Shape", "x", "s"), _constant("i", np.array(1)), N("Gather", "s i", "n"),
        _constant("one", np.array(1)), N("Equal", "n one", "c"), N("If", "c", "y", **_branches())], _f(2, 3),
        want=lambda x: x),
    Old("embedding", 9, [N("Cast", "x", "i", to=7), N("Gather", "W i", "e"), N("Transpose", "e", "t", perm=[1, 0, 2]),
        N("LSTM", "t L R B _ h h", "o", hidden_size=3), N("Squeeze", "o", "y", axes=[1])],
        np.array([[1.0, 3.0], [0.0, 2.0]], "float32"),
        {"W": _f(5, 2), "L": _f(1, 12, 2), "R": _f(1, 12, 3), "B": _f(1, 24), "h": np.zeros((1, 2, 3), "float32")}),
    Old("expand", 9, [N("Shape", "x", "s"), N("ConstantOfShape", "s", "o", value=helper.make_tensor("v", 1, [1],
        [1.0])),
        N("Expand", "b s", "e"), N("Add", "e o", "t"), N("Where", "m t x", "y")], _f(2, 3),
        {"b": _f(1, 3), "m": np.array([[True], [False]])}),
    Old("group_norm", 11, [_constant("a", np.array([0, 3, -1])), N("Reshape", "x a", "r"), N("InstanceNormalization",
        "r o z",
        "n", epsilon=1e-5), N("Shape", "x", "s"), N("Reshape", "n s", "m"), N("Mul", "m g", "t"), N("Add", "t h", "y")],
        _f(2, 6, 4, 4), {"o": np.ones(3, "float32"), "z": np.zeros(3, "float32"), "g": _f(6, 1, 1), "h": _f(6, 1, 1)}),
    Old("dropout_training", 12, [_constant("r", np.float32(0.5)), _constant("t", np.array(False)), N("Dropout", "x r t",
        "y k")], _f(2, 3)),
    Old("reflection_pad", 9, [N("Pad", "x", "y", mode="reflect", pads=[0, 0, 1, 1, 0, 0, 1, 1])], _IMAGE),
    Old("pad_11", 11, [_constant("p", np.array([1, 1, 2, 2, 0, 0, 0, 0])), N("Reshape",
        "p w", "q"), N("Slice", "q st en ax stp", "fl"), N("Transpose", "fl", "tr", perm=[1, 0]), N("Reshape",
            "tr v", "pp"),
        N("Cast", "pp", "pads", to=7), N("Pad", "x pads", "y", mode="constant")], _f(1, 2, 3, 3),
        {"w": np.array([-1, 2]), "st": np.array([-1]), "en": np.array([-9223372036854775807]), "ax": np.array([0]),
         "stp": np.array([-1]), "v": np.array([-1])}),
    Old("adaptive_pool", 9, [N("AveragePool", "x", "y", kernel_shape=[3, 3], strides=[3, 3])], _IMAGE),
    Old("pixel_shuffle", 9, [_constant("a", np.array([-1, 2, 2, 2, 2, 3])), N("Reshape", "x a", "r"), N("Transpose",
        "r", "t",
        perm=[0, 1, 4, 2, 5, 3]), _constant("c", np.array([-1, 2, 4, 6])), N("Reshape", "t c", "y")], _f(1, 8, 2, 3)),
    Old("loop", 11, [_constant("n", np.array(3)), _constant("go", np.array(True)), N("Loop", "n go x", "y",
        body=helper.make_graph(
        [N("Identity", "c", "d"), N("Tanh", "v", "w")], "body", [
            helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("c",
                TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [2, 3])], [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []), helper.make_tensor_value_info("w",
                TensorProto.FLOAT, [2, 3])],
        ))], _f(2, 3)),
]  # fmt: skip

MORE = [
    Old("hardmax_inside", 9, [N("Hardmax", "x", "y", axis=2)], _f(2, 3, 4, 5),
        want=lambda x: _hardest(x.reshape(6, 20)).reshape(x.shape)),
    Old("resize10_smaller", 10, [_constant("s", np.array([1, 1, 0.5, 0.7], "float32")), N("Resize", "x s", "y")],
        _f(1, 2, 8, 9)),
    Old("norm_5_outputs", 6, [N("BatchNormalization", "x g b m v", "y o p q r", is_test=1)], _IMAGE, _NORM,
        want=lambda x, g, b, m, v: (x - m[:, None, None]) / np.sqrt(v[:, None, None] + 1e-5) * g[:, None, None]
        + b[:, None, None]),
    Old("dropout_mask", 7, [N("Dropout", "x", "d mask"), N("Mul", "d mask", "y")], _f(2, 3), want=lambda x: x),
]  # fmt: skip

FILES = {f"{tool}-{old.name}": old for tool, group in (("cntk", CNTK), ("caffe2", CAFFE2), ("mxnet", MXNET),
         ("pytorch", PYTORCH), ("more", MORE)) for old in group}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_old_files(name: str) -> None:
    old = FILES[name]
    data = old.data()
    floats = [np.asarray(v) for v in old.weights.values() if np.asarray(v).dtype == np.float32]
    if old.want is None:
        want = reference(data, old.x)[-1]
    else:
        given = floats if old.want.__code__.co_argcount > 1 else []
        want = np.asarray(old.want(old.x, *given))
    (got,) = onnx.prepare(data)([old.x])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)
    if old.loads:
        np.testing.assert_allclose(onnx.load(data).predict(old.x, batch_size=64, verbose=0), want, rtol=1e-4, atol=2e-5)


def test_operators_of_pytorch_itself_are_named() -> None:
    for domain in ("", "org.pytorch.aten"):
        node = helper.make_node("ATen", ["x"], ["y"], domain=domain, operator="embedding_bag", overload_name="")
        with pytest.raises(onnx.MissingOperatorError, match=r"'ATen' \(PyTorch's own 'embedding_bag'\).*register_op"):
            onnx.load(built([node], {"x": [2]}, {"y": [2]}, opset=9, domains=[domain] if domain else [], ir_version=3))


def test_broadcasting_before_opset_7() -> None:
    """Before opset 7 it had to be said; a file that breaks this rule and broadcasts all the same is read as meant."""
    data = built([N("Add", "x b", "y")], {"x": [2, 3]}, {"y": [2, 3]}, {"b": _f(3)}, opset=6, ir_version=3)
    x = _f(2, 3)
    np.testing.assert_allclose(onnx.prepare(data)([x])[0], x + numpy_helper.to_array(_initializer(data)), rtol=1e-6)
    data = built(
        [N("Add", "x b", "y", broadcast=1, axis=0)], {"x": [2, 3]}, {"y": [2, 3]}, {"b": _f(3)}, opset=6, ir_version=3
    )
    with pytest.raises(OnnxError, match="broadcast"):
        onnx.prepare(data)([x])


def _initializer(data: bytes) -> Any:
    import onnx as package

    return package.load_from_string(data).graph.initializer[0]


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


def test_files_before_ir_version_3() -> None:
    """They have no opsets (the first holds),
    the very first ones no types of attributes and of tensors' shapes either."""
    import onnx as package

    x = _IMAGE
    nodes = [
        N("Conv", "x W", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), N("Relu", "c", "r"),
        N("Clip", "r", "k", min=0.1, max=0.5), N("Reshape", "k", "y", shape=[0, -1]),
    ]  # fmt: skip
    proto = package.load_from_string(
        built(nodes, {"x": x.shape, "W": [2, 3, 3, 3]}, {"y": None}, {"W": _f(2, 3, 3, 3)}, 6)
    )
    want = reference(
        built(
            nodes[:2],
            {"x": x.shape, "W": [2, 3, 3, 3]},
            {"r": None},
            {"W": numpy_helper.to_array(proto.graph.initializer[0])},
            7,
            ir_version=3,
        ),
        x,
    )[0]
    proto.ClearField("opset_import")
    proto.ir_version = 1
    for node in proto.graph.node:
        for attribute in node.attribute:
            attribute.ClearField("type")
    (got,) = onnx.prepare(proto)([x])
    np.testing.assert_allclose(got, np.clip(want, 0.1, 0.5).reshape(2, -1), rtol=1e-4, atol=1e-5)
