"""Reductions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unidl_torch.dtypes import DTYPES, SUM_DTYPES


def _axes(x: Tensor, axis: Any) -> tuple[int, ...]:
    """Reduction axes (None: all) as numbers that count from 0."""
    rank = x.dim()
    axes = range(rank) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    if any(not -rank <= a < rank for a in axes):
        raise IndexError(f"axis {axis} is out of range for {rank} dimensions")
    return tuple(a % rank for a in axes)


def sum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    dtype = SUM_DTYPES.get(x.dtype)
    if axis == () or not x.dim():
        _axes(x, axis)
        return x.to(dtype) if dtype else x.clone()
    if dtype in (torch.uint32, torch.uint64):  # no kernel for unsigned sums
        return torch.sum(x.to(torch.int64), axis, keepdims).to(dtype)
    return torch.sum(x, axis, keepdims, dtype=dtype)


def prod(x: Tensor, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Tensor:
    out = DTYPES[dtype] if dtype else SUM_DTYPES.get(x.dtype, x.dtype)
    if x.dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        x = x.to(torch.int64)
    else:
        x = x.to(torch.float32 if out in (torch.float16, torch.bfloat16) else out)
    for a in sorted(_axes(x, axis), reverse=True):
        x = torch.prod(x, a, keepdims)
    return x.to(out)


def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    if axis == () or not x.dim():
        _axes(x, axis)
        return x.clone()
    return torch.mean(x, axis, keepdims)


def var(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    axes = _axes(x, axis)
    if not axes:
        return torch.square(torch.abs(x - x))
    return torch.var(x, axes, correction=0, keepdim=keepdims)


def _extreme(reduce: Any, limit: Any) -> Any:
    def call(x: Tensor, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
        axes = _axes(x, axis)
        if x.is_complex():
            raise TypeError(f"{x.dtype} has no order")
        dtype = x.dtype
        if dtype in _ORDERED:
            x = x.to(_ORDERED[dtype])
        if initial is not None and x.numel() == 0:
            shape = torch.sum(x, axes, keepdims).shape if axes else x.shape
            return torch.full(shape, initial, dtype=dtype, device=x.device)
        out = (reduce(x, axes, keepdims) if axes else x.clone()).to(dtype)
        return out if initial is None else limit(out, torch.tensor(initial, dtype=dtype, device=x.device))

    return call


#: What stands in for dtypes whose elements PyTorch cannot compare.
_ORDERED = {torch.uint16: torch.int32, torch.uint32: torch.int64}


def _logical(reduce: Any) -> Any:
    def call(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        axes = _axes(x, axis)
        x = x.bool()
        for a in sorted(axes, reverse=True):
            x = reduce(x, a, keepdims)
        return x

    return call


def _argument(reduce: Any) -> Any:
    def call(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
        if axis is not None and not x.dim():
            raise IndexError("no dimensions")
        if x.dtype is torch.bool:
            x = x.to(torch.uint8)
        if axis is None and keepdims:
            return reduce(x.reshape(-1), 0).to(torch.int32).reshape((1,) * x.dim())
        return reduce(x, axis, keepdims).to(torch.int32)

    return call


def _running(run: Any) -> Any:
    def call(x: Tensor, axis: int | None = None, dtype: str | None = None) -> Tensor:
        if axis is None:
            x, axis = x.reshape(-1), 0
        elif not x.dim():
            raise IndexError("no dimensions")
        out = DTYPES[dtype] if dtype else torch.int32 if x.dtype is torch.bool else x.dtype
        return run(x, axis, dtype=out)

    return call


def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    axes = _axes(x, axis)
    if x.is_complex():
        raise TypeError(f"{x.dtype} has no order")
    return torch.logsumexp(x, axes, keepdims) if axes else x.clone()  # no axes are all axes for PyTorch


TABLE: dict[str, Any] = {
    "sum": sum,
    "prod": prod,
    "mean": mean,
    "var": var,
    "max": _extreme(torch.amax, torch.maximum),
    "min": _extreme(torch.amin, torch.minimum),
    "any": _logical(torch.any),
    "all": _logical(torch.all),
    "argmax": _argument(torch.argmax),
    "argmin": _argument(torch.argmin),
    "cumsum": _running(torch.cumsum),
    "cumprod": _running(torch.cumprod),
    "logsumexp": logsumexp,
}
