"""Random numbers from one NumPy generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import _draws
from unidl.dtypes import floatx
from unidl_numpy.dtypes import DTYPES
from unidl_numpy.kernel import kernels

#: The process's generator, replaced by `set_seed`.
state = {"generator": np.random.Generator(np.random.Philox())}


def set_seed(seed: int) -> None:
    state["generator"] = np.random.Generator(np.random.Philox(seed))


def random_uniform(shape: Any, dtype: str | None = None, generator: Any = None) -> Any:
    dtype = dtype or floatx()
    drawn = state["generator"].random(shape, "float64")
    # As many bits as the dtype keeps near 1, so that rounding never gives 1 itself.
    steps = 2.0 ** {"float16": 11, "bfloat16": 8, "float32": 24}.get(dtype, 53)
    return np.asarray(np.floor(drawn * steps) / steps).astype(DTYPES[dtype])


def random_normal(shape: Any, dtype: str | None = None, generator: Any = None) -> Any:
    return np.asarray(state["generator"].standard_normal(shape)).astype(DTYPES[dtype or floatx()])


def random_gamma(shape: Any, alpha: np.ndarray, dtype: str | None = None, generator: Any = None) -> Any:
    return _draws.gamma(state["generator"], _sizes(shape), "float64", alpha).astype(DTYPES[dtype or floatx()])


def random_binomial(
    shape: Any, counts: np.ndarray, probabilities: np.ndarray, dtype: str | None = None, generator: Any = None
) -> Any:
    drawn = _draws.binomial(state["generator"], _sizes(shape), "float64", counts, probabilities)
    return drawn.astype(DTYPES[dtype or floatx()])


def _sizes(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


TABLE = kernels(
    {
        "random_uniform": random_uniform,
        "random_normal": random_normal,
        "random_gamma": random_gamma,
        "random_binomial": random_binomial,
    }
)
