"""Complex numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def view_as_complex(x: Tensor) -> Tensor:
    return torch.complex(x[..., 0], x[..., 1])


def real(x: Tensor) -> Tensor:
    return x.real if x.dtype.is_complex else x.clone()


def imag(x: Tensor) -> Tensor:
    return x.imag if x.dtype.is_complex else torch.zeros_like(x)


def conjugate(x: Tensor) -> Tensor:
    return torch.conj_physical(x)


TABLE: dict[str, Any] = {
    "view_as_complex": view_as_complex,
    "view_as_real": lambda x: torch.view_as_real(x.resolve_conj()),
    "real": real,
    "imag": imag,
    "conjugate": conjugate,
}
