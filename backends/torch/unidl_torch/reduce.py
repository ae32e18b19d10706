"""Reductions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unidl_torch.dtypes import DTYPES, SUM_DTYPES


def _axes(x: Tensor, axis: Any) -> Any:
    return tuple(range(x.dim())) if axis is None else axis


def sum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    dtype = SUM_DTYPES.get(x.dtype)
    if dtype in (torch.uint32, torch.uint64):  # no kernel for unsigned sums
        return torch.sum(x.to(torch.int64), _axes(x, axis), keepdims).to(dtype)
    if axis == ():
        return x.to(dtype) if dtype else x.clone()
    return torch.sum(x, axis, keepdims, dtype=dtype)


def prod(x: Tensor, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Tensor:
    out = DTYPES[dtype] if dtype else SUM_DTYPES.get(x.dtype, x.dtype)
    if x.dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        x = x.to(torch.int64)
    elif dtype:
        x = x.to(out)
    axes = range(x.dim()) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    for a in sorted((a % x.dim() for a in axes), reverse=True):
        x = torch.prod(x, a, keepdims)
    return x.to(out)


def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return x.clone() if axis == () else torch.mean(x, axis, keepdims)


def _extreme(reduce: Any, limit: Any) -> Any:
    def call(x: Tensor, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
        if axis == ():
            out = x
        elif initial is not None and x.numel() == 0:
            shape = torch.sum(x, _axes(x, axis), keepdims).shape
            return torch.full(shape, initial, dtype=x.dtype, device=x.device)
        else:
            out = reduce(x, _axes(x, axis), keepdims) if x.dim() else x.clone()
        return out if initial is None else limit(out, torch.tensor(initial, dtype=x.dtype, device=x.device))

    return call


def _logical(reduce: Any) -> Any:
    def call(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        x = x.bool()
        axes = range(x.dim()) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
        for a in sorted((a % x.dim() for a in axes), reverse=True):
            x = reduce(x, a, keepdims)
        return x

    return call


def _argument(reduce: Any) -> Any:
    def call(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
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
        out = DTYPES[dtype] if dtype else torch.int32 if x.dtype is torch.bool else x.dtype
        return run(x, axis, dtype=out)

    return call


def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    # PyTorch takes no axes for all axes.
    return x.clone() if not x.dim() or axis == () else torch.logsumexp(x, _axes(x, axis), keepdims)


TABLE: dict[str, Any] = {
    "sum": sum,
    "prod": prod,
    "mean": mean,
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
