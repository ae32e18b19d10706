"""Mixtures of experts, as onnxruntime has them in one operator, with weights of floats or of few bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx.importing import _host
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, shape_of
from unidl.interchange.onnx.importing.attention import NEVER
from unidl.interchange.onnx.importing.packed_weights import unpacked

#: Weights (experts, outputs, inputs) and biases (experts, outputs) or None, of a layer of all experts.
Layer = tuple[Any, Any]


@operator("MoE", domain=MICROSOFT)
def _moe(
    call: Call, x: Any, router: Any, w1: Any, b1: Any, w2: Any, b2: Any = None, w3: Any = None, b3: Any = None
) -> Any:
    gate = _gates(call, router, None, bool(call.get("normalize_routing_weights", 0)))
    return _mixed(call, x, gate, (w1, b1), (w2, b2), None if w3 is None else (w3, b3))


@operator("QMoE", domain=MICROSOFT)
def _quantized_moe(
    call: Call, x: Any, router: Any, w1: Any, s1: Any, b1: Any, w2: Any, s2: Any, b2: Any = None, w3: Any = None,
    s3: Any = None, b3: Any = None, z1: Any = None, z2: Any = None, z3: Any = None, shares: Any = None, *more: Any,
) -> Any:  # fmt: skip
    if call.get("quant_type", "int") != "int" or any(m is not None for m in more):
        raise call.error(f"weights quantized as {call.get('quant_type')!r} are not read; integers ('int') are")
    if call.get("weights_prepacked", -1) == 1:
        raise call.error("weights that are packed for one device (weights_prepacked=1) are not read")
    dtype = dtype_of(x)

    def layer(place: int, w: Any, scale: Any, bias: Any, zeros: Any) -> Layer:
        bits = call.get(f"fc{place}_expert_weight_bits", 0) or call.get("expert_weight_bits", 4)
        return _dense(call, w, scale, zeros, bits).astype(_host.np_dtype(dtype)), bias

    third = None if w3 is None else layer(3, w3, s3, b3, z3)
    # Without shares of their own onnxruntime normalizes in any case.
    gate = _gates(call, router, shares, shares is None or bool(call.get("normalize_routing_weights", 0)))
    return _mixed(call, x, gate, layer(1, w1, s1, b1, z1), layer(2, w2, s2, b2, z2), third)


def _dense(call: Call, w: Any, scale: Any, zeros: Any, bits: int) -> np.ndarray:
    """Weights (experts, outputs, inputs) of codes; outputs, or blocks of their inputs, have scales and zero points."""
    codes = unpacked(call.array(w, "the packed weights"), bits).astype(np.float32)
    factor = call.array(scale, "the scales").astype(np.float32)
    each = factor.reshape(*codes.shape[:2], -1)
    zero: Any = np.float32(2 ** (bits - 1))
    if zeros is not None:
        given = call.array(zeros, "the zero points")
        count = each.shape[1] if given.ndim == 2 else each.shape[2]
        zero = unpacked(given, bits)[..., :count].astype(np.float32).reshape(each.shape)
        zero = np.repeat(zero, codes.shape[2] // each.shape[2], 2)
    return (codes - zero) * np.repeat(each, codes.shape[2] // each.shape[2], 2)


def _gates(call: Call, router: Any, shares: Any, normalized: bool) -> Any:
    """How much each expert counts for each token (tokens, experts): 0 for all but the `k` with the best scores.

    Shares are a softmax over all experts; if `normalized`, over the chosen ones. Given `shares` take
    the place of the softmax.
    """
    if call.get("use_sparse_mixer", 0):
        raise call.error("the sparse mixer (use_sparse_mixer) is not read")
    experts = shape_of(router)[-1]
    _, best = ops.top_k(router, call.get("k", 1))
    chosen = ops.any(ops.equal(ops.expand_dims(best, -1), np.arange(experts, dtype=np.int32)), -2)
    if shares is not None:
        shares = ops.where(chosen, shares, ops.zeros_like(shares))
        return ops.divide(shares, ops.sum(shares, -1, True)) if normalized else shares
    if normalized:
        return ops.softmax(ops.where(chosen, router, ops.full((), NEVER, dtype_of(router))), -1)
    return ops.where(chosen, ops.softmax(router, -1), ops.zeros_like(router))


def _mixed(call: Call, x: Any, gate: Any, first: Layer, second: Layer, third: Layer | None) -> Any:
    """The outputs of the experts, weighted by `gate`.

    All experts see all tokens, and the gate is 0 for most: which tokens an expert has depends on the data, so that the
    shapes of anything smaller would, too.
    """
    shape = shape_of(x)
    rows = ops.reshape(x, (-1, shape[-1]))
    hidden = _applied(first, rows)
    hidden = _activated(call, hidden, None if third is None else _applied(third, rows))
    y = _applied(second, hidden)
    y = ops.sum(ops.multiply(y, ops.expand_dims(ops.transpose(ops.cast(gate, dtype_of(x))), -1)), 0)
    return ops.reshape(y, shape)


def _applied(layer: Layer, x: Any) -> Any:
    """(tokens, inputs), or (experts, tokens, inputs), as (experts, tokens, outputs)."""
    weights, bias = layer
    y = ops.matmul(x, ops.swapaxes(weights, 1, 2))
    return y if bias is None else ops.add(y, ops.expand_dims(bias, 1))


def _activated(call: Call, x: Any, linear: Any) -> Any:
    """The activation between the layers; `linear` are the outputs of a third layer."""
    name = call.get("activation_type", "relu")
    if name == "swiglu":
        return _swiglu(call, x, linear)
    plain = {"relu": ops.relu, "gelu": lambda v: ops.gelu(v, True), "silu": ops.silu, "identity": lambda v: v}
    if name not in plain:
        raise call.error(f"the activation {name!r} is unknown; known are {', '.join([*plain, 'swiglu'])}")
    y = plain[name](x)
    return y if linear is None else ops.multiply(y, linear)


def _swiglu(call: Call, gate: Any, linear: Any) -> Any:
    """``G * sigmoid(alpha G) * (L + beta)``; the two lie in one, alternating (fusion 1) or side by side (2)."""
    fusion = call.get("swiglu_fusion", 0)
    if fusion == 1:
        gate, linear = ops.getitem(gate, (..., slice(0, None, 2))), ops.getitem(gate, (..., slice(1, None, 2)))
    elif fusion == 2:
        gate, linear = ops.split(gate, 2, -1)
    elif linear is None:
        raise call.error("swiglu with swiglu_fusion=0 needs the weights of a third layer")
    limit, late = call.get("swiglu_limit"), call.get("swiglu_limit_after_activation", 0)
    if limit is not None:
        gate = gate if late else ops.minimum(gate, limit)
        linear = ops.clip(linear, -limit, limit)
    y = ops.multiply(gate, ops.sigmoid(ops.multiply(gate, call.get("activation_alpha", 1.0))))
    if limit is not None and late:
        y = ops.minimum(y, limit)
    return ops.multiply(y, ops.add(linear, call.get("activation_beta", 0.0)))
