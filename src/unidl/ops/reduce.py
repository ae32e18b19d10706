"""Reductions over axes, and running reductions along one."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._declare import Tensor, TensorSpec, axis_index, composite, like, primitive, reduced_shape, require


def _wide(dtype: str) -> str:
    """The dtype in which `dtype` is summed: small integers and bools in int32 (uint32)."""
    if dtype in ("bool", "int8", "int16"):
        return "int32"
    return "uint32" if dtype in ("uint8", "uint16") else dtype


@primitive
def sum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis` (an int, a tuple of ints, or None for all); 0 for no elements.

    Bools and integers of less than 32 bits are summed in 32 bits.
    """
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), _wide(x.dtype))


@primitive
def prod(x: Tensor, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Product over `axis`; 1 for no elements. `dtype` None: as in `sum`."""
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), dtype or _wide(x.dtype))


@primitive(floating=True)
def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis`; NaN for no elements."""
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), x.dtype)


def _not_empty(x: Any, axis: Any) -> None:
    from unidl.ops._declare import axes_tuple

    require(
        0 not in [x.shape[a] for a in axes_tuple(axis, len(x.shape))],
        f"no elements to choose from in shape {list(x.shape)}.",
    )


@primitive
def max(x: Tensor, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """Maximum over `axis`, not below `initial`; NaN if any element is.

    Raises:
        OpError: if there are no elements and no `initial`.
    """
    if initial is None:
        _not_empty(x, axis)
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), x.dtype)


@primitive
def min(x: Tensor, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """Minimum over `axis`, not above `initial`; NaN if any element is.

    Raises:
        OpError: if there are no elements and no `initial`.
    """
    if initial is None:
        _not_empty(x, axis)
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), x.dtype)


@primitive
def any(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element along `axis` is true (nonzero)."""
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), "bool")


@primitive
def all(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements along `axis` are true (nonzero)."""
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), "bool")


def _argument_shape(x: Any, axis: Any, keepdims: bool) -> TensorSpec:
    _not_empty(x, axis)
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), "int32")


@primitive
def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index (int32) of the first maximum along `axis`; None: in the flattened tensor."""
    return _argument_shape(x, axis, keepdims)


@primitive
def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index (int32) of the first minimum along `axis`; None: in the flattened tensor."""
    return _argument_shape(x, axis, keepdims)


@primitive
def cumsum(x: Tensor, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sum along `axis`; None: of the flattened tensor."""
    return _running(x, axis, dtype)


@primitive
def cumprod(x: Tensor, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running product along `axis`; None: of the flattened tensor."""
    return _running(x, axis, dtype)


def _running(x: Any, axis: int | None, dtype: Any) -> TensorSpec:
    dtype = dtype or ("int32" if x.dtype == "bool" else x.dtype)
    if axis is None:
        known = None not in x.shape
        size = 1
        for d in x.shape if known else ():
            size *= d
        return TensorSpec((size if known else None,), dtype)
    axis_index(axis, len(x.shape))
    return like(x, dtype)


@composite(floating=True)
def var(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Variance over `axis` (mean of squared deviations, no correction)."""
    return ops.mean(ops.square(ops.subtract(x, ops.mean(x, axis, True))), axis, keepdims)


@composite(floating=True)
def std(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over `axis`, the square root of `var`."""
    return ops.sqrt(ops.var(x, axis, keepdims))


@composite(floating=True)
def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over `axis`, without overflow; -inf for all -inf."""
    top = ops.stop_gradient(ops.max(x, axis, True))
    top = ops.where(ops.isfinite(top), top, ops.zeros_like(top))
    result = ops.add(ops.log(ops.sum(ops.exp(ops.subtract(x, top)), axis, True)), top)
    if keepdims:
        return result
    return ops.reshape(result, ()) if axis is None else ops.squeeze(result, axis)


@composite
def count_nonzero(x: Tensor, axis: Any = None) -> Tensor:
    """How many elements along `axis` are not 0 (int32)."""
    return ops.sum(ops.cast(ops.not_equal(x, 0), "int32"), axis)


__all__ = [
    "sum",
    "prod",
    "mean",
    "max",
    "min",
    "any",
    "all",
    "argmax",
    "argmin",
    "cumsum",
    "cumprod",
    "var",
    "std",
    "logsumexp",
    "count_nonzero",
]
