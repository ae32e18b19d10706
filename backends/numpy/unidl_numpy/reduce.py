"""Reductions and running reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl_numpy.dtypes import DTYPES, NAMES, wide_sum
from unidl_numpy.kernel import kernels

_SUMMED = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis


def _result(x: np.ndarray, dtype: str | None = None) -> Any:
    name = NAMES[x.dtype]
    return DTYPES[dtype or _SUMMED.get(name, name)]


def sum(x: np.ndarray, axis: Any = None, keepdims: bool = False) -> Any:
    x = x.astype(_result(x), copy=False)
    return np.sum(x, _axes(axis), wide_sum(x), keepdims=keepdims).astype(x.dtype)


def prod(x: np.ndarray, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Any:
    x = x.astype(_result(x, dtype), copy=False)
    return np.prod(x, _axes(axis), wide_sum(x), keepdims=keepdims).astype(x.dtype)


def mean(x: np.ndarray, axis: Any = None, keepdims: bool = False) -> Any:
    total = np.asarray(np.sum(x, _axes(axis), wide_sum(x), keepdims=keepdims))
    return (total * total.size / x.size).astype(x.dtype) if x.size else np.full(total.shape, np.nan, x.dtype)


def ordered(x: np.ndarray) -> np.ndarray:
    """`x`, unless it is complex: such numbers have no order."""
    if x.dtype.kind == "c":
        raise TypeError(f"{x.dtype} has no order")
    return x


def _extreme(function: Any) -> Callable[..., Any]:
    def call(x: np.ndarray, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        if initial is None:
            return function(ordered(x), _axes(axis), keepdims=keepdims)
        return function(ordered(x), _axes(axis), keepdims=keepdims, initial=x.dtype.type(initial))

    return call


def _logical(function: Any) -> Callable[..., Any]:
    def call(x: np.ndarray, axis: Any = None, keepdims: bool = False) -> Any:
        return function(x.astype(bool, copy=False), _axes(axis), keepdims=keepdims)

    return call


def _argument(function: Any) -> Callable[..., Any]:
    def call(x: np.ndarray, axis: int | None = None, keepdims: bool = False) -> Any:
        if axis is not None and not x.ndim:
            raise ValueError("no dimensions")
        return function(ordered(x), axis, keepdims=keepdims).astype("int32")

    return call


def _running(function: Any) -> Callable[..., Any]:
    def call(x: np.ndarray, axis: int | None = None, dtype: str | None = None) -> Any:
        if axis is not None and not x.ndim:
            raise ValueError("no dimensions")
        x = x.astype(DTYPES[dtype or ("int32" if x.dtype == bool else NAMES[x.dtype])], copy=False)
        return function(x, axis, wide_sum(x)).astype(x.dtype)

    return call


TABLE = kernels(
    {
        "sum": sum,
        "prod": prod,
        "mean": mean,
        "max": _extreme(np.max),
        "min": _extreme(np.min),
        "any": _logical(np.any),
        "all": _logical(np.all),
        "argmax": _argument(np.argmax),
        "argmin": _argument(np.argmin),
        "cumsum": _running(np.cumsum),
        "cumprod": _running(np.cumprod),
    }
)
