"""Writing into places of a tensor."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_REDUCE = {"add": "sum", "max": "amax", "min": "amin", "mul": "prod"}
_DETOURS = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64, torch.bool: torch.uint8}


def scatter_update(inputs: Tensor, indices: Tensor, updates: Tensor, reduction: str | None = None) -> Tensor:
    shape, k = inputs.shape, indices.shape[-1]
    rows = _rows(indices, shape[:k])
    row = math.prod(shape[k:])
    updates = updates.to(inputs.dtype).broadcast_to(indices.shape[:-1] + shape[k:])
    dtype = _DETOURS.get(inputs.dtype, inputs.dtype)
    if inputs.dtype is torch.bool:
        reduction = {"add": "max", "mul": "min"}.get(reduction or "", reduction)
    flat, new = inputs.reshape(-1, row) if row else inputs.reshape(0, 0), updates.reshape(len(rows), row)
    if flat.numel() == 0 or len(rows) == 0:
        return inputs.clone()
    flat, new = flat.to(dtype), new.to(dtype)
    if torch.compiler.is_compiling():
        # Compiled code writes in place, and one value repeated over all places (`full`) would be written many times
        # (pytorch/pytorch#183986).
        flat = flat.contiguous()
    turned = inputs.dtype is torch.uint64 and reduction in ("max", "min")
    if turned:  # with the highest bit turned over, signed numbers have the order of the unsigned ones
        flat, new = flat ^ -(2**63), new ^ -(2**63)
    if reduction is None:
        # The last update of a place wins. All of a place write its value, so that their order does not matter.
        order = torch.arange(len(rows), device=rows.device)
        last = order.new_zeros(len(flat)).scatter_reduce(0, rows, order, "amax").index_select(0, rows)
        new = torch.where((last == order)[:, None], new, new.detach().index_select(0, last))
        result = flat.index_copy(0, rows, new)
    elif reduction == "add":
        result = flat.index_add(0, rows, new)
    else:
        result = flat.scatter_reduce(0, rows[:, None].expand(-1, row), new, _REDUCE[reduction])
    return (result ^ -(2**63) if turned else result).to(inputs.dtype).reshape(shape)


def _rows(indices: Tensor, sizes: Any) -> Tensor:
    """The places `indices` (…, k) as numbers in the flattened first k dimensions."""
    rows = torch.zeros((), dtype=torch.int64, device=indices.device)
    for size, place in zip(sizes, indices.to(torch.int64).unbind(-1), strict=True):
        if not torch.compiler.is_compiling() and ((place < -size) | (place >= size)).any():
            raise IndexError(f"`indices` has places outside a dimension of size {size}")
        rows = rows * size + torch.where(place < 0, place + size, place)
    return rows.reshape(-1)


def gather_nd(x: Tensor, indices: Tensor) -> Tensor:
    return Tensor.__getitem__(x, indices.to(torch.int64).unbind(-1))


TABLE: dict[str, Any] = {"scatter_update": scatter_update, "gather_nd": gather_nd}
