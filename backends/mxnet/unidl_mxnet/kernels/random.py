"""Random numbers from mxnet's own generator."""

from __future__ import annotations

from typing import Any

from unidl.dtypes import dtype_name


def random_uniform(F: Any, shape: Any, dtype: Any = None, generator: Any = None) -> Any:
    if dtype_name(dtype) == "float16":  # rounding would give 1: multiples of 2**-11, then
        u = F._npi_multiply_scalar(random_uniform(F, shape, "float32"), scalar="2048.0")
        return F._npi_cast(F._npi_multiply_scalar(F._npi_floor(u), scalar=repr(1 / 2048)), dtype="float16")
    return F._npi_uniform(low="0.0", high="1.0", size=tuple(shape), dtype=dtype_name(dtype), ctx=F.context())


def random_normal(F: Any, shape: Any, dtype: Any = None, generator: Any = None) -> Any:
    return F._npi_normal(loc="0.0", scale="1.0", size=tuple(shape), dtype=dtype_name(dtype), ctx=F.context())


def random_dropout(F: Any, x: Any, rate: float, generator: Any = None) -> Any:
    if rate == 0 or 0 in F.shape(x):
        return F._np_copy(x)
    return F._npx_dropout(x, p=repr(float(rate)), mode="always")
