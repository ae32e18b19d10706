"""Arithmetic, comparing, rounding and functions of single numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl.interchange.onnx.exporting._emit import Emit, as_bool, since, unary
from unidl.interchange.onnx.exporting._writer import Value, Writer


def _sides(w: Writer, x1: Any, x2: Any) -> tuple[Value, Value, str]:
    """Both operands in a dtype that onnxruntime computes in, and their own dtype."""
    like = x1 if type(x1) is Value else x2
    return w.wide(w.number(x1, like)), w.wide(w.number(x2, like)), like.dtype


def _arithmetic(op_type: str) -> Emit:
    def emit(w: Writer, x1: Any, x2: Any) -> Value:
        a, b, dtype = _sides(w, x1, x2)
        if dtype == "bool":  # sums and products of bools: or, and
            return w.node({"Add": "Or", "Mul": "And", "Max": "Or", "Min": "And"}[op_type], a, b)
        return w.cast(w.node(op_type, a, b), dtype)

    return emit


def _comparison(op_type: str, negated: bool = False) -> Emit:
    def emit(w: Writer, x1: Any, x2: Any) -> Value:
        a, b, dtype = _sides(w, x1, x2)
        if dtype == "bool" and op_type != "Equal":
            a, b = w.cast(a, "int32"), w.cast(b, "int32")
        result = w.node(op_type, a, b, dtype="bool")
        return w.node("Not", result) if negated else result

    return emit


def _logical(op_type: str) -> Emit:
    def emit(w: Writer, x1: Value, x2: Value) -> Value:
        return w.node(op_type, as_bool(w, x1), as_bool(w, x2))

    return emit


def logical_not(w: Writer, x: Value) -> Value:
    return w.node("Not", as_bool(w, x))


def _integer_division(w: Writer, a: Value, b: Value, modulo: bool) -> Value:
    """Quotients rounded down, or remainders of the divisor's sign; 0 for a divisor of 0, which may end a process."""
    known = w.array(b)
    zero = w.constant(0, b.dtype)
    is_zero = None
    if known is None or not np.all(known):
        is_zero = w.node("Equal", b, zero, dtype="bool")
        b = w.node("Where", is_zero, w.constant(1, b.dtype), b, dtype=b.dtype)
    rest = w.node("Mod", a, b)
    result = rest if modulo else w.node("Div", w.node("Sub", a, rest), b)
    return result if is_zero is None else w.node("Where", is_zero, zero, result, dtype=result.dtype)


def floor_divide(w: Writer, x1: Any, x2: Any) -> Value:
    a, b, dtype = _sides(w, x1, x2)
    if w.is_float(a):
        return w.node("Floor", w.node("Div", a, b))
    return w.cast(_integer_division(w, a, b, False), dtype)


def mod(w: Writer, x1: Any, x2: Any) -> Value:
    a, b, dtype = _sides(w, x1, x2)
    if not w.is_float(a):
        return w.cast(_integer_division(w, a, b, True), dtype)
    rest = w.node("Mod", a, b, fmod=1)  # has the sign of the dividend
    zero = w.constant(0, dtype)
    apart = w.node("Xor", w.node("Less", rest, zero, dtype="bool"), w.node("Less", b, zero, dtype="bool"))
    some = w.node("Not", w.node("Equal", rest, zero, dtype="bool"))
    return w.where(w.node("And", apart, some), w.node("Add", rest, b), rest)


def divide(w: Writer, x1: Any, x2: Any) -> Value:
    a, b, _ = _sides(w, x1, x2)
    return w.node("Div", a, b)


def power(w: Writer, x1: Any, x2: Any) -> Value:
    a, b, dtype = _sides(w, x1, x2)
    exponent = w.array(b)
    if exponent is not None and exponent.size == 1 and exponent.item() == 2 and len(b.shape) == 0:
        return w.cast(w.node("Mul", a, a), dtype)
    return w.cast(w.node("Pow", a, b), dtype)


def absolute(w: Writer, x: Value) -> Value:
    return x if x.dtype == "bool" or x.dtype[0] == "u" else w.cast(w.node("Abs", w.wide(x)), x.dtype)


def negative(w: Writer, x: Value) -> Value:
    return w.cast(w.node("Neg", w.wide(x)), x.dtype)


def sign(w: Writer, x: Value) -> Value:
    return x if x.dtype == "bool" else w.cast(w.node("Sign", w.wide(x)), x.dtype)


