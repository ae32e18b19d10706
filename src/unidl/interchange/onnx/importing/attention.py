"""Attention: ONNX's own, and the fused forms of onnxruntime's transformer models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, rank_of, shape_of
from unidl.interchange.onnx.importing.casting import target
from unidl.interchange.onnx.importing.quantized import dequantized

_NEVER = -math.inf


def _heads(x: Any, heads: int) -> Any:
    """(batch, time, heads * size) as (batch, heads, time, size)."""
    batch, time, width = shape_of(x)
    return ops.transpose(ops.reshape(x, (batch, time, heads, width // heads)), (0, 2, 1, 3))


def _joined_heads(x: Any) -> Any:
    batch, heads, time, size = shape_of(x)
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (batch, time, heads * size))


def _repeated(x: Any, heads: int) -> Any:
    """Keys or values of few heads, each for a group of query heads."""
    own = shape_of(x)[1]
    return x if own == heads else ops.repeat(x, heads // own, 1)


def _as_bias(mask: Any, dtype: str) -> Any:
    if dtype_of(mask) != "bool":
        return mask
    zeros = ops.zeros(shape_of(mask), dtype)
    return ops.where(mask, zeros, ops.full(shape_of(mask), _NEVER, dtype))


def _softmax(scores: Any) -> Any:
    """Softmax; rows in which nothing is allowed become zeros."""
    top = ops.max(scores, -1, True)
    top = ops.where(ops.equal(top, _NEVER), ops.zeros_like(top), top)
    powers = ops.exp(ops.subtract(scores, top))
    total = ops.sum(powers, -1, True)
    return ops.divide(powers, ops.where(ops.equal(total, 0.0), ops.ones_like(total), total))


def _positions(query: Any, key: Any, offset: Any) -> tuple[Any, Any]:
    """Places of queries (time, 1), behind `offset` (also one for each batch element), and of keys (1, time)."""
    rows = ops.expand_dims(ops.arange(shape_of(query)[2], dtype="int64"), 1)
    columns = ops.expand_dims(ops.arange(shape_of(key)[2], dtype="int64"), 0)
    if offset is None:
        return rows, columns
    if rank_of(offset) == 0:
        return ops.add(rows, offset), columns
    return ops.add(rows, ops.reshape(offset, (-1, 1, 1, 1))), columns


@operator("Attention", 23)
def _attention(
    call: Call, q: Any, k: Any, v: Any, mask: Any = None, past_k: Any = None, past_v: Any = None, lengths: Any = None
) -> Any:
    flat = rank_of(q) == 3
    if flat:
        heads, kv_heads = call.need("q_num_heads"), call.need("kv_num_heads")
        q, k, v = _heads(q, heads), _heads(k, kv_heads), _heads(v, kv_heads)
    offset: Any = None
    if past_k is not None:
        offset = _length(past_k)
        k, v = ops.concatenate([past_k, k], 2), ops.concatenate([past_v, v], 2)
    elif lengths is not None:
        offset = ops.subtract(ops.cast(lengths, "int64"), _length(q))
    present = k, v
    dtype = dtype_of(q)
    scale = call.get("scale", 1 / math.sqrt(shape_of(q)[-1]))
    root = np.asarray(math.sqrt(scale), np.float32)
    k, v = _repeated(k, shape_of(q)[1]), _repeated(v, shape_of(q)[1])
    factor = ops.cast(root, dtype)
    scores = ops.matmul(ops.multiply(q, factor), ops.multiply(ops.swapaxes(k, -1, -2), factor))
    seen = [scores]
    if cap := call.get("softcap", 0.0):
        scores = ops.multiply(ops.tanh(ops.divide(scores, cap)), cap)
    seen.append(scores)
    scores = _biased(call, scores, q, k, mask, offset, lengths)
    seen.append(scores)
    precision = target(call, call.get("softmax_precision")) if call.has("softmax_precision") else dtype
    weights = ops.cast(_softmax(ops.cast(scores, precision)), dtype)
    seen.append(weights)
    y = ops.matmul(weights, v)
    outputs = (_joined_heads(y) if flat else y, *present, seen[call.get("qk_matmul_output_mode", 0)])
    return outputs[: len(call.node.outputs)]


def _length(x: Any) -> Any:
    size = shape_of(x)[2]
    return np.array(size, np.int64) if isinstance(size, int) else ops.cast(ops.axis_size(x, 2), "int64")


def _biased(call: Call, scores: Any, q: Any, k: Any, mask: Any, offset: Any, lengths: Any) -> Any:
    """Scores with the mask added and all that may not be seen at minus infinity."""
    dtype = dtype_of(scores)
    if mask is not None:
        bias = _as_bias(mask, dtype)
        lacking = (
            shape_of(k)[2] - shape_of(bias)[-1]
            if isinstance(shape_of(bias)[-1], int) and isinstance(shape_of(k)[2], int)
            else 0
        )
        if lacking > 0 and shape_of(bias)[-1] != 1:
            bias = ops.pad(bias, ((0, 0),) * (rank_of(bias) - 1) + ((0, lacking),), "constant", _NEVER)
        scores = ops.add(scores, bias)
    rows, columns = _positions(q, k, offset)
    rules = []
    if call.get("is_causal", 0):
        rules.append(ops.less_equal(columns, rows))
    if (left := call.get("left_window_size", -1)) >= 0:
        rules.append(ops.less_equal(ops.subtract(rows, columns), left))
    if (right := call.get("right_window_size", -1)) >= 0:
        rules.append(ops.less_equal(ops.subtract(columns, rows), right))
    if lengths is not None:
        rules.append(ops.less(columns, ops.reshape(ops.cast(lengths, "int64"), (-1, 1, 1, 1))))
    for rule in rules:
        scores = ops.where(rule, scores, ops.full((), _NEVER, dtype))
    return scores


@operator("FlexAttention", domain="ai.onnx.preview", body=True)
def _flex_attention(call: Call, q: Any, k: Any, v: Any) -> Any:
    dtype = dtype_of(q)
    inner = target(call, call.get("softmax_precision")) if call.has("softmax_precision") else ""
    inner = inner or ("float64" if dtype == "float64" else "float32")
    k, v = _repeated(k, shape_of(q)[1]), _repeated(v, shape_of(q)[1])
    scale = call.get("scale", 1 / math.sqrt(shape_of(q)[-1]))
    scores = ops.cast(ops.multiply(ops.matmul(q, ops.swapaxes(k, -1, -2)), scale), inner)
    if call.has("score_mod"):
        (scores,) = call.body("score_mod")([scores])
    weights = _softmax(ops.cast(scores, inner))
    if call.has("prob_mod"):
        (weights,) = call.body("prob_mod")([weights])
    return ops.matmul(ops.cast(weights, dtype), v)


# -- onnxruntime's fused forms ---------------------------------------------------------------------


def _attended(call: Call, q: Any, k: Any, v: Any, bias: Any, allowed: Any, causal: bool) -> Any:
    """Scaled products of (batch, heads, time, size); `allowed` is 0 where nothing may be seen."""
    scale = call.get("scale", 0.0) or 1 / math.sqrt(shape_of(q)[-1])
    scores = ops.multiply(ops.matmul(q, ops.swapaxes(k, -1, -2)), scale)
    if bias is not None:
        scores = ops.add(scores, bias)
    hidden = np.asarray(call.get("mask_filter_value", -10000.0), np.float32)
    if allowed is not None:
        scores = ops.where(allowed, scores, ops.add(scores, ops.cast(hidden, dtype_of(scores))))
    if causal:
        rows, columns = _positions(q, k, _past_length(q, k))
        scores = ops.where(ops.less_equal(columns, rows), scores, ops.full((), _NEVER, dtype_of(scores)))
    return ops.matmul(ops.softmax(scores, -1), v)


def _past_length(q: Any, k: Any) -> Any:
    a, b = shape_of(k)[2], shape_of(q)[2]
    return np.array(a - b, np.int64) if isinstance(a, int) and isinstance(b, int) else None


def _allowed(call: Call, mask: Any, keys: Any, batch: Any) -> Any:
    """onnxruntime's mask in its forms: lengths (batch,), keys (batch, time), or pairs (batch, time, time)."""
    if mask is None:
        return None
    if rank_of(mask) == 1:
        if shape_of(mask)[0] != batch and isinstance(batch, int):
            ends = ops.getitem(mask, slice(0, batch))
            starts = ops.getitem(mask, slice(batch, 2 * batch))
        else:
            ends, starts = mask, None
        columns = ops.arange(keys, dtype=dtype_of(mask))
        seen = ops.less(columns, ops.reshape(ends, (-1, 1, 1, 1)))
        if starts is not None:
            seen = ops.logical_and(seen, ops.greater_equal(columns, ops.reshape(starts, (-1, 1, 1, 1))))
        return seen
    seen = ops.not_equal(mask, 0) if dtype_of(mask) != "bool" else mask
    if rank_of(mask) == 2:
        return ops.expand_dims(seen, (1, 2))
    return ops.expand_dims(seen, 1) if rank_of(mask) == 3 else seen


