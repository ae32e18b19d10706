"""Products with weights of few bits, which are unpacked on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx.importing import _host
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, on_host


@operator("MatMulNBits", domain=MICROSOFT)
def _matmul_nbits(
    call: Call, a: Any, b: Any, scales: Any, zeros: Any = None, groups: Any = None, bias: Any = None
) -> Any:
    """A product with weights of 2 to 8 bits, packed in blocks along the inner dimension: (columns, blocks, bytes)."""
    columns, inner = call.need("N"), call.need("K")
    bits, block = call.get("bits", 4), call.need("block_size")
    blocks = -(-inner // block)
    packed = call.array(b, "the packed weights").reshape(columns, blocks, -1)
    weights = unpacked(packed, bits)[..., :block].astype(np.float32)
    scale = on_host(scales).astype(np.float32).reshape(columns, blocks, 1)
    if zeros is None:
        zero: Any = np.float32(2 ** (bits - 1))
    else:
        given = call.array(zeros, "the zero points")
        if given.dtype == np.uint8:
            given = unpacked(given.reshape(columns, -1), bits)[:, :blocks]
        zero = given.astype(np.float32).reshape(columns, blocks, 1)
    dense = ((weights - zero) * scale).reshape(columns, -1)[:, :inner]
    if groups is not None:  # columns of the input in another order
        order = call.array(groups, "the group index").reshape(-1)[:inner]
        dense = (
            weights.reshape(columns, -1)[:, :inner]
            - np.take_along_axis(np.broadcast_to(zero, scale.shape)[..., 0], order[None], 1)
        ) * np.take_along_axis(scale[..., 0], order[None].repeat(columns, 0), 1)
    y = ops.matmul(a, dense.T.astype(_host.np_dtype(dtype_of(a))))
    return y if bias is None else ops.add(y, bias)


def unpacked(packed: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned numbers of `bits` bits out of bytes, the lowest bits first, along the last axis."""
    each = np.unpackbits(packed.astype(np.uint8), axis=-1, bitorder="little")
    each = each[..., : each.shape[-1] // bits * bits].reshape(*packed.shape[:-1], -1, bits)
    return (each << np.arange(bits, dtype=np.uint8)).sum(-1).astype(np.uint8)


#: What codes of 4 bits stand for: FP4 and NF4 of bitsandbytes (QLoRA, https://arxiv.org/abs/2305.14314, appendix E).
_FP4 = [0.0, 0.005208333333, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25]
_BNB4 = (
    np.array([*_FP4, *[-v for v in _FP4]], np.float32),
    np.array([
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
        -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
        0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ], np.float32),
)  # fmt: skip


@operator("MatMulBnb4", domain=MICROSOFT)
def _matmul_bnb4(call: Call, a: Any, b: Any, scales: Any) -> Any:
    """A product with weights (N, K) of 4 bits, flat, two in a byte (the first one high); blocks share a scale."""
    rows, columns, block = call.need("N"), call.need("K"), call.need("block_size")
    packed = call.array(b, "the packed weights").reshape(-1).astype(np.uint8)
    codes = np.stack([packed >> 4, packed & 15], -1).reshape(-1)[: rows * columns]
    scale = np.repeat(call.array(scales, "the scales").astype(np.float32).reshape(-1), block)[: rows * columns]
    weights = (_BNB4[call.need("quant_type")][codes] * scale).reshape(rows, columns)
    if call.get("transB", 1):
        weights = weights.T
    return ops.matmul(a, weights.astype(_host.np_dtype(dtype_of(a))))


__all__ = ["unpacked"]
