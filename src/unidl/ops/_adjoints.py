"""Gradients of decompositions, for engines that lack one: formulas in ops, of real matrices.

Each takes the op's tensors, its outputs, and the gradient by each output, and returns the gradient by each tensor. They
are the gradients of functions that do not depend on the choice of signs; where eigenvalues or singular values
coincide, of those that do not depend on the choice of vectors either.

Sources: M. Giles, "An extended collection of matrix derivative results" (2008); J. Townsend, "Differentiating the
singular value decomposition" (2016); S. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra
functions" (2010); G. Golub and V. Pereyra (1973) for the pseudoinverse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import ops

Gradients = tuple[Any, ...]


def _t(x: Any) -> Any:
    return ops.swapaxes(x, -2, -1)


def _mm(*factors: Any) -> Any:
    product = factors[0]
    for factor in factors[1:]:
        product = ops.matmul(product, factor)
    return product


def _column(x: Any) -> Any:
    return ops.expand_dims(x, -1)


def _row(x: Any) -> Any:
    return ops.expand_dims(x, -2)


def _lower(x: Any, k: int = 0) -> Any:
    """The lower triangle of matrices up to diagonal `k`."""
    rows, columns = ops.shape(x)[-2:]
    keep = ops.less_equal(_row(ops.arange(columns)), ops.add(_column(ops.arange(rows)), k))
    return ops.where(keep, x, ops.zeros_like(x))


def _diagonal(x: Any) -> Any:
    """Only the diagonal of matrices."""
    return ops.subtract(_lower(x), _lower(x, -1))


def _of_lower(gradient: Any) -> Any:
    """The gradient by a lower triangle that stands for a symmetric matrix with this gradient."""
    return ops.add(_lower(ops.add(gradient, _t(gradient)), -1), _diagonal(gradient))


def _inverse(x: Any) -> Any:
    """``1 / x``, 0 for 0."""
    zero = ops.equal(x, 0)
    return ops.where(zero, 0.0, ops.divide(1.0, ops.where(zero, 1.0, x)))


def _inverse_differences(values: Any) -> Any:
    """``1 / (values[j] - values[i])`` at (i, j), 0 where they are equal."""
    return _inverse(ops.subtract(_row(values), _column(values)))


def cholesky(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    """Of the lower factor."""
    factor = outputs
    middle = _lower(_mm(_t(factor), _lower(upstream[0])))
    middle = ops.subtract(middle, ops.multiply(_diagonal(middle), 0.5))
    upper = _t(factor)
    whole = _t(ops.solve_triangular(upper, _t(ops.solve_triangular(upper, middle))))
    return (_of_lower(ops.multiply(ops.add(whole, _t(whole)), 0.5)),)


def qr(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    (x,), (q, r), (dq, dr) = inputs, outputs, upstream
    m, n = x.shape[-2:]
    k = min(m, n)
    if q.shape[-1] > k:  # the other columns of Q are any basis of what Q does not span: they turn as Q does
        more, dmore = q[..., k:], dq[..., k:]
        q, r, dr = q[..., :k], r[..., :k, :], dr[..., :k, :]
        dq = ops.subtract(dq[..., :k], _mm(more, _t(dmore), q))
    rest = None
    if n > m:
        rest = _mm(q, dr[..., m:])
        dq = ops.add(dq, _mm(x[..., m:], _t(dr[..., m:])))
        r, dr = r[..., :m], dr[..., :m]
    middle = ops.subtract(_mm(r, _t(dr)), _mm(_t(dq), q))
    symmetric = ops.add(_lower(middle), _t(_lower(middle, -1)))
    right = ops.add(dq, _mm(q, symmetric))
    dx = _t(ops.solve_triangular(r, _t(right)))
    return (dx if rest is None else ops.concatenate([dx, rest], -1),)


def svd(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    """Of all three factors."""
    (u, s, vh), (du, ds, dvh) = outputs, upstream
    k = s.shape[-1]
    v, dv = _t(vh), _t(dvh)
    if u.shape[-1] > k:
        u, du = u[..., :k], ops.subtract(du[..., :k], _mm(u[..., k:], _t(du[..., k:]), u[..., :k]))
    if v.shape[-1] > k:
        v, dv = v[..., :k], ops.subtract(dv[..., :k], _mm(v[..., k:], _t(dv[..., k:]), v[..., :k]))
    factor = ops.multiply(_inverse_differences(s), _inverse(ops.add(_row(s), _column(s))))
    inverse = _inverse(s)
    turn_u, turn_v = _mm(_t(u), du), _mm(_t(v), dv)
    middle = ops.add(
        ops.multiply(ops.multiply(factor, ops.subtract(turn_u, _t(turn_u))), _row(s)),
        ops.multiply(_column(s), ops.multiply(factor, ops.subtract(turn_v, _t(turn_v)))),
    )
    left = ops.add(_mm(u, middle), ops.multiply(u, _row(ds)))
    left = ops.add(left, ops.multiply(ops.subtract(du, _mm(u, turn_u)), _row(inverse)))
    outside = ops.multiply(_column(inverse), _t(ops.subtract(dv, _mm(v, turn_v))))
    return (ops.add(_mm(left, _t(v)), _mm(u, outside)),)


def svd_values(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    u, _, vh = ops.svd(inputs[0], full_matrices=False)
    return (_mm(ops.multiply(u, _row(upstream[0])), vh),)


def eigh(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    (values, vectors), (dvalues, dvectors) = outputs, upstream
    turn = ops.multiply(_inverse_differences(values), _mm(_t(vectors), dvectors))
    whole = ops.add(_mm(vectors, turn, _t(vectors)), _mm(ops.multiply(vectors, _row(dvalues)), _t(vectors)))
    whole = ops.multiply(ops.add(whole, _t(whole)), 0.5)
    return (_of_lower(whole),)


def det(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    """By the cofactors, which singular matrices have too."""
    u, s, vh = ops.svd(inputs[0])
    n = s.shape[-1]
    others = ops.where(ops.cast(ops.eye(n), "bool"), 1.0, _row(s))
    sign = ops.multiply(ops.det(u), ops.det(vh))
    cofactors = _mm(ops.multiply(u, _row(ops.prod(others, -1))), vh)
    return (ops.multiply(cofactors, _column(_column(ops.multiply(sign, upstream[0])))),)


def slogdet(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    return (ops.multiply(_t(ops.inv(inputs[0])), _column(_column(upstream[1]))),)


def solve(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    """Of matrices with equal leading dimensions."""
    db = ops.solve(_t(inputs[0]), upstream[0])
    return ops.negative(_mm(db, _t(outputs))), db


def pinv(inputs: Gradients, outputs: Any, upstream: Gradients) -> Gradients:
    x, p, g = inputs[0], outputs, _t(upstream[0])
    first = _mm(_t(p), upstream[0], _t(p))
    tall, wide = _mm(g, p, _t(p)), _mm(_t(p), p, g)
    second = ops.subtract(tall, _mm(x, p, tall))
    third = ops.subtract(wide, _mm(wide, p, x))
    return (ops.subtract(ops.add(second, third), first),)


ADJOINTS: dict[str, Callable[..., Gradients]] = {
    "cholesky": cholesky, "qr": qr, "svd": svd, "svd_values": svd_values, "eigh": eigh, "det": det,
    "slogdet": slogdet, "solve": solve, "pinv": pinv,
}  # fmt: skip
