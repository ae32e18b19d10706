"""Cases of linear algebra."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.testing.draw import COMPLEX, Draw, Tolerance, add

_DTYPES = ("float32", "float64", "float16", "bfloat16", "int32")
_SUM = Tolerance(20, True)


def _batch(r: Draw) -> tuple[int, ...]:
    return r.shape(0, 2)


def _cast(r: Draw, x: np.ndarray) -> np.ndarray:
    from unidl.ops._bind import numpy_dtype

    return x.astype(numpy_dtype(r.dtype))


def _matrix(r: Draw, batch: tuple[int, ...], m: int, n: int, floor: float = 1.0) -> np.ndarray:
    """A matrix whose singular values are about `floor`, 2 * `floor` and so on: well conditioned, none equal."""
    u = np.linalg.qr(r.numbers.normal(size=(*batch, m, m)))[0]
    v = np.linalg.qr(r.numbers.normal(size=(*batch, n, n)))[0]
    k = min(m, n)
    s = floor * np.arange(1, k + 1) * r.numbers.uniform(0.9, 1.1, (*batch, k))
    x = u[..., :, :k] * s[..., None, :] @ v[..., :k, :]
    return _cast(r, np.rint(5 * x) if r.dtype.startswith(("int", "uint")) else x)


def _square(r: Draw) -> tuple[Any, ...]:
    n = r.side(1)
    return (_matrix(r, _batch(r), n, n),)


def _any_matrix(r: Draw) -> np.ndarray:
    return _matrix(r, _batch(r), r.side(1), r.side(1))


def _definite(r: Draw) -> np.ndarray:
    """A symmetric positive definite matrix; in some examples the upper triangle is other numbers."""
    n = r.side(1)
    x = _matrix(r, _batch(r), n, n).astype("float64")
    x = x @ np.swapaxes(x, -2, -1) + np.eye(n)
    if r.flag():
        x = np.tril(x) + np.triu(r.numbers.normal(size=x.shape), 1)
    return _cast(r, x)


def _triangle(r: Draw) -> tuple[Any, ...]:
    x = _definite(r).astype("float64")
    upper = r.flag()
    return _cast(r, np.linalg.cholesky(np.tril(x) + np.swapaxes(np.tril(x, -1), -2, -1))), upper


def _system(r: Draw) -> tuple[np.ndarray, np.ndarray]:
    n, batch = r.side(1), _batch(r)
    a = _matrix(r, batch, n, n)
    kind = r.integer(0, 3)
    if kind == 0:
        return a, r.array((n,))
    if kind == 1:
        return a, r.array((*r.broadcasting(batch)[-len(batch) :], n)) if not batch else r.array((*batch, n))
    if kind == 2:
        return a, r.array((*batch, n, r.side(1)))
    return a, r.array((2, *batch, n, r.side(1)))


def _least_squares(r: Draw) -> tuple[Any, ...]:
    a = _any_matrix(r)
    m = a.shape[-2]
    return a, r.array((m,)) if r.flag() else r.array((*a.shape[:-2], m, r.side(1)))


def _deficient(r: Draw) -> np.ndarray:
    """A matrix of less than full rank, exactly."""
    m, n = r.side(1), r.side(1)
    x = r.numbers.integers(-3, 4, (*_batch(r), m, n)).astype("float64")
    if m > 1:
        x[..., -1, :] = x[..., 0, :]
    return _cast(r, x)


def _norm(r: Draw) -> tuple[Any, ...]:
    kind = r.integer(0, 3)
    if kind == 0:
        return (r.tensor(0, 3), None, r.choice(None, -1) if r.flag() else None, r.flag())
    if kind == 1:
        shape = r.shape(1, 3, 1)
        ord = r.choice(0, 1, 2, 3, 0.5, -1, -2, 1.5, math.inf, -math.inf)
        return r.array(shape), ord, r.axis(len(shape)), r.flag()
    x = _any_matrix(r)
    axes = (-2, -1) if r.flag() else (-1, -2)
    ord = r.choice("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    return x, ord, None if x.ndim == 2 and r.flag() else axes, r.flag()


def _transposed(x: Any) -> Any:
    from unidl.ops._bind import dtype_of

    x = ops.swapaxes(x, -2, -1)
    return ops.conjugate(x) if dtype_of(x).startswith("complex") else x


def _of_qr(arguments: Any, outputs: Any) -> Any:
    """Q R, the projection to what the first columns of Q span and the one to the others, and R^T R."""
    q, r = outputs
    k = min(arguments[0].shape[-2:])
    first, other = q[..., :k], q[..., k:]
    return [
        ops.matmul(q, r),
        ops.matmul(first, _transposed(first)),
        ops.matmul(other, _transposed(other)),
        ops.matmul(_transposed(r), r),
    ]


def _of_svd(arguments: Any, outputs: Any) -> Any:
    """The singular values, the matrix, another matrix with the same vectors, and what the other vectors span."""
    if not isinstance(outputs, (tuple, list)):
        return outputs
    u, s, vh = outputs
    k = min(arguments[0].shape[-2:])
    scaled = ops.multiply(u[..., :k], ops.expand_dims(ops.cast(s, _name(u)), -2))
    rest, more = u[..., k:], vh[..., k:, :]
    return [
        s,
        ops.matmul(scaled, vh[..., :k, :]),
        ops.matmul(ops.multiply(scaled, ops.expand_dims(ops.cast(ops.square(s), _name(u)), -2)), vh[..., :k, :]),
        ops.matmul(rest, _transposed(rest)),
        ops.matmul(_transposed(more), more),
    ]


def _name(x: Any) -> str:
    from unidl.ops._bind import dtype_of

    return dtype_of(x)


def _of_eigh(arguments: Any, outputs: Any) -> Any:
    """The eigenvalues, and the matrix's square by its factors."""
    values, vectors = outputs
    scaled = ops.multiply(vectors, ops.expand_dims(ops.cast(ops.square(values), _name(vectors)), -2))
    return [values, ops.matmul(scaled, _transposed(vectors))]


