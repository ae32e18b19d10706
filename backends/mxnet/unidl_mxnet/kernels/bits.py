"""Ops on the bits of integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.errors import OpError
from unidl_mxnet.kernels.elementwise import logical_and, logical_or, logical_xor
from unidl_mxnet.tensors import from_host


def _bitwise(operator: str, of_bools: Callable[..., Any]) -> Callable[..., Any]:
    def kernel(F: Any, x: Any, y: Any) -> Any:
        return of_bools(F, x, y) if F.dtype(x) == "bool" else getattr(F, operator)(x, y)

    return kernel


bitwise_and = _bitwise("_npi_bitwise_and", logical_and)
bitwise_or = _bitwise("_npi_bitwise_or", logical_or)
bitwise_xor = _bitwise("_npi_bitwise_xor", logical_xor)


def _on_host(function: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """NumPy's `function`, for which mxnet has no operator and no composition is exact."""
    return lambda x1, x2: from_host(np.asarray(function(x1.asnumpy(), x2.asnumpy())))


def _no_complex(x: Any) -> Any:
    raise OpError("mxnet has no complex dtypes.")


#: Ops on arrays only: a graph with one of them is replayed.
EAGER: dict[str, Callable[..., Any]] = {
    "gcd": _on_host(np.gcd),
    "nextafter": _on_host(np.nextafter),
    "view_as_complex": _no_complex,
    "view_as_real": _no_complex,
}
