"""Cases of ops that make tensors."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import ANY, NUMBER, Draw, Tolerance, add

_ALL = ("float32", "float64", "float16", "int32", "int64", "uint8", "bool")


def _filled(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    return (shape,) if r.dtype == "float32" and r.flag() else (shape, r.dtype)


def _like(r: Draw) -> tuple[Any, ...]:
    x = r.tensor()
    return (x,) if r.flag() else (x, r.choice(*_ALL))


def _full(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    value = r.array(r.broadcasting(shape))
    if r.dtype in ("float32", "int32") and r.flag():
        return shape, (2.5 if r.dtype == "float32" else 3)
    return (shape, value) if r.smooth or r.flag() else (shape, value, r.choice(*_ALL[:5]))


def _full_like(r: Draw) -> tuple[Any, ...]:
    x = r.tensor()
    value = r.array(r.broadcasting(x.shape), low=0)
    return (x, value) if r.flag() else (x, r.choice(0, 1, 2), r.choice("float32", "int32"))


def _arange(r: Draw) -> tuple[Any, ...]:
    if r.dtype == "int32":
        stop, step = r.integer(-3, 7), r.choice(1, 2, -1, -2)
        return r.choice((stop,), (1, stop), (1, stop, step), (stop, 0, step), (0, 5, 1, "float32"), (1, 9, 2, "int64"))
    return r.choice(
        (4.0,), (0.25, 2.0, 0.5), (3.0, 0.0, -0.75), (0, 3, 0.5, "float64"), (1.0, 4.0, 1, "int32"), (0, 1, 0.1),
        (1.0, 0.0), (2, -1.5, -0.3, "float16"),
    )  # fmt: skip


def _spaced(low: float, high: float, step: bool = False) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        shape = r.shape(0, 2)
        start, stop = r.array(shape, low=low, high=high), r.array(r.broadcasting(shape), low=low, high=high)
        num = r.integer(1, 6)
        if r.smooth:
            return start, stop, num
        rest = (r.flag(), True) if step and r.flag() else (r.flag(), False) if step else (r.flag(),)
        end = (r.choice(None, "float32", "float64"), r.integer(-1, len(shape)))
        return (start, stop, r.integer(0, 6), *rest, *end) if r.flag() else (start, stop, num)

    return build


def _logspace(r: Draw) -> tuple[Any, ...]:
    start, stop, num, *rest = _spaced(0, 2)(r)
    return (start, stop, num, rest[0], r.choice(10, 2, 2.5), *rest[1:]) if rest else (start, stop, num)


def _like_empty(r: Draw) -> tuple[Any, ...]:
    x = r.tensor()
    return (x,) if r.flag() else (x, r.choice(*_ALL))


def _grid(r: Draw) -> tuple[Any, ...]:
    xs = [r.array(r.shape(0, 1)) for _ in range(r.integer(1, 4))]
    return (xs,) if r.flag() else (xs, r.choice("xy", "ij"))


def _eye(r: Draw) -> tuple[Any, ...]:
    n = r.integer(0, 4)
    return (n,) if r.flag() else (n, r.choice(None, 1, 3, 5), r.integer(-3, 3), r.choice(None, *_ALL))


add("zeros ones", _filled, ANY)
add("zeros_like ones_like", _like, ANY)
add("full", _full, NUMBER, gradient="fill_value")
add("full_like", _full_like, NUMBER)
add("arange", _arange, ("int32", "float32"))
add("linspace", _spaced(-4, 4, True), ("float32", "float64", "int32", "float16"), gradient="start stop")
add("logspace", _logspace, ("float32", "float64", "int32"), gradient="start stop", tolerance=Tolerance(4))
add("geomspace", _spaced(0.5, 8), ("float32", "float64", "int32"), gradient="start stop", tolerance=Tolerance(4))
add("empty", _filled, ANY)
add("empty_like", _like_empty, ANY)
add("identity", lambda r: (r.integer(0, 4), r.choice(None, *_ALL)), ("float32",))
add("tri", _eye, ("float32",))
add("meshgrid", _grid, (*ANY, "complex64"), gradient="x")
add("bartlett blackman hamming hanning", lambda r: (r.integer(0, 8),), ("float32",))
add("kaiser", lambda r: (r.integer(0, 8), r.choice(0, 2.5, 14.0)), ("float32",))
add("eye", _eye, ("float32",))
