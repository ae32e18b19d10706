"""Reductions over axes, and running ones along one."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from unidl.dtypes import dtype_name
from unidl_mxnet._engine import mx
from unidl_mxnet.kernels._common import FLOATS, axes_of, cast_to, noted, reduced, reshape_to
from unidl_mxnet.kernels._products import permuted, summed
from unidl_mxnet.kernels.creation import ones, zeros
from unidl_mxnet.kernels.elementwise import maximum, minimum
from unidl_mxnet.kernels.shape import concatenate, getitem

_WIDE = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def _axes(axis: Any) -> Any:
    return axis if axis is None or isinstance(axis, int) else tuple(axis)


def _constant(F: Any, x: Any, axis: Any, keepdims: bool, number: float, dtype: str) -> Any:
    """What a reduction over no elements gives."""
    return F._npi_add_scalar(zeros(F, reduced(F.shape(x), axis, keepdims), dtype), scalar=repr(number))


def sum(F: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    dtype, shape = F.dtype(x), F.shape(x)
    wide = _WIDE.get(dtype, dtype)
    if not axes_of(axis, len(shape)):
        return cast_to(F, x, wide)
    if 0 in shape:
        return zeros(F, reduced(shape, axis, keepdims), wide)
    if dtype in FLOATS:
        return _exact(F, "sum", x, axis, keepdims)
    return F._np_sum(cast_to(F, x, wide), axis=_axes(axis), keepdims=keepdims)


def _exact(F: Any, kind: str, x: Any, axis: Any, keepdims: bool) -> Any:
    """A sum or mean of floats by mxnet's older operators: the newer ones make NaN of infinities."""
    shape, wanted = F.shape(x), reduced(F.shape(x), axis, keepdims)
    axes = axes_of(axis, len(shape))
    if F.symbolic:
        total = summed(F, x, axes, wanted)
        if total is not None:
            return total if kind == "sum" else _over(F, total, math.prod(shape[a] for a in axes))
    result = getattr(F, kind)(x, axis=axes, keepdims=keepdims)
    return noted(F, result, wanted, F.dtype(x)) if wanted else reshape_to(F, noted(F, result, (1,), F.dtype(x)), ())


def _over(F: Any, x: Any, count: int) -> Any:
    return noted(F, F._npi_true_divide_scalar(x, scalar=repr(count)), F.shape(x), F.dtype(x))


