"""Cases of random ops: no value is expected, a distribution is."""

from __future__ import annotations

from typing import Any

import numpy as np

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


add("random_uniform", _sized, FLOAT, check=_uniform)
add("random_normal", _sized, FLOAT, check=_normal)
add("random_dropout", _dropout_arguments, FLOAT, check=_dropout)
