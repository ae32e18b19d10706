"""Sorting, searching, and what depends on values."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl_numpy.kernel import kernels
from unidl_numpy.reduce import ordered


def _comparable(x: np.ndarray) -> np.ndarray:
    """`x`, or what has its order: NumPy does not know where NaN of other packages' dtypes belongs."""
    return ordered(x).astype("float32") if x.dtype.kind == "V" or x.dtype.name == "bfloat16" else ordered(x)


def sort(x: np.ndarray, axis: int | None = -1) -> Any:
    return np.sort(_comparable(x), axis).astype(x.dtype)


def argsort(x: np.ndarray, axis: int | None = -1) -> Any:
    return np.argsort(_comparable(x), axis, kind="stable").astype("int32")


def top_k(x: np.ndarray, k: int, sorted: bool = True) -> Any:
    if not 0 <= k <= x.shape[-1]:
        raise ValueError(f"{k} elements asked for of {x.shape[-1]}")
    # Sorting the reversed elements and reading from the end puts the first of equal elements first.
    order = x.shape[-1] - 1 - np.argsort(_comparable(x)[..., ::-1], -1, kind="stable")[..., ::-1][..., :k]
    return np.take_along_axis(x, order, -1), order.astype("int32")


def searchsorted(sorted_sequence: np.ndarray, values: np.ndarray, side: str = "left") -> Any:
    return np.searchsorted(_comparable(sorted_sequence), _comparable(values), side).astype("int32")  # type: ignore[call-overload]


def nonzero(x: np.ndarray) -> Any:
    return tuple(places.astype("int32") for places in np.nonzero(x))


def occurrences(x: np.ndarray, minlength: int = 0) -> Any:
    return np.bincount(x[x >= 0].astype("int64"), minlength=minlength).astype("int32")


TABLE = kernels(
    {
        "sort": sort,
        "argsort": argsort,
        "top_k": top_k,
        "searchsorted": searchsorted,
        "nonzero": nonzero,
        "occurrences": occurrences,
    }
)
