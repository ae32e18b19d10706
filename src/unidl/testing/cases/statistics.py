"""Cases of averages, order statistics, histograms and correlation."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.cases.reduce import holed
from unidl.testing.draw import ANY, FLOAT, INTEGER, NUMBER, SMALL, Draw, Tolerance, add

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _average(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    kind = r.integer(0, 2)
    if kind == 0:
        return x, r.axes(x.ndim)
    if kind == 1:
        return x, r.axes(x.ndim), r.array(x.shape, low=1, high=3)
    axis = r.axis(x.ndim)
    return x, axis, r.array((x.shape[axis],), low=1, high=3)


def _share(skip: bool) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        x = holed(r, 0, 1) if skip else r.tensor(0, 3, 1, specials=(np.nan, np.inf))
        kind = r.integer(0, 3)
        q: Any = (0.5, [0.0, 0.25, 1.0], [[0.1, 0.9], [0.3, 0.6]], None)[kind]
        if q is None:
            q = r.array(r.shape(0, 1), "float32", 0, 1)
        method = "linear" if r.smooth else r.choice(*_METHODS)
        return x, np.asarray(q, "float64") if kind < 3 else q, r.axes(x.ndim), method, r.flag()

    return build


def _middle(skip: bool) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        x = holed(r, 0, 1) if skip else r.tensor(0, 3, 1, specials=(np.nan, np.inf))
        return (x,) if r.flag() else (x, r.axes(x.ndim), r.flag())

    return build


def counted(r: Draw, shape: tuple[int, ...], high: int = 5) -> np.ndarray:
    """Small integers; in dtypes that are not cast to unsigned ones, some are negative."""
    return r.array(shape, r.dtype if "int" in r.dtype else "int32", 0 if r.dtype == "int32" else -2, high)


def _bincount(r: Draw) -> tuple[Any, ...]:
    x = counted(r, (r.side(),))
    if r.smooth:
        return x, r.array(x.shape), 6
    return r.choice((x,), (x, None, 4), (x, r.array(x.shape, "float32")), (x, r.array(x.shape, "int32"), 3))


def _histogram(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(0, 3, 1)
    return r.choice((x,), (x, 3), (x, r.integer(1, 6), (-1, 2)), (x, 4, (0.5, 0.5)), (x, 5, (-3.0, 3.0)))


add("average", _average, (*FLOAT, "int32"), gradient="x weights", tolerance=Tolerance(4, True))
add("quantile", _share(False), (*FLOAT, "int32"), gradient="x", tolerance=Tolerance(2, True))
add("nanquantile", _share(True), (*FLOAT, "int32"), gradient="x", tolerance=Tolerance(2, True))
add("median", _middle(False), ANY, gradient="x")
add("nanmedian", _middle(True), ANY, gradient="x")
add("occurrences", lambda r: (counted(r, (r.side(),)), r.integer(0, 4)), (*INTEGER, *SMALL))
add("bincount", _bincount, (*INTEGER, *SMALL), gradient="weights")
add("histogram", _histogram, NUMBER)
add(
    "corrcoef",
    lambda r: (r.array((*r.shape(0, 1, 1), 4 + r.die(4)), distinct=True),),
    (*FLOAT, "int32"),
    gradient="x",
    tolerance=Tolerance(8, True),
)
