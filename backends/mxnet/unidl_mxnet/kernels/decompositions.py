"""Decompositions and solutions of linear systems: computed on the host by NumPy, differentiated by formulas.

mxnet has operators for some of them, without gradients for singular matrices, for broadcasting, or at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.backend.host import HOST, is_vector
from unidl_mxnet._invoke import ARRAYS
from unidl_mxnet.gradients import with_gradient
from unidl_mxnet.kernels._common import broadcast
from unidl_mxnet.tensors import from_host


def _host(function: Callable[..., Any], *arrays: Any) -> Any:
    """``function(*arrays)`` on the host."""
    with np.errstate(all="ignore"):
        result = function(*(x.asnumpy() for x in arrays))
    return tuple(from_host(r) for r in result) if isinstance(result, tuple) else from_host(np.asarray(result))


def _differentiable(adjoint: str, function: Callable[..., Any], *arrays: Any) -> Any:
    """``function(*arrays)`` on the host, with the gradient that `ADJOINTS` has under `adjoint`."""

    def with_formula(*inputs: Any) -> Any:
        from unidl.ops._adjoints import ADJOINTS

        outputs = _host(function, *inputs)
        return outputs, lambda *upstream: ADJOINTS[adjoint](inputs, outputs, upstream)

    return with_gradient(with_formula, arrays)


def _cholesky(x: Any, upper: bool = False) -> Any:
    factor = _differentiable("cholesky", HOST["cholesky"], x)
    return _swapped(factor) if upper else factor


def _swapped(x: Any) -> Any:
    return ARRAYS._npi_swapaxes(x, dim1=-2, dim2=-1)


def _qr(x: Any, mode: str = "reduced") -> Any:
    return _differentiable("qr", lambda a: HOST["qr"](a, mode), x)


def _svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    if not compute_uv:
        return _differentiable("svd_values", lambda a: HOST["svd"](a, full_matrices, False), x)
    return _differentiable("svd", lambda a: HOST["svd"](a, full_matrices), x)


def _eigh(x: Any) -> Any:
    return _differentiable("eigh", HOST["eigh"], x)


def _eig(x: Any) -> Any:
    return _host(HOST["eig"], x)


def _lu_factor(x: Any) -> Any:
    return _host(HOST["lu_factor"], x)


def _det(x: Any) -> Any:
    return _differentiable("det", HOST["det"], x)


def _slogdet(x: Any) -> Any:
    return _differentiable("slogdet", HOST["slogdet"], x)


def _solve(a: Any, b: Any) -> Any:
    if is_vector(a, b):
        return _last(_solve(*_matched(a, ARRAYS._npi_expand_dims(b, axis=-1))))
    return _differentiable("solve", HOST["solve"], *_matched(a, b))


def _last(x: Any) -> Any:
    return ARRAYS._np_squeeze(x, axis=(-1,))


def _matched(a: Any, b: Any) -> tuple[Any, Any]:
    """Both with the same leading dimensions."""
    lead = broadcast(a.shape[:-2], b.shape[:-2])
    return tuple(
        x if x.shape[:-2] == lead else ARRAYS._npi_broadcast_to(x, shape=(*lead, *x.shape[-2:])) for x in (a, b)
    )  # type: ignore[return-value]


def _solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    # mxnet cuts off the upper triangle only.
    return _solve(ARRAYS._npi_tril(a, k=0) if lower else _swapped(ARRAYS._npi_tril(_swapped(a), k=0)), b)


def _pinv(x: Any, rcond: Any = None) -> Any:
    from unidl.ops.solving import cutoff

    least = cutoff(rcond, x)
    return _differentiable("pinv", lambda a: HOST["pinv"](a, least), x)


#: Ops on arrays only: a graph with one of them is replayed.
EAGER: dict[str, Callable[..., Any]] = {
    "cholesky": _cholesky, "qr": _qr, "svd": _svd, "eigh": _eigh, "eig": _eig, "lu_factor": _lu_factor, "det": _det,
    "slogdet": _slogdet, "solve": _solve, "solve_triangular": _solve_triangular, "pinv": _pinv,
}  # fmt: skip
