"""The matrices that resample one axis.

Written for NumPy (sizes known: a constant, computed in float64) and for `ops` (sizes unknown, or scales that are
tensors) alike: `m` is the one or the other, which call these functions the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: Half the width of each kernel.
RADIUS = {"linear": 1.0, "cubic": 2.0, "lanczos3": 3.0, "lanczos5": 5.0}


def kernel(m: Any, method: str, x: Any) -> Any:
    """The weight at distance `x` (not negative), in units of the kernel."""
    if method == "linear":
        return m.maximum(m.subtract(1.0, x), 0.0)
    if method == "cubic":  # R. Keys, IEEE TASSP 29, 1981, with a = -1/2
        square = m.multiply(x, x)
        near = m.add(m.multiply(m.subtract(m.multiply(x, 1.5), 2.5), square), 1.0)
        far = m.add(m.multiply(m.subtract(m.multiply(m.subtract(2.5, m.multiply(x, 0.5)), x), 4.0), x), 2.0)
        return m.where(m.less(x, 1.0), near, m.where(m.less(x, 2.0), far, 0.0))
    radius = RADIUS[method]  # C. Lanczos' window: sinc(x) * sinc(x / radius)
    apart = m.greater(x, 1e-3)
    safe = m.multiply(m.where(apart, x, 1.0), math.pi)
    waves = m.multiply(m.sin(safe), m.sin(m.divide(safe, radius)))
    sinc = m.where(apart, m.divide(m.multiply(waves, radius), m.multiply(safe, safe)), 1.0)
    return m.where(m.greater(x, radius), 0.0, sinc)


def places(m: Any, want: Any, step: Any, start: Any) -> Any:
    """Where the pixels of the result lie in the source: a column. `want`: their numbers, 0, 1, …"""
    return m.subtract(m.multiply(m.subtract(m.add(want, 0.5), start), step), 0.5)


def matrix(m: Any, method: str, have: Any, at: Any, step: Any, antialias: bool) -> Any:
    """The (want, have) matrix whose rows interpolate at `at`, with weights that add up to 1.

    Args:
        have: the numbers of the source's pixels: a row.
        at: the places: a column.
        step: pixels of the source for one of the result. With `antialias` the kernel is at least as wide.
    """
    distance = m.absolute(m.subtract(at, have))
    if antialias:
        distance = m.divide(distance, m.maximum(step, 1.0))
    weights = kernel(m, method, distance)
    total = m.sum(weights, -1, keepdims=True)
    reached = m.greater(m.absolute(total), 1000 * float(np.finfo("float32").eps))
    return m.where(reached, m.divide(weights, m.where(reached, total, 1.0)), 0.0)


def areas(m: Any, have: Any, want: Any, step: Any) -> Any:
    """The (want, have) matrix of means over the source's area under each pixel of the result."""
    low = m.maximum(m.multiply(want, step), have)
    high = m.minimum(m.multiply(m.add(want, 1.0), step), m.add(have, 1.0))
    return m.divide(m.maximum(m.subtract(high, low), 0.0), step)
