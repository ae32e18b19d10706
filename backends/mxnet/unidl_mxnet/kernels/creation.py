"""Kernels that make tensors from shapes and numbers."""

from __future__ import annotations

from typing import Any

from unidl.dtypes import dtype_name, result_dtype, weak_kind


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(int(d) for d in shape) if isinstance(shape, (tuple, list)) else (int(shape),)


def zeros(F: Any, shape: Any, dtype: Any = None) -> Any:
    return F._npi_zeros(shape=_shape(shape), dtype=dtype_name(dtype), ctx=F.context())


def ones(F: Any, shape: Any, dtype: Any = None) -> Any:
    return F._npi_ones(shape=_shape(shape), dtype=dtype_name(dtype), ctx=F.context())


def zeros_like(F: Any, x: Any, dtype: Any = None) -> Any:
    return zeros(F, F.shape(x), dtype or F.dtype(x))


def ones_like(F: Any, x: Any, dtype: Any = None) -> Any:
    return ones(F, F.shape(x), dtype or F.dtype(x))


def arange(F: Any, start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    kinds = [weak_kind(v) or "i*" for v in (start, stop, step)]
    dtype = dtype_name(dtype) if dtype is not None else result_dtype(*kinds)
    return F._npi_arange(start=repr(start), stop=repr(stop), step=repr(step), dtype=dtype, ctx=F.context())
