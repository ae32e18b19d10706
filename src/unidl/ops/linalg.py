"""Linear algebra under Keras's names: `ops.linalg`."""

from __future__ import annotations

from unidl.gradients import jvp
from unidl.ops.decompositions import cholesky, cholesky_inverse, det, eig, eigh, lu_factor, qr, svd
from unidl.ops.solving import inv, lstsq, matrix_rank, norm, pinv, solve, solve_triangular

__all__ = [
    "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "lstsq", "lu_factor", "matrix_rank", "norm",
    "pinv", "qr", "solve", "solve_triangular", "svd",
]  # fmt: skip