def _of_eig(arguments: Any, outputs: Any) -> Any:
    """The traces of the first powers, and whether vectors are vectors."""
    values, vectors = outputs
    x = ops.cast(arguments[0], _name(values))
    difference = ops.subtract(ops.matmul(x, vectors), ops.multiply(vectors, ops.expand_dims(values, -2)))
    lengths = ops.sum(ops.square(ops.absolute(vectors)), -2)
    return [ops.sum(values, -1), ops.sum(ops.square(values), -1), ops.add(lengths, ops.sum(difference, -2))]


_MATRIX = {"partial": True, "tolerance": _SUM, "gradient_tolerance": 10.0}
add("cholesky", lambda r: (_definite(r), r.flag()), (*_DTYPES, *COMPLEX), gradient="x", **_MATRIX)
add("cholesky_inverse", _triangle, _DTYPES, gradient="x", **_MATRIX)
add(
    "qr", lambda r: (_any_matrix(r), r.choice("reduced", "complete")), _DTYPES, gradient="x", unique=_of_qr,
    unknown="", **_MATRIX,
)  # fmt: skip
add("svd", lambda r: (_any_matrix(r), r.flag(), r.flag()), _DTYPES, gradient="x", unique=_of_svd, unknown="", **_MATRIX)
add("eigh", lambda r: (_definite(r),), (*_DTYPES, *COMPLEX), gradient="x", unique=_of_eigh, **_MATRIX)
add("eig", _square, ("float32", "float64", "float16", "int32", *COMPLEX), unique=_of_eig, **_MATRIX)
add("lu_factor", lambda r: (_any_matrix(r),), _DTYPES, **_MATRIX)
add("det slogdet", _square, _DTYPES, gradient="x", **_MATRIX)
add("logdet", lambda r: (_definite(r),), _DTYPES, gradient="x", **_MATRIX)
add("inv", _square, _DTYPES, gradient="x", **_MATRIX)
add("solve", _system, _DTYPES, gradient="a b", **_MATRIX)
add("solve_triangular", lambda r: (*_system(r), r.flag()), _DTYPES, gradient="a b", **_MATRIX)
add("pinv", lambda r: (_any_matrix(r) if r.smooth or r.flag() else _deficient(r),), _DTYPES, gradient="x", **_MATRIX)
add("lstsq", _least_squares, _DTYPES, gradient="a b", refuses=True, **_MATRIX)
add("matrix_rank", lambda r: (_deficient(r), r.choice(None, 0.5)), _DTYPES, refuses=True, partial=True)
add("norm", _norm, _DTYPES, gradient="x", **_MATRIX)
