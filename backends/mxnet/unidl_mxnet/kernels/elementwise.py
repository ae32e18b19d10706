"""Elementwise kernels. mxnet has few of them for bool: those go through int8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.dtypes import dtype_name
from unidl_mxnet.kernels._common import FLOATS, broadcast, cast_to


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float))


def _unary(operator: str, bools: bool = True) -> Callable[..., Any]:
    """The operator itself; ``bools=False``: it rejects bool, which then goes through int8."""

    def plain(F: Any, x: Any) -> Any:
        return getattr(F, operator)(x)

    def guarded(F: Any, x: Any) -> Any:
        if F.dtype(x) == "bool":
            return cast_to(F, plain(F, cast_to(F, x, "int8")), "bool")
        return plain(F, x)

    return plain if bools else guarded


absolute = _unary("_npi_absolute", bools=False)
negative = _unary("_npi_negative", bools=False)
square = _unary("_npi_square", bools=False)
floor = _unary("_npi_floor", bools=False)
ceil = _unary("_npi_ceil", bools=False)
exp = _unary("_npi_exp")
expm1 = _unary("_npi_expm1")
log = _unary("_npi_log")
log1p = _unary("_npi_log1p")
sqrt = _unary("_npi_sqrt")
rsqrt = _unary("rsqrt")
sin = _unary("_npi_sin")
cos = _unary("_npi_cos")
tan = _unary("_npi_tan")
arcsin = _unary("_npi_arcsin")
arccos = _unary("_npi_arccos")
arctan = _unary("_npi_arctan")
sinh = _unary("_npi_sinh")
cosh = _unary("_npi_cosh")
erf = _unary("_npx_erf")
reciprocal = _unary("_npi_reciprocal")
isnan = _unary("_npi_isnan")
isinf = _unary("_npi_isinf")
isfinite = _unary("_npi_isfinite")
logical_not = _unary("_npi_logical_not")
copy = _unary("_np_copy")


def stop_gradient(F: Any, variable: Any) -> Any:
    return F.BlockGrad(variable)


def sign(F: Any, x: Any) -> Any:
    if F.dtype(x) == "bool":
        return x
    result = F._npi_sign(x)
    # mxnet's sign of NaN is 0.
    return F._npi_where(F._npi_isnan(x), x, result) if F.dtype(x) in FLOATS else result


def round(F: Any, x: Any, decimals: int = 0) -> Any:
    if F.dtype(x) not in FLOATS:
        if decimals >= 0:
            return x
        return cast_to(F, round(F, cast_to(F, x, "float64"), decimals), F.dtype(x))
    if decimals:
        factor = repr(10.0 ** abs(decimals))
        first, last = "_npi_multiply_scalar", "_npi_true_divide_scalar"
        if decimals < 0:
            first, last = last, first
        return getattr(F, last)(round(F, getattr(F, first)(x, scalar=factor)), scalar=factor)
    if F.dtype(x) == "float16":
        return cast_to(F, F._npi_around(cast_to(F, x, "float32"), decimals=0), "float16")
    return F._npi_around(x, decimals=0)


def cast(F: Any, x: Any, dtype: Any) -> Any:
    return cast_to(F, x, dtype_name(dtype))


# -- two operands ----------------------------------------------------------------------------------


#: Operators that keep the blocked layout that oneDNN's convolutions work in.
_BLOCKED = {"_npi_add": "elemwise_add"}


def _binary(operator: str, reflected: str, bools: bool = True) -> Callable[..., Any]:
    """`operator` for tensors, ``<operator>_scalar`` for a number second, `reflected` for one first."""
    with_scalar = operator + "_scalar"

    def kernel(F: Any, x1: Any, x2: Any) -> Any:
        if _is_number(x2):
            if F.dtype(x1) != "bool":
                return getattr(F, with_scalar)(x1, scalar=repr(x2))
        elif _is_number(x1):
            if F.dtype(x2) != "bool":
                return getattr(F, reflected)(x2, scalar=repr(x1))
        elif bools or F.dtype(x1) != "bool":
            if operator in _BLOCKED and F.symbolic and len(F.shape(x1)) > 3 and F.shape(x1) == F.shape(x2):
                return getattr(F, _BLOCKED[operator])(x1, x2)
            return getattr(F, operator)(x1, x2)
        return cast_to(F, kernel(F, *(int(x) if _is_number(x) else cast_to(F, x, "int8") for x in (x1, x2))), "bool")

    return kernel


add = _binary("_npi_add", "_npi_add_scalar", bools=False)
subtract = _binary("_npi_subtract", "_npi_rsubtract_scalar", bools=False)
multiply = _binary("_npi_multiply", "_npi_multiply_scalar", bools=False)
divide = _binary("_npi_true_divide", "_npi_rtrue_divide_scalar")
mod = _binary("_npi_mod", "_npi_rmod_scalar", bools=False)
power = _binary("_npi_power", "_npi_rpower_scalar", bools=False)
maximum = _binary("_npi_maximum", "_npi_maximum_scalar", bools=False)
minimum = _binary("_npi_minimum", "_npi_minimum_scalar", bools=False)
equal = _binary("_npi_equal", "_npi_equal_scalar", bools=False)
not_equal = _binary("_npi_not_equal", "_npi_not_equal_scalar", bools=False)
less = _binary("_npi_less", "_npi_greater_scalar", bools=False)
less_equal = _binary("_npi_less_equal", "_npi_greater_equal_scalar", bools=False)
greater = _binary("_npi_greater", "_npi_less_scalar", bools=False)
greater_equal = _binary("_npi_greater_equal", "_npi_less_equal_scalar", bools=False)


def arctan2(F: Any, x1: Any, x2: Any) -> Any:
    return F._npi_arctan2(x1, x2)


def floor_divide(F: Any, x1: Any, x2: Any) -> Any:
    dtype = F.dtype(x2 if _is_number(x1) else x1)
    if dtype in FLOATS:
        return F._npi_floor(divide(F, x1, x2))
    # Integers: mxnet divides them in float32; float64 is exact up to 2**53.
    wide = [float(x) if _is_number(x) else cast_to(F, x, "float64") for x in (x1, x2)]
    return cast_to(F, F._npi_floor(divide(F, *wide)), dtype)


def _logical(operator: str) -> Callable[..., Any]:
    def kernel(F: Any, x1: Any, x2: Any) -> Any:
        return getattr(F, operator)(cast(F, x1, "bool"), cast(F, x2, "bool"))

    return kernel


# For bools these mean what the names say, and unlike mxnet's bitwise operators they broadcast.
logical_and = _logical("_npi_multiply")
logical_or = _logical("_npi_add")
logical_xor = _logical("_npi_not_equal")


def where(F: Any, condition: Any, x1: Any, x2: Any) -> Any:
    shape = broadcast(F.shape(condition), broadcast(F.shape(x1), F.shape(x2)))
    if 0 in shape:  # mxnet crashes
        return F._npi_zeros(shape=shape, dtype=F.dtype(x1), ctx=F.context())
    return F._npi_where(cast(F, condition, "bool"), x1, x2)