def square(w: Writer, x: Value) -> Value:
    if x.dtype == "bool":
        return NotImplemented
    wide = w.wide(x)
    return w.cast(w.node("Mul", wide, wide), x.dtype)


def relu(w: Writer, x: Value) -> Value:
    if w.is_float(x):
        return w.node("Relu", x)
    wide = w.wide(w.cast(x, "int32") if x.dtype == "bool" else x)
    return w.cast(w.node("Max", wide, w.constant(0, wide.dtype)), x.dtype)


def rsqrt(w: Writer, x: Value) -> Value:
    return w.node("Reciprocal", w.node("Sqrt", x))


def expm1(w: Writer, x: Value) -> Value:
    """``tanh(x / 2) * (exp(x) + 1)``, which keeps the digits of small x."""
    half = w.node("Tanh", w.node("Mul", x, w.constant(0.5, x.dtype)))
    return w.node("Mul", half, w.node("Add", w.node("Exp", x), w.constant(1, x.dtype)))


def log1p(w: Writer, x: Value) -> Value:
    """``log(u)`` for ``u = 1 + x``; near 0 times ``x / (u - 1)``, which makes up for the digits lost in u (Kahan)."""
    one = w.constant(1, x.dtype)
    u = w.node("Add", x, one)
    logarithm, step = w.node("Log", u), w.node("Sub", u, one)
    lost = w.node("Equal", step, w.constant(0, x.dtype), dtype="bool")
    small = w.where(lost, x, w.node("Div", w.node("Mul", logarithm, x), w.where(lost, one, step)))
    return w.where(w.node("Less", w.node("Abs", x), one, dtype="bool"), small, logarithm)


def arctan2(w: Writer, y: Value, x: Value) -> Value:
    def number(value: float) -> Value:
        return w.constant(value, y.dtype)

    def below(v: Value) -> Value:
        return w.node("Less", v, number(0), dtype="bool")

    none = w.node("Equal", x, number(0), dtype="bool")
    angle = w.node("Atan", w.node("Div", y, w.where(none, number(1), x)))
    turned = w.node("Add", angle, w.where(below(y), number(-math.pi), number(math.pi)))
    angle = w.where(below(x), turned, angle)
    return w.where(none, w.node("Mul", w.node("Sign", y), number(math.pi / 2)), angle)


def gcd(w: Writer, x1: Value, x2: Value) -> Value:
    """Euclid's algorithm in a loop, as long as some remainder is not 0."""
    a, b = w.cast(x1, "int64"), w.cast(x2, "int64")
    zero = w.constant(0, "int64")
    both = w.node("Mul", w.node("Add", a, b), zero)  # in the shape that both broadcast to
    a, b = (w.node("Add", w.node("Abs", x), both) for x in (a, b))

    def some(remainders: Value) -> Value:
        left = w.reduce("ReduceSum", w.node("Reshape", w.node("Sign", remainders), np.asarray([-1])), [0])
        return w.node("Greater", left, zero, dtype="bool")

    def step(count: Value, go_on: Value, a: Value, b: Value) -> list[Value]:
        rest = _integer_division(w, a, b, True)
        rest, divisor = (
            w.where(w.node("Equal", b, zero, dtype="bool"), kept, new) for kept, new in ((b, rest), (a, b))
        )
        return [some(rest), divisor, rest]

    body = w.subgraph("euclid", [((), "int64"), ((), "bool"), (None, "int64"), (None, "int64")], step)
    return w.cast(w.nodes("Loop", [None, some(b), a, b], ["int64", "int64"], body=body)[0], x1.dtype)


#: Polynomials of Giles, "Approximating the erfinv function" (2011), for single precision: near 0, and at the ends.
_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_ENDS = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip


def erfinv(w: Writer, x: Value) -> Value:
    def number(value: float) -> Value:
        return w.constant(value, x.dtype)

    def polynomial(t: Value, factors: tuple[float, ...]) -> Value:
        total = number(factors[0])
        for factor in factors[1:]:
            total = w.node("Add", w.node("Mul", total, t), number(factor))
        return total

    one = number(1)
    product = w.node("Mul", w.node("Sub", one, x), w.node("Add", one, x))
    t = w.node("Neg", w.node("Log", product))
    centre = polynomial(w.node("Sub", t, number(2.5)), _CENTRE)
    ends = polynomial(w.node("Sub", w.node("Sqrt", t), number(3)), _ENDS)
    found = w.node("Mul", w.where(w.node("Less", t, number(5), dtype="bool"), centre, ends), x)
    at_end = w.node("Equal", w.node("Abs", x), one, dtype="bool")
    return w.where(at_end, w.node("Mul", x, number(math.inf)), found)


