"""Cases of random ops: no value is expected, a distribution is."""

from __future__ import annotations

from typing import Any

import numpy as np

import unidl.ops.random  # noqa: F401  declares the ops: nothing else does if no layer is used
from unidl.testing.draw import FLOAT, Draw, add

_MANY = 4000


def _sized(r: Draw) -> tuple[Any, ...]:
    return r.choice((_MANY,), (_MANY // 8, 8), (2, _MANY // 4, 2)), r.dtype


def _uniform(arguments: tuple[Any, ...], outputs: list[np.ndarray]) -> None:
    x = outputs[0].astype("float64")
    assert x.min() >= 0 and x.max() < 1, f"uniform numbers from {x.min()} to {x.max()}"
    # Six standard errors of the mean, and a spread within 5 %.
    assert abs(x.mean() - 0.5) < 6 * np.sqrt(1 / 12 / _MANY) and abs(x.std() * np.sqrt(12) - 1) < 0.05
    assert abs(np.corrcoef(x.ravel()[:-1], x.ravel()[1:])[0, 1]) < 0.1


def _normal(arguments: tuple[Any, ...], outputs: list[np.ndarray]) -> None:
    x = outputs[0].astype("float64")
    assert abs(x.mean()) < 6 / np.sqrt(_MANY) and abs(x.std() - 1) < 0.08
    assert 0.64 < np.mean(np.abs(x) < 1) < 0.73, "of normal numbers 68 % lie within one standard deviation"


def _dropout_arguments(r: Draw) -> tuple[Any, ...]:
    return r.array((_MANY // 8, 8), low=1, high=2), r.choice(0.0, 0.25, 0.5, 0.9)


def _dropout(arguments: tuple[Any, ...], outputs: list[np.ndarray]) -> None:
    x, rate = arguments[0].astype("float64"), arguments[1]
    out = outputs[0].astype("float64")
    gone = out == 0
    assert abs(gone.mean() - rate) <= 6 * np.sqrt(rate * (1 - rate) / _MANY), f"{gone.mean()} dropped at rate {rate}"
    np.testing.assert_allclose(out[~gone] * (1 - rate), x[~gone], rtol=2e-2)


def _gamma_arguments(r: Draw) -> tuple[Any, ...]:
    shape, dtype = _sized(r)
    alpha = r.numbers.uniform(0.3, 5, r.broadcasting((1,) * (len(shape) - 1) + shape[-1:]) if len(shape) > 1 else ())
    return shape, np.asarray(alpha, "float32"), dtype


def _gamma(arguments: tuple[Any, ...], outputs: list[np.ndarray]) -> None:
    x, alpha = outputs[0].astype("float64"), arguments[1].astype("float64")
    assert x.min() >= 0, f"a gamma number of {x.min()}"
    z = (x - alpha) / np.sqrt(alpha)  # mean 0, variance 1
    assert abs(z.mean()) < 7 / np.sqrt(_MANY) and abs(z.var() - 1) < 0.3, f"mean {z.mean()}, variance {z.var()}"
    # A gamma distribution is skew: by 2 / sqrt(alpha).
    assert (z**3).mean() > 0.3


def _binomial_arguments(r: Draw) -> tuple[Any, ...]:
    shape, dtype = _sized(r)
    last = shape[-1:] if len(shape) > 1 and r.flag() else ()
    counts = r.numbers.integers(1, 40, last).astype("float32")
    return shape, counts, np.asarray(r.numbers.uniform(0.1, 0.9, last), "float32"), dtype


def _binomial(arguments: tuple[Any, ...], outputs: list[np.ndarray]) -> None:
    x, n, p = (np.asarray(a, "float64") for a in (outputs[0], *arguments[1:3]))
    assert np.array_equal(x, np.rint(x)) and x.min() >= 0 and (x <= n).all(), "numbers of successes"
    z = (x - n * p) / np.sqrt(n * p * (1 - p))
    assert abs(z.mean()) < 6 / np.sqrt(_MANY) and abs(z.var() - 1) < 0.2, f"mean {z.mean()}, variance {z.var()}"


add("random_uniform", _sized, FLOAT, check=_uniform)
add("random_normal", _sized, FLOAT, check=_normal)
add("random_dropout", _dropout_arguments, FLOAT, check=_dropout)
add("random_gamma", _gamma_arguments, FLOAT, check=_gamma)
add("random_binomial", _binomial_arguments, FLOAT, check=_binomial)
