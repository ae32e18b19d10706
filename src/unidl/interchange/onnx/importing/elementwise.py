"""Arithmetic, comparisons, logic and bits."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from unidl import ops
from unidl.dtypes import is_float
from unidl.interchange.onnx.importing import _sizes
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._host import np_dtype
from unidl.interchange.onnx.importing._table import MICROSOFT, TABLE, Entry, operator, put
from unidl.interchange.onnx.importing._values import as_tensor, dtype_of, has_sizes, is_host, rank_of, shape_of

#: Operators of one input that are one op, and have no attributes.
_UNARY = {
    "Abs": "absolute", "Acos": "arccos", "Acosh": "arccosh", "Asin": "arcsin", "Asinh": "arcsinh", "Atan": "arctan",
    "Atanh": "arctanh", "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Exp": "exp", "Floor": "floor", "IsNaN": "isnan",
    "Log": "log", "Neg": "negative", "Not": "logical_not", "Sign": "sign", "Sin": "sin", "Sinh": "sinh",
    "Sqrt": "sqrt", "Tan": "tan", "Tanh": "tanh", "BitwiseNot": "bitwise_invert",
}  # fmt: skip

_HOST_NAMES = {"bitwise_invert": "invert"}


def _unary(name: str) -> Any:
    def entry(call: Call, x: Any) -> Any:
        x = as_tensor(x)
        if is_host(x) and call.ops is not ops:
            return getattr(call.ops, _HOST_NAMES.get(name, name))(x)
        return getattr(ops, name)(x)

    return entry


for _onnx, _name in _UNARY.items():
    put(TABLE, _onnx, "", Entry(1, _unary(_name), host=True))

#: Operators of two inputs that broadcast.
_BINARY = {
    "Add": "add", "Sub": "subtract", "Mul": "multiply", "And": "logical_and", "Or": "logical_or",
    "Xor": "logical_xor", "Equal": "equal", "Greater": "greater", "Less": "less",
    "GreaterOrEqual": "greater_equal", "LessOrEqual": "less_equal", "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor",
}  # fmt: skip


def aligned(call: Call, a: Any, b: Any) -> tuple[Any, Any]:
    """Two operands; before opset 7 the second was placed by `broadcast` and `axis`."""
    if call.version < 7 and call.node.domain == "" and call.get("broadcast", 0) and rank_of(b):
        axis = call.get("axis", rank_of(a) - rank_of(b))
        after = rank_of(a) - rank_of(b) - (axis % max(rank_of(a), 1))
        if after > 0:
            b = call.ops.reshape(b, (*shape_of(b), *[1] * after))
    if call.ops is ops:
        return as_tensor(a), as_tensor(b)
    return a, b


def _binary(name: str) -> Any:
    def entry(call: Call, a: Any, b: Any) -> Any:
        a, b = aligned(call, a, b)
        if name == "equal" and (has_sizes(a) or has_sizes(b)):
            return np.vectorize(_sizes.equal, otypes=[bool])(a, b)
        return getattr(call.ops, name)(a, b)

    return entry


for _onnx, _name in _BINARY.items():
    put(TABLE, _onnx, "", Entry(1, _binary(_name), host=True))


@operator("Div", host=True)
def _div(call: Call, a: Any, b: Any) -> Any:
    a, b = aligned(call, a, b)
    o, dtype = call.ops, dtype_of(a)
    if is_host(a) and a.dtype == object or is_host(b) and b.dtype == object:
        return o.floor_divide(a, b)  # sizes are not negative
    if is_float(dtype):
        return o.divide(a, b)
    # Integers are divided towards zero; on the host the quotient is exact for 64 bits, too.
    quotient = o.floor_divide(a, b)
    if dtype.startswith("u"):
        return quotient
    inexact = o.not_equal(o.multiply(quotient, b), a)
    negative = o.less(quotient, o.zeros_like(quotient))
    return o.cast(o.where(o.logical_and(inexact, negative), o.add(quotient, o.ones_like(quotient)), quotient), dtype)


@operator("Mod", host=True)
def _mod(call: Call, a: Any, b: Any) -> Any:
    o = call.ops
    if not call.get("fmod", 0):
        return o.mod(a, b)
    if o is not ops or is_float(dtype_of(a)):
        return o.fmod(a, b)
    magnitude = ops.mod(ops.absolute(a), ops.absolute(b))
    return ops.where(ops.less(a, ops.zeros_like(a)), ops.negative(magnitude), magnitude)


@operator("Pow", host=True)
def _pow(call: Call, a: Any, b: Any) -> Any:
    from unidl.interchange.onnx.importing.casting import cast

    a, b = aligned(call, a, b)
    o, dtype = call.ops, dtype_of(a)
    if dtype_of(b) == dtype:
        return o.power(a, b)
    if not is_float(dtype) and is_float(dtype_of(b)):  # computed in the exponent's float, given in the base's integer
        return o.cast(o.power(cast(a, dtype_of(b)), b), dtype)
    return o.power(a, cast(b, dtype))


def _variadic(name: str) -> Any:
    def entry(call: Call, *xs: Any) -> Any:
        return functools.reduce(getattr(call.ops, name), [as_tensor(x) if call.ops is ops else x for x in xs])

    return entry


for _onnx, _name in (("Min", "minimum"), ("Sum", "add")):
    put(TABLE, _onnx, "", Entry(1, _variadic(_name), host=True))


_largest = _variadic("maximum")


@operator("Max", host=True)
def _max(call: Call, *xs: Any) -> Any:
    if call.ops is not ops and any(has_sizes(x) for x in xs):
        return functools.reduce(np.vectorize(_sizes.larger, otypes=[object]), xs)
    return _largest(call, *xs)


@operator("Mean")
def _mean(call: Call, *xs: Any) -> Any:
    return ops.divide(functools.reduce(ops.add, xs), len(xs))


@operator("Reciprocal", host=True)
def _reciprocal(call: Call, x: Any) -> Any:
    return call.ops.divide(call.ops.ones_like(x), x)


@operator("Round", host=True)
def _round(call: Call, x: Any) -> Any:
    return call.ops.round(x)


@operator("IsInf", host=True)
def _is_inf(call: Call, x: Any) -> Any:
    o = call.ops
    infinite = o.isinf(x)
    for name, test in (("detect_positive", o.greater), ("detect_negative", o.less)):
        if not call.get(name, 1):
            infinite = o.logical_and(infinite, o.logical_not(test(x, o.zeros_like(x))))
    return infinite


@operator("Erf")
def _erf(call: Call, x: Any) -> Any:
    if is_float(dtype_of(x)):
        return ops.erf(x)
    return ops.cast(ops.erf(ops.cast(x, "float32")), dtype_of(x))


@operator("Where", host=True)
def _where(call: Call, condition: Any, a: Any, b: Any) -> Any:
    if call.ops is ops:
        a, b = as_tensor(a), as_tensor(b)
    return call.ops.where(condition, a, b)


@operator("Clip", 11, host=True)
def _clip(call: Call, x: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None:
        x = call.ops.maximum(x, low)
    return x if high is None else call.ops.minimum(x, high)


@operator("Clip", 1)
def _clip_attributes(call: Call, x: Any) -> Any:
    if call.has("min"):
        x = ops.maximum(x, call.get("min"))
    return ops.minimum(x, call.get("max")) if call.has("max") else x


@operator("BitShift", host=True)
def _bit_shift(call: Call, x: Any, count: Any) -> Any:
    o, left = call.ops, call.need("direction") == "LEFT"
    if o is ops:
        return (ops.bitwise_left_shift if left else ops.bitwise_right_shift)(x, count)
    return (np.left_shift if left else np.right_shift)(x, count)


@operator("Identity", host=True)
def _identity(call: Call, x: Any) -> Any:
    return x


@operator("BitCast", host=True)
def _bit_cast(call: Call, x: Any) -> Any:
    from unidl.interchange.onnx.importing.casting import target

    dtype = target(call, call.need("to"))
    return call.array(x, "what is to be seen as another dtype").view(np_dtype(dtype))


# -- what old exporters wrote, and experimental operators ------------------------------------------


@operator("Affine")
def _affine(call: Call, x: Any) -> Any:
    return ops.add(ops.multiply(x, call.get("alpha", 1.0)), call.get("beta", 0.0))


@operator("Scale")
def _scale(call: Call, x: Any) -> Any:
    return ops.multiply(x, call.get("scale", 1.0))


@operator("ImageScaler")
def _image_scaler(call: Call, x: Any) -> Any:
    bias = np.asarray(call.get("bias", [0.0]), dtype_of(x)).reshape(-1, 1, 1)
    return ops.add(ops.multiply(x, call.get("scale", 1.0)), bias)


@operator("GatedAdd", domain=MICROSOFT)
def _gated_add(call: Call, x: Any, y: Any, gate: Any, weight: Any = None) -> Any:
    if weight is not None:
        raise call.error("a gate that is projected (gate_weight) is for CUDA only, and is not read")
    return ops.add(x, ops.multiply(y, gate))
