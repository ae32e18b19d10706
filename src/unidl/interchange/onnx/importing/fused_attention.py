"""Attention in the fused forms of onnxruntime's encoder models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._structures import DataDependentError
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, rank_of, shape_of
from unidl.interchange.onnx.importing.attention import NEVER, joined_heads, positions, split_heads
from unidl.interchange.onnx.importing.quantized import dequantized


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
        rows, columns = positions(q, k, _past_length(q, k))
        scores = ops.where(ops.less_equal(columns, rows), scores, ops.full((), NEVER, dtype_of(scores)))
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
    q, k, v = (split_heads(p, heads) for p in parts)
    if past is not None:
        k = ops.concatenate([ops.getitem(past, 0), k], 2)
        v = ops.concatenate([ops.getitem(past, 1), v], 2)
    allowed = _allowed(call, mask, shape_of(k)[2], shape_of(q)[0])
    y = joined_heads(_attended(call, q, k, v, extra, allowed, bool(call.get("unidirectional", 0))))
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
    past_k: Any = None, past_v: Any = None, length: Any = None, beams: Any = None,
) -> Any:  # fmt: skip
    if call.wants(3):
        raise call.error("its fourth output, the products of queries and keys, is not given")
    heads = call.need("num_heads")
    if rank_of(q) == 5:  # packed: (batch, time, heads, 3, size)
        q, k, v = (ops.transpose(ops.getitem(q, (..., i, slice(None))), (0, 2, 1, 3)) for i in range(3))
    else:
        biases = [None] * 3
        if bias is not None:
            width, keys = shape_of(q)[-1], shape_of(k)[-1] if k is not None and rank_of(k) == 3 else shape_of(q)[-1]
            biases = ops.split(bias, [width, width + keys], 0)
        q = split_heads(q if bias is None else ops.add(q, biases[0]), heads)
        if rank_of(k) == 5:  # (batch, time, heads, 2, size)
            k, v = (ops.transpose(ops.getitem(k, (..., i, slice(None))), (0, 2, 1, 3)) for i in range(2))
        elif rank_of(k) == 3:
            k = split_heads(k if bias is None else ops.add(k, biases[1]), heads)
            v = split_heads(v if bias is None else ops.add(v, biases[2]), heads)
    present = [k, v]
    if past_k is not None:
        present, (k, v) = _cached(call, [past_k, past_v], [k, v], length, beams)
    allowed = _allowed(call, padding, shape_of(k)[2], shape_of(q)[0])
    y = joined_heads(_attended(call, q, k, v, extra, allowed, bool(call.get("unidirectional", 0))))
    return (y, *present)[: len(call.node.outputs)]


@operator("DecoderMaskedMultiHeadAttention", domain=MICROSOFT)
def _decoder_attention(
    call: Call, q: Any, k: Any = None, v: Any = None, mask: Any = None, extra: Any = None, past_k: Any = None,
    past_v: Any = None, length: Any = None, width: Any = None, beams: Any = None, bias: Any = None,
) -> Any:  # fmt: skip
    """Attention of one step of a decoder, to a cache of its own steps or to given keys."""
    if k is None:
        q, k, v = ops.split(q, 3, -1)
    return _multi_head_attention(call, q, k, v, bias, mask, extra, past_k, past_v, length, beams)


def _cached(call: Call, past: list[Any], new: list[Any], length: Any, beams: Any) -> tuple[list[Any], list[Any]]:
    """Caches with new keys and values (batch, heads, time, size), and what of them is seen.

    Args:
        length: how many rows of the caches are full, and new ones come behind these: the rest is room. None: all are,
            and the caches grow.
        beams: (batch, width, room): which beam of the search each row of a beam is from; None: its own.
    """
    if length is None:
        grown = [ops.concatenate([old, x], 2) for old, x in zip(past, new, strict=True)]
        return grown, grown
    full, steps = call.integers(length, "the length of the past")[0], shape_of(new[0])[2]

    def rows(x: Any, start: Any, stop: Any) -> Any:
        return ops.getitem(x, (slice(None), slice(None), slice(start, stop)))

    present = [
        ops.concatenate([rows(old, 0, full), x, rows(old, full + steps, None)], 2)
        for old, x in zip(past, new, strict=True)
    ]
    seen = [rows(x, 0, full + steps) for x in present]
    if beams is not None:
        source = _rows_of_beams(beams, full, steps)
        seen = [ops.take_along_axis(x, source, 0) for x in seen]
    return present, seen


def _rows_of_beams(beams: Any, full: int, steps: int) -> Any:
    """Where rows are from (batch * width, 1, rows, 1): past ones as `beams` says, new ones from the beam itself."""
    batch, width, _ = shape_of(beams)
    if any(isinstance(size, Dim) for size in (batch, width)):
        raise DataDependentError("The number of beams is known only when the model runs.")
    count = batch * width
    first = np.repeat(np.arange(batch) * width, width)[:, None]
    past = ops.reshape(ops.cast(ops.getitem(beams, (..., slice(0, full))), "int64"), (count, full))
    own = np.arange(count)[:, None].repeat(steps, 1)
    return ops.expand_dims(ops.concatenate([ops.add(past, first), own], 1), (1, 3))
