"""Dense layers and products of matrices."""

from __future__ import annotations

import math

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value


@operator("FullyConnected _npx_fully_connected _sparse_FullyConnected")
def _fully_connected(c: Call, x: Value, weight: Value, bias: Value | None = None) -> Value:
    """The weight is (units, features)."""
    w = c.w
    bias = bias_of(c, bias, False)
    flatten = c.flag("flatten", True)
    if flatten and (x.shape is None or len(x.shape) != 2 or x.shape[1] is None):
        x = _rows(c, x, weight)
    if flatten or len(c.shape(x)) == 2:
        return w.node("Gemm", x, weight, bias, transB=1)
    y = w.node("MatMul", x, w.transpose(weight, (1, 0)))
    return y if bias is None else w.node("Add", y, bias)


def bias_of(c: Call, bias: Value | None, unbiased: bool) -> Value | None:
    """The bias, unless `no_bias` (by default `unbiased`) says that there is none."""
    if c.flag("no_bias", unbiased):
        return None
    if bias is None:
        raise c.error("its bias is missing, and no_bias is not said")
    return bias


def _rows(c: Call, x: Value, weight: Value) -> Value:
    """Examples as rows; how long these are, the weight says."""
    if weight.shape is None or weight.shape[-1] is None:
        return c.w.node("Flatten", x, axis=1)
    y = c.w.node("Reshape", x, np.asarray([0, weight.shape[-1]], "int64"))
    y.shape = (None if x.shape is None else x.shape[0], weight.shape[-1])
    return y


def _turned(c: Call, x: Value, turn: bool) -> Value:
    """`x` with its last two axes exchanged."""
    if not turn:
        return x
    rank = c.rank(x)
    return c.w.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


@operator("dot _sparse_dot")
def _dot(c: Call, a: Value, b: Value) -> Value:
    """The last axis of a with the first one of b; turned: its first axis, or the last one of b."""
    w = c.w
    turn_a, turn_b = c.flag("transpose_a"), c.flag("transpose_b")
    m, n = c.rank(a), c.rank(b)
    if m == n == 1:
        y = w.node("MatMul", a, b)
        return y if c.numpy else w.reshape(y, [1])
    if n == 2 and (m == 2 or (m > 2 and not turn_a)) or (m == 2 and n == 1 and not turn_b):
        return w.node("MatMul", _turned(c, a, turn_a), _turned(c, b, turn_b))
    if turn_a and m > 1:
        a = w.transpose(a, (*range(1, m), 0))
    if turn_b and n > 1:
        b = w.transpose(b, (n - 1, *range(n - 1)))
    return _contracted(c, a, b)


def _contracted(c: Call, a: Value, b: Value) -> Value:
    """The product along the last axis of a and the first one of b."""
    w, left, right = c.w, c.w.sizes(a)[:-1], c.w.sizes(b)[1:]
    rows = w.reshape(a, [w.product(left), -1]) if len(left) != 1 else a
    columns = w.reshape(b, [w.size(b, 0), w.product(right)]) if len(right) != 1 else b
    return w.reshape(w.node("MatMul", rows, columns), [*left, *right])


