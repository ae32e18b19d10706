"""Operators of onnxruntime's own domain and of ai.onnx.ml, each compared with onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_decoders import DECODERS, MACHINES, SPARSE
from onnx_fused import FUSED
from onnx_models import reference
from onnx_one import Draws, One, compare, ids

from unidl import onnx
from unidl.interchange.onnx.importing._table import MICROSOFT, ML, TABLE

_DRAWS = Draws(3)
_R, _f, _q, _i8 = _DRAWS.numbers, _DRAWS.floats, _DRAWS.bytes, _DRAWS.signed


_EXPERTS = next(c for c in FUSED if c.op == "MoE")
_U = {k: (np.float32(s), np.uint8(z)) for k, s, z in (("a", 0.1, 9), ("b", 0.2, 3), ("c", 0.05, 128), ("y", 0.3, 7))}


def _u(*names: str) -> dict[str, Any]:
    """Scales and zero points."""
    return {f"{n}{i}": v for n in names for i, v in enumerate(_U[n])}


_QUERIES = {"q": _f(2, 3, 8), "k": _f(2, 5, 8), "v": _f(2, 5, 8)}
_PAST = {"pk": _f(2, 2, 4, 4), "pv": _f(2, 2, 4, 4)}
_ANGLES = _R.uniform(0, 3, (10, 2))
_COS, _SIN = np.cos(_ANGLES).astype("float32"), np.sin(_ANGLES).astype("float32")
_QKV = {"x": _f(2, 3, 4), "w": _f(4, 12), "b": _f(12)}
_SKIP = {"x": _f(2, 3, 4), "s": _f(2, 3, 4), "g": _f(4)}
_WORDS = {
    "i": np.array([[1, 2, 0]], "int32"), "s": np.array([[0, 1, 1]], "int32"), "w": _f(4, 6), "p": _f(5, 6),
    "t": _f(2, 6), "g": _f(6), "b": _f(6),
}  # fmt: skip

CONTRIB = [
    One("Tokenizer", {"x": np.array(["a é", "", "\u8a9e"], object)},
        {"mark": 0, "mincharnum": 1, "pad_value": "#", "separators": [""]}),
    One("Tokenizer", {"x": np.array([["ab", "c"]], object)},
        {"mark": 0, "mincharnum": 1, "pad_value": "", "separators": [""]}),
    One("Gelu", {"x": _f(2, 3)}),
    One("FastGelu", {"x": _f(2, 3), "b": _f(3)}),
    One("FastGelu", {"x": _f(2, 3)}),
    One("BiasGelu", {"x": _f(2, 3), "b": _f(3)}),
    One("QuickGelu", {"x": _f(2, 3)}, {"alpha": 1.5}),
    One("FusedMatMul", {"a": _f(4, 2, 3), "b": _f(4, 5, 3)}, {"transB": 1, "alpha": 0.5}),
    One("FusedMatMul", {"a": _f(2, 4, 3), "b": _f(4, 3, 5)}, {"transBatchA": 1}),
    One("FusedMatMul", {"a": _f(4, 2, 3), "b": _f(3, 4, 5)}, {"transBatchB": 1}),
    One("TransposeMatMul", {"a": _f(3, 2), "b": _f(3, 5)}, {"transA": 1}),
    One("FusedConv", {"x": _f(1, 2, 5, 5), "w": _f(3, 2, 3, 3), "b": _f(3)},
        {"activation": "Relu", "kernel_shape": [3, 3]}),
    One("FusedConv", {"x": _f(1, 2, 5, 5), "w": _f(3, 2, 3, 3), "b": _f(3), "z": _f(1, 3, 3, 3)}),
    One("FusedConv", {"x": _f(1, 2, 5, 5), "w": _f(3, 2, 3, 3)},
        {"activation": "Clip", "activation_params": [-0.5, 0.5]}),
    One("FusedConv", {"x": _f(1, 2, 5, 5), "w": _f(3, 2, 3, 3)},
        {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]}),
    One("FusedGemm", {"a": _f(2, 3), "b": _f(3, 4), "c": _f(4)}, {"activation": "LeakyRelu", "activation_alpha": 0.1}),
    One("Inverse", {"x": np.eye(3, dtype="float32") * 3 + _f(2, 3, 3) * 0.3}),
    One("SkipLayerNormalization", {**_SKIP, "b": _f(4), "c": _f(4)}, {"epsilon": 1e-5}),
    One("SkipLayerNormalization", {**_SKIP, "b": _f(4)}, {}, ("y", "", "", "sum")),
    One("SkipSimplifiedLayerNormalization", _SKIP, {"epsilon": 1e-5}),
    One("SkipSimplifiedLayerNormalization", {**_SKIP, "c": _f(4)}, {"epsilon": 1e-5}, ("y", "", "", "sum")),
    One("Attention", {**_QKV, "m": np.array([[1, 1, 0], [1, 1, 1]], "int32")}, {"num_heads": 2}),
    One("Attention", {**_QKV, "m": np.array([2, 3], "int32")}, {"num_heads": 2}),
    One("Attention", {**_QKV, "m": np.array([2, 3, 0, 1], "int32")}, {"num_heads": 2}),
    One("Attention", {**_QKV, "m": _R.integers(0, 2, (2, 3, 3)).astype("int32")}, {"num_heads": 2}),
    One("Attention", _QKV, {"num_heads": 2, "unidirectional": 1, "scale": 0.3}),
    One("Attention", {**_QKV, "m": None, "past": _f(2, 2, 2, 5, 2)}, {"num_heads": 2, "unidirectional": 1}, ("y", "p")),
    One("Attention", {**_QKV, "m": None, "past": None, "bias": _f(1, 2, 3, 3)}, {"num_heads": 2}),
    One("Attention", {"x": _f(2, 3, 4), "w": _f(4, 14), "b": _f(14)}, {"num_heads": 2, "qkv_hidden_sizes": [4, 4, 6]}),
    One("MultiHeadAttention", {**_QUERIES, "b": _f(24)}, {"num_heads": 2}),
    One("MultiHeadAttention", {**_QUERIES, "b": None, "m": np.array([[1, 1, 0, 1, 0], [1] * 5], "int32")},
        {"num_heads": 2}),
    One("MultiHeadAttention", {**_QUERIES, "b": None, "m": None, "bias": _f(2, 2, 3, 5)},
        {"num_heads": 2, "scale": 0.2}),
    One("MultiHeadAttention", {"q": _f(2, 3, 8), "k": _f(2, 2, 5, 4), "v": _f(2, 2, 5, 4)}, {"num_heads": 2}),
    One("MultiHeadAttention", {"q": _f(2, 3, 8), "k": _f(2, 3, 8), "v": _f(2, 3, 8), "b": None, "m": None, "bias": None,
        **_PAST}, {"num_heads": 2, "unidirectional": 1}, ("y", "ok", "ov")),
    One("MultiHeadAttention", {"q": _f(2, 3, 8), "k": _f(2, 3, 8), "v": _f(2, 3, 12)}, {"num_heads": 2}),
    One("EmbedLayerNormalization", _WORDS, {"epsilon": 1e-5}, ("y", "m")),
    One("EmbedLayerNormalization", {**_WORDS, "mask": np.array([[1, 1, 0]], "int32")}, {}, ("y", "m", "sum")),
    One("EmbedLayerNormalization", {**_WORDS, "s": None, "t": None, "mask": None, "places": np.array([[2, 0, 1]],
        "int32")}, {},
        ("y", "m")),
    One("RotaryEmbedding", {"x": _f(2, 3, 8), "p": np.array([[0, 1, 2], [4, 5, 6]]), "c": _COS, "s": _SIN}),
    One("RotaryEmbedding", {"x": _f(2, 3, 8), "p": np.array([2]), "c": _COS, "s": _SIN}, {"interleaved": 1}),
    One("RotaryEmbedding", {"x": _f(2, 2, 3, 4), "p": np.array([[0, 1, 2], [4, 5, 6]]), "c": _COS, "s": _SIN}),
    One("RotaryEmbedding", {"x": _f(2, 3, 16), "p": np.array([1]), "c": _COS, "s": _SIN},
        {"num_heads": 2, "rotary_embedding_dim": 4}),
    One("QuantizeLinear", {"x": _f(2, 3), "s": np.float32(0.02), "z": np.uint8(100)}),
    One("QuantizeLinear", {"x": _f(2, 3), "s": np.array([0.02, 0.03, 0.01], "float32"), "z": np.zeros(3, "int8")},
        {"axis": 1}),
    One("DequantizeLinear", {"x": _q(2, 3), "s": np.float32(0.02), "z": np.uint8(100)}),
    One("DequantizeLinear", {"x": _i8(2, 3), "s": np.array([0.02, 0.03], "float32"), "z": np.array([1, -2], "int8")},
        {"axis": 0}),
    One("QLinearAdd", {"a": _q(2, 3), **_u("a"), "b": _q(2, 3), **_u("b"), **_u("y")}),
    One("QLinearMul", {"a": _q(2, 3), **_u("a"), "b": _q(2, 3), **_u("b"), **_u("y")}),
    One("QLinearSigmoid", {"x": _q(2, 3), **_u("c"), "ys": np.float32(0.004), "yz": np.uint8(0)}),
    One("QLinearLeakyRelu", {"x": _q(2, 3), **_u("c"), **_u("a")}, {"alpha": 0.1}),
    One("QLinearGlobalAveragePool", {"x": _q(1, 2, 3, 3), **_u("c"), **_u("a")}),
    One("QLinearGlobalAveragePool", {"x": _q(1, 3, 3, 2), **_u("c"), **_u("a")}, {"channels_last": 1}),
    One("QLinearAveragePool", {"x": _q(1, 2, 5, 5), **_u("c"), **_u("a")}, {"kernel_shape": [3, 3], "pads": [1] * 4}),
    One("QLinearAveragePool", {"x": _q(1, 2, 5, 5), **_u("c"), **_u("a")},
        {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1, "strides": [2, 2]}),
    One("QLinearAveragePool", {"x": _q(1, 5, 5, 2), **_u("c"), **_u("a")},
        {"kernel_shape": [2, 2], "channels_last": 1}),
    One("QLinearConcat", {**_u("y"), "a": _q(2, 3), **_u("a"), "b": _q(2, 3), **_u("b")}, {"axis": 1}),
    One("QLinearSoftmax", {"x": _q(2, 3), **_u("c"), "ys": np.float32(1 / 256), "yz": np.uint8(0)},
        {"axis": -1, "opset": 13}),
    One("QLinearSoftmax", {"x": _q(2, 3, 4), **_u("c"), "ys": np.float32(1 / 256), "yz": np.uint8(0)},
        {"axis": 1, "opset": 12}),
    One("QLinearWhere", {"i": np.array([True, False, True]), "a": _q(2, 3), **_u("a"), "b": _q(2, 3), **_u("b"),
        **_u("y")}),
    One("QGemm", {"a": _q(3, 4), **_u("a"), "b": _q(4, 5), **_u("b")}),
    One("QGemm", {"a": _q(3, 4), **_u("a"), "b": _i8(5, 4), "bs": np.full(5, 0.02, "float32"), "bz": np.zeros(5,
        "int8"),
        "c": _R.integers(-99, 99, 5).astype("int32"), **_u("y")}, {"transB": 1}),
    One("QAttention", {"x": _q(2, 3, 4), "w": _i8(4, 12), "b": _f(12), "xs": np.float32(0.02), "ws": np.float32(0.01),
        "m": np.array([2, 3], "int32"), "xz": np.uint8(128), "wz": np.int8(3)}, {"num_heads": 2}),
    One("QAttention", {"x": _q(2, 3, 4), "w": _i8(4, 12), "b": _f(12), "xs": np.float32(0.02),
        "ws": np.linspace(0.01, 0.02, 12).astype("float32"), "m": None, "xz": np.uint8(128), "wz": np.zeros(12,
            "int8")},
        {"num_heads": 2, "unidirectional": 1}),
    One("DynamicQuantizeMatMul", {"a": _f(3, 4), "b": _i8(4, 5), "s": np.float32(0.02)}),
    One("DynamicQuantizeMatMul", {"a": _f(3, 4), "b": _i8(4, 5), "s": np.linspace(0.01, 0.02, 5).astype("float32"),
        "z": np.arange(5).astype("int8"), "c": _f(5)}),
    One("MatMulIntegerToFloat", {"a": _q(3, 4), "b": _i8(4, 5), "as": np.float32(0.1), "bs": np.float32(0.02),
        "az": np.uint8(120)}),
    One("MatMulNBits", {"a": _f(2, 32), "b": _q(4, 2, 8), "s": _f(8)}, {"K": 32, "N": 4, "bits": 4, "block_size": 16}),
    One("MatMulNBits", {"a": _f(2, 32), "b": _q(4, 2, 8), "s": _f(8), "z": _q(4)},
        {"K": 32, "N": 4, "bits": 4, "block_size": 16}),
    One("MatMulNBits", {"a": _f(2, 40), "b": _q(4, 2, 32), "s": _f(8)}, {"K": 40, "N": 4, "bits": 8, "block_size": 32}),
]  # fmt: skip


@pytest.mark.parametrize("case", CONTRIB + FUSED, ids=ids(CONTRIB + FUSED))
def test_operators_of_onnxruntime(case: One) -> None:
    # onnxruntime approximates tanh and erf in some of these, and rounds what blocks of 8-bit weights are multiplied by.
    rounds = case.op == "QMoE" and case.attributes["expert_weight_bits"] == 8
    compare(case, 5e-3 if rounds else 2e-3 if "Gelu" in case.op or case.op == "QAttention" else 1e-4)


def test_packed_weights_are_taken_as_they_lie_if_transb_is_off() -> None:
    """onnxruntime computes this on GPUs only; what it makes of a unit matrix the other way round are the weights."""
    case = next(c for c in FUSED if c.op == "MatMulBnb4")
    data, (unit,) = case._replace(inputs={**case.inputs, "a": np.eye(24, dtype="float32")}).model()
    (turned,) = reference(data, unit)
    rows = _f(2, 3)
    data, given = case._replace(inputs={**case.inputs, "a": rows}, attributes={**case.attributes, "transB": 0}).model()
    np.testing.assert_allclose(onnx.prepare(data)(given)[0], rows @ turned.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (One("MoE", {**_EXPERTS.inputs}, {"use_sparse_mixer": 1}), "sparse mixer"),
        (One("MoE", {**_EXPERTS.inputs}, {"activation_type": "geglu"}), "geglu.*known are relu"),
        (One("MoE", {**_EXPERTS.inputs}, {"activation_type": "swiglu"}), "third layer"),
        (
            next(c for c in FUSED if c.op == "LinearAttention")._replace(
                attributes={"q_num_heads": 2, "kv_num_heads": 2, "state_window": 2}
            ),
            "state_window",
        ),
        (One("CDist", {"a": _f(2, 3), "b": _f(2, 3)}, {"metric": "cosine"}), "cosine.*euclidean"),
    ],
)
def test_what_is_not_read_is_said(case: One, message: str) -> None:
    data, given = case.model()
    with pytest.raises(onnx.OnnxError, match=f"{case.op}.*{message}"):
        onnx.prepare(data)(given)


_ROWS = _f(5, 3)
_STEPS = np.array([[1, 2], [2, 9], [3, 1]])
_TEXTS = np.array([["a", "b"], ["c", "zz"]], object)


def _trees(weights: list[float], kind: str, ids: list[int]) -> dict[str, Any]:
    """Two trees over three features, in lists side by side; leaves give `weights` to classes (or targets) `ids`."""
    modes = ["BRANCH_LEQ", "BRANCH_GT", "LEAF", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"]
    return {
        "nodes_treeids": [0, 0, 0, 0, 0, 1, 1, 1], "nodes_nodeids": [0, 1, 2, 3, 4, 0, 1, 2],
        "nodes_featureids": [0, 2, 0, 0, 0, 1, 0, 0], "nodes_values": [0.1, -0.2, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0],
        "nodes_modes": modes, "nodes_truenodeids": [1, 3, 0, 0, 0, 1, 0, 0],
        "nodes_falsenodeids": [2, 4, 0, 0, 0, 2, 0, 0], "nodes_missing_value_tracks_true": [1, 0, 0, 0, 0, 0, 0, 0],
        f"{kind}_treeids": [0, 0, 0, 1, 1], f"{kind}_nodeids": [2, 3, 4, 1, 2], f"{kind}_ids": ids,
        f"{kind}_weights": weights,
    }  # fmt: skip


_HOLES = np.where(_R.random((5, 3)) < 0.2, np.nan, _ROWS).astype("float32")
_LEAVES = [0.3, -0.5, 0.8, 0.2, -0.4]
_THREE = {"coefficients": _f(9).tolist(), "intercepts": [0.1, -0.2, 0.3]}


def _ml(op: str, inputs: dict[str, Any], version: int = 3, outputs: tuple[str, ...] = ("y",), **attributes: Any) -> One:
    return One(op, inputs, attributes, outputs, ML, version)


_POSTS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
CLASSICAL = [
    _ml("ArrayFeatureExtractor", {"x": _ROWS, "i": np.array([2, 0])}),
    _ml("ArrayFeatureExtractor", {"x": _ROWS[0], "i": np.array([[1]])}),
    _ml("Binarizer", {"x": _ROWS}, threshold=0.2),
    _ml("Scaler", {"x": _ROWS}, offset=[0.1, 0.2, 0.3], scale=[2.0, 3.0, 4.0]),
    _ml("Scaler", {"x": _STEPS}, offset=[0.5], scale=[2.0]),
    *[_ml("Normalizer", {"x": np.concatenate([_ROWS, np.zeros((1, 3), "float32")])}, norm=n) for n in ("MAX", "L1",
        "L2")],
    _ml("Imputer", {"x": _HOLES}, imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=float("nan")),
    _ml("Imputer", {"x": _STEPS}, imputed_value_int64s=[7], replaced_value_int64=2),
    _ml("FeatureVectorizer", {"a": _ROWS, "b": _f(5, 2)}, inputdimensions=[3, 2]),
    _ml("OneHotEncoder", {"x": _STEPS}, cats_int64s=[1, 2, 3]),
    _ml("OneHotEncoder", {"x": _TEXTS}, cats_strings=["a", "b", "c"]),
    _ml("OneHotEncoder", {"x": _STEPS.astype("float32")}, cats_int64s=[1, 2, 3]),
    _ml("LabelEncoder", {"x": _TEXTS}, keys_strings=["a", "b"], values_int64s=[5, 6], default_int64=9),
    _ml("LabelEncoder", {"x": _STEPS}, keys_int64s=[1, 2], values_strings=["one", "two"]),
    _ml("LabelEncoder", {"x": _STEPS}, keys_int64s=[1, 2], values_floats=[0.5, 1.5], default_float=-2.0),
    _ml("LabelEncoder", {"x": _HOLES}, 4, keys_floats=[float("nan")], values_int64s=[1], default_int64=0),
    _ml("LabelEncoder", {"x": _TEXTS}, 1, classes_strings=["a", "b", "c"], default_int64=-7),
    _ml("CategoryMapper", {"x": _TEXTS}, cats_strings=["a", "b"], cats_int64s=[5, 6], default_int64=9),
    _ml("CategoryMapper", {"x": _STEPS}, cats_strings=["a", "b"], cats_int64s=[1, 2], default_string="?"),
    _ml("LabelEncoder", {"x": _STEPS}, 1, classes_strings=["a", "b", "c"], default_string="?"),
    _ml("LinearRegressor", {"x": _ROWS}, targets=2, coefficients=_f(6).tolist(), intercepts=[0.1, 0.2]),
    _ml("LinearRegressor", {"x": _ROWS}, coefficients=_f(3).tolist()),
    *[_ml("LinearClassifier", {"x": _ROWS}, 1, ("l", "s"), classlabels_ints=[4, 5, 6], post_transform=p, **_THREE)
      for p in _POSTS[:4]],
    _ml("LinearClassifier", {"x": _ROWS}, 1, ("l", "s"), classlabels_strings=["a", "b", "c"], multi_class=1, **_THREE),
    *[_ml("LinearClassifier", {"x": _ROWS}, 1, ("l", "s"), classlabels_ints=[4, 5], post_transform=p,
          coefficients=_f(3).tolist(), intercepts=[0.1]) for p in _POSTS[:4]],
    *[_ml("TreeEnsembleRegressor", {"x": _HOLES}, 3, n_targets=2, aggregate_function=how,
          **_trees(_LEAVES, "target", [0, 1, 0, 1, 0])) for how in ("SUM", "AVERAGE", "MIN", "MAX")],
    *[_ml("TreeEnsembleRegressor", {"x": _HOLES}, 3, n_targets=1, aggregate_function=how, base_values=[0.5],
          **_trees(_LEAVES, "target", [0] * 5)) for how in ("SUM", "AVERAGE", "MIN", "MAX")],
    _ml("TreeEnsembleRegressor", {"x": _ROWS}, 1, n_targets=1, **_trees(_LEAVES, "target", [0] * 5)),
    *[_ml("TreeEnsembleClassifier", {"x": _HOLES}, 3, ("l", "s"), classlabels_int64s=[7, 8, 9], post_transform=p,
          **_trees([abs(v) for v in _LEAVES], "class", [0, 1, 2, 1, 0])) for p in _POSTS[:4]],
    *[_ml("TreeEnsembleClassifier", {"x": _ROWS}, 1, ("l", "s"), classlabels_int64s=[7, 8], post_transform=p,
          **_trees(weights, "class", [0] * 5))
      for p in _POSTS[:3] for weights in (_LEAVES, [abs(v) for v in _LEAVES])],
    *[_ml("TreeEnsembleClassifier", {"x": _ROWS}, 1, ("l", "s"), classlabels_int64s=[7, 8],
          **_trees(weights, "class", [1] * 5)) for weights in (_LEAVES, [abs(v) for v in _LEAVES])],
    *[_ml("TreeEnsembleClassifier", {"x": _ROWS}, 3, ("l", "s"), classlabels_int64s=[7, 8], post_transform=p,
          base_values=[0.3], **_trees(_LEAVES, "class", [0] * 5)) for p in ("NONE", "LOGISTIC")],
    _ml("TreeEnsembleClassifier", {"x": _ROWS}, 3, ("l", "s"), classlabels_int64s=[7, 8, 9], base_values=[0.1, 0.2,
        0.4],
        **_trees(_LEAVES, "class", [0, 1, 2, 1, 0])),
    _ml("TreeEnsembleClassifier", {"x": _ROWS}, 1, ("l", "s"), classlabels_strings=["n", "p"],
        **_trees(_LEAVES, "class", [0, 1, 0, 1, 0])),
    *[_ml("TreeEnsemble", {"x": _HOLES}, 5, n_targets=2, aggregate_function=how, post_transform=0,
          tree_roots=[0, 2], nodes_featureids=[0, 2, 1],
          nodes_modes=helper.make_tensor("m", TensorProto.UINT8, [3], [0, 3, 1]),
          nodes_splits=helper.make_tensor("s", TensorProto.FLOAT, [3], [0.1, -0.2, 0.3]),
          nodes_truenodeids=[1, 1, 3], nodes_trueleafs=[0, 1, 1], nodes_falsenodeids=[0, 2, 4],
          nodes_falseleafs=[1, 1, 1], nodes_missing_value_tracks_true=[1, 0, 0], leaf_targetids=[0, 1, 0, 1, 0],
          leaf_weights=helper.make_tensor("w", TensorProto.FLOAT, [5], _LEAVES)) for how in (0, 1, 2, 3)],
]  # fmt: skip


@pytest.mark.parametrize("case", CLASSICAL, ids=ids(CLASSICAL))
def test_operators_of_classical_models(case: One) -> None:
    compare(case)


#: What onnxruntime has on other devices only, or in the standard's domain.
ELSEWHERE = {"GroupNorm", "LayerNormalization", "SimplifiedLayerNormalization", "QLinearReduceMean"}


#: Their inputs or results are no tensors: in test_onnx_maps.py.
APART = {"ZipMap", "DictVectorizer", "CastMap"}


@pytest.mark.parametrize("given", ["float16", "bfloat16"])
@pytest.mark.parametrize("wanted", [None, "float32"])
def test_what_is_certain_happens(given: str, wanted: str | None) -> None:
    """Bernoulli of probabilities 0 and 1, in dtypes that engines may lack, and in which numbers below 1 are 1."""
    import ml_dtypes

    dtype = np.dtype(getattr(ml_dtypes, given, given))
    kind, result = (helper.np_dtype_to_tensor_dtype(np.dtype(d)) for d in (dtype, wanted or dtype))
    x, y = (helper.make_tensor_value_info(n, k, [2, 20_000]) for n, k in (("x", kind), ("y", result)))
    node = helper.make_node("Bernoulli", ["x"], ["y"], dtype=result if wanted else None)
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=[helper.make_opsetid("", 22)])
    (drawn,) = onnx.prepare(model)([np.repeat(np.array([[0], [1]], dtype), 20_000, 1)])
    assert drawn.dtype == np.dtype(wanted or dtype) and (drawn.astype(float) == [[0], [1]]).all()


@pytest.mark.once
def test_every_operator_is_compared() -> None:
    for domain, cases in ((MICROSOFT, CONTRIB + DECODERS + SPARSE + FUSED), (ML, CLASSICAL + MACHINES)):
        assert {name for d, name in TABLE if d == domain} - ELSEWHERE - APART == {c.op for c in cases}