def prod(F: Any, x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    shape = F.shape(x)
    dtype = dtype_name(dtype) if dtype is not None else _WIDE.get(F.dtype(x), F.dtype(x))
    if not axes_of(axis, len(shape)):
        return cast_to(F, x, dtype)
    if 0 in shape:
        return _constant(F, x, axis, keepdims, 1, dtype)
    wide = "float32" if dtype == "float16" else dtype
    x = noted(F, cast_to(F, x, wide), shape, wide)
    if wide in FLOATS and _differentiable(F):
        product = _by_pairs(F, x, axes_of(axis, len(shape)))
        result = reshape_to(F, product, reduced(shape, axis, True)) if keepdims else product
    else:
        result = F._np_prod(x, axis=_axes(axis), keepdims=keepdims)
    return cast_to(F, noted(F, result, reduced(shape, axis, keepdims), wide), dtype)


def mean(F: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if not axes_of(axis, len(F.shape(x))):
        return x
    if 0 in F.shape(x):
        return _constant(F, x, axis, keepdims, math.nan, F.dtype(x))
    return _exact(F, "mean", x, axis, keepdims)


def _differentiable(F: Any) -> bool:
    """Whether a gradient may be asked for."""
    return F.symbolic or mx.autograd.is_recording()


def _shared(F: Any, reduce: Callable[..., Any], x: Any, axis: Any, keepdims: bool) -> Any:
    """A maximum or minimum whose gradient is shared by all elements that attain it; mxnet gives each the whole."""
    shape, dtype = F.shape(x), F.dtype(x)
    fixed = F.BlockGrad(x)
    best = reduce(fixed, axis=_axes(axis), keepdims=keepdims)
    attained = F._npi_equal(fixed, reduce(fixed, axis=_axes(axis), keepdims=True))
    count = sum(F, noted(F, F._npi_cast(attained, dtype=dtype), shape, dtype), axis, keepdims)
    chosen = noted(F, F._npi_where(attained, x, zeros(F, (), dtype)), shape, dtype)
    mean = F._npi_true_divide(sum(F, chosen, axis, keepdims), count)
    # What is added is 0, and carries the gradient.
    change = F._npi_subtract(mean, F.BlockGrad(mean))
    return F._npi_add(best, F._npi_where(F._npi_isfinite(F.BlockGrad(mean)), change, zeros(F, (), dtype)))


def _by_pairs(F: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """The product over `axes`, which are dropped, by multiplications: mxnet's own gradient divides by the elements."""
    shape, dtype = F.shape(x), F.dtype(x)
    rest = tuple(i for i in range(len(shape)) if i not in axes)
    x = permuted(F, x, (*rest, *axes)) if rest else x
    wanted, n = tuple(shape[i] for i in rest), math.prod(shape[a] for a in axes)
    lines = math.prod(wanted)
    x = reshape_to(F, x, (lines, n))
    while n > 1:
        half = n // 2
        parts = [getitem(F, x, (slice(None), slice(i * half, (i + 1) * half))) for i in range(2)]
        product = noted(F, F._npi_multiply(*parts), (lines, half), dtype)
        x = concatenate(F, [product, getitem(F, x, (slice(None), slice(n - 1, n)))], 1) if n % 2 else product
        n = half + n % 2
        x = noted(F, x, (lines, n), dtype)
    return reshape_to(F, x, wanted)


def _extreme(operator: str, limit: Callable[..., Any]) -> Callable[..., Any]:
    def kernel(F: Any, x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        if F.dtype(x) == "bool":
            return cast_to(F, kernel(F, cast_to(F, x, "int8"), axis, keepdims, initial), "bool")
        shape = F.shape(x)
        axes = axes_of(axis, len(shape))
        if initial is not None and 0 in shape:
            return _constant(F, x, axis, keepdims, initial, F.dtype(x))
        result = x
        if axes and F.dtype(x) in FLOATS and _differentiable(F):
            result = _shared(F, getattr(F, operator), x, axis, keepdims)
        elif axes:
            result = getattr(F, operator)(x, axis=_axes(axis), keepdims=keepdims)
        if initial is None:
            return result
        return limit(F, noted(F, result, reduced(shape, axis, keepdims), F.dtype(x)), initial)

    return kernel


max = _extreme("_np_max", maximum)
min = _extreme("_np_min", minimum)


def any(F: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return (
        F._np_any(x, axis=_axes(axis), keepdims=keepdims) if axes_of(axis, len(F.shape(x))) else cast_to(F, x, "bool")
    )


def all(F: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return (
        F._np_all(x, axis=_axes(axis), keepdims=keepdims) if axes_of(axis, len(F.shape(x))) else cast_to(F, x, "bool")
    )


def argmax(F: Any, x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    return _argument(F, "_npi_argmax", x, axis, keepdims)


def argmin(F: Any, x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    return _argument(F, "_npi_argmin", x, axis, keepdims)


def _argument(F: Any, operator: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    shape = F.shape(x)
    if F.dtype(x) == "bool":
        x = cast_to(F, x, "int8")
    if axis is None:
        result = getattr(F, operator)(reshape_to(F, x, (math.prod(shape),)), axis=0, keepdims=False)
        return reshape_to(F, cast_to(F, result, "int32"), (1,) * len(shape) if keepdims else ())
    axes_of(axis, len(shape))
    return cast_to(F, getattr(F, operator)(x, axis=axis, keepdims=keepdims), "int32")


def cumsum(F: Any, x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    x, axis = _along(F, x, axis, dtype)
    kind, shape = F.dtype(x), F.shape(x)
    if kind == "float32" and shape[axis] > 256:  # mxnet adds element by element, so that errors add up
        total = F._np_cumsum(cast_to(F, x, "float64"), axis=axis)
        return cast_to(F, noted(F, total, shape, "float64"), kind)
    return _in_float32(F, lambda x, axis: F._np_cumsum(x, axis=axis), x, axis)


def _in_float32(F: Any, run: Callable[..., Any], x: Any, axis: int) -> Any:
    """``run(x, axis)``, float16 by way of float32."""
    dtype, shape = F.dtype(x), F.shape(x)
    if dtype != "float16":
        return run(x, axis)
    return cast_to(F, noted(F, run(cast_to(F, x, "float32"), axis), shape, "float32"), dtype)


def cumprod(F: Any, x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    return _in_float32(F, functools.partial(_products, F), *_along(F, x, axis, dtype))


def _products(F: Any, x: Any, axis: int) -> Any:
    # mxnet has none. Doubling: after step s each element is the product of the last 2s elements.
    shape = F.shape(x)
    n, front = shape[axis], (slice(None),) * axis
    kind = F.dtype(x)
    reach = 1
    while reach < n:
        head = ones(F, (*shape[:axis], reach, *shape[axis + 1 :]), kind)
        shifted = concatenate(F, [head, getitem(F, noted(F, x, shape, kind), (*front, slice(0, n - reach)))], axis)
        x = F._npi_multiply(x, shifted)
        reach *= 2
    return x


def _along(F: Any, x: Any, axis: int | None, dtype: Any) -> tuple[Any, int]:
    shape = F.shape(x)
    x = cast_to(F, x, dtype_name(dtype or ("int32" if F.dtype(x) == "bool" else F.dtype(x))))
    if axis is None:
        return reshape_to(F, x, (math.prod(shape),)), 0
    return x, axes_of(axis, len(shape))[0]


def logsumexp(F: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    shape = F.shape(x)
    axes = axes_of(axis, len(shape))
    if not axes or 0 in shape:
        return F._npi_log(sum(F, F._npi_exp(x), axis, keepdims))
    top = F._np_max(F.BlockGrad(x), axis=axes, keepdims=True)
    top = F._npi_where(F._npi_isfinite(top), top, zeros(F, (), F.dtype(x)))
    total = _exact(F, "sum", noted(F, F._npi_exp(F._npi_subtract(x, top)), shape, F.dtype(x)), axes, True)
    result = F._npi_add(F._npi_log(total), top)
    return reshape_to(F, result, reduced(shape, axis, keepdims))


def var(F: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    dtype, shape = F.dtype(x), F.shape(x)
    wide = "float32" if dtype == "float16" else dtype
    x = noted(F, cast_to(F, x, wide), shape, wide)
    centred = F._npi_subtract(x, mean(F, x, axis, True))
    result = mean(F, noted(F, F._npi_square(centred), shape, wide), axis, keepdims)
    return cast_to(F, noted(F, result, reduced(shape, axis, keepdims), wide), dtype)
