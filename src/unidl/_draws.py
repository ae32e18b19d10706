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


def gamma(stream: np.random.Generator, shape: Any, dtype: Any, alpha: Any) -> np.ndarray:
    """Numbers from the gamma distributions of shapes `alpha` (which broadcasts) and scale 1."""
    shape = tuple(int(d) for d in shape)
    alphas = np.broadcast_to(np.asarray(alpha, "float64"), shape).ravel()
    return standard_gamma(stream, alphas).astype(dtype).reshape(shape)


def standard_gamma(stream: np.random.Generator, alphas: np.ndarray) -> np.ndarray:
    """One number for each of `alphas`, NaN where that is not positive and finite.

    By squeezed rejection (G. Marsaglia, W. Tsang, ACM Trans. Math. Softw. 26, 2000).
    """
    out = np.full(alphas.shape, np.nan)
    waiting = np.flatnonzero((alphas > 0) & np.isfinite(alphas))
    small = waiting[alphas[waiting] < 1]
    d = np.where(alphas < 1, alphas + 1, alphas) - 1 / 3
    while len(waiting):
        n, dw = len(waiting), d[waiting]
        x, u = standard_normal(stream, n), unit(stream, n)
        with np.errstate(divide="ignore", invalid="ignore"):
            v = (1 + x / np.sqrt(9 * dw)) ** 3
            taken = (v > 0) & (np.log1p(-u) < 0.5 * x * x + dw * (1 - v + np.log(v)))
        out[waiting[taken]] = (dw * v)[taken]
        waiting = waiting[~taken]
    # gamma(a) = gamma(a + 1) * uniform ** (1 / a)
    out[small] *= (1 - unit(stream, len(small))) ** (1 / alphas[small])
    return out


def beta(stream: np.random.Generator, shape: Any, dtype: Any, alpha: Any, beta: Any) -> np.ndarray:
    """Numbers from the beta distributions of `alpha` and `beta`, which broadcast."""
    x, y = gamma(stream, shape, "float64", alpha), gamma(stream, shape, "float64", beta)
    total = x + y
    return np.where(total == 0, 0.5, x / np.where(total == 0, 1, total)).astype(dtype)


def binomial(stream: np.random.Generator, shape: Any, dtype: Any, counts: Any, probabilities: Any) -> np.ndarray:
    """How many of `counts` trials succeed, each with one of `probabilities` (both broadcast); NaN for no such thing.

    A beta-distributed order statistic of the trials' uniform numbers halves their count until few are left
    (L. Devroye, Non-Uniform Random Variate Generation, 1986, section X.4.3).
    """
    shape = tuple(int(d) for d in shape)
    left = np.floor(np.broadcast_to(np.asarray(counts, "float64"), shape).ravel())
    p = np.broadcast_to(np.asarray(probabilities, "float64"), shape).ravel().copy()
    valid = (left >= 0) & np.isfinite(left) & (p >= 0) & (p <= 1)
    left[~valid] = 0
    out = np.where(valid, 0.0, np.nan)
    while len(many := np.flatnonzero(left > 16)):
        n = left[many]
        rank = np.floor((n + 1) / 2)
        x, y = standard_gamma(stream, rank), standard_gamma(stream, n + 1 - rank)
        split, q = x / (x + y), p[many]
        below = split <= q
        out[many] += np.where(below, rank, 0)
        left[many] = np.where(below, n - rank, rank - 1)
        p[many] = np.clip(np.where(below, (q - split) / np.maximum(1 - split, 1e-300), q / split), 0, 1)
    for trial in range(int(left.max(initial=0))):
        some = np.flatnonzero(left > trial)
        out[some] += unit(stream, len(some)) < p[some]
    return out.astype(dtype).reshape(shape)


def permutation(stream: np.random.Generator, n: int) -> np.ndarray:
    """The numbers 0 to ``n - 1`` in a random order."""
    return np.argsort(stream.bit_generator.random_raw(n), kind="stable")
