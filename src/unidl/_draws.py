"""Random numbers drawn on the host: the same bits everywhere.

Everything is made from the raw 64-bit words of Philox, which NumPy promises never to change, by the
formulas below in float64. `numpy.random.Generator`'s own distributions come without that promise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

_CHUNK = 1 << 18  # bounds the memory of float64 intermediates


def unit(stream: np.random.Generator, n: int) -> np.ndarray:
    """`n` float64 numbers from [0, 1), multiples of 2^-53."""
    return (stream.bit_generator.random_raw(n) >> np.uint64(11)) * 2.0**-53


def standard_normal(stream: np.random.Generator, n: int) -> np.ndarray:
    """`n` numbers of mean 0 and variance 1 (G. Box, M. Muller, Ann. Math. Statist. 29, 1958)."""
    half = (n + 1) // 2
    u = unit(stream, 2 * half)
    radius = np.sqrt(-2.0 * np.log1p(-u[:half]))
    angle = (2.0 * math.pi) * u[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:n]


def truncated_standard_normal(stream: np.random.Generator, n: int) -> np.ndarray:
    """`n` standard normal numbers, those beyond 2 standard deviations drawn again."""
    parts, count = [], 0
    while count < n:
        x = standard_normal(stream, (n - count) * 11 // 10 + 16)
        parts.append(x[np.abs(x) < 2.0])
        count += len(parts[-1])
    return np.concatenate(parts)[:n] if parts else np.empty(0)


def filled(
    draw: Callable[[np.random.Generator, int], np.ndarray], stream: np.random.Generator, shape: Any, dtype: Any
) -> np.ndarray:
    """An array of `shape` and NumPy `dtype` with the numbers of `draw`, rounded from float64."""
    shape = tuple(int(d) for d in shape)
    n = math.prod(shape)
    out = np.empty(n, dtype)
    for start in range(0, n, _CHUNK):
        stop = min(start + _CHUNK, n)
        out[start:stop] = draw(stream, stop - start)
    return out.reshape(shape)


def uniform(stream: np.random.Generator, shape: Any, dtype: Any, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Numbers from [low, high): rounding to `dtype` never yields `high`."""
    values = filled(lambda s, n: low + (high - low) * unit(s, n), stream, shape, dtype)
    if low < high:
        below = np.nextafter(values.dtype.type(high), values.dtype.type(low))
        np.minimum(values, below, out=values)
    return values


def normal(stream: np.random.Generator, shape: Any, dtype: Any, mean: float = 0.0, stddev: float = 1.0) -> np.ndarray:
    return filled(lambda s, n: mean + stddev * standard_normal(s, n), stream, shape, dtype)


def truncated_normal(
    stream: np.random.Generator, shape: Any, dtype: Any, mean: float = 0.0, stddev: float = 1.0
) -> np.ndarray:
    return filled(lambda s, n: mean + stddev * truncated_standard_normal(s, n), stream, shape, dtype)


def integers(stream: np.random.Generator, shape: Any, dtype: Any, low: int, high: int) -> np.ndarray:
    """Whole numbers from [low, high)."""
    span = high - low
    return filled(lambda s, n: low + np.minimum(np.floor(unit(s, n) * span), span - 1), stream, shape, dtype)


def permutation(stream: np.random.Generator, n: int) -> np.ndarray:
    """The numbers 0 to ``n - 1`` in a random order."""
    return np.argsort(stream.bit_generator.random_raw(n), kind="stable")
