"""Elementwise ops: PyTorch's own, with small bridges where they differ from unidl's meaning."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unidl_torch.dtypes import DTYPES


def _scalar_first(fn: Any) -> Any:
    """Comparisons and the like take a Python number second; turn `number op tensor` round."""

    def call(x1: Any, x2: Any) -> Tensor:
        if not isinstance(x1, Tensor):
            x1 = torch.tensor(x1, dtype=x2.dtype, device=x2.device)
        return fn(x1, x2)

    return call


def maximum(x1: Any, x2: Any) -> Tensor:
    return torch.maximum(*_tensors(x1, x2))


def minimum(x1: Any, x2: Any) -> Tensor:
    return torch.minimum(*_tensors(x1, x2))


def _tensors(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(x1, Tensor):
        x1 = torch.tensor(x1, dtype=x2.dtype, device=x2.device)
    elif not isinstance(x2, Tensor):
        x2 = torch.tensor(x2, dtype=x1.dtype, device=x1.device)
    return x1, x2


def clip(x: Tensor, x_min: Any, x_max: Any) -> Tensor:
    if isinstance(x_min, (int, float)) and isinstance(x_max, (int, float)) and x.dtype.is_floating_point:
        return torch.clamp(x, x_min, x_max)
    from unidl import ops  # bounds that are tensors, or of another kind, meet `x` by unidl's promotion

    return ops.minimum(ops.maximum(x, x_min), x_max)


def round(x: Tensor, decimals: int = 0) -> Tensor:
    if not x.dtype.is_floating_point:
        return x.clone() if decimals >= 0 else torch.round(x.double(), decimals=decimals).to(x.dtype)
    return torch.round(x, decimals=decimals)


def sign(x: Tensor) -> Tensor:
    # torch.sign makes 0 of NaN.
    return torch.where(torch.isnan(x), x, torch.sign(x)) if x.dtype.is_floating_point else torch.sign(x)


def absolute(x: Tensor) -> Tensor:
    return x if x.dtype is torch.bool else torch.abs(x)


def cast(x: Tensor, dtype: str) -> Tensor:
    return x.to(DTYPES[dtype])


def where(condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    return torch.where(condition.bool(), x1, x2)


TABLE: dict[str, Any] = {
    "absolute": absolute,
    "negative": torch.neg,
    "sign": sign,
    "square": torch.square,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "arcsin": torch.arcsin,
    "arccos": torch.arccos,
    "arctan": torch.arctan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": round,
    "isnan": torch.isnan,
    "isinf": torch.isinf,
    "isfinite": torch.isfinite,
    "logical_not": torch.logical_not,
    "cast": cast,
    "copy": torch.clone,
    "stop_gradient": torch.detach,
    "reciprocal": torch.reciprocal,
    "add": torch.add,
    "subtract": torch.subtract,
    "multiply": torch.multiply,
    "divide": torch.true_divide,
    "floor_divide": torch.floor_divide,
    "mod": torch.remainder,
    "power": torch.pow,
    "maximum": maximum,
    "minimum": minimum,
    "arctan2": torch.arctan2,
    "equal": _scalar_first(torch.eq),
    "not_equal": _scalar_first(torch.ne),
    "less": _scalar_first(torch.lt),
    "less_equal": _scalar_first(torch.le),
    "greater": _scalar_first(torch.gt),
    "greater_equal": _scalar_first(torch.ge),
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "where": where,
    "clip": clip,
}
