"""Cases of reductions."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import ANY, FLOAT, NUMBER, SPECIALS, Draw, Tolerance, add

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
    x = r.tensor(0, 3, 1)
    return (x,) if x.ndim == 0 or r.flag() else (x, r.axis(x.ndim), r.flag())


def _running(high: float) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        x = r.tensor(1, 3, low=-high, high=high)
        if r.die(4) == 0:
            return (x,) if r.smooth or r.flag() else (x, None, "float32")
        return x, r.axis(x.ndim)

    return build


add("sum", _over(), ANY, gradient="x", tolerance=Tolerance(1, True))
add("prod", _over(low=0.5, high=1.6), (*NUMBER, "bool"), gradient="x", tolerance=Tolerance(4))
add("mean", _over(), (*FLOAT, "int32", "bool"), gradient="x", tolerance=Tolerance(1, True))
add("max min", _extreme, NUMBER, gradient="x")
add("any all", _over(), ANY)
add("argmax argmin", _place, NUMBER)
add("cumsum", _running(4), (*NUMBER, "bool"), gradient="x", tolerance=Tolerance(2, True))
add("cumprod", _running(2), (*FLOAT, "int32"), gradient="x", tolerance=Tolerance(4, True))
add("var", _over(), (*FLOAT, "int32"), gradient="x", tolerance=Tolerance(2, True))
add("std", _over(2, 1), (*FLOAT, "int32"), gradient="x", tolerance=Tolerance(4, True))
add("logsumexp", _over(1, specials=_NAN), (*FLOAT, "int32"), gradient="x", tolerance=Tolerance(2))
add("count_nonzero", lambda r: (x := r.tensor(specials=(0.0,)), r.axes(x.ndim)), ANY)
