"""Sorting, searching, and what depends on values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_SORTABLE = {torch.uint16: torch.int32, torch.uint32: torch.int64}


def _order(x: Tensor, axis: int | None, descending: bool = False) -> tuple[Tensor, Tensor]:
    """Sorted elements and their int32 places, equal elements in the order that they come in."""
    if axis is None:
        x, axis = x.reshape(-1), 0
    values, places = torch.sort(x.to(_SORTABLE.get(x.dtype, x.dtype)), dim=axis, stable=True, descending=descending)
    return values.to(x.dtype), places.to(torch.int32)


def sort(x: Tensor, axis: int | None = -1) -> Tensor:
    return _order(x, axis)[0]


def argsort(x: Tensor, axis: int | None = -1) -> Tensor:
    return _order(x, axis)[1]


def top_k(x: Tensor, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    if not 0 <= k <= x.shape[-1] or x.is_complex():
        raise ValueError(f"{k} elements asked for of {x.shape[-1]}")
    values, places = _order(x, -1, descending=True)
    return values[..., :k], places[..., :k]


def searchsorted(sorted_sequence: Tensor, values: Tensor, side: str = "left") -> Tensor:
    if values.is_complex() or sorted_sequence.dim() != 1 or side not in ("left", "right"):
        raise ValueError(f"a sequence of {sorted_sequence.dim()} dimensions, side {side!r}")
    dtype = _SORTABLE.get(values.dtype, torch.uint8 if values.dtype is torch.bool else values.dtype)
    sequence, wanted = sorted_sequence.to(dtype).contiguous(), values.to(dtype).contiguous()
    if not values.is_floating_point():
        return torch.searchsorted(sequence, wanted, side=side, out_int32=True)
    # PyTorch loses its way where it meets NaN: the sequence is searched with infinities there, and no further.
    missing = torch.isnan(sequence)
    result = torch.searchsorted(sequence.masked_fill(missing, float("inf")), wanted, side=side, out_int32=True)
    numbers = torch.sum(~missing, dtype=torch.int32)
    end = numbers if side == "left" else torch.full_like(numbers, len(sequence))
    return torch.where(torch.isnan(wanted), end, torch.minimum(result, numbers))


def nonzero(x: Tensor) -> tuple[Tensor, ...]:
    return tuple(places.to(torch.int32) for places in torch.nonzero(x, as_tuple=True))


def occurrences(x: Tensor, minlength: int = 0) -> Tensor:
    x = x.to(torch.int64)
    return torch.bincount(x[x >= 0], minlength=minlength).to(torch.int32)


TABLE: dict[str, Any] = {
    "sort": sort,
    "argsort": argsort,
    "top_k": top_k,
    "searchsorted": searchsorted,
    "nonzero": nonzero,
    "occurrences": occurrences,
}
