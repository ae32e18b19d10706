"""Creation, rearranging and picking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.backend.attributes import pad_pairs
from unidl.dtypes import floatx, result_dtype, weak_kind
from unidl_numpy.dtypes import DTYPES
from unidl_numpy.kernel import kernels


def zeros(shape: Any, dtype: str | None = None) -> Any:
    return np.zeros(shape, DTYPES[dtype or floatx()])


def ones(shape: Any, dtype: str | None = None) -> Any:
    return np.ones(shape, DTYPES[dtype or floatx()])


def zeros_like(x: np.ndarray, dtype: str | None = None) -> Any:
    return np.zeros(x.shape, DTYPES[dtype] if dtype else x.dtype)


def ones_like(x: np.ndarray, dtype: str | None = None) -> Any:
    return np.ones(x.shape, DTYPES[dtype] if dtype else x.dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: str | None = None) -> Any:
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    dtype = dtype or result_dtype(*(weak_kind(v) or "i*" for v in (start, stop, step)))
    return np.arange(start, stop, step).astype(DTYPES[dtype])


def transpose(x: np.ndarray, axes: Any = None) -> Any:
    return np.transpose(x, axes)


def expand_dims(x: np.ndarray, axis: Any) -> Any:
    return np.expand_dims(x, tuple(axis) if isinstance(axis, list) else axis)


def squeeze(x: np.ndarray, axis: Any = None) -> Any:
    return np.squeeze(x, tuple(axis) if isinstance(axis, list) else axis)


def broadcast_to(x: np.ndarray, shape: Any) -> Any:
    return np.broadcast_to(x, shape)


def concatenate(xs: Any, axis: int = 0) -> Any:
    return np.concatenate(xs, axis)


def split(x: np.ndarray, indices_or_sections: Any, axis: int = 0) -> Any:
    return tuple(np.split(x, indices_or_sections, axis))


def pad(x: np.ndarray, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    pairs = pad_pairs(pad_width, x.ndim)
    if not pairs:
        return x
    if mode != "constant":
        return np.pad(x, pairs, mode)  # type: ignore[call-overload]
    return np.pad(x, pairs, constant_values=0 if constant_values is None else constant_values)


def repeat(x: np.ndarray, repeats: int, axis: int | None = None) -> Any:
    return np.repeat(x, repeats, axis)


def repeat_each(x: np.ndarray, repeats: np.ndarray, axis: int) -> Any:
    return np.repeat(x, repeats, axis)


def view(x: np.ndarray, dtype: str) -> Any:
    x = np.ascontiguousarray(x).reshape(x.shape)
    return x.view("uint8") != 0 if dtype == "bool" else x.view(DTYPES[dtype])


def flip(x: np.ndarray, axis: Any = None) -> Any:
    return np.flip(x, tuple(axis) if isinstance(axis, list) else axis)


def getitem(x: np.ndarray, key: Any) -> Any:
    return x[tuple(key) if isinstance(key, list) else key]


def _need_integers(indices: np.ndarray) -> None:
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices of dtype {indices.dtype}")


def take(x: np.ndarray, indices: np.ndarray, axis: int | None = None) -> Any:
    _need_integers(indices)
    return np.take(x, indices, None if axis is None else range(x.ndim)[axis])


def take_along_axis(x: np.ndarray, indices: np.ndarray, axis: int | None = None) -> Any:
    _need_integers(indices)
    return np.take_along_axis(x, indices.astype("int64"), axis)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "zeros": zeros,
    "ones": ones,
    "zeros_like": zeros_like,
    "ones_like": ones_like,
    "arange": arange,
    "reshape": lambda x, newshape: np.reshape(x, newshape),
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": broadcast_to,
    "concatenate": concatenate,
    "split": split,
    "pad": pad,
    "repeat": repeat,
    "repeat_each": repeat_each,
    "view": view,
    "flip": flip,
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
}
TABLE = kernels(_FUNCTIONS)
