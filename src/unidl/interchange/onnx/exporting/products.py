"""Products of matrices, and attention."""

from __future__ import annotations

import re

from unidl.interchange.onnx.exporting._emit import Emit, since
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.interchange.onnx.exporting.integers import matrix_product


def matmul(w: Writer, x1: Value, x2: Value) -> Value:
    if whole := matrix_product(w, x1, x2):
        return whole
    a, b = (w.cast(x, "int32") if x.dtype == "bool" else w.wide(x) for x in (x1, x2))
    return w.cast(w.node("MatMul", a, b), x1.dtype)


def linear(w: Writer, x: Value, kernel: Value, bias: Value | None = None) -> Value:
    if not w.is_float(x):
        return NotImplemented
    if len(x.shape) == 2:
        return w.node("Gemm", x, kernel, bias)
    product = w.node("MatMul", x, kernel)
    return product if bias is None else w.node("Add", product, bias)


def einsum(w: Writer, subscripts: str, operands: list[Value]) -> Value:
    """Subscripts that say what the result is, without dots and diagonals (ONNX's Einsum has less of those)."""
    plain = "".join(subscripts.split())
    inputs, arrow, output = plain.partition("->")
    terms = inputs.split(",")
    fits = arrow and all(re.fullmatch("[a-zA-Z]*", t) and len(set(t)) == len(t) for t in (*terms, output))
    if not fits or not w.is_float(operands[0]) or not set(output) <= set(inputs):
        return NotImplemented
    return w.node("Einsum", *operands, equation=plain)


@since(23)
def attention(
    w: Writer,
    query: Value,
    key: Value,
    value: Value,
    mask: Value | None = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> Value:
    if query.dtype in ("bfloat16", "float16", "float64"):
        return NotImplemented
    bias = None
    if mask is not None:
        if is_causal:
            return NotImplemented  # what comes later would be hidden more than what the mask hides
        # A large negative number for what is hidden, not False: a target that sees nothing gets the mean of all values.
        bias = w.where(mask, w.constant(0, query.dtype), w.constant(-1e38, query.dtype))
        times = (query.shape[2], key.shape[2])
        if None in times or mask.shape[-2:] != times:  # onnxruntime does not spread these axes
            bias = w.node("Expand", bias, w.node("Concat", w.dim(query, 2), w.dim(key, 2), axis=0))
    return w.node("Attention", query, key, value, bias, is_causal=int(is_causal), scale=scale)


TABLE: dict[str, Emit] = {
    "matmul": matmul,
    "linear": linear,
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
}
