"""Random numbers from mxnet's own generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl import _draws
from unidl.dtypes import dtype_name
from unidl_mxnet._engine import mx
from unidl_mxnet._invoke import ARRAYS


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


def _on_host(draw: Callable[..., Any], shape: Any, dtype: Any, *tensors: Any) -> Any:
    """Numbers drawn by NumPy, from a seed that mxnet's own generator gives."""
    words = random_uniform(ARRAYS, (2,), "float64").asnumpy() * 2.0**31
    stream = np.random.Generator(np.random.Philox(int(words[0]) << 31 | int(words[1])))
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    name = dtype_name(dtype)
    return mx.np.array(draw(stream, sizes, name, *(t.asnumpy() for t in tensors)), dtype=name)


def _random_gamma(shape: Any, alpha: Any, dtype: Any = None, generator: Any = None) -> Any:
    return _on_host(_draws.gamma, shape, dtype, alpha)


def _random_binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None, generator: Any = None) -> Any:
    return _on_host(_draws.binomial, shape, dtype, counts, probabilities)


#: Ops on arrays only: a graph with one of them is replayed.
EAGER: dict[str, Callable[..., Any]] = {"random_gamma": _random_gamma, "random_binomial": _random_binomial}
