"""Elementwise kernels. mxnet has few of them for bool: those go through int8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.dtypes import dtype_name
from unidl.errors import OpError
from unidl_mxnet._invoke import DTYPES
from unidl_mxnet.kernels._common import FLOATS, broadcast, cast_to, noted
from unidl_mxnet.kernels._products import spread


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
square = _unary("_npi_square", bools=False)
floor = _unary("_npi_floor")
ceil = _unary("_npi_ceil")
exp = _unary("_npi_exp")
expm1 = _unary("_npi_expm1")
log = _unary("_npi_log")
log2 = _unary("_npi_log2")
log10 = _unary("_npi_log10")
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
arcsinh = _unary("_npi_arcsinh")
arccosh = _unary("_npi_arccosh")
arctanh = _unary("_npi_arctanh")
erfinv = _unary("_npx_erfinv")
cbrt = _unary("_npi_cbrt")
erf = _unary("_npx_erf")
reciprocal = _unary("_npi_reciprocal")
isnan = _unary("_npi_isnan")
isinf = _unary("_npi_isinf")
isfinite = _unary("_npi_isfinite")
logical_not = _unary("_npi_logical_not")
copy = _unary("_np_copy")


def _no_bools(F: Any, *xs: Any) -> None:
    """mxnet computes with bools as with numbers; unidl does not."""
    if any(not _is_number(x) and F.dtype(x) == "bool" for x in xs):
        raise TypeError("bools are no numbers")


def negative(F: Any, x: Any) -> Any:
    _no_bools(F, x)
    return F._npi_negative(x)


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
    name = dtype_name(dtype)
    if name not in DTYPES:
        raise OpError(f"mxnet has no dtype {name!r}; it has {', '.join(DTYPES)}.")
    return cast_to(F, x, name)


# -- two operands ----------------------------------------------------------------------------------


#: For tensors of one shape: that of addition keeps the blocked layout that oneDNN's convolutions work in, and the
#: gradients of all cost less.
_ALIKE = {
    "_npi_add": "elemwise_add", "_npi_subtract": "elemwise_sub", "_npi_multiply": "elemwise_mul",
    "_npi_true_divide": "elemwise_div",
}  # fmt: skip


def _of_tensors(F: Any, operator: str, x1: Any, x2: Any) -> Any:
    if not F.symbolic or operator not in _ALIKE or F.dtype(x1) not in FLOATS:
        return getattr(F, operator)(x1, x2)
    a, b = F.shape(x1), F.shape(x2)
    if a != b and F.trains:
        shape = broadcast(a, b)
        x1, x2 = (x if F.shape(x) == shape else spread(F, x, shape) for x in (x1, x2))
        a, b = F.shape(x1), F.shape(x2)
    # Where no gradient flows (metrics) mxnet has zeros without a storage type, which `elemwise_add` would hand on.
    wanted = F.trains or (operator == "_npi_add" and len(a) > 3)
    if a == b and 0 not in a and a != () and wanted:
        return noted(F, getattr(F, _ALIKE[operator])(x1, x2), a, F.dtype(x1))
    return getattr(F, operator)(x1, x2)


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
            return _of_tensors(F, operator, x1, x2)
        return cast_to(F, kernel(F, *(int(x) if _is_number(x) else cast_to(F, x, "int8") for x in (x1, x2))), "bool")

    return kernel


add = _binary("_npi_add", "_npi_add_scalar", bools=False)
_subtract = _binary("_npi_subtract", "_npi_rsubtract_scalar")
multiply = _binary("_npi_multiply", "_npi_multiply_scalar", bools=False)
divide = _binary("_npi_true_divide", "_npi_rtrue_divide_scalar")
_mod = _binary("_npi_mod", "_npi_rmod_scalar")
_power = _binary("_npi_power", "_npi_rpower_scalar")
_maximum = _binary("_npi_maximum", "_npi_maximum_scalar", bools=False)
_minimum = _binary("_npi_minimum", "_npi_minimum_scalar", bools=False)
equal = _binary("_npi_equal", "_npi_equal_scalar", bools=False)
not_equal = _binary("_npi_not_equal", "_npi_not_equal_scalar", bools=False)
less = _binary("_npi_less", "_npi_greater_scalar", bools=False)
less_equal = _binary("_npi_less_equal", "_npi_greater_equal_scalar", bools=False)
greater = _binary("_npi_greater", "_npi_less_scalar", bools=False)
greater_equal = _binary("_npi_greater_equal", "_npi_less_equal_scalar", bools=False)


def arctan2(F: Any, x1: Any, x2: Any) -> Any:
    return F._npi_arctan2(x1, x2)


def _tensor(F: Any, x: Any, other: Any) -> Any:
    """`x`, as a tensor of the dtype of `other` if it is a number."""
    if not _is_number(x):
        return x
    zero = F._npi_zeros(shape=(), dtype=F.dtype(other), ctx=F.context())
    return F._npi_add_scalar(noted(F, zero, (), F.dtype(other)), scalar=repr(x))


def subtract(F: Any, x1: Any, x2: Any) -> Any:
    _no_bools(F, x1, x2)
    return _subtract(F, x1, x2)


def maximum(F: Any, x1: Any, x2: Any) -> Any:
    # The kernel for a number takes it for the second operand, which at a tie has no gradient.
    return _maximum(F, _tensor(F, x1, x2), x2)


def minimum(F: Any, x1: Any, x2: Any) -> Any:
    return _minimum(F, _tensor(F, x1, x2), x2)


def mod(F: Any, x1: Any, x2: Any) -> Any:
    _no_bools(F, x1, x2)
    if F.dtype(x2 if _is_number(x1) else x1) == "int64":  # mxnet goes through float64
        x1, x2 = _tensor(F, x1, x2), _tensor(F, x2, x1)
        nonzero = F._npi_not_equal_scalar(x2, scalar="0")
        rest = _subtract(F, x1, multiply(F, floor_divide(F, x1, x2), x2))
        return multiply(F, rest, cast_to(F, noted(F, nonzero, F.shape(x2), "bool"), "int64"))
    remainder = _mod(F, x1, x2)
    if F.dtype(x2 if _is_number(x1) else x1) not in FLOATS or (_is_number(x2) and x2):
        return remainder
    # mxnet makes 0 of a remainder by 0.
    x1, x2 = _tensor(F, x1, x2), _tensor(F, x2, x1)
    return where(F, F._npi_equal_scalar(x2, scalar="0"), _tensor(F, float("nan"), x1), remainder)


def floor_divide(F: Any, x1: Any, x2: Any) -> Any:
    _no_bools(F, x1, x2)
    x1, x2 = _tensor(F, x1, x2), _tensor(F, x2, x1)
    dtype = F.dtype(x1)
    if dtype in FLOATS:
        # floor(x1 / x2) alone may be one too large, where the quotient was rounded up to a whole number.
        exact = F._npi_around(divide(F, subtract(F, x1, _mod(F, x1, x2)), x2), decimals=0)
        exact = where(F, F._npi_equal_scalar(x2, scalar="0"), divide(F, x1, x2), exact)
        beyond = logical_and(F, F._npi_isinf(x2), F._npi_isfinite(x1))
        step = F._npi_floor(F._npi_multiply_scalar(multiply(F, F._npi_sign(x1), F._npi_sign(x2)), scalar="0.5"))
        return F.BlockGrad(where(F, beyond, step, exact))
    # Integers: mxnet divides them in float32; float64 is exact up to 2**53. By 0 it is 0.
    zero = noted(F, F._npi_equal_scalar(x2, scalar="0"), F.shape(x2), "bool")
    divisor = cast_to(F, add(F, x2, cast_to(F, zero, dtype)), "float64")

    def nearly(x: Any) -> Any:
        return cast_to(F, F._npi_floor(divide(F, cast_to(F, x, "float64"), divisor)), dtype)

    quotient = nearly(x1)
    if dtype == "int64":  # what was rounded off from 2**53 on leaves a small rest
        size = F._npi_absolute(cast_to(F, x1, "float64"))
        rounded = noted(F, F._npi_greater_scalar(size, scalar=str(2**53 - 1)), F.shape(x1), "bool")
        rest = nearly(_subtract(F, x1, multiply(F, quotient, x2)))
        quotient = add(F, quotient, multiply(F, rest, cast_to(F, rounded, dtype)))
    return multiply(F, quotient, cast_to(F, F._npi_logical_not(zero), dtype))


def power(F: Any, x1: Any, x2: Any) -> Any:
    dtype = F.dtype(x2 if _is_number(x1) else x1)
    if dtype in FLOATS:
        if _is_number(x1) or _is_number(x2):
            return _power(F, x1, x2)
        # By the exponent mxnet's derivative at a base of 0 is NaN.
        zero, one = noted(F, F._npi_equal_scalar(x1, scalar="0"), F.shape(x1), "bool"), _tensor(F, 1.0, x1)
        of_zeros = _power(F, where(F, zero, x1, one), F.BlockGrad(x2))
        return where(F, zero, of_zeros, _power(F, where(F, zero, one, x1), x2))
    _no_bools(F, x1, x2)
    # Integers: mxnet goes through floats. By squaring; beyond 64 only the powers of 0, 1 and -1 are not too large.
    x1, x2 = _tensor(F, x1, x2), _tensor(F, x2, x1)
    below = F._npi_less_scalar(x2, scalar="0")
    exponent = F._npi_absolute(x2)
    exponent = F._npi_minimum(exponent, F._npi_add_scalar(F._npi_mod_scalar(exponent, scalar="2"), scalar="64"))
    result, base = F._npi_add_scalar(F._npi_multiply_scalar(F._npi_multiply(x1, x2), scalar="0"), scalar="1"), x1
    for place in range(7):
        rest = F._npi_mod_scalar(exponent, scalar=str(2 ** (place + 1)))
        bit = F._npi_greater_equal_scalar(rest, scalar=str(2**place))
        result = F._npi_where(bit, F._npi_multiply(result, base), result)
        base = F._npi_multiply(base, base)
    unit = F._npi_multiply(result, cast_to(F, F._npi_equal_scalar(F._npi_absolute(x1), scalar="1"), dtype))
    return F._npi_where(below, unit, result)


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
