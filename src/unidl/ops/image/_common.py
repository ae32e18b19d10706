"""What ops on images share: their axes, the dtype in which they compute, and the way back from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unidl import ops
from unidl.config import checked_data_format
from unidl.errors import OpError
from unidl.ops._bind import dtype_of
from unidl.ops._declare import need_dtype, need_rank, require


class Axes(NamedTuple):
    """The axes of images, counted from the end: the same with and without a batch."""

    rows: int
    columns: int
    channels: int


LAST, FIRST = Axes(-3, -2, -1), Axes(-2, -1, -3)


def image_axes(images: Any, data_format: str | None, what: str = "images", low: int = 3) -> Axes:
    """The axes of `images`, whose rank (`low` or 4) and dtype (not complex) are checked."""
    need_rank(images, what, low, 4)
    need_dtype(images, what, "real")
    return LAST if is_last(data_format) else FIRST


def is_last(data_format: str | None) -> bool:
    """Whether channels are the last axis."""
    try:
        return checked_data_format(data_format) == "channels_last"
    except ValueError as error:
        raise OpError(str(error)) from None


def one_of(value: Any, options: tuple[str, ...], what: str) -> None:
    """Raise OpError unless `value` is one of `options`."""
    names = [repr(o) for o in options]
    require(
        isinstance(value, str) and value in options,
        f"`{what}` must be {', '.join(names[:-1])} or {names[-1]}, not {value!r}.",
    )


def whole_numbers(value: Any, n: int, what: str, least: int = 1) -> tuple[int, ...]:
    """`value` (an int or a sequence of n) as n ints of at least `least`."""
    values = [value] * n if isinstance(value, (int, np.integer)) else value
    try:
        numbers = tuple(int(v.__index__()) for v in values)
    except (TypeError, AttributeError, ValueError):
        numbers = ()
    if len(numbers) != n or min(numbers, default=least) < least:
        raise OpError(f"`{what}` must be an int of at least {least} or {n} of them, not {value!r}.")
    return numbers


def number(value: Any, what: str, least: float | None = None) -> float:
    """`value` as a float of at least `least`."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise OpError(f"`{what}` must be a number, not {value!r}.") from None
    require(least is None or result >= least, f"`{what}` must be at least {least}, not {value!r}.")
    return result


def real(dtype: str) -> str:
    """The dtype of coordinates in images of `dtype`."""
    return "float64" if dtype == "float64" else "float32"


def wide(dtype: str) -> str:
    """The dtype to compute in: float64 for itself and integers of more than 8 bits, float32 for all others."""
    return "float64" if dtype == "float64" or ("int" in dtype and dtype[-1] != "8") else "float32"


def narrow(x: Any, dtype: str) -> Any:
    """`x` in `dtype`: integers are rounded (half to even) and kept within what `dtype` can hold."""
    have = dtype_of(x)
    if have == dtype:
        return x
    if dtype == "bool":
        return ops.cast(ops.round(x), dtype)
    if "int" in dtype:
        info = np.iinfo(dtype)
        # The greatest float that is no larger than the greatest integer: 2**31 - 1 would round up to 2**31.
        top = np.asarray(info.max, have)
        if int(top) > info.max:
            top = np.nextafter(top, np.asarray(0, have))
        # Halves are to be found on every engine, whichever way its last bits went: first to a grid, then to integers.
        grid = 2.0**12 if have == "float32" else 2.0**20
        x = ops.round(ops.divide(ops.round(ops.multiply(x, grid)), grid))
        x = ops.minimum(ops.maximum(x, float(info.min)), float(top))
    return ops.cast(x, dtype)


def extent(x: Any, axis: int, dtype: str = "int32") -> Any:
    """The size of a dimension: a Python number, or a scalar tensor of `dtype` if it is unknown."""
    size = x.shape[axis]
    if size is None:
        return ops.cast(ops.axis_size(x, axis), dtype)
    return int(size) if "int" in dtype else float(size)


def channels_last(images: Any, axes: Axes) -> Any:
    """`images` as (batch, height, width, channels); one image becomes a batch of one."""
    if len(images.shape) == 3:
        images = ops.expand_dims(images, 0)
    return images if axes is LAST else ops.transpose(images, (0, 2, 3, 1))


def as_before(images: Any, axes: Axes, batched: bool) -> Any:
    """The opposite of `channels_last`."""
    if axes is FIRST:
        images = ops.transpose(images, (0, 3, 1, 2))
    return images if batched else ops.squeeze(images, 0)
