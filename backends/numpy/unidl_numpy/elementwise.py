"""Elementwise functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from unidl_numpy.dtypes import DTYPES
from unidl_numpy.kernel import kernels

_erf = np.frompyfunc(math.erf, 1, 1)


def rsqrt(x: np.ndarray) -> Any:
    return np.reciprocal(np.sqrt(x))


def erf(x: np.ndarray) -> Any:
    return np.asarray(_erf(x.astype("float64"))).astype(x.dtype)


def sign(x: np.ndarray) -> Any:
    return x if x.dtype == bool else np.sign(x)


def floor(x: np.ndarray) -> Any:
    return x if x.dtype.kind in "biu" else np.floor(x)


def ceil(x: np.ndarray) -> Any:
    return x if x.dtype.kind in "biu" else np.ceil(x)


def round(x: np.ndarray, decimals: int = 0) -> Any:
    if x.dtype.kind in "biu":
        return x if decimals >= 0 else np.round(x, decimals)
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
    return np.maximum(x, np.zeros((), x.dtype))


def sigmoid(x: np.ndarray) -> Any:
    one = np.ones((), x.dtype)
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x < 0, small, one) / (one + small)


def _pair(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of two arrays, or of an array and a Python number, which takes the array's dtype."""

    def call(x1: Any, x2: Any) -> Any:
        if not isinstance(x1, np.ndarray):
            x1 = np.asarray(x1, x2.dtype)
        elif not isinstance(x2, np.ndarray):
            x2 = np.asarray(x2, x1.dtype)
        return function(x1, x2)

    return call


_UNARY: dict[str, Callable[..., Any]] = {
    "absolute": np.absolute, "negative": np.negative, "exp": np.exp, "expm1": np.expm1, "log": np.log,
    "log1p": np.log1p, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan, "arcsin": np.arcsin,
    "arccos": np.arccos, "arctan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "isnan": np.isnan,
    "isinf": np.isinf, "isfinite": np.isfinite, "logical_not": np.logical_not,
}  # fmt: skip
_BINARY: dict[str, Callable[..., Any]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.true_divide,
    "floor_divide": np.floor_divide, "mod": np.mod, "power": np.power, "maximum": np.maximum, "minimum": np.minimum,
    "arctan2": np.arctan2, "equal": np.equal, "not_equal": np.not_equal, "less": np.less,
    "less_equal": np.less_equal, "greater": np.greater, "greater_equal": np.greater_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
}  # fmt: skip

TABLE = kernels(
    {
        **_UNARY,
        **{name: _pair(function) for name, function in _BINARY.items()},
        "rsqrt": rsqrt,
        "erf": erf,
        "sign": sign,
        "floor": floor,
        "ceil": ceil,
        "round": round,
        "cast": cast,
        "copy": lambda x: np.array(x, order="C"),
        "stop_gradient": lambda variable: variable,
        "where": where,
        "relu": relu,
        "sigmoid": sigmoid,
    }
)
