"""Sorting, searching, and what depends on values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl_mxnet._engine import mx
from unidl_mxnet.kernels._common import FLOATS, cast_to, noted
from unidl_mxnet.kernels.creation import zeros
from unidl_mxnet.kernels.shape import concatenate, flip, getitem, ravel, take_along_axis

_WIDER = {"bool": "int8", "float16": "float32"}  # for dtypes that mxnet cannot sort


def _infinity(F: Any, dtype: str) -> Any:
    return F._npi_add_scalar(zeros(F, (), dtype), scalar="inf")


def sort(F: Any, x: Any, axis: int | None = -1) -> Any:
    if axis is None:
        x, axis = ravel(F, x), 0
    dtype, shape = F.dtype(x), F.shape(x)
    if dtype in _WIDER:
        return cast_to(F, sort(F, cast_to(F, x, _WIDER[dtype]), axis), dtype)
    if dtype not in FLOATS or 0 in shape:
        return F._npi_sort(x, axis=axis, is_ascend=True)
    # mxnet's order of NaNs is undefined: they are sorted as infinities and put back at the end.
    nan = F._npi_isnan(x)
    high = _infinity(F, dtype)
    ordered = F._npi_sort(F._npi_where(nan, high, x), axis=axis, is_ascend=True)
    numbers = F._np_sum(F._npi_cast(F._npi_logical_not(nan), dtype="int32"), axis=axis, keepdims=True)
    axis %= len(shape)
    places = F._npi_arange(start="0", stop=repr(shape[axis]), step="1", dtype="int32")
    places = F._np_reshape(places, newshape=(shape[axis], *(1,) * (len(shape) - 1 - axis)))
    lost = F._npi_add_scalar(zeros(F, (), dtype), scalar="nan")
    return F._npi_where(F._npi_less(places, numbers), ordered, lost)


def argsort(F: Any, x: Any, axis: int | None = -1) -> Any:
    if axis is None:
        x, axis = ravel(F, x), 0
    dtype, shape = F.dtype(x), F.shape(x)
    axis %= len(shape)
    n = shape[axis]
    if 0 in shape:
        return zeros(F, shape, "int32")
    x, dtype = cast_to(F, x, _WIDER.get(dtype, dtype)), _WIDER.get(dtype, dtype)
    nan = None
    if dtype in FLOATS:
        nan = F._npi_isnan(x)
        x = noted(F, F._npi_where(nan, _infinity(F, dtype), x), shape, dtype)
    # mxnet's order is not stable. Equal neighbours are numbered as one group (NaNs as the one after
    # infinity), and the places sorted again by (group, place).
    first = noted(F, F._npi_argsort(x, axis=axis, is_ascend=True, dtype="int32"), shape, "int32")
    ordered = noted(F, take_along_axis(F, noted(F, x, shape, F.dtype(x)), first, axis), shape, F.dtype(x))
    front = (slice(None),) * axis
    here, before = getitem(F, ordered, (*front, slice(1, None))), getitem(F, ordered, (*front, slice(0, n - 1)))
    start = zeros(F, (*shape[:axis], 1, *shape[axis + 1 :]), "int64")
    parts = [start, F._npi_cast(F._npi_not_equal(here, before), dtype="int64")] if n > 1 else [start]
    group = F._np_cumsum(concatenate(F, parts, axis), axis=axis)
    if nan is not None:
        lost = noted(F, F._npi_cast(nan, dtype="int64"), shape, "int64")
        group = F._npi_add(group, take_along_axis(F, lost, first, axis))
    key = F._npi_add(F._npi_multiply_scalar(group, scalar=repr(n)), F._npi_cast(first, dtype="int64"))
    key = F._npi_sort(key, axis=axis, is_ascend=True)
    return F._npi_cast(F._npi_mod_scalar(key, scalar=repr(n)), dtype="int32")


def top_k(F: Any, x: Any, k: int, sorted: bool = True) -> Any:
    shape, dtype = F.shape(x), F.dtype(x)
    n = shape[-1]
    if not 0 <= k <= n:
        raise ValueError(f"{k} elements asked for of {n}")
    if k == 0:
        return zeros(F, (*shape[:-1], 0), dtype), zeros(F, (*shape[:-1], 0), "int32")
    # mxnet's own puts equal elements and NaN anywhere. The last of the reversed elements, reversed again, has the
    # first of equal ones first.
    order = noted(F, argsort(F, noted(F, flip(F, x, -1), shape, dtype)), shape, "int32")
    last = getitem(F, order, (Ellipsis, slice(n - 1, n - 1 - k if k < n else None, -1)))
    places = F._npi_rsubtract_scalar(last, scalar=repr(n - 1))
    places = noted(F, cast_to(F, noted(F, places, (*shape[:-1], k), "int32"), "int32"), (*shape[:-1], k), "int32")
    return take_along_axis(F, x, places, -1), places


def _nonzero(x: Any) -> Any:
    return tuple(mx.np.array(places, dtype="int32") for places in np.nonzero(x.asnumpy()))


def _occurrences(x: Any, minlength: int = 0) -> Any:
    values = x.asnumpy().astype("int64")
    return mx.np.array(np.bincount(values[values >= 0], minlength=minlength), dtype="int32")


#: Ops on arrays only: a graph with one of them is replayed.
EAGER: dict[str, Callable[..., Any]] = {"nonzero": _nonzero, "occurrences": _occurrences}
