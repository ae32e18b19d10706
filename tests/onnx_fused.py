"""Cases of onnxruntime's operators that its tools write: fused, laid out, quantized, mixtures of experts."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx_one import Draws, One

_DRAWS = Draws(11)
_R, _f, _q, _i8 = _DRAWS.numbers, _DRAWS.floats, _DRAWS.bytes, _DRAWS.signed


def _convolved(
    x: tuple[int, ...], w: tuple[int, ...], each: bool = False, bias: bool = False, **attributes: Any
) -> One:
    """QLinearConv of onnxruntime; `each` filter has a scale."""
    filters = w[0]
    inputs = {
        "x": _q(*x), "xs": np.float32(0.02), "xz": np.uint8(120), "w": _i8(*w),
        "ws": np.linspace(0.01, 0.02, filters).astype("float32") if each else np.float32(0.01),
        "wz": np.zeros(filters, "int8") if each else np.int8(0), "ys": np.float32(0.1), "yz": np.uint8(130),
        "b": _R.integers(-200, 200, filters).astype("int32") if bias else None,
    }  # fmt: skip
    return One("QLinearConv", inputs, attributes, constants=("w", "ws", "wz", "b") if bias else ("w", "ws", "wz"))


_LAYOUTS = [
    _convolved((2, 6, 5, 3), (4, 3, 3, 3), channels_last=1, pads=[1] * 4),
    _convolved((1, 6, 5, 4), (4, 2, 3, 2), True, True, channels_last=1, group=2, strides=[2, 1]),
    _convolved((2, 7, 3), (4, 3, 3), channels_last=1),
    _convolved((1, 3, 5, 5), (4, 3, 3, 3), True, auto_pad="SAME_UPPER"),
    One("NhwcMaxPool", {"x": _q(1, 6, 5, 3)}, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    One("NhwcMaxPool", {"x": _i8(2, 6, 5, 3)}, {"kernel_shape": [3, 3], "pads": [1] * 4, "ceil_mode": 1,
        "strides": [2, 2]}),
    One("ConvTransposeWithDynamicPads", {"x": _f(1, 2, 4, 4), "w": _f(2, 3, 3, 3), "p": np.array([1, 0, 1, 2])},
        {"strides": [2, 2]}, constants=("p",)),
    One("ConvTransposeWithDynamicPads", {"x": _f(1, 2, 4, 4), "w": _f(2, 3, 3, 3), "p": np.array([1, 0, 1, 2]),
        "b": _f(3)}),
]  # fmt: skip

_TOKENS, _ROUTER = _f(5, 8), _f(5, 3)


def _experts(inner: int = 6, wide: int = 1, biases: bool = True, **attributes: Any) -> One:
    inputs = {"x": _TOKENS, "r": _ROUTER, "w1": _f(3, wide * inner, 8), "b1": _f(3, wide * inner) if biases else None,
              "w2": _f(3, 8, inner), "b2": _f(3, 8) if biases else None}  # fmt: skip
    return One("MoE", inputs, attributes, constants=("w1", "w2"))


def _quantized_experts(bits: int, block: int = 0, zeros: bool = False, shares: bool = False, **attributes: Any) -> One:
    """QMoE of 3 experts of 32 inputs and 16 numbers inside."""
    given: dict[str, Any] = {"x": _f(5, 32) * 0.3, "r": _f(5, 3)}
    wide = 2 if attributes.get("activation_type") == "swiglu" else 1
    last: dict[str, Any] = {}
    for n, rows, columns in ((1, 16 * wide, 32), (2, 32, 16)):
        each = (3, rows, columns // block) if block else (3, rows)
        given[f"w{n}"] = _R.integers(0, 256, (3, rows, columns * bits // 8)).astype("uint8")
        given[f"s{n}"] = (_R.uniform(0.5, 1, each) * 2.0**-bits).astype("float32")
        given[f"b{n}"] = _f(3, rows) * 0.1
        size = (*each[:-1], -(-each[-1] * bits // 8))
        last[f"z{n}"] = _R.integers(0, 256, size).astype("uint8") if zeros else None
    given |= {"w3": None, "s3": None, "b3": None, **last, "z3": None}
    given["g"] = _R.uniform(0, 1, (5, 3)).astype("float32") if shares else None
    constants = tuple(n for n in given if n not in "xrg" and given[n] is not None)
    attributes = {"expert_weight_bits": bits, **({"block_size": block} if block else {}), **attributes}
    return One("QMoE", given, {"k": 2, "activation_type": "silu", **attributes}, constants=constants)


_EXPERTS = [
    *[_experts(k=k, normalize_routing_weights=n, activation_type=a)
      for k, n, a in ((1, 0, "relu"), (2, 0, "silu"), (2, 1, "gelu"), (3, 1, "identity"))],
    _experts(biases=False, k=2),
    _experts(wide=2, k=2, activation_type="swiglu", swiglu_fusion=1),
    _experts(wide=2, k=2, activation_type="swiglu", swiglu_fusion=1, activation_alpha=1.702, activation_beta=1.0,
             swiglu_limit=0.9, normalize_routing_weights=1),
    _experts(k=1)._replace(inputs={**_experts().inputs, "x": _f(1, 5, 8)}),
    *[_quantized_experts(*case) for case in ((4,), (8,), (4, 16), (4, 0, True), (4, 16, True), (8, 16))],
    _quantized_experts(4, 16, shares=True),
    _quantized_experts(4, 16, shares=True, normalize_routing_weights=1),
    _quantized_experts(4, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1),
]  # fmt: skip

_STEP = {"q": _f(2, 1, 8), "k": _f(2, 1, 8), "v": _f(2, 1, 8)}
_NONE = {"m": None, "e": None, "k0": _f(2, 2, 4, 4), "v0": _f(2, 2, 4, 4), "n": np.array([2], "int32")}
_MEMORY = {"q": _f(2, 1, 8), "k": _f(2, 2, 5, 4), "v": _f(2, 2, 5, 4)}
_BEAMS = np.array([[[0, 1, 0, 0], [1, 0, 0, 0]]], "int32")
_SHARED = {"num_heads": 2, "past_present_share_buffer": 1}
_OUT = ("y", "pk", "pv")
_STEPS = [
    One("MultiHeadAttention", {**_STEP, "b": None, **_NONE}, {"num_heads": 2}, _OUT),
    One("MultiHeadAttention", {**_STEP, "b": _f(24), **_NONE, "i": np.zeros((2, 1, 4), "int32")}, {"num_heads": 2},
        _OUT),
    One("DecoderMaskedMultiHeadAttention", {**_STEP, **_NONE}, _SHARED, _OUT),
    One("DecoderMaskedMultiHeadAttention", {**_STEP, **_NONE, "w": None, "i": None, "b": _f(24)}, _SHARED, _OUT),
    One("DecoderMaskedMultiHeadAttention", {**_STEP, **_NONE, "w": np.array([2], "int32"), "i": _BEAMS}, _SHARED, _OUT),
    One("DecoderMaskedMultiHeadAttention", _MEMORY, {"num_heads": 2, "scale": 0.3}),
    One("DecoderMaskedMultiHeadAttention", {**_MEMORY, "m": np.array([[1, 1, 0, 1, 0], [1] * 5], "int32")},
        {"num_heads": 2}),
]  # fmt: skip

_TURNS = {"c": _f(10, 4), "s": _f(10, 4)}
_POSITIONS = _R.integers(0, 10, (3, 2, 3))
_LANGUAGE = [
    One("MRotaryEmbedding", {"x": _f(2, 3, 16), "p": _POSITIONS, **_TURNS}, {"mrope_section": [2, 1, 1],
        "num_heads": 2}),
    One("MRotaryEmbedding", {"x": _f(2, 2, 3, 8), "p": _POSITIONS, **_TURNS},
        {"mrope_section": [2, 1, 1], "mrope_layout": 1}),
    One("MRotaryEmbedding", {"x": _f(2, 3, 24), "p": _POSITIONS, **_TURNS},
        {"mrope_section": [1, 1, 2], "interleaved": 1, "num_heads": 2, "rotary_embedding_dim": 8}),
    One("ScaledSiLU", {"x": _f(2, 3)}, {"alpha": 1.5}),
    One("ScaledSiLU", {"x": _f(2, 3), "s": np.float32(0.7)}),
    One("GatedAdd", {"x": _f(2, 3), "a": _f(2, 3), "g": _f(2, 1)}),
    One("GatedRMSNorm", {"x": _f(2, 3, 8), "s": _f(4), "g": _f(2, 3, 8)}),
    One("GatedRMSNorm", {"x": _f(2, 8), "s": _f(8), "g": _f(2, 8)}, {"activation": "sigmoid", "epsilon": 1e-3}),
    One("BranchwiseRMSNorm", {"x": _f(2, 3, 8), "s": _f(8)}, {"epsilon": 1e-3}),
    One("BranchwiseRMSNorm", {"x": _f(2, 8), "s": _f(8)}, {"num_branches": 2}),
    One("BranchwiseRMSNorm", {"x": _f(2, 8)}, {"num_branches": 2}),
    One("BranchwiseRMSNorm", {"x": _f(2, 2, 4), "s": _f(2, 4)}),
    One("NGramRepeatBlock", {"i": np.array([[1, 2, 3, 1, 2], [2, 2, 2, 0, 4]]), "s": _f(2, 5)}, {"ngram_size": 3}),
    One("NGramRepeatBlock", {"i": np.array([[1, 2, 3, 1, 2], [2, 2, 2, 0, 4]]), "s": _f(2, 5)}, {"ngram_size": 2}),
    *[One("MatMulBnb4", {"a": _f(2, 3, 24), "b": _q(36), "s": _R.uniform(0.5, 2, 5).astype("float32")},
          {"N": 3, "K": 24, "block_size": 16, "quant_type": kind}, constants=("b", "s")) for kind in (0, 1)],
    One("MatMulInteger16", {"a": _R.integers(-999, 999, (2, 3)).astype("int16"),
        "b": _R.integers(-999, 999, (3, 4)).astype("int16")}),
]  # fmt: skip


def _recurrent(
    rule: str, heads: int = 2, groups: int = 2, steps: int = 3, past: bool = True, each: bool = False,
    one: bool = False, **attributes: Any,
) -> One:  # fmt: skip
    """LinearAttention of keys of size 4, values of size 3: a decay for `each` element of keys, `one` rate for heads."""
    keys = _f(2, steps, groups, 4)
    inputs = {
        "q": _f(2, steps, heads * 4), "k": (keys / np.linalg.norm(keys, axis=-1, keepdims=True)).reshape(2, steps, -1),
        "v": _f(2, steps, groups * 3), "s": _f(2, groups, 4, 3) if past else None,
        "g": -np.abs(_f(2, steps, groups * (4 if each else 1))) if "gated" in rule else None,
        "b": _R.uniform(0, 1, (2, steps, 1 if one else groups)).astype("float32") if "delta" in rule else None,
    }  # fmt: skip
    given = {"q_num_heads": heads, "kv_num_heads": groups, "update_rule": rule, **attributes}
    return One("LinearAttention", inputs, given, ("y", "state"))


def _causal(shape: tuple[int, ...], taps: int, past: bool = True, bias: bool = True, **attributes: Any) -> One:
    """CausalConvWithState."""
    last = attributes.get("channels_last", 0)
    keep = (taps - 1) * attributes.get("dilation", 1)
    channels = int(np.prod(shape[2:])) if last else shape[1]
    state = (shape[0], keep, *shape[2:]) if last else (*shape[:2], keep)
    inputs = {"x": _f(*shape), "w": _f(channels, 1, taps), "b": _f(channels) if bias else None,
              "s": _f(*state) if past else None}  # fmt: skip
    return One("CausalConvWithState", inputs, attributes, ("y", "state"))


_RECURRENT = [
    *[_recurrent(rule) for rule in ("linear", "gated", "delta", "gated_delta")],
    _recurrent("gated_delta", past=False, one=True),
    _recurrent("gated_delta", 4, 2, steps=1, scale=0.7),
    _recurrent("gated", 4, 2, each=True),
    _recurrent("gated_delta", 2, 4),
    _causal((2, 4, 5), 3),
    _causal((2, 4, 1), 4, bias=False, activation="silu"),
    _causal((2, 4, 5), 3, past=False, activation="swish", dilation=2),
    _causal((2, 5, 4), 3, channels_last=1),
    _causal((2, 5, 2, 3), 3, channels_last=1, dilation=2, activation="silu"),
    One("LinearAttentionGate", {"a": _f(2, 3, 4), "t": _f(4), "d": -np.abs(_f(4))}),
    One("LinearAttentionGate", {"a": _f(2, 3, 4), "t": _f(4), "d": -np.abs(_f(4)), "b": _f(2, 3, 4)}, {}, ("y", "b2")),
]

_BOXES = np.array([[0.1, 0.2, 0.8, 0.9], [0.0, 0.0, 1.0, 1.0], [-0.3, 0.5, 1.2, 0.1]], "float32")
_SIZE = np.array([3, 4], "int32")
_MISCELLANEOUS = [
    *[One("CDist", {"a": _f(3, 4), "b": _f(5, 4)}, {"metric": metric}) for metric in ("euclidean", "sqeuclidean")],
    *[One("CropAndResize", {"x": _f(2, 3, 6, 5), "r": _BOXES, "i": np.array([0, 1, 0], "int32"), "s": _SIZE},
          {"mode": mode, "extrapolation_value": 0.5}) for mode in ("bilinear", "nearest")],
    One("CropAndResize", {"x": _f(2, 3, 6, 5), "r": _BOXES, "i": np.array([0, 1, 0], "int32"),
        "s": np.array([1, 2], "int32")}),
    One("ExpandDims", {"x": _f(2, 3), "a": np.int32(-1)}),
    One("ExpandDims", {"x": _f(2, 3), "a": np.int32(1)}, constants=("a",)),
    One("UnfoldTensor", {"x": _f(2, 9, 3)}, {"dim": 1, "size": 4, "step": 2}),
    One("UnfoldTensor", {"x": _f(2, 6)}, {"size": 2}),
    One("GatherND", {"x": _f(2, 3, 4), "i": np.array([[0, 1], [1, 2]])}),
    *[One("GridSample", {"x": _f(1, 2, 4, 5), "g": _R.uniform(-1.2, 1.2, (1, 3, 3, 2)).astype("float32")},
          {"mode": mode, "align_corners": aligned})
      for mode, aligned in (("bilinear", 0), ("nearest", 0), ("bicubic", 1))],
    One("Range", {"a": np.float32(1), "b": np.float32(4)}),
    One("Range", {"a": np.array(9), "b": np.array(1), "c": np.array(-2)}),
    One("Unique", {"x": np.array([2, 1, 1, 3, 4, 3], "float32")}, {}, ("y", "i", "c")),
    *[One("MurmurHash3", {"x": x}, {"positive": positive, "seed": seed}) for x in (
        np.array([["a", "bcd"], ["", "hello, wörld"]], object), np.array([3, -7], "int32"), np.array([3, 1 << 40]),
        np.array([0.5, 2], "float32")) for positive, seed in ((1, 0), (0, 42))],
    One("FusedGemm", {"a": _f(2, 3), "b": _f(3, 4), "c": _f(4)}, {"activation": "Selu", "activation_alpha": 1.5,
        "activation_gamma": 1.1}),
    One("FusedGemm", {"a": _f(2, 3), "b": _f(3, 4)}, {"activation": "Celu", "activation_alpha": 0.5}),
    *[One("FusedGemm", {"a": _f(2, 3), "b": _f(3, 4)}, {"activation": name, "activation_alpha": 0.3,
        "activation_beta": 0.6}) for name in ("Elu", "HardSigmoid", "ThresholdedRelu")],
    *[One("FusedGemm", {"a": _f(2, 3), "b": _f(3, 4)}, {"activation": name})
      for name in ("Sigmoid", "Softplus", "Softsign", "Tanh")],
]  # fmt: skip

FUSED = [*_LAYOUTS, *_EXPERTS, *_STEPS, *_LANGUAGE, *_RECURRENT, *_MISCELLANEOUS]
