"""Elementwise functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from unidl_numpy.dtypes import DTYPES
from unidl_numpy.kernel import kernels

_erf = np.frompyfunc(math.erf, 1, 1)
_erfc = np.frompyfunc(math.erfc, 1, 1)
_quantile = NormalDist().inv_cdf


def rsqrt(x: np.ndarray) -> Any:
    return np.reciprocal(np.sqrt(x))


def erf(x: np.ndarray) -> Any:
    _no_complex(x)
    return np.asarray(_erf(x.astype("float64"))).astype(x.dtype)


def erfc(x: np.ndarray) -> Any:
    _no_complex(x)
    return np.asarray(_erfc(x.astype("float64"))).astype(x.dtype)


def _erfinv_of(x: float) -> float:
    size = abs(x)
    if not size < 1:  # NaN too
        return math.copysign(math.inf, x) if size == 1 else math.nan
    if size < 0.5:
        y = size * math.sqrt(math.pi) / 2
    else:
        y = -_quantile((1 - size) / 2) / math.sqrt(2)
    for _ in range(4):  # Newton's method, with the smaller one of the function and its complement
        error = math.erf(y) - size if size < 0.5 else (1 - size) - math.erfc(y)
        y -= error * math.exp(y * y) * math.sqrt(math.pi) / 2
    return math.copysign(y, x)


_erfinv = np.frompyfunc(_erfinv_of, 1, 1)


def erfinv(x: np.ndarray) -> Any:
    _no_complex(x)
    return np.asarray(_erfinv(x.astype("float64"))).astype(x.dtype)


def i0(x: np.ndarray) -> Any:
    _no_complex(x)
    wide = x.astype("float64")
    return np.where(np.isinf(wide), np.inf, np.i0(wide)).astype(x.dtype)  # NumPy makes NaN of infinities


def power(x1: np.ndarray, x2: np.ndarray) -> Any:
    if x1.dtype.kind != "i":
        return np.power(x1, x2)
    # NumPy refuses negative powers of integers.
    result = np.power(x1, np.maximum(x2, 0))
    parts = np.where(x1 == 1, 1, np.where(x1 == -1, np.where(x2 % 2 == 0, 1, -1), 0))
    return np.where(x2 < 0, parts, result).astype(x1.dtype)


def ldexp(x1: np.ndarray, x2: np.ndarray) -> Any:
    _no_complex(x1)
    wide = "float64" if x1.dtype == "float64" else "float32"
    return np.ldexp(x1.astype(wide), np.clip(x2, *_exponents(x2.dtype)).astype("int32")).astype(x1.dtype)


def _exponents(dtype: Any) -> tuple[int, int]:
    """Limits of exponents in range of `dtype`, beyond which a float of any size overflows or vanishes."""
    info = np.iinfo(dtype)
    return max(int(info.min), -4096), min(int(info.max), 4096)


def sign(x: np.ndarray) -> Any:
    _no_complex(x)
    return x if x.dtype == bool else np.sign(x)


def trunc(x: np.ndarray) -> Any:
    return x if x.dtype.kind in "biu" else np.trunc(x)


def round(x: np.ndarray, decimals: int = 0) -> Any:
    if x.dtype.kind in "biu":
        return x if decimals >= 0 else np.round(x, decimals)
    _no_complex(x)
    if decimals == 0:
        return np.rint(x)
    scale = 10.0 ** abs(decimals)
    wide = x.astype("float64")
    result = np.rint(wide * scale) / scale if decimals > 0 else np.rint(wide / scale) * scale
    return np.where(np.isfinite(result), result, wide).astype(x.dtype)


def cast(x: np.ndarray, dtype: str) -> Any:
    return x.astype(DTYPES[dtype], copy=False)


def where(condition: np.ndarray, x1: np.ndarray, x2: np.ndarray) -> Any:
    return np.where(condition.astype(bool), x1, x2)


def relu(x: np.ndarray) -> Any:
    _no_complex(x)
    return np.maximum(x, np.zeros((), x.dtype))


def sigmoid(x: np.ndarray) -> Any:
    one = np.ones((), x.dtype)
    if x.dtype.kind == "c":
        return one / (one + np.exp(-x))
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x < 0, small, one) / (one + small)


def _no_complex(*xs: np.ndarray) -> None:
    """NumPy orders complex numbers; unidl does not."""
    if any(x.dtype.kind == "c" for x in xs):
        raise TypeError("complex numbers have no order")


def _no_bools(*xs: np.ndarray) -> None:
    """NumPy computes with bools as 8-bit integers; unidl does not."""
    if any(x.dtype == bool for x in xs):
        raise TypeError("bools are no numbers")


def _anything(*xs: np.ndarray) -> None:
    pass


def _pair(function: Callable[..., Any], check: Callable[..., None] = _anything) -> Callable[..., Any]:
    """A function of two arrays, or of an array and a Python number, which takes the array's dtype."""

    def call(x1: Any, x2: Any) -> Any:
        if not isinstance(x1, np.ndarray):
            x1 = np.asarray(x1, x2.dtype)
        elif not isinstance(x2, np.ndarray):
            x2 = np.asarray(x2, x1.dtype)
        check(x1, x2)
        return function(x1, x2)

    return call


_UNARY: dict[str, Callable[..., Any]] = {
    "absolute": np.absolute, "negative": np.negative, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log,
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sqrt": np.sqrt, "cbrt": np.cbrt, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "arcsin": np.arcsin, "arccos": np.arccos, "arctan": np.arctan, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "arcsinh": np.arcsinh, "arccosh": np.arccosh, "arctanh": np.arctanh,
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite, "logical_not": np.logical_not,
    "signbit": np.signbit,
}  # fmt: skip
_BINARY: dict[str, Callable[..., Any]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.true_divide,
    "arctan2": np.arctan2, "hypot": np.hypot, "heaviside": np.heaviside, "logaddexp": np.logaddexp,
    "logaddexp2": np.logaddexp2, "nextafter": np.nextafter, "gcd": np.gcd, "lcm": np.lcm, "equal": np.equal,
    "not_equal": np.not_equal, "logical_and": np.logical_and, "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}  # fmt: skip
_OF_NUMBERS: dict[str, Callable[..., Any]] = {
    "floor_divide": np.floor_divide, "mod": np.mod, "fmod": np.fmod, "power": power,
}  # fmt: skip
_ORDERED: dict[str, Callable[..., Any]] = {
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin, "less": np.less,
    "less_equal": np.less_equal, "greater": np.greater, "greater_equal": np.greater_equal,
}  # fmt: skip

TABLE = kernels(
    {
        **_UNARY,
        **{name: _pair(function) for name, function in _BINARY.items()},
        **{name: _pair(function, _no_bools) for name, function in _OF_NUMBERS.items()},
        **{name: _pair(function, _no_complex) for name, function in _ORDERED.items()},
        "rsqrt": rsqrt,
        "erf": erf,
        "erfc": erfc,
        "erfinv": erfinv,
        "i0": i0,
        "ldexp": ldexp,
        "trunc": trunc,
        "sign": sign,
        "floor": np.floor,
        "ceil": np.ceil,
        "round": round,
        "cast": cast,
        "copy": lambda x: np.array(x, order="C"),
        "stop_gradient": lambda variable: variable,
        "where": where,
        "relu": relu,
        "sigmoid": sigmoid,
    }
)
