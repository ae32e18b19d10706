"""Decompositions and solutions of linear systems."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unidl.backend.host import is_vector


def _symmetric(x: Tensor) -> Tensor:
    """The symmetric (Hermitian) matrix with the lower triangle of `x`; only that gets a gradient."""
    if x.shape[-1] != x.shape[-2]:
        raise ValueError("a square matrix is expected")
    lower = x.tril(-1)
    diagonal = x.diagonal(dim1=-2, dim2=-1)
    return lower + lower.mH + torch.diag_embed(diagonal.real if x.is_complex() else diagonal).to(x.dtype)


def cholesky(x: Tensor, upper: bool = False) -> Tensor:
    factor = torch.linalg.cholesky(_symmetric(x) if torch.is_grad_enabled() else x)
    return factor.mH if upper else factor


def qr(x: Tensor, mode: str = "reduced") -> Any:
    if mode == "complete" and x.requires_grad and x.shape[-2] > x.shape[-1]:
        # PyTorch has no derivative for this one; the formula takes no more than the reduced factors'.
        return _by_formula("qr", lambda x: tuple(torch.linalg.qr(x, mode)), x)
    return tuple(torch.linalg.qr(x, mode))


def svd(x: Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    if not compute_uv:
        return torch.linalg.svdvals(x)
    if x.requires_grad and not x.is_complex():
        # PyTorch's derivative is NaN where singular values coincide, and leaves out the columns of the full matrices.
        return _by_formula("svd", lambda x: tuple(torch.linalg.svd(x, full_matrices)), x)
    return tuple(torch.linalg.svd(x, full_matrices))


def _by_formula(name: str, function: Any, x: Tensor) -> Any:
    from unidl.backend import active
    from unidl.ops._adjoints import ADJOINTS

    def with_gradient(detached: Tensor) -> Any:
        outputs = function(detached)

        def gradient(*upstream: Tensor) -> Any:
            # Where the gradient is to be differentiated once more, it must know what the outputs come from.
            known = _by_formula(name, function, x) if torch.is_grad_enabled() else outputs
            return ADJOINTS[name]((x,), known, upstream)

        return outputs, gradient

    return active.custom_gradient(with_gradient)(x)


def eigh(x: Tensor) -> Any:
    if x.requires_grad and not x.is_complex():  # PyTorch's derivative is NaN where eigenvalues coincide
        return _by_formula("eigh", lambda x: tuple(torch.linalg.eigh(x)), x)
    return tuple(torch.linalg.eigh(_symmetric(x) if torch.is_grad_enabled() else x))


def eig(x: Tensor) -> Any:
    return tuple(torch.linalg.eig(x))


def lu_factor(x: Tensor) -> Any:
    lu, pivots, _ = torch.linalg.lu_factor_ex(x)
    return lu, pivots - 1


def det(x: Tensor) -> Tensor:
    if x.requires_grad and not x.is_complex():  # PyTorch's derivative is wrong for singular matrices
        return _by_formula("det", torch.linalg.det, x)
    return torch.linalg.det(x)


def slogdet(x: Tensor) -> Any:
    return tuple(torch.linalg.slogdet(x))


def _columns(a: Tensor, b: Tensor) -> Tensor:
    """The right-hand side as matrices, with as many dimensions as `a`."""
    if not b.dim():
        raise ValueError("no right-hand side")
    b = b.unsqueeze(-1) if is_vector(a, b) else b
    return b.reshape((1,) * (a.dim() - b.dim()) + b.shape)


def solve(a: Tensor, b: Tensor) -> Tensor:
    x = torch.linalg.solve(a, _columns(a, b))
    return x.squeeze(-1) if is_vector(a, b) else x


def solve_triangular(a: Tensor, b: Tensor, lower: bool = False) -> Tensor:
    x = torch.linalg.solve_triangular(a, _columns(a, b), upper=not lower)
    return x.squeeze(-1) if is_vector(a, b) else x


def pinv(x: Tensor, rcond: Any = None) -> Tensor:
    from unidl.ops.solving import cutoff

    return torch.linalg.pinv(x, rtol=cutoff(rcond, x))


TABLE: dict[str, Any] = {
    "cholesky": cholesky,
    "qr": qr,
    "svd": svd,
    "eigh": eigh,
    "eig": eig,
    "lu_factor": lu_factor,
    "det": det,
    "slogdet": slogdet,
    "solve": solve,
    "solve_triangular": solve_triangular,
    "pinv": pinv,
}
