"""Elementwise ops: TensorFlow's own, with small bridges where they differ from unidl's meaning."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.dtypes import COMPLEX, FLOATS, UNSIGNED, WIDER

Tensor = Any


def _first_number(x1: Any, x2: Any) -> Any:
    """`x1` as a tensor of the dtype of `x2`: while tracing TensorFlow would give a number its default dtype."""
    return tf.constant(x1, x2.dtype) if type(x1) in (int, float, bool) else x1


def _binary(fn: Callable[..., Tensor], of_bools: Callable[..., Tensor] | None = None) -> Callable[..., Tensor]:
    """A two-operand op one of whose operands may be a Python number; `of_bools` stands in for bools."""

    @functools.wraps(fn)
    def call(x1: Any, x2: Any) -> Tensor:
        x1 = _first_number(x1, x2)
        if of_bools is not None and x1.dtype is tf.bool:
            return of_bools(x1, x2)
        return fn(x1, x2)

    return call


def _wide(fn: Callable[..., Tensor], dtypes: frozenset[Any]) -> Callable[..., Tensor]:
    """`fn` computed in a wider integer where it has no kernel for one of `dtypes`."""

    @functools.wraps(fn)
    def call(*xs: Any) -> Tensor:
        dtype = next(x.dtype for x in xs if hasattr(x, "dtype"))
        if dtype in dtypes:
            wide = WIDER[dtype]
            return tf.cast(fn(*(tf.cast(x, wide) for x in xs)), dtype)
        return fn(*xs)

    return call


def _kind(fn: Callable[[Tensor], Tensor], of_integers: Any, joined: Any) -> Callable[[Tensor], Tensor]:
    """A question about floats, asked of both parts of complex numbers, with a fixed answer for integers."""

    @functools.wraps(fn)
    def call(x: Tensor) -> Tensor:
        if x.dtype in COMPLEX:
            return joined(fn(tf.math.real(x)), fn(tf.math.imag(x)))
        return fn(x) if x.dtype in FLOATS else of_integers(x, tf.bool)

    return call


def absolute(x: Tensor) -> Tensor:
    return tf.identity(x) if x.dtype in UNSIGNED or x.dtype is tf.bool else tf.abs(x)


def negative(x: Tensor) -> Tensor:
    # Modulo 2**bits; the optimizer of graphs makes a negation, which has no kernel, of 0 - x.
    return tf.bitwise.invert(x) + tf.ones((), x.dtype) if x.dtype in UNSIGNED else tf.negative(x)


def sign(x: Tensor) -> Tensor:
    if x.dtype in COMPLEX:
        raise TypeError("complex numbers have no sign")
    return tf.cast(tf.cast(x, tf.bool), x.dtype) if x.dtype in UNSIGNED or x.dtype is tf.bool else tf.sign(x)


def round(x: Tensor, decimals: int = 0) -> Tensor:
    if x.dtype in COMPLEX:
        raise TypeError("complex numbers are not rounded")
    if decimals == 0 or (decimals > 0 and x.dtype not in FLOATS):
        return tf.round(x) if x.dtype in FLOATS else tf.identity(x)
    if x.dtype not in FLOATS:
        return tf.cast(round(tf.cast(x, tf.float64), decimals), x.dtype)
    factor = tf.constant(10 ** abs(decimals), x.dtype)
    return tf.round(x * factor) / factor if decimals > 0 else tf.round(x / factor) * factor


def cast(x: Tensor, dtype: str) -> Tensor:
    if x.dtype in COMPLEX:
        if dtype == "bool":
            return tf.not_equal(x, 0)
        x = x if dtype.startswith("complex") else tf.math.real(x)
    return tf.cast(x, dtype)


def erf(x: Tensor) -> Tensor:
    # The kernel for float64 makes NaN of infinities; beyond 6 the function is 1 to the last bit.
    return tf.math.erf(tf.clip_by_value(x, -7.0, 7.0) if x.dtype is tf.float64 else x)


def erfc(x: Tensor) -> Tensor:
    return tf.math.erfc(tf.clip_by_value(x, -7.0, 30.0) if x.dtype is tf.float64 else x)


def i0(x: Tensor) -> Tensor:
    # TensorFlow makes NaN of infinities, and in float32 infinities of what is still in range.
    finite = tf.cast(tf.math.bessel_i0(tf.cast(x, tf.float64)), x.dtype)
    return tf.where(tf.math.is_inf(x), tf.cast(float("inf"), x.dtype), finite)


#: Integers whose bits are those of floats.
_BITS = {tf.float16: tf.int16, tf.bfloat16: tf.int16, tf.float32: tf.int32, tf.float64: tf.int64}


def signbit(x: Tensor) -> Tensor:
    if x.dtype in UNSIGNED or x.dtype is tf.bool:
        return tf.zeros_like(x, tf.bool)
    return (tf.bitcast(x, _BITS[x.dtype]) if x.dtype in _BITS else x) < 0  # others are integers, or complex: an error


def nextafter(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.dtype in (tf.float32, tf.float64):
        return tf.stop_gradient(tf.math.nextafter(x1, x2))
    # There is no kernel; the bits of floats of one sign are ordered as integers are.
    zero = tf.zeros((), x1.dtype)
    bits = tf.bitcast(tf.broadcast_to(x1, tf.broadcast_dynamic_shape(tf.shape(x1), tf.shape(x2))), tf.int16)
    step = tf.where(tf.equal(x2 > x1, x1 > zero), tf.constant(1, tf.int16), tf.constant(-1, tf.int16))
    first = tf.where(x2 > zero, tf.constant(1, tf.int16), tf.constant(-32767, tf.int16))
    near = tf.bitcast(tf.where(tf.equal(x1, zero), first, bits + step), x1.dtype)
    near = tf.where(tf.equal(x1, x2), x2, near)
    return tf.stop_gradient(tf.where(tf.math.is_nan(x1) | tf.math.is_nan(x2), x1 + x2, near))


def logical_not(x: Tensor) -> Tensor:
    return tf.logical_not(cast(x, "bool"))


def _logical(fn: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(fn)
    def call(x1: Tensor, x2: Tensor) -> Tensor:
        return fn(cast(x1, "bool"), cast(x2, "bool"))

    return call


def _ordered(fn: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A comparison; bools have no order in TensorFlow, and are compared as numbers."""
    return _binary(fn, lambda x1, x2: fn(tf.cast(x1, tf.int32), tf.cast(x2, tf.int32)))


