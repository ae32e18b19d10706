"""Cases of elementwise ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.draw import ANY, FLOAT, NUMBER, SPECIALS, Draw, Tolerance, add

_WITH_INT = (*FLOAT, "int32")
_SIGNED = (*FLOAT, "int32", "int64")


def _unary(low: float = -4, high: float = 4, specials: tuple[float, ...] = SPECIALS) -> Any:
    return lambda r: (r.array(r.shape(), None, low, high, specials),)


add("absolute square", _unary(), NUMBER, gradient="x")
add("negative sign", _unary(), _SIGNED, gradient="x")
add("exp expm1 sin cos tanh arctan erf sigmoid", _unary(), _WITH_INT, gradient="x")
add("sinh cosh", _unary(-3, 3), _WITH_INT, gradient="x", tolerance=Tolerance(2))
add("tan", _unary(-1.2, 1.2), gradient="x", tolerance=Tolerance(2))
add("log sqrt rsqrt reciprocal", _unary(0.1), gradient="x")
add("log1p", _unary(-0.9), gradient="x")
add("arcsin arccos", _unary(-0.9, 0.9), gradient="x")
add("floor ceil", _unary(), NUMBER, gradient="x")
add("isnan isinf isfinite", _unary(), _WITH_INT)
add("relu", _unary(specials=SPECIALS[1:]), _SIGNED, gradient="x")
add("copy", _unary(), ANY, gradient="x")
add("stop_gradient logical_not", _unary(), ANY)


def _round(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(specials=SPECIALS)
    return (x,) if r.flag() else (x, r.integer(0, 2))


add("round", _round, _SIGNED, gradient="x")


def _cast(r: Draw) -> tuple[Any, ...]:
    target = r.choice("float32", "float64", "float16", "int32", "int64", "uint8", "bool")
    if r.smooth:
        return r.tensor(), "float64"
    return r.array(r.shape(), None, 0 if "u" in target else -9, 9), target


add("cast", _cast, ANY, gradient="x")


# -- two tensors -----------------------------------------------------------------------------------


def _two(r: Draw, low: float = -4, specials: tuple[float, ...] = ()) -> tuple[Any, Any]:
    shape = r.shape()
    return r.array(shape, None, low, 4, specials), r.array(r.broadcasting(shape), None, low, 4, specials)


def _pair(r: Draw) -> tuple[Any, ...]:
    """Two tensors or one and a number; in one of four examples their dtypes differ."""
    first, second = r.pair(specials=SPECIALS)
    if not r.smooth and isinstance(second, np.ndarray) and r.die(4) == 0:
        second = r.array(second.shape, r.choice("float32", "int32", "uint8"))
    return first, second


def _divide(r: Draw) -> tuple[Any, ...]:
    return _two(r, 0.5) if r.smooth else _pair(r)


def _whole(r: Draw) -> tuple[Any, ...]:
    """Halves, and powers of two as divisors, so that no quotient is rounded."""
    shape = r.shape()
    first, second = r.array(shape, low=-9, high=9), r.array(r.broadcasting(shape), low=0, high=2)
    divisor = 2.0 ** np.rint(second.astype("float64")) * r.numbers.choice([-1, 1], second.shape)
    if r.flag():
        return np.rint(first).astype(first.dtype), r.choice(1, 2, 4, -2)
    return (np.rint(first.astype("float64") * 2) / 2).astype(first.dtype), divisor.astype(second.dtype)


def _power(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    if "int" in r.dtype:
        return r.array(shape, low=-3, high=3), r.array(r.broadcasting(shape), low=0, high=3)
    if r.flag():
        return r.array(shape), r.choice(2, 3, 2.0)
    return r.array(shape, low=0.2, high=3), r.array(r.broadcasting(shape), low=-2, high=2)


add("add subtract multiply maximum minimum", _pair, NUMBER, gradient="x1 x2")
add("divide", _divide, _SIGNED, gradient="x1 x2")
add("floor_divide mod", _whole, _SIGNED)
add("power", _power, _SIGNED, gradient="x1 x2", tolerance=Tolerance(2))
add("arctan2", lambda r: _two(r), gradient="x1 x2")
add("equal not_equal less less_equal greater greater_equal", _pair, NUMBER)
add("logical_and logical_or logical_xor", lambda r: _two(r, specials=(0.0, 1.0)), ANY)


# -- three -----------------------------------------------------------------------------------------


def _where(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    condition = r.array(r.broadcasting(shape), r.choice("bool", "bool", "int32"), -1, 1)
    first, second = r.array(shape), r.array(r.broadcasting(shape))
    if not r.smooth and r.die(4) == 0:
        second = r.choice(0, 1, 2.5, r.array(second.shape, "int32"))
    return condition, first, second


def _clip(r: Draw) -> tuple[Any, ...]:
    x = r.tensor()
    if "int" in r.dtype:
        return x, 1, 3
    return (x, -1.25, 1.75) if r.flag() else (x, r.array(r.broadcasting(x.shape), low=-3, high=-1), 2)


add("where", _where, ANY, gradient="x1 x2")
add("clip", _clip, NUMBER, gradient="x")
