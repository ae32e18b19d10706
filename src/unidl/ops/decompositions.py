"""Factors and determinants of matrices: the last two dimensions, for all others at once.

float16 and bfloat16 are computed in float32.
"""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._declare import Tensor, TensorSpec, composite, need_rank, primitive, require, same_dim
from unidl.ops._precision import wide

_REAL = {"complex64": "float32", "complex128": "float64"}


def matrices(x: Any, what: str = "x") -> tuple[Any, Any, Any]:
    """Leading dimensions, rows and columns of matrices."""
    need_rank(x, what, 2)
    return tuple(x.shape[:-2]), x.shape[-2], x.shape[-1]


def square(x: Any, what: str = "x") -> tuple[Any, Any]:
    """Leading dimensions and size of square matrices."""
    lead, m, n = matrices(x, what)
    return lead, same_dim(m, n, f"`{what}` must be square, shape {list(x.shape)}")


def _least(m: int | None, n: int | None) -> int | None:
    if m is None or n is None:
        return 1 if 1 in (m, n) else 0 if 0 in (m, n) else None
    return min(m, n)


@primitive(floating=True)
def cholesky(x: Tensor, upper: bool = False) -> Tensor:
    """The lower triangular L with ``L @ L.T == x`` for symmetric positive definite `x` (..., m, m).

    Only the lower triangle of `x` is read; the gradient by the rest is 0.

    Args:
        upper: return ``L.T`` instead (complex: conjugated).

    Raises:
        Exception: the engine's own, if `x` is not positive definite.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cholesky([[4.0, 2.0], [2.0, 10.0]])))
        [[2. 0.]
         [1. 3.]]
    """
    lead, n = square(x)
    return TensorSpec((*lead, n, n), x.dtype)


@composite(floating=True)
def cholesky_inverse(x: Tensor, upper: bool = False) -> Tensor:
    """The inverse of ``x @ x.T``, of which `x` is the lower triangular factor that `cholesky` gives.

    Args:
        upper: `x` is an upper triangular factor of ``x.T @ x``.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cholesky_inverse([[2.0, 0.0], [0.0, 4.0]])))
        [[0.25   0.    ]
         [0.     0.0625]]
    """
    from unidl.ops._bind import dtype_of

    square(x)
    dtype = dtype_of(x)
    factor = wide(x)
    unit = ops.broadcast_to(ops.eye(ops.shape(x)[-1], dtype=dtype_of(factor)), ops.shape(x))
    inverse = ops.solve_triangular(factor, unit, not upper)
    other = ops.swapaxes(inverse, -2, -1)
    if dtype in _REAL:
        other = ops.conjugate(other)
    return ops.cast(ops.matmul(inverse, other) if upper else ops.matmul(other, inverse), dtype)


