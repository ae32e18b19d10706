"""Cases of elementwise ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.draw import ANY, COMPLEX, FLOAT, INTEGER, NUMBER, SMALL, SPECIALS, Draw, Tolerance, add

_WITH_INT = (*FLOAT, "int32")
_SIGNED = (*FLOAT, "int32", "int64", "int8", "int16")
_NUMBER = (*NUMBER, *SMALL)
_ALL = (*ANY, *SMALL)
_TWICE = Tolerance(2)


def numbers(
    r: Draw, shape: tuple[int, ...], low: float = -4, high: float = 4, specials: tuple[float, ...] = ()
) -> np.ndarray:
    """An array of the drawn dtype; of a complex one both parts are drawn."""
    if r.dtype not in COMPLEX:
        return r.array(shape, None, low, high, specials)
    part = "float32" if r.dtype == "complex64" else "float64"
    real, imaginary = r.array(shape, part, low, high), r.array(shape, part, low, high)
    return (real + 1j * imaginary).astype(r.dtype)


def _unary(low: float = -4, high: float = 4, specials: tuple[float, ...] = SPECIALS) -> Any:
    return lambda r: (numbers(r, r.shape(), low, high, specials),)


add("absolute", _unary(), (*_ALL, *COMPLEX), gradient="x")
add("square", _unary(), (*_NUMBER, *COMPLEX), gradient="x")
add("fabs", _unary(), (*_WITH_INT, "bool"), gradient="x")
add("negative", _unary(), (*_NUMBER, *COMPLEX), gradient="x")
add("sign trunc floor ceil", _unary(), _ALL, gradient="x")
add("signbit", _unary(), _ALL)
add("exp expm1", _unary(), (*_WITH_INT, "bool", *COMPLEX), gradient="x")
add("sin cos tanh arcsinh", _unary(), (*_WITH_INT, *COMPLEX), gradient="x", tolerance=_TWICE)
add("exp2 arctan erf sigmoid deg2rad rad2deg", _unary(), _WITH_INT, gradient="x")
add("erfc", _unary(), _WITH_INT, gradient="x", tolerance=Tolerance(4))
add("sinc cbrt", _unary(), _WITH_INT, gradient="x", tolerance=_TWICE)
add("i0", _unary(-25, 25), _WITH_INT, gradient="x", tolerance=Tolerance(4))
add("sinh cosh", _unary(-3, 3), (*_WITH_INT, *COMPLEX), gradient="x", tolerance=_TWICE)
add("tan", _unary(-1.2, 1.2), gradient="x", tolerance=_TWICE)
add("log sqrt rsqrt reciprocal", _unary(0.1), (*_WITH_INT, *COMPLEX), gradient="x")
add("log2 log10", _unary(0.1), _WITH_INT, gradient="x")
add("log1p", _unary(-0.9), _WITH_INT, gradient="x")
add("arcsin arccos arctanh erfinv", _unary(-0.9, 0.9), _WITH_INT, gradient="x", tolerance=_TWICE)
add("arccosh", _unary(1.1, 9), _WITH_INT, gradient="x", tolerance=_TWICE)
add("isnan isinf isfinite", _unary(), (*_ALL, *COMPLEX))
add("isposinf isneginf", _unary(), _ALL)
add("relu", _unary(), _NUMBER, gradient="x")
add("copy", _unary(), (*_ALL, *COMPLEX), gradient="x")
add("stop_gradient logical_not", _unary(), (*_ALL, *COMPLEX))


def _round(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(specials=SPECIALS)
    return (x,) if r.flag() else (x, r.integer(0, 2))


add("round", _round, _SIGNED, gradient="x")


def _cast(r: Draw) -> tuple[Any, ...]:
    target = r.choice("float32", "float64", "float16", "int32", "int64", "uint8", "bool")
    if r.smooth:
        return r.tensor(), "float64"
    return r.array(r.shape(), None, 0 if "u" in target else -9, 9), target


def _saturate(r: Draw) -> tuple[Any, ...]:
    target = r.choice("float32", "float16", "int32", "int8", "uint8", "bool")
    if r.smooth:
        return r.tensor(), "float64"
    wide = np.iinfo(r.dtype).max if "int" in r.dtype else 6e4 if r.dtype == "float16" else 1e9
    x = r.array(r.shape(), None, -wide, wide, SPECIALS)
    if r.flag():
        x = (x / np.asarray(2**20 if wide > 1e6 else 1, x.dtype)).astype(x.dtype)
    return x, target


add("cast", _cast, _ALL, gradient="x")
add("saturate_cast", _saturate, _NUMBER, gradient="x")


def _nan_to_num(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(specials=SPECIALS)
    return (x,) if r.flag() else (x, r.choice(0.0, 2.5), r.choice(None, 9.0), r.choice(None, -9.0))


add("nan_to_num", _nan_to_num, (*FLOAT, "int32", "bool"), gradient="x")


# -- two tensors -----------------------------------------------------------------------------------


def _two(r: Draw, low: float = -4, specials: tuple[float, ...] = (), high: float = 4) -> tuple[Any, Any]:
    shape = r.shape()
    return numbers(r, shape, low, high, specials), numbers(r, r.broadcasting(shape), low, high, specials)


def _pair(r: Draw) -> tuple[Any, ...]:
    """Two tensors or one and a number; in one of four examples their dtypes differ."""
    if r.dtype in COMPLEX:
        return _two(r, 0.5)
    first, second = r.pair(specials=SPECIALS)
    if not r.smooth and isinstance(second, np.ndarray) and r.die(4) == 0:
        second = r.array(second.shape, r.choice("float32", "int32", "uint8"))
    return first, second


def _divide(r: Draw) -> tuple[Any, ...]:
    return _two(r, 0.5) if r.smooth else _pair(r)


def _whole(r: Draw) -> tuple[Any, ...]:
    """Halves, and powers of two as divisors, so that no quotient is rounded; of integers also any, and 0."""
    shape = r.shape()
    if "int" in r.dtype:
        first, second = r.array(shape, low=-99, high=99), r.array(r.broadcasting(shape), low=-3, high=3)
        return first, (r.choice(1, 3, 4, 7) if r.flag() else second)
    first, second = r.array(shape, low=-9, high=9), r.array(r.broadcasting(shape), low=0, high=2)
    divisor = 2.0 ** np.rint(second.astype("float64")) * r.numbers.choice([-1, 1], second.shape)
    if r.flag():
        return np.rint(first).astype(first.dtype), r.choice(1, 2, 4, -2)
    return (np.rint(first.astype("float64") * 2) / 2).astype(first.dtype), divisor.astype(second.dtype)


def _remainder(r: Draw) -> tuple[Any, ...]:
    if r.smooth:  # the quotient is not near a whole number
        shape = r.shape()
        whole, rest = np.rint(r.array(shape)), r.array(shape, low=0.1, high=0.9)
        second = r.array(shape, low=1, high=3)
        return ((whole + rest) * second).astype(r.dtype), second
    return _whole(r)


def _power(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    if "int" in r.dtype:
        least = 0 if r.dtype[0] == "u" else -2
        if r.flag():
            return r.array(shape, low=-3, high=3), r.choice(0, 1, 2, 3)
        return r.array(shape, low=-3, high=3), r.array(r.broadcasting(shape), low=least, high=3)
    if r.dtype in COMPLEX:
        return numbers(r, shape, 0.5), numbers(r, r.broadcasting(shape), -1, 1)
    if r.flag():
        return r.array(shape), r.choice(2, 3, 2.0)
    return r.array(shape, low=0.2, high=3), r.array(r.broadcasting(shape), low=-2, high=2)


def _integers(r: Draw) -> tuple[Any, ...]:
    return _two(r, -40, high=40)


def _ldexp(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    most = 8 if r.dtype == "float16" else 60
    return r.array(shape, specials=SPECIALS), r.array(r.broadcasting(shape), "int32", -most, most)


def _close(r: Draw) -> tuple[Any, ...]:
    x = numbers(r, r.shape(), specials=SPECIALS)
    if "float" not in r.dtype:
        return x, numbers(r, r.broadcasting(x.shape))
    factor = r.numbers.choice([1.0, 1.0 + 2.0**-7, 1.25], x.shape)
    return x, (x.astype("float64") * factor).astype(x.dtype), *((2.0**-4, 0.0, r.flag()) if r.flag() else ())


add("add multiply", _pair, (*_ALL, *COMPLEX), gradient="x1 x2")
add("subtract", _pair, (*_NUMBER, *COMPLEX), gradient="x1 x2")
add("maximum minimum", _pair, _ALL, gradient="x1 x2")
add("fmax fmin", lambda r: _two(r, specials=SPECIALS), _ALL, gradient="x1 x2")
add("divide", _divide, (*_SIGNED, "bool", *COMPLEX), gradient="x1 x2")
add("divide_no_nan", lambda r: _two(r, specials=SPECIALS), _WITH_INT, gradient="x1 x2", tolerance=_TWICE)
add("floor_divide", _whole, _NUMBER)
add("mod fmod", _remainder, _NUMBER, gradient="x1 x2")
add("gcd lcm", _integers, (*INTEGER, *SMALL))
add("power", _power, (*_NUMBER, *COMPLEX), gradient="x1 x2", tolerance=Tolerance(4))
add("arctan2 hypot", lambda r: _two(r, specials=SPECIALS), _WITH_INT, gradient="x1 x2", tolerance=_TWICE)
add("logaddexp logaddexp2", lambda r: _two(r, specials=SPECIALS), _WITH_INT, gradient="x1 x2", tolerance=_TWICE)
add("heaviside", lambda r: _two(r, specials=(*SPECIALS, 0.0, 0.0)), _WITH_INT, gradient="x1 x2")
add("nextafter", lambda r: _two(r, specials=SPECIALS), FLOAT)
add("ldexp", _ldexp, FLOAT, gradient="x1")
add("equal not_equal", _pair, (*_ALL, *COMPLEX))
add("less less_equal greater greater_equal", _pair, _ALL)
add("isclose allclose", _close, (*_ALL, *COMPLEX))
add("logical_and logical_or logical_xor", lambda r: _two(r, specials=(0.0, 1.0)), (*_ALL, *COMPLEX))


# -- three -----------------------------------------------------------------------------------------


def _where(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    condition = r.array(r.broadcasting(shape), r.choice("bool", "bool", "int32"), -1, 1)
    first, second = numbers(r, shape), numbers(r, r.broadcasting(shape))
    if not r.smooth and r.die(4) == 0:
        second = r.choice(0, 1, 2.5, r.array(second.shape, "int32"))
    return condition, first, second


def _clip(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(specials=SPECIALS)
    if "int" in r.dtype:
        return (x, 1, 3) if r.flag() else (x, None, 2)
    return (x, -1.25, 1.75) if r.flag() else (x, r.array(r.broadcasting(x.shape), low=-3, high=-1), r.choice(2, None))


add("where", _where, (*_ALL, *COMPLEX), gradient="x1 x2")
add("clip", _clip, _NUMBER, gradient="x")