def _projected(call: Call, x: Any, bias: Any, mask: Any, past: Any, extra: Any) -> Any:
    """Attention over queries, keys and values that lie side by side in `x`."""
    heads = call.need("num_heads")
    sizes = call.get("qkv_hidden_sizes")
    if bias is not None:
        x = ops.add(x, bias)
    parts = ops.split(x, [sizes[0], sizes[0] + sizes[1]] if sizes else 3, -1)
    q, k, v = (_heads(p, heads) for p in parts)
    if past is not None:
        k = ops.concatenate([ops.getitem(past, 0), k], 2)
        v = ops.concatenate([ops.getitem(past, 1), v], 2)
    allowed = _allowed(call, mask, shape_of(k)[2], shape_of(q)[0])
    y = _joined_heads(_attended(call, q, k, v, extra, allowed, bool(call.get("unidirectional", 0))))
    return (y, ops.stack([k, v], 0)) if call.wants(1) else y


@operator("Attention", domain=MICROSOFT)
def _fused_attention(
    call: Call, x: Any, weights: Any, bias: Any = None, mask: Any = None, past: Any = None, extra: Any = None
) -> Any:
    return _projected(call, ops.matmul(x, weights), bias, mask, past, extra)


@operator("QAttention", domain=MICROSOFT)
def _quantized_attention(
    call: Call,
    x: Any,
    weights: Any,
    bias: Any,
    x_scale: Any,
    w_scale: Any,
    mask: Any = None,
    xz: Any = None,
    wz: Any = None,
    past: Any = None,
) -> Any:
    product = ops.matmul(dequantized(call, x, x_scale, xz, 0), dequantized(call, weights, w_scale, wz, 1))
    return _projected(call, product, bias, mask, past, None)