@primitive(floating=True)
def qr(x: Tensor, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Q with orthonormal columns and upper triangular R such that ``Q @ R == x`` (..., m, n).

    Unique only up to the signs of Q's columns, which are the engine's.

    Args:
        mode: "reduced": Q (..., m, k) and R (..., k, n) with ``k = min(m, n)``; "complete": ``k = m``.

    Example:
        >>> from unidl import ops
        >>> q, r = ops.qr([[3.0, 1.0], [4.0, 2.0]])
        >>> print(ops.convert_to_numpy(ops.round(ops.abs(r), 1)))
        [[5.  2.2]
         [0.  0.4]]
    """
    require(mode in ("reduced", "complete"), f"`mode` must be 'reduced' or 'complete', not {mode!r}.")
    lead, m, n = matrices(x)
    k = m if mode == "complete" else _least(m, n)
    return TensorSpec((*lead, m, k), x.dtype), TensorSpec((*lead, k, n), x.dtype)


@primitive(floating=True)
def svd(x: Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values and vectors: ``x == U @ diag(S) @ Vh``, S falling; vectors only up to signs (phases).

    Args:
        full_matrices: U (..., m, m) and Vh (..., n, n); otherwise (..., m, k) and (..., k, n), ``k = min(m, n)``.
        compute_uv: whether U and Vh are wanted.

    Returns:
        ``(U, S, Vh)``, or only S (..., k). The gradient is that of what does not depend on the choice of vectors.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False)))
        [4. 3.]
    """
    lead, m, n = matrices(x)
    k = _least(m, n)
    values = TensorSpec((*lead, k), _REAL.get(x.dtype, x.dtype))
    if not compute_uv:
        return values
    a, b = (m, n) if full_matrices else (k, k)
    return TensorSpec((*lead, m, a), x.dtype), values, TensorSpec((*lead, b, n), x.dtype)


@primitive(floating=True)
def eigh(x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (..., m), rising, and eigenvectors (..., m, m), as columns, of symmetric (Hermitian) `x`.

    Only the lower triangle of `x` is read; the gradient by the rest is 0. Vectors are unique only up to signs.

    Example:
        >>> from unidl import ops
        >>> values, vectors = ops.eigh([[2.0, 0.0], [0.0, 1.0]])
        >>> print(ops.convert_to_numpy(values), ops.convert_to_numpy(ops.abs(vectors)))
        [1. 2.] [[0. 1.]
         [1. 0.]]
    """
    lead, n = square(x)
    return TensorSpec((*lead, n), _REAL.get(x.dtype, x.dtype)), TensorSpec((*lead, n, n), x.dtype)


@primitive(floating=True)
def eig(x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (..., m), in no particular order, and eigenvectors (..., m, m), as columns; always complex.

    mxnet has no complex numbers, and so not this op.

    Example:
        >>> from unidl import ops
        >>> values, vectors = ops.eig([[2.0, 0.0], [0.0, 2.0]])  # doctest: +SKIP
        >>> print(ops.convert_to_numpy(values))  # doctest: +SKIP
        [2.+0.j 2.+0.j]
    """
    lead, n = square(x)
    dtype = x.dtype if x.dtype in _REAL else "complex128" if x.dtype == "float64" else "complex64"
    return TensorSpec((*lead, n), dtype), TensorSpec((*lead, n, n), dtype)


@primitive(floating=True)
def lu_factor(x: Tensor) -> tuple[Tensor, Tensor]:
    """``P @ L @ U == x`` (..., m, n) by elimination with partial pivoting.

    Returns:
        L below the diagonal and U on and above it in one matrix (L has ones on its diagonal), and the pivots
        (..., min(m, n)), int32: step i exchanged rows i and ``pivots[i]``.

    Example:
        >>> from unidl import ops
        >>> lu, pivots = ops.lu_factor([[1.0, 2.0], [2.0, 8.0]])
        >>> print(ops.convert_to_numpy(lu), ops.convert_to_numpy(pivots))
        [[ 2.   8. ]
         [ 0.5 -2. ]] [1 1]
    """
    lead, m, n = matrices(x)
    return TensorSpec(tuple(x.shape), x.dtype), TensorSpec((*lead, _least(m, n)), "int32")


@primitive(floating=True)
def det(x: Tensor) -> Tensor:
    """Determinants of square matrices (..., m, m). The gradient is right for singular matrices too.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.det([[2.0, 1.0], [0.0, 4.0]])))
        8.0
    """
    lead, _ = square(x)
    return TensorSpec(lead, x.dtype)


@primitive(floating=True)
def slogdet(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sign of the determinant (0 if singular; complex: a phase), and the logarithm of its absolute value.

    Example:
        >>> from unidl import ops
        >>> sign, logarithm = ops.slogdet([[-1.0, 0.0], [0.0, 1.0]])
        >>> float(sign), float(logarithm)
        (-1.0, 0.0)
    """
    lead, _ = square(x)
    return TensorSpec(lead, x.dtype), TensorSpec(lead, _REAL.get(x.dtype, x.dtype))


@composite(floating=True)
def logdet(x: Tensor) -> Tensor:
    """Logarithm of the determinant, -inf for 0 and NaN for a negative one.

    Example:
        >>> from unidl import ops
        >>> float(ops.logdet([[1.0, 0.0], [0.0, 1.0]]))
        0.0
    """
    sign, logarithm = ops.slogdet(x)
    return ops.where(ops.less(sign, 0), float("nan"), logarithm)


__all__ = [
    "cholesky", "cholesky_inverse", "qr", "svd", "eigh", "eig", "lu_factor", "det", "slogdet", "logdet",
]  # fmt: skip
