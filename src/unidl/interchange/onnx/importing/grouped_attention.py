"""Attention of decoders: few keys and values for many queries, and a cache of those of the steps before."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, shape_of
from unidl.interchange.onnx.importing.attention import NEVER, joined_heads, repeated, split_heads
from unidl.interchange.onnx.importing.embeddings import rotated
from unidl.interchange.onnx.importing.key_caches import bias_at, cache_form, full, windowed


@operator("GroupQueryAttention", domain=MICROSOFT)
def _group_query_attention(
    call: Call, q: Any, k: Any, v: Any, past_k: Any, past_v: Any, ends: Any, total: Any, cosines: Any = None,
    sines: Any = None, places: Any = None, bias: Any = None, sink: Any = None, k_scale: Any = None, v_scale: Any = None,
    q_norm: Any = None, k_norm: Any = None, counts: Any = None,
) -> Any:  # fmt: skip
    """Attention to `total` keys at most: of each batch element the first ``ends + 1``, the new ones last among them."""
    heads = call.need("num_heads")
    q, k, v = _projections(call, q, k, v, q_norm, k_norm)
    steps = shape_of(q)[2]
    ends = ops.add(ops.reshape(ops.cast(ends, "int64"), (-1, 1)), 1)
    counts = _least(ends, q) if counts is None else ops.reshape(ops.cast(counts, "int64"), (-1, 1))
    before = ops.subtract(ends, counts)
    rows = ops.add(before, ops.expand_dims(ops.arange(steps, dtype="int64"), 0))
    if call.get("do_rotary", 0):
        places = rows if places is None else _placed(call, places, total, q)
        q, k = (rotated(x, places, cosines, sines, bool(call.get("rotary_interleaved", 0))) for x in (q, k))
    longest = call.integers(total, "the total length")[0]
    forms = [cache_form(call, "k", past_k, k_scale), cache_form(call, "v", past_v, v_scale)]
    new = [form.codes(x) for form, x in zip(forms, (k, v), strict=True)]
    past = [None if x is None else form.read(x) for form, x in zip(forms, (past_k, past_v), strict=True)]
    cached = windowed if call.get("sliding_window_cache", 0) else full
    present, seen_of, places = cached(call, new, past, ends, counts, longest)
    k, v = (repeated(ops.cast(form.values(x), dtype_of(q)), heads) for form, x in zip(forms, seen_of, strict=True))
    scores = _scores(call, q, k)
    if cap := call.get("softcap", 0.0):
        scores = ops.multiply(ops.tanh(ops.divide(scores, cap)), cap)
    if bias is not None:
        scores = ops.add(scores, bias if cached is full else bias_at(bias, places))
    seen = _seen(call, ops.expand_dims(places, (1, 2)), ops.expand_dims(rows, (1, 3)), ops.expand_dims(ends, (1, 3)))
    scores = ops.where(seen, scores, ops.full((), NEVER, dtype_of(scores)))
    weights = _weights(call, scores, sink)
    y = joined_heads(ops.matmul(weights, v))
    products = scores if call.get("qk_output", 0) == 1 else weights
    return (y, *[form.stored(x) for form, x in zip(forms, present, strict=True)], products)[: len(call.node.outputs)]


@operator("SparseAttention", domain=MICROSOFT)
def _sparse_attention(
    call: Call, q: Any, k: Any, v: Any, past_k: Any, past_v: Any, starts: Any, columns: Any, total: Any, ends: Any,
    cosines: Any = None, sines: Any = None,
) -> Any:  # fmt: skip
    """Attention to some blocks of keys: each block of queries has its own, in layouts that heads take in turn."""
    heads = call.need("num_heads")
    q, k, v = _projections(call, q, k, v, None, None)
    ends = ops.reshape(ops.cast(ends, "int64"), (-1, 1))
    counts = _least(ends, q)
    rows = ops.add(ops.subtract(ends, counts), ops.expand_dims(ops.arange(shape_of(q)[2], dtype="int64"), 0))
    if call.get("do_rotary", 0):
        q, k = (rotated(x, rows, cosines, sines, bool(call.get("rotary_interleaved", 0))) for x in (q, k))
    longest = call.integers(total, "the total length")[0]
    present, seen_of, places = full(call, [k, v], [past_k, past_v], ends, counts, longest)
    k, v = (repeated(x, heads) for x in seen_of)
    blocks, size = _blocks(call, starts, columns), call.need("sparse_block_size")
    seen = ops.take(blocks, ops.floor_divide(rows, size), 1)  # (layouts, batch, steps, blocks)
    seen = ops.getitem(ops.repeat(seen, size, -1), (..., slice(0, longest)))
    seen = ops.tile(ops.moveaxis(seen, 0, 1), (1, heads // len(blocks), 1, 1))
    seen = ops.logical_and(seen, ops.less_equal(ops.expand_dims(places, (1, 2)), ops.expand_dims(rows, (1, 3))))
    scores = _scores(call, q, k)
    y = ops.matmul(ops.softmax(ops.where(seen, scores, ops.full((), NEVER, dtype_of(scores))), -1), v)
    return (joined_heads(y), *present)[: len(call.node.outputs)]


def _blocks(call: Call, starts: Any, columns: Any) -> np.ndarray:
    """Which blocks of keys blocks of queries see, (layouts, blocks, blocks), of sparse rows (CSR) of each layout."""
    starts, columns = (call.array(x, "the block mask") for x in (starts, columns))
    count = starts.shape[1] - 1
    seen = np.zeros((len(starts), count, count), bool)
    for layout, row in np.ndindex(len(starts), count):
        seen[layout, row, columns[layout, starts[layout, row] : starts[layout, row + 1]]] = True
    return seen


def _scores(call: Call, q: Any, k: Any) -> Any:
    return ops.multiply(ops.matmul(q, ops.swapaxes(k, -1, -2)), call.get("scale", 0.0) or shape_of(q)[-1] ** -0.5)


def _projections(call: Call, q: Any, k: Any, v: Any, q_norm: Any, k_norm: Any) -> tuple[Any, Any, Any]:
    """Queries, keys and values as (batch, heads, steps, size); if there are no keys, all three lie in `q`."""
    heads, groups = call.need("num_heads"), call.need("kv_num_heads")
    if k is None:
        size = shape_of(q)[-1] // (heads + 2 * groups)
        q, k, v = ops.split(q, [heads * size, (heads + groups) * size], -1)
    q, k, v = split_heads(q, heads), split_heads(k, groups), split_heads(v, groups)
    if q_norm is not None:
        q = ops.rms_normalization(q, q_norm, -1, _epsilon(call, "q"))
        k = ops.rms_normalization(k, k_norm, -1, _epsilon(call, "k"))
    return q, k, v


def _epsilon(call: Call, which: str) -> float:
    return float(call.get(f"{which}_norm_epsilon", call.get("qk_norm_epsilon", 1e-6)))


def _least(ends: Any, q: Any) -> Any:
    """How many of the steps are no padding, if the node does not say so."""
    steps = shape_of(q)[2]
    return ops.minimum(ends, ops.cast(ops.axis_size(q, 2), "int64") if isinstance(steps, Dim) else steps)


def _placed(call: Call, places: Any, total: Any, q: Any) -> Any:
    """The places of steps; for a first prompt the kernel counts on from the first one that is given."""
    steps = shape_of(q)[2]
    if call.integers(total, "the total length")[0] != steps:
        return places
    return ops.add(ops.getitem(places, (0, 0)), ops.arange(steps, dtype=dtype_of(places)))


def _seen(call: Call, columns: Any, rows: Any, ends: Any) -> Any:
    """Which keys, by their places, queries may see."""
    if not call.get("causal", 1):
        return ops.less(columns, ends)
    seen = ops.less_equal(columns, rows)
    if (window := call.get("local_window_size", -1)) > 0:
        seen = ops.logical_and(seen, ops.less(ops.subtract(rows, columns), window))
    return seen


def _weights(call: Call, scores: Any, sink: Any) -> Any:
    """Softmax; with a sink (or a smooth softmax, whose sink is 0) a key more, which has no value."""
    if sink is None and not call.get("smooth_softmax", 0):
        return ops.softmax(scores, -1)
    batch, heads, steps, keys = shape_of(scores)
    more = ops.zeros((1,), dtype_of(scores)) if sink is None else sink
    more = ops.broadcast_to(ops.reshape(more, (1, -1, 1, 1)), (batch, heads, steps, 1))
    return ops.getitem(ops.softmax(ops.concatenate([scores, more], -1), -1), (..., slice(0, keys)))