@operator("MultiHeadAttention", domain=MICROSOFT)
def _multi_head_attention(
    call: Call, q: Any, k: Any = None, v: Any = None, bias: Any = None, padding: Any = None, extra: Any = None,
    past_k: Any = None, past_v: Any = None,
) -> Any:  # fmt: skip
    heads = call.need("num_heads")
    if rank_of(q) == 5:  # packed: (batch, time, heads, 3, size)
        q, k, v = (ops.transpose(ops.getitem(q, (..., i, slice(None))), (0, 2, 1, 3)) for i in range(3))
    else:
        biases = [None] * 3
        if bias is not None:
            width, keys = shape_of(q)[-1], shape_of(k)[-1] if k is not None and rank_of(k) == 3 else shape_of(q)[-1]
            biases = ops.split(bias, [width, width + keys], 0)
        q = _heads(q if bias is None else ops.add(q, biases[0]), heads)
        if rank_of(k) == 5:  # (batch, time, heads, 2, size)
            k, v = (ops.transpose(ops.getitem(k, (..., i, slice(None))), (0, 2, 1, 3)) for i in range(2))
        elif rank_of(k) == 3:
            k = _heads(k if bias is None else ops.add(k, biases[1]), heads)
            v = _heads(v if bias is None else ops.add(v, biases[2]), heads)
    if past_k is not None:
        k, v = ops.concatenate([past_k, k], 2), ops.concatenate([past_v, v], 2)
    allowed = _allowed(call, padding, shape_of(k)[2], shape_of(q)[0])
    y = _joined_heads(_attended(call, q, k, v, extra, allowed, bool(call.get("unidirectional", 0))))
    return (y, k, v)[: len(call.node.outputs)]


@operator("EmbedLayerNormalization", domain=MICROSOFT)
def _embed_layer_normalization(
    call: Call, words: Any, segments: Any, word_table: Any, place_table: Any, segment_table: Any, gamma: Any, beta: Any,
    mask: Any = None, places: Any = None,
) -> Any:  # fmt: skip
    rows = ops.take(word_table, words, 0)
    where = ops.arange(shape_of(words)[1], dtype="int64") if places is None else places
    rows = ops.add(rows, ops.take(place_table, where, 0))
    if segments is not None:
        rows = ops.add(rows, ops.take(segment_table, segments, 0))
    y = ops.layer_normalization(rows, gamma, beta, -1, call.get("epsilon", 1e-12))
    lengths = ops.zeros((shape_of(words)[0],), "int32") if mask is None else ops.cast(ops.sum(mask, 1), "int32")
    return (y, lengths, rows)[: len(call.node.outputs)]


@operator("RotaryEmbedding", domain=MICROSOFT)
def _rotary_embedding(call: Call, x: Any, positions: Any, cosines: Any, sines: Any) -> Any:
    heads = call.get("num_heads", 0)
    flat = rank_of(x) == 3
    if flat:
        width = call.get("rotary_embedding_dim", 0)
        size = shape_of(x)[-1] // heads if heads else 2 * shape_of(cosines)[-1]
        x = _heads(x, shape_of(x)[-1] // size)
        assert width is not None
    first = shape_of(positions)[-1] == 1 and rank_of(positions) == 1
    time = shape_of(x)[2]
    places = ops.add(positions, ops.arange(time, dtype="int64")) if first else positions
    cos, sin = (ops.take(t, places, 0) for t in (cosines, sines))
    if rank_of(cos) == 3:
        cos, sin = ops.expand_dims(cos, 1), ops.expand_dims(sin, 1)
    rotated = 2 * shape_of(cosines)[-1]
    part, rest = ops.getitem(x, (..., slice(0, rotated))), ops.getitem(x, (..., slice(rotated, None)))
    if call.get("interleaved", 0):
        a, b = ops.getitem(part, (..., slice(0, None, 2))), ops.getitem(part, (..., slice(1, None, 2)))
    else:
        a, b = ops.split(part, 2, -1)
    real = ops.subtract(ops.multiply(a, cos), ops.multiply(b, sin))
    imaginary = ops.add(ops.multiply(a, sin), ops.multiply(b, cos))
    if call.get("interleaved", 0):
        turned = ops.reshape(ops.stack([real, imaginary], -1), shape_of(part))
    else:
        turned = ops.concatenate([real, imaginary], -1)
    y = ops.concatenate([turned, rest], -1) if shape_of(x)[-1] != rotated else turned
    return _joined_heads(y) if flat else y