@_binary
def mod(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.dtype not in FLOATS:
        return _integer_mod(x1, x2)
    remainder = tf.math.floormod(x1, x2)
    # TensorFlow loses the divisor where it is infinite, and a remainder too small to be added to it.
    x1, x2 = tf.convert_to_tensor(x1), tf.convert_to_tensor(x2, x1.dtype)
    rounded = tf.logical_and(tf.not_equal(tf.sign(x1), tf.sign(x2)), tf.less(tf.abs(x1), tf.abs(x2)))
    rounded = tf.logical_and(rounded, tf.not_equal(x1, 0))
    return tf.where(rounded, x1 + x2, remainder)


def _of_integers(fn: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A division that gives 0 where the divisor is 0, where TensorFlow's raises an error."""

    def call(x1: Tensor, x2: Any) -> Tensor:
        x2 = tf.convert_to_tensor(x2, x1.dtype)
        zero, one = tf.equal(x2, 0), tf.ones((), x1.dtype)
        inverse = tf.zeros_like(zero) if x1.dtype in UNSIGNED else tf.equal(x2, -one)
        # Dividing by -1 by negation: the machine traps at the smallest number.
        result = fn(x1, tf.where(zero | inverse, one, x2))
        if fn is tf.math.floordiv and x1.dtype not in UNSIGNED:
            result = tf.where(inverse, tf.negative(result), result)
        return tf.where(zero, tf.zeros((), x1.dtype), result)

    return call


_integer_mod = _of_integers(tf.math.floormod)
_integer_fmod = _of_integers(tf.truncatemod)


@_binary
def fmod(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.dtype not in FLOATS:
        return _integer_fmod(x1, x2)
    from unidl import ops  # TensorFlow's own has no gradient

    return ops.fmod.op.rule(x1, x2)


@_binary
def gcd(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.dtype not in UNSIGNED and not x1.dtype.is_integer:
        raise TypeError("only integers have divisors")
    shape = tf.broadcast_dynamic_shape(tf.shape(x1), tf.shape(x2))
    x1, x2 = tf.broadcast_to(x1, shape), tf.broadcast_to(x2, shape)
    static = tf.broadcast_static_shape(x1.shape, x2.shape)
    found = tf.while_loop(
        lambda a, b: tf.reduce_any(tf.not_equal(b, 0)),
        lambda a, b: (tf.where(tf.equal(b, 0), a, b), _integer_mod(a, b)),
        (absolute(x1), absolute(x2)),
    )[0]
    return tf.ensure_shape(found, static)


@_binary
def floor_divide(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.dtype not in FLOATS:
        return _integer_divide(x1, x2)
    # floor(x1 / x2) alone may be one too large, where the quotient was rounded up to a whole number.
    x1, x2 = tf.convert_to_tensor(x1), tf.convert_to_tensor(x2, x1.dtype)
    quotient = tf.where(tf.equal(x2, 0), x1 / x2, tf.round((x1 - mod(x1, x2)) / x2))
    apart = tf.not_equal(x1, 0) & tf.not_equal(tf.sign(x1), tf.sign(x2))
    beyond = tf.math.is_inf(x2) & tf.math.is_finite(x1)
    return tf.stop_gradient(tf.where(beyond, tf.where(apart, tf.cast(-1, x1.dtype), tf.cast(0, x1.dtype)), quotient))


_integer_divide = _of_integers(tf.math.floordiv)


@_binary
def power(x1: Tensor, x2: Any) -> Tensor:
    if type(x2) in (int, float) and x2 in (1, 2, 3) and x1.dtype in FLOATS:
        # A general power of floats takes ten times as long.
        return tf.identity(x1) if x2 == 1 else tf.square(x1) if x2 == 2 else x1 * tf.square(x1)
    if x1.dtype in FLOATS or x1.dtype in COMPLEX:
        return tf.pow(x1, x2)
    x2 = tf.convert_to_tensor(x2, x1.dtype)
    if x1.dtype is tf.bool:
        raise TypeError("bools are no numbers")
    if x1.dtype in UNSIGNED:
        return _pow(x1, x2)
    # TensorFlow refuses negative powers of integers.
    one, zero = tf.ones((), x1.dtype), tf.zeros((), x1.dtype)
    odd = tf.where(tf.equal(tf.math.floormod(x2, one + one), zero), one, -one)
    parts = tf.where(tf.equal(x1, one), one, tf.where(tf.equal(x1, -one), odd, zero))
    return tf.where(x2 < 0, parts, _pow(x1, tf.maximum(x2, zero)))


_pow = _wide(tf.pow, frozenset(WIDER))


def where(condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    return tf.where(condition if condition.dtype is tf.bool else cast(condition, "bool"), x1, x2)


TABLE: dict[str, Any] = {
    "absolute": absolute,
    "negative": negative,
    "sign": sign,
    "square": _wide(tf.square, frozenset({tf.bool, *UNSIGNED, tf.int8, tf.int16})),
    "exp": tf.exp,
    "expm1": tf.math.expm1,
    "log": tf.math.log,
    "log1p": tf.math.log1p,
    "sqrt": tf.sqrt,
    "rsqrt": tf.math.rsqrt,
    "sin": tf.sin,
    "cos": tf.cos,
    "tan": tf.tan,
    "arcsin": tf.asin,
    "arccos": tf.acos,
    "arctan": tf.atan,
    "sinh": tf.sinh,
    "cosh": tf.cosh,
    "tanh": tf.tanh,
    "arcsinh": tf.asinh,
    "arccosh": tf.acosh,
    "arctanh": tf.atanh,
    "erf": erf,
    "erfc": erfc,
    "erfinv": tf.math.erfinv,
    "i0": i0,
    "floor": tf.floor,
    "ceil": tf.math.ceil,
    "round": round,
    "signbit": signbit,
    "nextafter": nextafter,
    "isnan": _kind(tf.math.is_nan, tf.zeros_like, tf.logical_or),
    "isinf": _kind(tf.math.is_inf, tf.zeros_like, tf.logical_or),
    "isfinite": _kind(tf.math.is_finite, tf.ones_like, tf.logical_and),
    "logical_not": logical_not,
    "cast": cast,
    "copy": tf.identity,
    "stop_gradient": tf.stop_gradient,
    "reciprocal": tf.math.reciprocal,
    "add": _binary(tf.add, tf.logical_or),
    "subtract": _binary(tf.subtract),
    "multiply": _binary(tf.multiply, tf.logical_and),
    "divide": _binary(tf.realdiv),
    "floor_divide": floor_divide,
    "mod": mod,
    "fmod": fmod,
    "gcd": gcd,
    "power": power,
    "maximum": _binary(tf.maximum, tf.logical_or),
    "minimum": _binary(tf.minimum, tf.logical_and),
    "arctan2": tf.atan2,
    "equal": _binary(tf.equal),
    "not_equal": _binary(tf.not_equal),
    "less": _ordered(tf.less),
    "less_equal": _ordered(tf.less_equal),
    "greater": _ordered(tf.greater),
    "greater_equal": _ordered(tf.greater_equal),
    "logical_and": _logical(tf.logical_and),
    "logical_or": _logical(tf.logical_or),
    "logical_xor": _logical(tf.math.logical_xor),
    "where": where,
}
