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


def _extreme(plain: Any, limit: str, at_least: Any) -> Any:
    """`plain` (torch.maximum or minimum), but of equal elements the first one gets the whole gradient."""

    def call(x1: Any, x2: Any) -> Tensor:
        if type(x2) in (int, float):
            return torch.clamp(x1, **{limit: x2})
        x1, x2 = _tensors(x1, x2)
        if x1.requires_grad or x2.requires_grad:
            return torch.where(at_least(x1, x2) | torch.isnan(x1), x1, x2)
        return plain(x1, x2)

    return call


maximum = _extreme(torch.maximum, "min", torch.ge)
minimum = _extreme(torch.minimum, "max", torch.le)


def _tensors(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(x1, Tensor):
        x1 = torch.tensor(x1, dtype=x2.dtype, device=x2.device)
    elif not isinstance(x2, Tensor):
        x2 = torch.tensor(x2, dtype=x1.dtype, device=x1.device)
    return x1, x2


def _divided(fn: Any) -> Any:
    """A division of integers gives 0 where the divisor is 0, where PyTorch's raises an error."""

    def call(x1: Any, x2: Any) -> Tensor:
        dtype = (x1 if isinstance(x1, Tensor) else x2).dtype
        if dtype.is_floating_point:
            return fn(x1, x2)
        if dtype is torch.bool:
            raise TypeError("bools are no numbers")
        x1, x2 = _tensors(x1, x2)
        zero = x2 == 0
        # Dividing by -1 by negation: the machine traps at the smallest number.
        inverse = x2 == (-1 if dtype.is_signed else 0)
        result = fn(x1, torch.where(zero | inverse, 1, x2))
        if fn is torch.floor_divide:
            result = torch.where(inverse, -result, result)
        return torch.where(zero, 0, result)

    return call


def floor_divide(x1: Any, x2: Any) -> Tensor:
    return _floor_divide(x1, x2).detach()


_floor_divide = _divided(torch.floor_divide)


def power(x1: Any, x2: Any) -> Tensor:
    if isinstance(x2, int) and x2 < 0 and not x1.dtype.is_floating_point:
        x2 = torch.tensor(x2, dtype=x1.dtype, device=x1.device)  # PyTorch takes negative powers in tensors only
    if (x1 if isinstance(x1, Tensor) else x2).dtype is torch.bool:
        raise TypeError("bools are no numbers")
    return torch.pow(x1, x2)


def nextafter(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.dtype is not torch.float16:
        return torch.nextafter(x1.detach(), x2.detach())
    # There is no kernel; the bits of floats of one sign are ordered as integers are.
    x1, x2 = torch.broadcast_tensors(x1.detach(), x2.detach())
    bits = x1.contiguous().view(torch.int16)
    away = (x2 > x1) == (x1 > 0)
    near = torch.where(x1 == 0, torch.where(x2 > 0, 1, -32767).to(torch.int16), bits + torch.where(away, 1, -1))
    near = torch.where(x1 == x2, x2, near.to(torch.int16).view(torch.float16))
    return torch.where(torch.isnan(x1) | torch.isnan(x2), float("nan"), near)


def clip(x: Tensor, x_min: Any, x_max: Any) -> Tensor:
    numbers = all(b is None or isinstance(b, (int, float)) for b in (x_min, x_max))
    if numbers and x.dtype.is_floating_point and not (x_min is x_max is None):
        return torch.clamp(x, x_min, x_max)
    from unidl import ops  # other bounds meet `x` by unidl's promotion

    return ops.clip.op.rule(x, x_min, x_max)


def round(x: Tensor, decimals: int = 0) -> Tensor:
    if x.dtype.is_complex:
        raise TypeError("complex numbers are not rounded")
    if not x.dtype.is_floating_point:
        return x.clone() if decimals >= 0 else torch.round(x.double(), decimals=decimals).to(x.dtype)
    return torch.round(x, decimals=decimals)


def sign(x: Tensor) -> Tensor:
    # torch.sign makes 0 of NaN.
    return torch.where(torch.isnan(x), x, torch.sign(x)) if x.dtype.is_floating_point else torch.sign(x)


def absolute(x: Tensor) -> Tensor:
    return x if x.dtype is torch.bool else torch.abs(x)


def square(x: Tensor) -> Tensor:
    return x.clone() if x.dtype is torch.bool else torch.square(x)


def i0(x: Tensor) -> Tensor:
    if x.is_complex():
        raise TypeError("complex numbers are not taken")
    # PyTorch makes NaN of infinities, and in float32 infinities of what is still in range.
    return torch.where(torch.isinf(x), float("inf"), torch.i0(x.double()).to(x.dtype))


def cast(x: Tensor, dtype: str) -> Tensor:
    if x.dtype.is_complex and dtype != "bool" and not DTYPES[dtype].is_complex:
        x = x.real
    return x.to(DTYPES[dtype])


def where(condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    return torch.where(condition.bool(), x1, x2)


TABLE: dict[str, Any] = {
    "absolute": absolute,
    "negative": torch.neg,
    "sign": sign,
    "square": square,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "exp2": torch.exp2,
    "log2": torch.log2,
    "log10": torch.log10,
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
    "arcsinh": torch.arcsinh,
    "arccosh": torch.arccosh,
    "arctanh": torch.arctanh,
    "sinc": torch.sinc,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "erfinv": torch.erfinv,
    "i0": i0,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "trunc": torch.trunc,
    "signbit": torch.signbit,
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
    "floor_divide": floor_divide,
    "mod": _divided(torch.remainder),
    "fmod": _divided(torch.fmod),
    "gcd": torch.gcd,
    "lcm": torch.lcm,
    "nextafter": nextafter,
    "power": power,
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
