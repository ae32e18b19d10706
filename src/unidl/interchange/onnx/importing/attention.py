"""Attention: ONNX's own, and what all kinds of it share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator
from unidl.interchange.onnx.importing._values import dtype_of, rank_of, shape_of
from unidl.interchange.onnx.importing.casting import target

NEVER = -math.inf


def split_heads(x: Any, heads: int) -> Any:
    """(batch, time, heads * size) as (batch, heads, time, size)."""
    batch, time, width = shape_of(x)
    return ops.transpose(ops.reshape(x, (batch, time, heads, width // heads)), (0, 2, 1, 3))


def joined_heads(x: Any) -> Any:
    batch, heads, time, size = shape_of(x)
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (batch, time, heads * size))


def repeated(x: Any, heads: int) -> Any:
    """Keys or values of few heads, each for a group of query heads."""
    own = shape_of(x)[1]
    return x if own == heads else ops.repeat(x, heads // own, 1)


def _as_bias(mask: Any, dtype: str) -> Any:
    if dtype_of(mask) != "bool":
        return mask
    zeros = ops.zeros(shape_of(mask), dtype)
    return ops.where(mask, zeros, ops.full(shape_of(mask), NEVER, dtype))


def softmax(scores: Any) -> Any:
    """Softmax; rows in which nothing is allowed become zeros."""
    top = ops.max(scores, -1, True)
    top = ops.where(ops.equal(top, NEVER), ops.zeros_like(top), top)
    powers = ops.exp(ops.subtract(scores, top))
    total = ops.sum(powers, -1, True)
    return ops.divide(powers, ops.where(ops.equal(total, 0.0), ops.ones_like(total), total))


def positions(query: Any, key: Any, offset: Any) -> tuple[Any, Any]:
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
        q, k, v = split_heads(q, heads), split_heads(k, kv_heads), split_heads(v, kv_heads)
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
    k, v = repeated(k, shape_of(q)[1]), repeated(v, shape_of(q)[1])
    factor = ops.cast(root, dtype)
    scores = ops.matmul(ops.multiply(q, factor), ops.multiply(ops.swapaxes(k, -1, -2), factor))
    seen = [scores]
    if cap := call.get("softcap", 0.0):
        scores = ops.multiply(ops.tanh(ops.divide(scores, cap)), cap)
    seen.append(scores)
    scores = _biased(call, scores, q, k, mask, offset, lengths)
    seen.append(scores)
    precision = target(call, call.get("softmax_precision")) if call.has("softmax_precision") else dtype
    weights = ops.cast(softmax(ops.cast(scores, precision)), dtype)
    seen.append(weights)
    y = ops.matmul(weights, v)
    outputs = (joined_heads(y) if flat else y, *present, seen[call.get("qk_matmul_output_mode", 0)])
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
            bias = ops.pad(bias, ((0, 0),) * (rank_of(bias) - 1) + ((0, lacking),), "constant", NEVER)
        scores = ops.add(scores, bias)
    rows, columns = positions(q, k, offset)
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
        scores = ops.where(rule, scores, ops.full((), NEVER, dtype))
    return scores


@operator("FlexAttention", domain="ai.onnx.preview", apart=True)
def _flex_attention(call: Call, q: Any, k: Any, v: Any) -> Any:
    dtype = dtype_of(q)
    inner = target(call, call.get("softmax_precision")) if call.has("softmax_precision") else ""
    inner = inner or ("float64" if dtype == "float64" else "float32")
    k, v = repeated(k, shape_of(q)[1]), repeated(v, shape_of(q)[1])
    scale = call.get("scale", 1 / math.sqrt(shape_of(q)[-1]))
    scores = ops.cast(ops.multiply(ops.matmul(q, ops.swapaxes(k, -1, -2)), scale), inner)
    if call.has("score_mod"):
        (scores,) = call.body("score_mod")([scores])
    weights = softmax(ops.cast(scores, inner))
    if call.has("prob_mod"):
        (weights,) = call.body("prob_mod")([weights])
    return ops.matmul(ops.cast(weights, dtype), v)


__all__ = ["NEVER", "joined_heads", "positions", "repeated", "softmax", "split_heads"]
