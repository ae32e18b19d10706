"""Reductions over axes."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    axes_tuple,
    axis_index,
    composite,
    need_dtype,
    primitive,
    reduced_shape,
    require,
)
from unidl.ops._precision import wide


def summed(dtype: str) -> str:
    """The dtype in which `dtype` is summed: small integers and bools in int32 (uint32)."""
    if dtype in ("bool", "int8", "int16"):
        return "int32"
    return "uint32" if dtype in ("uint8", "uint16") else dtype


@primitive
def sum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis` (an int, a tuple of ints, or None for all); 0 for no elements.

    Bools and integers of less than 32 bits are summed in 32 bits; 16-bit floats in float32, rounded at the end.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=1)))
        [3. 7.]
    """
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), summed(x.dtype))


@primitive
def prod(x: Tensor, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Product over `axis`; 1 for no elements. `dtype` None: as in `sum`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.prod([[1.0, 2.0], [3.0, 4.0]], axis=0)))
        [3. 8.]
    """
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), dtype or summed(x.dtype))


@primitive(floating=True)
def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis`; NaN for no elements. Integers give the default float.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.mean([[1, 2], [3, 4]], axis=-1)))
        [1.5 3.5]
    """
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), x.dtype)


def not_empty(x: Any, axis: Any) -> None:
    """Raise OpError if a reduction of `x` over `axis` would choose among no elements."""
    require(
        0 not in [x.shape[a] for a in axes_tuple(axis, len(x.shape))],
        f"no elements to choose from in shape {list(x.shape)}.",
    )


def _extreme(x: Any, axis: Any, keepdims: bool, initial: Any) -> TensorSpec:
    need_dtype(x, "x", "real")
    if initial is None:
        not_empty(x, axis)
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), x.dtype)


@primitive
def max(x: Tensor, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """Maximum over `axis`, not below `initial`; NaN if any element is. Equal maxima share the gradient.

    Raises:
        OpError: if there are no elements and no `initial`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.max([[1.0, 5.0], [3.0, 4.0]], axis=0)))
        [3. 5.]
    """
    return _extreme(x, axis, keepdims, initial)


@primitive
def min(x: Tensor, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """Minimum over `axis`, not above `initial`; NaN if any element is. Equal minima share the gradient.

    Raises:
        OpError: if there are no elements and no `initial`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.min([[1.0, 5.0], [3.0, 4.0]], axis=0)))
        [1. 4.]
    """
    return _extreme(x, axis, keepdims, initial)


@composite
def amax(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Maximum over `axis`; see `max`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.amax([[1, 5], [3, 4]], axis=1)))
        [5 4]
    """
    return ops.max(x, axis, keepdims)


@composite
def amin(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Minimum over `axis`; see `min`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.amin([[1, 5], [3, 4]], axis=1)))
        [1 3]
    """
    return ops.min(x, axis, keepdims)


@composite
def ptp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Range of the values over `axis`: maximum minus minimum.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.ptp([[1, 5], [3, 4]], axis=1)))
        [4 1]
    """
    need_dtype(x, "x", "numeric")
    return ops.subtract(ops.max(x, axis, keepdims), ops.min(x, axis, keepdims))


@primitive
def any(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element along `axis` is true (not 0; NaN is true); False for no elements.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.any([[0, 0], [0, 2]], axis=1)))
        [False  True]
    """
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), "bool")


@primitive
def all(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements along `axis` are true (not 0; NaN is true); True for no elements.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.all([[1, 2], [0, 2]], axis=1)))
        [ True False]
    """
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), "bool")


def _argument(x: Any, axis: Any, keepdims: bool) -> TensorSpec:
    need_dtype(x, "x", "real")
    if axis is not None:
        axis_index(axis, len(x.shape))
    not_empty(x, axis)
    return TensorSpec(reduced_shape(x.shape, axis, keepdims), "int32")


@primitive
def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index (int32) of the first maximum along `axis`; None: in the flattened tensor. NaN counts as the largest.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.argmax([[1, 5, 5], [3, 2, 1]], axis=1)))
        [1 0]
    """
    return _argument(x, axis, keepdims)


@primitive
def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index (int32) of the first minimum along `axis`; None: in the flattened tensor. NaN counts as the smallest.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.argmin([[1, 5, 1], [3, 2, 1]], axis=1)))
        [0 2]
    """
    return _argument(x, axis, keepdims)


@composite(floating=True)
def var(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Variance over `axis`: the mean of the squared deviations, divided by their number (no correction).

    Deviations are from the mean, not differences of large squares. Of complex numbers, the squared absolute values.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.var([[1, 3], [2, 8]], axis=1)))
        [1. 9.]
    """
    kind = dtype_of(x)
    centred = ops.subtract(y := wide(x), ops.mean(y, axis, True))
    if kind.startswith("complex"):
        squares = ops.add(ops.square(ops.real(centred)), ops.square(ops.imag(centred)))
        return ops.mean(squares, axis, keepdims)
    result = ops.mean(ops.square(centred), axis, keepdims)
    return result if y is x else ops.cast(result, kind)


@composite(floating=True)
def std(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over `axis`: the square root of `var`. Where that is 0, so is the gradient.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.std([[1, 3], [2, 8]], axis=1)))
        [1. 3.]
    """
    y = wide(x)
    result = root(ops.var(y, axis, keepdims))
    return result if y is x else ops.cast(result, dtype_of(x))


def root(x: Any) -> Any:
    """The square root of numbers that are not negative, with the gradient 0 at 0."""
    zero = ops.equal(x, 0)
    return ops.where(zero, x, ops.sqrt(ops.where(zero, ops.ones_like(x), x)))


@composite(floating=True)
def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over `axis`, without overflow; -inf for all -inf.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.logsumexp([0.0, -float("inf")])))
        0.0
    """
    need_dtype(x, "x", "real")
    top = ops.stop_gradient(ops.max(x, axis, True, -float("inf")))
    top = ops.where(ops.isfinite(top), top, ops.zeros_like(top))
    result = ops.add(ops.log(ops.sum(ops.exp(ops.subtract(x, top)), axis, True)), top)
    if keepdims:
        return result
    return ops.reshape(result, ()) if axis is None else ops.squeeze(result, axis)


@composite
def count_nonzero(x: Tensor, axis: Any = None) -> Tensor:
    """How many elements along `axis` are not 0 (int32); NaN is not 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.count_nonzero([[0, 1, 7], [3, 0, 0]], axis=1)))
        [2 1]
    """
    return ops.sum(ops.cast(ops.not_equal(x, 0), "int32"), axis)


__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "logsumexp", "max", "mean", "min", "prod", "ptp",
    "std", "sum", "var",
]  # fmt: skip