@operator("batch_dot _npx_batch_dot")
def _batch_dot(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("MatMul", _turned(c, a, c.flag("transpose_a")), _turned(c, b, c.flag("transpose_b")))


@operator("_npi_matmul")
def _matmul(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("MatMul", a, b)


@operator("_np_dot")
def _numpy_dot(c: Call, a: Value, b: Value) -> Value:
    """The last axis of a with the last but one of b."""
    w, m, n = c.w, c.rank(a), c.rank(b)
    if m == 0 or n == 0:
        return w.node("Mul", a, b)
    if n <= 2:
        return w.node("MatMul", a, b)
    return _contracted(c, a, w.transpose(b, (n - 2, *range(n - 2), n - 1)))


@operator("_npi_tensordot_int_axes _npi_tensordot")
def _tensordot(c: Call, a: Value, b: Value) -> Value:
    m, n = c.rank(a), c.rank(b)
    if c.node.op == "_npi_tensordot_int_axes":
        count = c.integer("axes")
        of_a, of_b = tuple(range(m - count, m)), tuple(range(count))
    else:
        of_a = tuple(c.axis(i, m) for i in c.ints("a_axes_summed"))
        of_b = tuple(c.axis(i, n) for i in c.ints("b_axes_summed"))
    names_a, names_b = [chr(97 + i) for i in range(m)], [chr(65 + i) for i in range(n)]
    for i, j in zip(of_a, of_b, strict=True):
        names_b[j] = names_a[i]
    kept = [v for i, v in enumerate(names_a) if i not in of_a] + [v for i, v in enumerate(names_b) if i not in of_b]
    return c.w.node("Einsum", a, b, equation=f"{''.join(names_a)},{''.join(names_b)}->{''.join(kept)}")


@operator("_npi_einsum")
def _einsum(c: Call, *xs: Value) -> Value:
    return c.w.node("Einsum", *xs, equation=str(c.node.attributes.get("subscripts", "")))


@operator("linalg_gemm2 _linalg_gemm2")
@operator("linalg_gemm _linalg_gemm", added=True)
def _gemm(c: Call, a: Value, b: Value, more: Value | None = None, added: bool = False) -> Value:
    w = c.w
    if c.integer("axis", -2) not in (-2, c.rank(a) - 2):
        raise c.error("an axis other than -2 is not read")
    y = w.node("MatMul", _turned(c, a, c.flag("transpose_a")), _turned(c, b, c.flag("transpose_b")))
    y = _times(c, y, c.real("alpha", 1.0))
    return y if not added or more is None else w.node("Add", y, _times(c, more, c.real("beta", 1.0)))


def _times(c: Call, x: Value, factor: float) -> Value:
    return x if factor == 1.0 else c.w.node("Mul", x, c.w.number(factor, x))


@operator("linalg_syrk _linalg_syrk")
def _syrk(c: Call, a: Value) -> Value:
    turn = c.flag("transpose")
    return _times(c, c.w.node("MatMul", _turned(c, a, turn), _turned(c, a, not turn)), c.real("alpha", 1.0))


# -- attention as GluonNLP writes it: queries, keys and values of all heads side by side ---------------


@operator("_contrib_div_sqrt_dim")
def _div_sqrt_dim(c: Call, x: Value) -> Value:
    size = c.known(x, c.rank(x) - 1, "div_sqrt_dim")
    return c.w.node("Mul", x, c.w.number(1 / math.sqrt(size), x))


def _heads(c: Call, x: Value, which: int, of: int) -> Value:
    """One of `of` interleaved projections, (time, batch, features), as (batch * heads, time, size)."""
    w, heads = c.w, c.integer("heads")
    size = c.known(x, 2, "attention") // (heads * of)
    time, batch = w.size(x, 0), w.size(x, 1)
    parts = w.reshape(x, [time, batch, heads, of, size])
    part = w.node("Gather", parts, np.asarray(which, "int64"), axis=3)
    return w.reshape(w.transpose(part, (1, 2, 0, 3)), [w.arithmetic("Mul", batch, heads), time, size])


def _scores(c: Call, q: Value, k: Value) -> Value:
    q = c.w.node("Mul", q, c.w.number(1 / math.sqrt(c.known(q, 2, "attention")), q))
    return c.w.node("MatMul", q, c.w.transpose(k, (0, 2, 1)))


def _together(c: Call, y: Value, batch: int | Value) -> Value:
    """(batch * heads, time, size) as (time, batch, features)."""
    w, heads = c.w, c.integer("heads")
    time, size = w.size(y, 1), c.known(y, 2, "attention")
    y = w.transpose(w.reshape(y, [batch, heads, time, size]), (2, 0, 1, 3))
    return w.reshape(y, [time, batch, heads * size])


@operator("_contrib_interleaved_matmul_selfatt_qk")
def _self_scores(c: Call, x: Value) -> Value:
    return _scores(c, _heads(c, x, 0, 3), _heads(c, x, 1, 3))


@operator("_contrib_interleaved_matmul_selfatt_valatt")
def _self_values(c: Call, x: Value, weights: Value) -> Value:
    return _together(c, c.w.node("MatMul", weights, _heads(c, x, 2, 3)), c.w.size(x, 1))


@operator("_contrib_interleaved_matmul_encdec_qk")
def _cross_scores(c: Call, q: Value, kv: Value) -> Value:
    return _scores(c, _heads(c, q, 0, 1), _heads(c, kv, 0, 2))


@operator("_contrib_interleaved_matmul_encdec_valatt")
def _cross_values(c: Call, kv: Value, weights: Value) -> Value:
    return _together(c, c.w.node("MatMul", weights, _heads(c, kv, 1, 2)), c.w.size(kv, 1))
