"""Embeddings: those of BERT in one operator, rotary ones, and rows of quantized tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, rank_of, shape_of
from unidl.interchange.onnx.importing.attention import joined_heads, split_heads
from unidl.interchange.onnx.importing.quantized import dequantized

Rows = Callable[[Any], Any]


def _embedded(call: Call, words: Rows, places: Rows, segments: Rows | None, gamma: Any, beta: Any, given: Any) -> Any:
    """Normalized sums of the rows of two or three tables, counts of words, and the sums themselves.

    `given` is the word numbers, the segment numbers, the mask, and the places (None: 0, 1, …) of words.
    """
    numbers, parts, mask, where = given
    rows = ops.add(words(numbers), places(ops.arange(shape_of(numbers)[1], dtype="int64") if where is None else where))
    if segments is not None and parts is not None:
        rows = ops.add(rows, segments(parts))
    y = ops.layer_normalization(rows, gamma, beta, -1, call.get("epsilon", 1e-12))
    lengths = ops.zeros((shape_of(numbers)[0],), "int32") if mask is None else ops.cast(ops.sum(mask, 1), "int32")
    return (y, lengths, rows)[: len(call.node.outputs)]


@operator("EmbedLayerNormalization", domain=MICROSOFT)
def _embed_layer_normalization(
    call: Call, words: Any, segments: Any, word_table: Any, place_table: Any, segment_table: Any, gamma: Any, beta: Any,
    mask: Any = None, places: Any = None,
) -> Any:  # fmt: skip
    def rows(table: Any) -> Rows:
        return lambda numbers: ops.take(table, numbers, 0)

    tables = rows(word_table), rows(place_table), rows(segment_table)
    return _embedded(call, *tables, gamma, beta, (words, segments, mask, places))


@operator("QEmbedLayerNormalization", domain=MICROSOFT)
def _quantized_embed_layer_normalization(
    call: Call, words: Any, segments: Any, word_table: Any, place_table: Any, segment_table: Any, gamma: Any, beta: Any,
    mask: Any, word_scale: Any, place_scale: Any, segment_scale: Any, gamma_scale: Any, beta_scale: Any, wz: Any,
    pz: Any, sz: Any, gz: Any, bz: Any,
) -> Any:  # fmt: skip
    def rows(table: Any, scale: Any, zero: Any) -> Rows:
        return lambda numbers: dequantized(call, ops.take(table, numbers, 0), scale, zero, 0)

    tables = (
        rows(word_table, word_scale, wz), rows(place_table, place_scale, pz), rows(segment_table, segment_scale, sz),
    )  # fmt: skip
    gamma, beta = dequantized(call, gamma, gamma_scale, gz, 0), dequantized(call, beta, beta_scale, bz, 0)
    return _embedded(call, *tables, gamma, beta, (words, segments, mask, None))


@operator("RotaryEmbedding", domain=MICROSOFT)
def _rotary_embedding(call: Call, x: Any, positions: Any, cosines: Any, sines: Any) -> Any:
    heads = call.get("num_heads", 0)
    flat = rank_of(x) == 3
    if flat:
        size = shape_of(x)[-1] // heads if heads else 2 * shape_of(cosines)[-1]
        x = split_heads(x, shape_of(x)[-1] // size)
    first = shape_of(positions)[-1] == 1 and rank_of(positions) == 1
    places = ops.add(positions, ops.arange(shape_of(x)[2], dtype="int64")) if first else positions
    y = rotated(x, places, cosines, sines, bool(call.get("interleaved", 0)))
    return joined_heads(y) if flat else y


@operator("MRotaryEmbedding", domain=MICROSOFT)
def _multimodal_rotary_embedding(call: Call, x: Any, positions: Any, cosines: Any, sines: Any) -> Any:
    """Angles of three positions of each token (time, height, width): each column of the tables takes one of them."""
    heads, half = call.get("num_heads", 0), shape_of(cosines)[-1]
    flat = rank_of(x) == 3
    if flat:
        size = shape_of(x)[-1] // heads if heads else 2 * half
        x = split_heads(x, shape_of(x)[-1] // size)
    which = _sections(call, half)

    def chosen(table: Any) -> Any:
        time, height, width = (ops.take(table, ops.getitem(positions, i), 0) for i in range(3))
        return ops.where(which == 1, height, ops.where(which == 2, width, time))

    y = turned(x, chosen(cosines), chosen(sines), bool(call.get("interleaved", 0)))
    return joined_heads(y) if flat else y


def _sections(call: Call, half: int) -> np.ndarray:
    """Which of the three positions each column takes: one after the other, or in turns while a section lasts."""
    sections = list(call.need("mrope_section"))
    if len(sections) != 3 or sum(sections) != half:
        raise call.error(f"mrope_section {sections} must be three numbers whose sum is {half}")
    if not call.get("mrope_layout", 0):
        return np.repeat(np.arange(3), sections)
    which = np.zeros(half, np.int64)
    for place in (1, 2):
        which[place : 3 * sections[place] : 3] = place
    return which


def rotated(x: Any, places: Any, cosines: Any, sines: Any, interleaved: bool) -> Any:
    """(batch, heads, time, size) turned by the angles of `places`, (time,) or (batch, time), as far as these go."""
    return turned(x, ops.take(cosines, places, 0), ops.take(sines, places, 0), interleaved)


def turned(x: Any, cos: Any, sin: Any, interleaved: bool) -> Any:
    """(batch, heads, time, size) turned by angles of these cosines and sines, (time, half) or (batch, time, half)."""
    if rank_of(cos) == 3:
        cos, sin = ops.expand_dims(cos, 1), ops.expand_dims(sin, 1)
    width = 2 * shape_of(cos)[-1]
    part, rest = ops.getitem(x, (..., slice(0, width))), ops.getitem(x, (..., slice(width, None)))
    if interleaved:
        a, b = ops.getitem(part, (..., slice(0, None, 2))), ops.getitem(part, (..., slice(1, None, 2)))
    else:
        a, b = ops.split(part, 2, -1)
    real = ops.subtract(ops.multiply(a, cos), ops.multiply(b, sin))
    imaginary = ops.add(ops.multiply(a, sin), ops.multiply(b, cos))
    if interleaved:
        y = ops.reshape(ops.stack([real, imaginary], -1), shape_of(part))
    else:
        y = ops.concatenate([real, imaginary], -1)
    return ops.concatenate([y, rest], -1) if shape_of(x)[-1] != width else y


@operator("GatherBlockQuantized", domain=MICROSOFT)
def _gather_block_quantized(call: Call, data: Any, indices: Any, scales: Any, zeros: Any = None) -> Any:
    """Rows of a table that is quantized in blocks along an axis; an index outside of it gives zeros."""
    rank, kind = rank_of(data), dtype_of(data)
    bits = call.get("bits", 4) if kind == "uint8" else 8
    axis = call.axis(call.get("gather_axis", 0), rank, "gather_axis")
    along = call.axis(call.get("quantize_axis", 1), rank, "quantize_axis")
    if bits < 8 and axis == rank - 1:
        raise call.error(f"gather_axis {axis} is the one along which numbers of {bits} bits are packed into bytes")
    if kind not in ("uint8", "int8"):  # engines lack them
        data, zeros = (None if x is None else call.array(x, "the table").astype(np.float32) for x in (data, zeros))
    size = shape_of(data)[axis]
    count = shape_of(data)[along] * (8 // bits if along == rank - 1 else 1)
    block = call.get("block_size", 128) or count
    inside = ops.logical_and(ops.greater_equal(indices, -size), ops.less(indices, size))
    places = ops.where(ops.less(indices, 0), ops.add(indices, size), indices)
    places = ops.where(inside, places, ops.zeros_like(places))

    def rows(x: Any) -> Any:
        return ops.take(x, ops.zeros_like(places) if shape_of(x)[axis] == 1 else places, axis)

    def numbers(x: Any) -> Any:
        return parts_of_bytes(rows(x), bits)

    def spread(x: Any, axis: int) -> Any:
        """What holds for a block, for each number in it."""
        return ops.getitem(ops.repeat(x, block, axis), (*[slice(None)] * axis, slice(0, count)))

    def blocks(x: Any, read: Any) -> Any:
        if axis == along:
            return read(spread(x, along))
        return spread(read(x), along + rank_of(indices) - 1 if along > axis else along)

    zero = 2.0 ** (bits - 1) if kind == "uint8" else 0.0
    centred = ops.subtract(numbers(data), zero if zeros is None else blocks(zeros, numbers))
    scale = blocks(scales, rows)
    y = ops.multiply(ops.cast(centred, dtype_of(scale)), scale)
    inside = ops.reshape(inside, (*shape_of(inside), *[1] * (rank - 1 - axis)))
    return ops.where(inside, y, ops.zeros_like(y))


def parts_of_bytes(x: Any, bits: int) -> Any:
    """Bytes as float32 numbers; those of fewer bits lie side by side along the last axis, the lowest bits first."""
    if bits == 8:
        return ops.cast(x, "float32")
    whole = ops.cast(x, "int32")
    parts = [ops.mod(ops.floor_divide(whole, 2**start), 2**bits) for start in range(0, 8, bits)]
    *before, last = shape_of(x)
    return ops.cast(ops.reshape(ops.stack(parts, -1), (*before, last * len(parts))), "float32")


__all__ = ["parts_of_bytes", "rotated", "turned"]
