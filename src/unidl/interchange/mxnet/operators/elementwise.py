"""Elementwise functions. The old operators keep the dtype of what they read, those of `mx.np` follow NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import DOMAIN, Value


def is_float(x: Value) -> bool:
    return x.dtype.startswith(("float", "bfloat"))


def _floating(c: Call, x: Value) -> Value:
    return x if is_float(x) else c.w.cast(x, "float32")


def _kept(c: Call, x: Value, y: Value) -> Value:
    """The result of an old operator in the dtype of what it read."""
    return y if c.own else c.w.cast(y, x.dtype)


# -- of one tensor ---------------------------------------------------------------------------------

#: Functions of floats that ONNX has, by MXNet's names without a prefix.
_FLOATS = {
    "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin",
    "arccos": "Acos", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "arcsinh": "Asinh",
    "arccosh": "Acosh", "arctanh": "Atanh", "sigmoid": "Sigmoid", "erf": "Erf", "reciprocal": "Reciprocal",
    "softsign": "Softsign",
}  # fmt: skip
#: Those that ONNX lacks: unidl's own, in the domain "mxnet".
_OWN = {"erfinv": "erfinv", "log1p": "log1p", "expm1": "expm1"}
#: Functions that keep any dtype.
_ANY = {"abs": "Abs", "absolute": "Abs", "negative": "Neg", "sign": "Sign", "relu": "Relu"}
#: Functions that round: of integers they are what these are.
_ROUNDING = {"floor": "Floor", "ceil": "Ceil"}


def _names(name: str) -> str:
    return f"{name} _sparse_{name} _npi_{name} _npx_{name}"


for _name, _op in _FLOATS.items():

    @operator(_names(_name), keeps_shape=True, op=_op)
    def _float_function(c: Call, x: Value, op: str) -> Value:
        return c.w.cast(c.w.node(op, _floating(c, x)), x.dtype)


for _name, _op in _OWN.items():

    @operator(_names(_name), keeps_shape=True, op=_op)
    def _own_function(c: Call, x: Value, op: str) -> Value:
        x = _floating(c, x)
        return c.w.node(op, x, domain=DOMAIN, shape=x.shape)


for _name, _op in _ANY.items():

    @operator(_names(_name), keeps_shape=True, op=_op)
    def _any_function(c: Call, x: Value, op: str) -> Value:
        return c.w.node(op, x)


for _name, _op in _ROUNDING.items():

    @operator(_names(_name), keeps_shape=True, op=_op)
    def _rounding_function(c: Call, x: Value, op: str) -> Value:
        return c.w.node(op, x) if is_float(x) else x


@operator(_names("rint"), keeps_shape=True)
def _rint(c: Call, x: Value) -> Value:
    """Halves downwards."""
    return c.w.node("Ceil", c.w.node("Sub", x, c.w.number(0.5, x))) if is_float(x) else x


@operator("round _sparse_round", keeps_shape=True)
def _round(c: Call, x: Value) -> Value:
    """Halves away from 0."""
    w = c.w
    half = w.node("Mul", w.node("Sign", x), w.number(0.5, x))
    return _toward_zero(c, w.node("Add", x, half)) if is_float(x) else x


@operator("fix trunc _sparse_fix _sparse_trunc _npi_fix _npi_trunc", keeps_shape=True)
def _toward_zero(c: Call, x: Value) -> Value:
    w = c.w
    return w.node("Mul", w.node("Sign", x), w.node("Floor", w.node("Abs", x))) if is_float(x) else x


@operator("_npi_around", keeps_shape=True)
def _around(c: Call, x: Value) -> Value:
    w, digits = c.w, c.integer("decimals", 0)
    if not is_float(x):
        return x
    if digits == 0:
        return w.node("Round", x)
    scale = w.number(10.0**digits, x)
    return w.node("Div", w.node("Round", w.node("Mul", x, scale)), scale)


@operator(_names("square"), keeps_shape=True)
def _square(c: Call, x: Value) -> Value:
    return c.w.node("Mul", x, x)


@operator(_names("rsqrt"), keeps_shape=True)
def _rsqrt(c: Call, x: Value) -> Value:
    return c.w.node("Reciprocal", c.w.node("Sqrt", x))


@operator(_names("cbrt"), keeps_shape=True)
def _cbrt(c: Call, x: Value) -> Value:
    w, x = c.w, _floating(c, x)
    return w.node("Mul", w.node("Sign", x), w.node("Pow", w.node("Abs", x), w.number(1 / 3, x)))


@operator("rcbrt", keeps_shape=True)
def _rcbrt(c: Call, x: Value) -> Value:
    return c.w.node("Reciprocal", _cbrt(c, x))


@operator(_names("log2"), keeps_shape=True, factor=1 / math.log(2))
@operator(_names("log10"), keeps_shape=True, factor=1 / math.log(10))
def _log(c: Call, x: Value, factor: float) -> Value:
    x = _floating(c, x)
    return c.w.node("Mul", c.w.node("Log", x), c.w.number(factor, x))


@operator(_names("degrees"), keeps_shape=True, factor=180 / math.pi)
@operator(_names("radians"), keeps_shape=True, factor=math.pi / 180)
def _scaled(c: Call, x: Value, factor: float) -> Value:
    x = _floating(c, x)
    return c.w.node("Mul", x, c.w.number(factor, x))


@operator("logical_not _npi_logical_not", keeps_shape=True)
def _not(c: Call, x: Value) -> Value:
    return _kept(c, x, c.w.node("Not", c.w.cast(x, "bool")))


@operator("_npi_isnan", keeps_shape=True, op="IsNaN")
@operator("_npi_isinf", keeps_shape=True, op="IsInf")
@operator("_npi_isposinf", keeps_shape=True, op="IsInf", detect_negative=0)
@operator("_npi_isneginf", keeps_shape=True, op="IsInf", detect_positive=0)
def _is(c: Call, x: Value, op: str, **more: int) -> Value:
    return c.w.node(op, _floating(c, x), **more)


@operator("_npi_isfinite", keeps_shape=True)
def _isfinite(c: Call, x: Value) -> Value:
    w, x = c.w, _floating(c, x)
    return w.node("Not", w.node("Or", w.node("IsNaN", x), w.node("IsInf", x)))


@operator("_npi_bitwise_not", keeps_shape=True)
def _bitwise_not(c: Call, x: Value) -> Value:
    return c.w.node("Not" if x.dtype == "bool" else "BitwiseNot", x)


@operator("clip _sparse_clip _npi_clip", keeps_shape=True)
def _clip(c: Call, x: Value) -> Value:
    low, high = c.get("a_min"), c.get("a_max")
    bounds = [None if b is None else c.w.number(b, x) for b in (low, high)]
    return c.w.node("Clip", x, *bounds)


@operator("Cast cast _npi_cast _npx_cast amp_cast", keeps_shape=True)
def _cast(c: Call, x: Value) -> Value:
    return c.w.cast(x, c.dtype(x.dtype))


@operator("amp_multicast")
def _multicast(c: Call, *xs: Value) -> list[Value]:
    """All in the widest dtype among them, or in the narrowest."""
    choose = min if c.flag("cast_narrow") else max
    dtype = choose((x.dtype for x in xs), key=lambda name: np.dtype("float16" if name == "bfloat16" else name).itemsize)
    return [c.w.cast(x, dtype) for x in xs]


# -- of two ----------------------------------------------------------------------------------------


def promoted(c: Call, *xs: Value) -> list[Value]:
    """All in one dtype: of a float and an integer the float."""
    kinds = {x.dtype for x in xs}
    if len(kinds) == 1:
        return list(xs)
    floats = [k for k in kinds if k.startswith(("float", "bfloat"))]
    if len(floats) == 1:
        dtype = floats[0]
    else:
        dtype = np.result_type(*(floats or kinds)).name
    return [c.w.cast(x, dtype) for x in xs]


def _add(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("Or" if a.dtype == "bool" else "Add", a, b)


def _multiply(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("And" if a.dtype == "bool" else "Mul", a, b)


def _subtract(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("Sub", a, b)


def _divide(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("Div", a, b)


def _true_divide(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("Div", _floating(c, a), _floating(c, b))


def _mod(c: Call, a: Value, b: Value) -> Value:
    """With the sign of the divisor."""
    w = c.w
    if not is_float(a):
        return w.node("Mod", a, b)
    return w.node("Sub", a, w.node("Mul", w.node("Floor", w.node("Div", a, b)), b))


def _power(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("Pow", a, b)


def _maximum(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("Max", a, b)


def _minimum(c: Call, a: Value, b: Value) -> Value:
    return c.w.node("Min", a, b)


def _hypot(c: Call, a: Value, b: Value) -> Value:
    w = c.w
    return w.node("Sqrt", w.node("Add", w.node("Mul", a, a), w.node("Mul", b, b)))


def _arctan2(c: Call, a: Value, b: Value) -> Value:
    w, a, b = c.w, _floating(c, a), _floating(c, b)
    return w.node("arctan2", a, b, domain=DOMAIN, shape=w.node("Add", a, b).shape)


def _comparison(op: str, opposite: bool = False) -> Callable[[Call, Value, Value], Value]:
    def compare(c: Call, a: Value, b: Value) -> Value:
        y = c.w.node(op, a, b)
        return _kept(c, a, c.w.node("Not", y) if opposite else y)

    return compare


def _logical(op: str) -> Callable[[Call, Value, Value], Value]:
    def combine(c: Call, a: Value, b: Value) -> Value:
        return _kept(c, a, c.w.node(op, c.w.cast(a, "bool"), c.w.cast(b, "bool")))

    return combine


def _bitwise(op: str) -> Callable[[Call, Value, Value], Value]:
    def combine(c: Call, a: Value, b: Value) -> Value:
        return c.w.node(op if a.dtype == "bool" else f"Bitwise{op}", a, b)

    return combine


Binary = Callable[[Call, Value, Value], Value]

#: Function: names of the operators of two tensors, of a tensor and a number, of a number and a tensor.
_BINARY: list[tuple[Binary, str, str, str]] = [
    (
        _add,
        "elemwise_add broadcast_add broadcast_plus _plus _Plus _add _grad_add _npi_add _sparse_elemwise_add "
        "_sparse_broadcast_add _sparse_broadcast_plus",
        "_plus_scalar _PlusScalar _npi_add_scalar _scatter_plus_scalar",
        "",
    ),
    (
        _subtract,
        "elemwise_sub broadcast_sub broadcast_minus _minus _Minus _sub _npi_subtract _sparse_elemwise_sub",
        "_minus_scalar _MinusScalar _npi_subtract_scalar _scatter_minus_scalar",
        "_rminus_scalar _RMinusScalar _npi_rsubtract_scalar",
    ),
    (
        _multiply,
        "elemwise_mul broadcast_mul _mul _Mul _npi_multiply _sparse_elemwise_mul _sparse_broadcast_mul",
        "_mul_scalar _MulScalar _npi_multiply_scalar",
        "",
    ),
    (
        _divide,
        "elemwise_div broadcast_div _div _Div _sparse_elemwise_div _sparse_broadcast_div _scatter_elemwise_div",
        "_div_scalar _DivScalar",
        "_rdiv_scalar _RDivScalar",
    ),
    (_true_divide, "_npi_true_divide", "_npi_true_divide_scalar", "_npi_rtrue_divide_scalar"),
    (
        _mod,
        "broadcast_mod _mod _Mod _npi_mod",
        "_mod_scalar _ModScalar _npi_mod_scalar",
        "_rmod_scalar _RModScalar _npi_rmod_scalar",
    ),
    (
        _power,
        "broadcast_power _power _Power _npi_power",
        "_power_scalar _PowerScalar _npi_power_scalar",
        "_rpower_scalar _RPowerScalar _npi_rpower_scalar",
    ),
    (
        _maximum,
        "broadcast_maximum _maximum _Maximum _npi_maximum",
        "_maximum_scalar _MaximumScalar _npi_maximum_scalar",
        "",
    ),
    (
        _minimum,
        "broadcast_minimum _minimum _Minimum _npi_minimum",
        "_minimum_scalar _MinimumScalar _npi_minimum_scalar",
        "",
    ),
    (_hypot, "broadcast_hypot _hypot _Hypot _npi_hypot", "_hypot_scalar _HypotScalar _npi_hypot_scalar", ""),
    (_arctan2, "_npi_arctan2", "_npi_arctan2_scalar", "_npi_rarctan2_scalar"),
    (
        _comparison("Equal"),
        "broadcast_equal _equal _Equal _npi_equal",
        "_equal_scalar _EqualScalar _npi_equal_scalar",
        "",
    ),
    (
        _comparison("Equal", True),
        "broadcast_not_equal _not_equal _Not_Equal _npi_not_equal",
        "_not_equal_scalar _NotEqualScalar _npi_not_equal_scalar",
        "",
    ),
    (
        _comparison("Greater"),
        "broadcast_greater _greater _Greater _npi_greater",
        "_greater_scalar _GreaterScalar _npi_greater_scalar",
        "",
    ),
    (
        _comparison("GreaterOrEqual"),
        "broadcast_greater_equal _greater_equal _Greater_Equal _npi_greater_equal",
        "_greater_equal_scalar _GreaterEqualScalar _npi_greater_equal_scalar",
        "",
    ),
    (
        _comparison("Less"),
        "broadcast_lesser _lesser _Lesser _npi_less",
        "_lesser_scalar _LesserScalar _npi_less_scalar",
        "",
    ),
    (
        _comparison("LessOrEqual"),
        "broadcast_lesser_equal _lesser_equal _Lesser_Equal _npi_less_equal",
        "_lesser_equal_scalar _LesserEqualScalar _npi_less_equal_scalar",
        "",
    ),
    (_logical("And"), "broadcast_logical_and _logical_and _Logical_And", "_logical_and_scalar _LogicalAndScalar", ""),
    (
        _logical("Or"),
        "broadcast_logical_or _logical_or _Logical_Or _npi_logical_or",
        "_logical_or_scalar _LogicalOrScalar",
        "",
    ),
    (_logical("Xor"), "broadcast_logical_xor _logical_xor _Logical_Xor", "_logical_xor_scalar _LogicalXorScalar", ""),
    (_bitwise("And"), "_npi_bitwise_and", "_npi_bitwise_and_scalar", ""),
    (_bitwise("Or"), "_npi_bitwise_or", "_npi_bitwise_or_scalar", ""),
    (_bitwise("Xor"), "_npi_bitwise_xor", "_npi_bitwise_xor_scalar", ""),
]


def _with_number(c: Call, x: Value) -> tuple[Value, Value]:
    """The tensor, and the attribute `scalar` in its dtype; with a fraction, an integer of `mx.np` becomes a float."""
    scalar = c.get("scalar", 1)
    if not isinstance(scalar, (int, float)):
        raise c.error(f"scalar is {scalar!r}, and a number is expected")
    if c.own and not is_float(x) and not float(scalar).is_integer():
        x = c.w.cast(x, "float64")
    if x.dtype == "bool" and not isinstance(scalar, bool):
        x = c.w.cast(x, "int32")
    if not is_float(x) and not math.isfinite(scalar):
        raise c.error(f"scalar is {scalar!r}, and {x.dtype} has no such number")
    return x, c.w.number(scalar if is_float(x) else int(scalar), x)


for _function, _two, _right, _left in _BINARY:

    @operator(_two, function=_function)
    def _of_two(c: Call, a: Value, b: Value, function: Binary) -> Value:
        return function(c, *promoted(c, a, b))

    @operator(_right, keeps_shape=True, function=_function)
    def _of_tensor_and_number(c: Call, x: Value, function: Binary) -> Value:
        return function(c, *_with_number(c, x))

    @operator(_left, keeps_shape=True, function=_function)
    def _of_number_and_tensor(c: Call, x: Value, function: Binary) -> Value:
        x, number = _with_number(c, x)
        return function(c, number, x)


@operator("add_n ElementWiseSum _sparse_add_n _sparse_ElementWiseSum")
def _sum(c: Call, *xs: Value) -> Value:
    return c.w.node("Sum", *xs) if len(xs) > 1 else xs[0]


@operator("where _sparse_where _npi_where")
def _where(c: Call, condition: Value, a: Value, b: Value) -> Value:
    """A condition of one dimension chooses rows in the old operator."""
    w, (a, b) = c.w, promoted(c, a, b)
    if not c.own and c.rank(condition) == 1 and c.rank(a) > 1:
        condition = w.reshape(condition, [-1, *[1] * (c.rank(a) - 1)])
    return w.node("Where", w.cast(condition, "bool"), a, b)


@operator("_npi_where_lscalar", left=True)
@operator("_npi_where_rscalar", left=False)
def _where_number(c: Call, condition: Value, x: Value, left: bool) -> Value:
    x, number = _with_number(c, x)
    return c.w.node("Where", c.w.cast(condition, "bool"), *((number, x) if left else (x, number)))


@operator("_npi_where_scalar2")
def _where_numbers(c: Call, condition: Value) -> Value:
    numbers = [c.w.constant(c.real(name), "float32") for name in ("x", "y")]
    return c.w.node("Where", c.w.cast(condition, "bool"), *numbers)
