"""Linear algebra on the host, by NumPy: what the NumPy backend is made of, and engines that lack these ops.

Each function takes arrays of float32, float64 or complex dtypes, with any leading dimensions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray


def _adjoint(x: Array) -> Array:
    return np.conj(np.swapaxes(x, -2, -1))


def cholesky(x: Array, upper: bool = False) -> Array:
    factor = np.linalg.cholesky(x)
    return _adjoint(factor) if upper else factor


def qr(x: Array, mode: str = "reduced") -> tuple[Array, Array]:
    return tuple(np.linalg.qr(x, mode))  # type: ignore[call-overload, return-value]


def svd(x: Array, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    return tuple(np.linalg.svd(x, full_matrices)) if compute_uv else np.linalg.svd(x, compute_uv=False)


def eigh(x: Array) -> tuple[Array, Array]:
    return tuple(np.linalg.eigh(x))  # type: ignore[return-value]


def eig(x: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eig(x)
    kind = "complex128" if x.dtype in ("float64", "complex128") else "complex64"
    return values.astype(kind), vectors.astype(kind)


def lu_factor(x: Array) -> tuple[Array, Array]:
    lu, count = x.copy(), min(x.shape[-2:])
    pivots = np.zeros((*x.shape[:-2], count), "int32")
    for i in range(count):
        pivots[..., i] = place = i + np.argmax(np.abs(lu[..., i:, i]), -1)
        at = place[..., None, None]
        top, other = lu[..., i : i + 1, :].copy(), np.take_along_axis(lu, at, -2)
        np.put_along_axis(lu, at, top, -2)
        lu[..., i : i + 1, :] = other
        pivot = lu[..., i : i + 1, i : i + 1]
        lu[..., i + 1 :, i : i + 1] /= np.where(pivot == 0, 1, pivot)  # a column of zeros stays one
        lu[..., i + 1 :, i + 1 :] -= lu[..., i + 1 :, i : i + 1] * lu[..., i : i + 1, i + 1 :]
    return lu, pivots


def det(x: Array) -> Array:
    return np.asarray(np.linalg.det(x))


def slogdet(x: Array) -> tuple[Array, Array]:
    sign, logarithm = np.linalg.slogdet(x)
    return np.asarray(sign), np.asarray(logarithm)


def is_vector(a: Any, b: Any) -> bool:
    """Whether the right-hand side `b` holds vectors: it has one dimension less than `a`, or only one."""
    return len(b.shape) == len(a.shape) - 1 or len(b.shape) == 1


def solve(a: Array, b: Array) -> Array:
    if is_vector(a, b):
        return _solve(a, b[..., None])[..., 0]
    return _solve(a, b)


def _solve(a: Array, b: Array) -> Array:
    # NumPy 1 takes matrices with one dimension less than `a` for vectors.
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return np.linalg.solve(a, np.broadcast_to(b, (*lead, *b.shape[-2:])))


def solve_triangular(a: Array, b: Array, lower: bool = False) -> Array:
    return solve(np.tril(a) if lower else np.triu(a), b)


def pinv(x: Array, rcond: float) -> Array:
    if 0 in x.shape[-2:]:
        return np.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    return np.linalg.pinv(x, rcond)


def _wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` that refuses 16-bit floats: they are computed in float32 (see `Backend.detours`)."""

    @functools.wraps(function)
    def call(x: Array, *values: Any, **named: Any) -> Any:
        if x.dtype.itemsize < 4:
            raise TypeError(f"no linear algebra in {x.dtype}")
        return function(x, *values, **named)

    return call


#: The functions by the names of the ops; `pinv` needs its `rcond`.
HOST: dict[str, Callable[..., Any]] = {
    f.__name__: _wide(f)
    for f in (cholesky, qr, svd, eigh, eig, lu_factor, det, slogdet, solve, solve_triangular, pinv)
}  # fmt: skip
