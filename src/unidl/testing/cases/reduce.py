"""Cases of reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.draw import ANY, COMPLEX, FLOAT, NUMBER, SMALL, SPECIALS, Draw, Tolerance, add

_NAN = SPECIALS[:3]


def _over(side: int = 0, rank: int = 0, **options: Any) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        x = r.tensor(rank, 3, side, **options)
        return (x,) if r.die(4) == 0 else (x, r.axes(x.ndim), r.flag())

    return build


def _extreme(r: Draw) -> tuple[Any, ...]:
    initial = r.choice(None, None, 0, 2)
    x = r.tensor(0, 3, 0 if initial is not None else 1, specials=_NAN)
    return (x, r.axes(x.ndim), r.flag()) if initial is None else (x, r.axes(x.ndim), r.flag(), initial)


def _place(r: Draw) -> tuple[Any, ...]:
    x = r.array(r.shape(0, 3, 1), low=-2, high=2, specials=_NAN)
    if "float" in r.dtype and r.die(3) == 0:  # ties
        x = np.rint(x)
    return (x,) if x.ndim == 0 or r.flag() else (x, r.axis(x.ndim), r.flag())


def _running(high: float) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        x = r.tensor(1, 3, low=-high, high=high)
        if r.die(4) == 0:
            return (x,) if r.smooth or r.flag() else (x, None, "float32")
        return x, r.axis(x.ndim)

    return build


def holed(r: Draw, low: int = 0, side: int = 0) -> np.ndarray:
    """Numbers with NaN among them; in smooth examples not too many."""
    if r.smooth:
        x = r.array((2, 3, 4))
        x[0, 1, :2] = x[1, 2, 3] = np.nan
        return x
    x = r.tensor(low, 3, side, specials=SPECIALS)
    if "float" in r.dtype and r.flag():
        x[r.numbers.random(x.shape) < 0.3] = np.nan
    return x


def _skipping(side: int = 0) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        x = holed(r, 0, side)
        return (x,) if r.die(4) == 0 else (x, r.axes(x.ndim), r.flag())

    return build


def _skipping_one(r: Draw) -> tuple[Any, ...]:
    x = holed(r, 1, 1)
    return (x,) if r.die(4) == 0 else (x, r.axis(x.ndim), r.flag())


def _skipping_along(r: Draw) -> tuple[Any, ...]:
    x = holed(r, 1)
    return (x,) if r.die(4) == 0 else (x, r.axis(x.ndim))


def _diff(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3)
    return (x,) if r.flag() else (x, r.integer(0, 3), r.axis(x.ndim))


def _trapezoid(r: Draw) -> tuple[Any, ...]:
    y = r.tensor(1, 3, 1)
    axis = r.axis(y.ndim)
    points = r.choice(None, y.shape, (y.shape[axis],))
    if points is None:
        return (y,) if r.flag() else (y, None, 0.5, axis)
    return y, r.array(points), 1.0, axis


def _vander(r: Draw) -> tuple[Any, ...]:
    x = r.array((r.side(),), low=-2, high=2)
    return (x,) if r.flag() else (x, r.choice(None, 0 if not r.smooth else 1, 1, 2, 4), r.flag())


add("sum", _over(), (*ANY, *SMALL, *COMPLEX), gradient="x", tolerance=Tolerance(1, True))
add("prod", _over(low=0.5, high=1.6), (*ANY, *SMALL, *COMPLEX), gradient="x", tolerance=Tolerance(4))
add("mean", _over(), (*ANY, *SMALL, *COMPLEX), gradient="x", tolerance=Tolerance(1, True))
add("max min", _extreme, (*ANY, *SMALL), gradient="x")
add("amax amin", lambda r: (x := r.tensor(0, 3, 1, specials=_NAN), r.axes(x.ndim), r.flag()), ANY, gradient="x")
add("ptp", lambda r: (x := r.tensor(0, 3, 1, specials=_NAN), r.axes(x.ndim), r.flag()), NUMBER, gradient="x")
add("any all", _over(specials=SPECIALS), (*ANY, *SMALL, *COMPLEX))
add("argmax argmin", _place, (*ANY, *SMALL))
add("cumsum", _running(4), (*ANY, *SMALL, *COMPLEX), gradient="x", tolerance=Tolerance(2, True))
add("cumprod", _running(2), (*ANY, *SMALL, *COMPLEX), gradient="x", tolerance=Tolerance(4, True))
add("var", _over(), (*ANY, *COMPLEX), gradient="x", tolerance=Tolerance(2, True))
add("std", _over(2, 1), (*ANY, *COMPLEX), gradient="x", tolerance=Tolerance(4, True))
add("logsumexp", _over(0, specials=_NAN), (*FLOAT, "int32", "bool"), gradient="x", tolerance=Tolerance(2))
add("count_nonzero", lambda r: (x := r.tensor(specials=SPECIALS), r.axes(x.ndim)), (*ANY, *SMALL, *COMPLEX))

add("nansum", _skipping(), ANY, gradient="x", tolerance=Tolerance(1, True))
add("nanprod", _skipping(), (*FLOAT, "int32"), gradient="x", tolerance=Tolerance(4))
add("nanmean", _skipping(), ANY, gradient="x", tolerance=Tolerance(1, True))
add("nanvar nanstd", _skipping(), ANY, gradient="x", tolerance=Tolerance(4, True))
add("nanmax nanmin", _skipping(1), ANY, gradient="x")
add("nanargmax nanargmin", _skipping_one, ANY)
add("nancumsum nancumprod", _skipping_along, ANY, gradient="x", tolerance=Tolerance(4, True))
add("diff", _diff, (*ANY, *SMALL, *COMPLEX), gradient="a")
add("trapezoid", _trapezoid, (*FLOAT, "int32"), gradient="y x", tolerance=Tolerance(4, True))
add("vander", _vander, (*ANY, *COMPLEX), gradient="x", tolerance=Tolerance(4))