def round_(w: Writer, x: Value, decimals: int = 0) -> Value:
    if decimals == 0:
        return w.node("Round", x) if w.is_float(x) else x
    if not w.is_float(x):
        if decimals > 0:
            return x
        wide = w.node("Div", w.cast(x, "float64"), w.constant(10.0**-decimals, "float64"))
        return w.cast(w.node("Mul", w.node("Round", wide), w.constant(10.0**-decimals, "float64")), x.dtype)
    scale = w.constant(10.0 ** abs(decimals), x.dtype)
    there, back = ("Mul", "Div") if decimals > 0 else ("Div", "Mul")
    return w.node(back, w.node("Round", w.node(there, x, scale)), scale)


def _whole(op_type: str) -> Emit:
    def emit(w: Writer, x: Value) -> Value:
        return w.node(op_type, x) if w.is_float(x) else x

    return emit


def _kind(op_type: str) -> Emit:
    def emit(w: Writer, x: Value) -> Value:
        if not w.is_float(x):
            return w.node("Not", w.node("Equal", w.wide(x), w.wide(x), dtype="bool"))
        return w.node(op_type, x, dtype="bool")

    return emit


def isfinite(w: Writer, x: Value) -> Value:
    if not w.is_float(x):
        return w.node("Equal", w.wide(x), w.wide(x), dtype="bool")
    bad = w.node("Or", w.node("IsNaN", x, dtype="bool"), w.node("IsInf", x, dtype="bool"))
    return w.node("Not", bad)


def where(w: Writer, condition: Value, x1: Value, x2: Value) -> Value:
    return w.where(as_bool(w, condition), x1, x2)


@since(18)
def bitwise_and(w: Writer, x: Value, y: Value) -> Value:
    a, b = w.wide(x), w.wide(y)
    return w.node("And", x, y) if x.dtype == "bool" else w.cast(w.node("BitwiseAnd", a, b), x.dtype)


def cast(w: Writer, x: Value, dtype: Any) -> Value:
    return w.cast(x, w.specs[0].dtype)


def same(w: Writer, x: Value) -> Value:
    return x


TABLE: dict[str, Emit] = {
    "add": _arithmetic("Add"),
    "subtract": _arithmetic("Sub"),
    "multiply": _arithmetic("Mul"),
    "maximum": _arithmetic("Max"),
    "minimum": _arithmetic("Min"),
    "divide": divide,
    "floor_divide": floor_divide,
    "mod": mod,
    "power": power,
    "equal": _comparison("Equal"),
    "not_equal": _comparison("Equal", negated=True),
    "less": _comparison("Less"),
    "less_equal": _comparison("LessOrEqual"),
    "greater": _comparison("Greater"),
    "greater_equal": _comparison("GreaterOrEqual"),
    "logical_and": _logical("And"),
    "logical_or": _logical("Or"),
    "logical_xor": _logical("Xor"),
    "logical_not": logical_not,
    "bitwise_and": bitwise_and,
    "gcd": gcd,
    "absolute": absolute,
    "negative": negative,
    "sign": sign,
    "square": square,
    "reciprocal": unary("Reciprocal"),
    "relu": relu,
    "sigmoid": unary("Sigmoid"),
    "exp": unary("Exp"),
    "expm1": expm1,
    "log": unary("Log"),
    "log1p": log1p,
    "sqrt": unary("Sqrt"),
    "rsqrt": rsqrt,
    "erf": unary("Erf"),
    "erfinv": erfinv,
    "sin": unary("Sin"),
    "cos": unary("Cos"),
    "tan": unary("Tan"),
    "arcsin": unary("Asin"),
    "arccos": unary("Acos"),
    "arctan": unary("Atan"),
    "arctan2": arctan2,
    "sinh": unary("Sinh"),
    "cosh": unary("Cosh"),
    "tanh": unary("Tanh"),
    "arcsinh": unary("Asinh"),
    "arccosh": unary("Acosh"),
    "arctanh": unary("Atanh"),
    "floor": _whole("Floor"),
    "ceil": _whole("Ceil"),
    "round": round_,
    "isnan": _kind("IsNaN"),
    "isinf": _kind("IsInf"),
    "isfinite": isfinite,
    "where": where,
    "cast": cast,
    "copy": same,
    "stop_gradient": same,
}
