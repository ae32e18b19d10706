"""Decompositions and solutions of linear systems.

Gradients are those of `unidl.ops._adjoints` where TensorFlow's are wrong for singular matrices or equal eigenvalues.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.backend.host import is_vector
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


def _differentiable(name: str, function: Callable[[Tensor], Any], x: Tensor) -> Any:
    """``function(x)`` with the gradient that `ADJOINTS` has under `name`; complex matrices keep TensorFlow's."""
    if x.dtype.is_complex:
        return function(x)

    @tf.custom_gradient
    def call(x: Tensor) -> Any:
        from unidl.ops._adjoints import ADJOINTS

        outputs = function(x)

        def gradient(*upstream: Tensor) -> Tensor:
            # Differentiated once more, it must know what the outputs come from.
            return ADJOINTS[name]((x,), _differentiable(name, function, x), upstream)[0]

        return outputs, gradient

    return call(tf.convert_to_tensor(x))


def cholesky(x: Tensor, upper: bool = False) -> Tensor:
    def lower(x: Tensor) -> Tensor:  # NaN is what TensorFlow makes of matrices that are not positive definite
        return tf.debugging.check_numerics(tf.linalg.cholesky(x), "Matrices that are not positive definite")

    factor = _differentiable("cholesky", lower if x.dtype.is_floating else tf.linalg.cholesky, x)
    return tf.linalg.adjoint(factor) if upper else factor


def qr(x: Tensor, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete"):
        raise ValueError(mode)
    return _differentiable("qr", lambda x: tuple(tf.linalg.qr(x, mode == "complete")), x)


def svd(x: Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    if not compute_uv:
        return _differentiable("svd_values", lambda x: tf.linalg.svd(x, compute_uv=False), x)

    def factors(x: Tensor) -> Any:
        s, u, v = tf.linalg.svd(x, full_matrices)
        return u, s, tf.linalg.adjoint(v)

    return _differentiable("svd", factors, x)


def eigh(x: Tensor) -> Any:
    values, vectors = _differentiable("eigh", lambda x: tuple(tf.linalg.eigh(x)), x)
    return tf.math.real(values), vectors


def eig(x: Tensor) -> Any:
    return tuple(tf.linalg.eig(x))


def lu_factor(x: Tensor) -> Any:
    # tf.linalg.lu refuses singular and rectangular matrices, and gives a permutation in place of the pivots.
    rank, count = x.shape.rank, tf.reduce_min(tf.shape(x)[-2:])
    rows, columns = tf.range(tf.shape(x)[-2]), tf.range(tf.shape(x)[-1])
    zero = tf.zeros((), x.dtype)
    known = (*x.shape[:-2], None if None in x.shape[-2:] else min(x.shape[-2:]))

    def step(i: Tensor, lu: Tensor, pivots: Tensor) -> Any:
        size = tf.abs(lu[..., :, i])
        place = tf.argmax(tf.where(rows >= i, size, -tf.ones_like(size)), -1, tf.int32)[..., None]
        order = tf.where(rows == i, place, tf.where(rows == place, i, rows))
        lu = tf.gather(lu, order, axis=rank - 2, batch_dims=rank - 2)
        pivot = lu[..., i : i + 1, i]
        below = tf.where(rows > i, lu[..., :, i] / tf.where(pivot == zero, tf.ones_like(pivot), pivot), zero)
        right = tf.where(columns > i, lu[..., i, :], zero)
        lu = lu - below[..., :, None] * right[..., None, :]
        lu = tf.where((rows[:, None] > i) & (columns == i), below[..., :, None], lu)
        pivots = tf.where(tf.range(count) == i, place, pivots)
        return i + 1, tf.ensure_shape(lu, x.shape), tf.ensure_shape(pivots, known)

    pivots = tf.ensure_shape(tf.zeros(tf.concat([tf.shape(x)[:-2], [count]], 0), tf.int32), known)
    return tuple(tf.while_loop(lambda i, *_: i < count, step, (0, x, pivots))[1:])


def det(x: Tensor) -> Tensor:
    return _differentiable("det", tf.linalg.det, x)


def slogdet(x: Tensor) -> Any:
    def both(x: Tensor) -> Any:
        sign, logarithm = tf.linalg.slogdet(x)
        return sign, tf.math.real(logarithm)

    return _differentiable("slogdet", both, x)


def _solver(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def solve(a: Tensor, b: Tensor, **options: Any) -> Tensor:
        vector = is_vector(a, b)
        if vector:
            b = tf.expand_dims(b, -1)
        lead = tf.broadcast_dynamic_shape(tf.shape(a)[:-2], tf.shape(b)[:-2])
        known = tf.broadcast_static_shape(a.shape[:-2], b.shape[:-2])
        if a.shape[:-2] != known or not known.is_fully_defined():
            a = tf.broadcast_to(a, tf.concat([lead, tf.shape(a)[-2:]], 0))
        if b.shape[:-2] != known or not known.is_fully_defined():
            b = tf.broadcast_to(b, tf.concat([lead, tf.shape(b)[-2:]], 0))
        x = function(a, b, **options)
        return tf.squeeze(x, -1) if vector else x

    return solve


_solve, _solve_triangular = _solver(tf.linalg.solve), _solver(tf.linalg.triangular_solve)


def solve(a: Tensor, b: Tensor) -> Tensor:
    return _solve(a, b)


def solve_triangular(a: Tensor, b: Tensor, lower: bool = False) -> Tensor:
    return _solve_triangular(a, b, lower=lower)


def pinv(x: Tensor, rcond: Any = None) -> Tensor:
    from unidl.ops.solving import cutoff

    return _differentiable("pinv", lambda x: tf.linalg.pinv(x, cutoff(rcond, x)), x)


TABLE: dict[str, Any] = {
    f.__name__: f for f in (cholesky, qr, svd, eigh, eig, lu_factor, det, slogdet, solve, solve_triangular, pinv)
}
