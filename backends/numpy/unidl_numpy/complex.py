"""Complex numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl_numpy.kernel import kernels


def view_as_complex(x: np.ndarray) -> Any:
    return np.ascontiguousarray(x).view("complex64" if x.dtype == "float32" else "complex128")[..., 0]


def view_as_real(x: np.ndarray) -> Any:
    return np.stack([x.real, x.imag], -1)


TABLE: dict[str, Any] = kernels(
    {
        "view_as_complex": view_as_complex,
        "view_as_real": view_as_real,
        "real": lambda x: np.array(x.real),
        "imag": lambda x: np.array(x.imag) if x.dtype.kind == "c" else np.zeros_like(x),
        "conjugate": lambda x: np.conjugate(x) if x.dtype.kind == "c" else x.copy(),
    }
)
