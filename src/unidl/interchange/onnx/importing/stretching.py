"""Resizing and padding along axes whose sizes are unknown while recording: places are computed when the model runs."""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._values import as_tensor, dtype_of, rank_of, shape_of, sizes

#: Largest denominator of a scale by which an unknown size is multiplied; sizes are integers.
_FINEST = 1000


def _scaled(call: Call, size: Any, scale: float, axis: int) -> Any:
    """The length of a resized axis of unknown size: exact, in integers.

    Raises:
        OnnxError: if the scale is no simple fraction.
    """
    ratio = Fraction(scale).limit_denominator(_FINEST)
    if np.float32(float(ratio)) != np.float32(scale):
        raise call.error(f"axis {axis} is resized by {scale}, so its size must be known; give shapes= to load")
    length = size * ratio.numerator
    return length if ratio.denominator == 1 else length // ratio.denominator


def stretched(call: Call, x: Any, axis: int, scale: float | None, want: Any, settings: Any) -> Any:
    """`x` resized along `axis`, of which the size that it has or gets is unknown; `settings`: those of the node."""
    size = shape_of(x)[axis]
    if settings.antialias or settings.transform == "tf_crop_and_resize":
        raise call.error(f"axis {axis} is resized, so its size must be known; give shapes= to load")
    if want is None:
        assert scale is not None
        want = _scaled(call, size, scale, axis)
    have, length = _number(size), _number(want)
    ratio = ops.divide(length, have) if scale is None else ops.convert_to_tensor(np.float32(scale))
    places = _places(settings.transform, ops.arange(want, dtype="float32"), have, length, ratio)
    last = ops.subtract(have, 1.0)
    if settings.mode == "nearest":
        return _taken(x, axis, _rounded(places, settings.rounding), last)
    return _mixed(x, axis, places, last, settings)


def _number(size: Any) -> Any:
    """A size as a float32 scalar tensor."""
    return ops.cast(ops.reshape(as_tensor(sizes([size])), ()), "float32")


def _places(kind: str, steps: Any, have: Any, length: Any, ratio: Any) -> Any:
    """For each element of the result: where it lies in the input. As `resizing._source` for sizes that are known."""
    if kind == "asymmetric":
        return ops.divide(steps, ratio)
    if kind == "align_corners":
        spread = ops.maximum(ops.subtract(length, 1.0), 1.0)
        return ops.divide(ops.multiply(steps, ops.subtract(have, 1.0)), spread)
    centred = ops.divide(ops.add(steps, 0.5), ratio)
    if kind == "tf_half_pixel_for_nn":
        return centred
    half = ops.subtract(centred, 0.5)
    if kind == "half_pixel_symmetric":
        adjustment = ops.divide(length, ops.multiply(have, ratio))
        return ops.add(half, ops.multiply(ops.divide(have, 2.0), ops.subtract(1.0, adjustment)))
    if kind == "pytorch_half_pixel":
        return ops.where(ops.greater(length, 1.0), half, ops.zeros_like(half))
    return half


def _rounded(places: Any, how: str) -> Any:
    if how == "floor":
        return ops.floor(places)
    if how == "ceil":
        return ops.ceil(places)
    if how == "round_prefer_ceil":
        return ops.floor(ops.add(places, 0.5))
    return ops.ceil(ops.subtract(places, 0.5))


def _taken(x: Any, axis: int, index: Any, last: Any) -> Any:
    """Elements at whole places, which are moved to the border if they lie outside."""
    inside = ops.minimum(ops.maximum(index, 0.0), last)
    return ops.take(x, ops.cast(inside, "int64"), axis)


def _mixed(x: Any, axis: int, places: Any, last: Any, settings: Any) -> Any:
    """Weighted sums of the neighbours of `places`: two for linear, four for cubic interpolation."""
    first = ops.floor(places)
    rest = ops.subtract(places, first)
    shifts = (0.0, 1.0) if settings.mode == "linear" else (-1.0, 0.0, 1.0, 2.0)
    taps = []
    for s in shifts:
        index, distance = ops.add(first, s), ops.absolute(ops.subtract(rest, s))
        weight = _weight(distance, abs(s - 0.5) < 1, settings)
        if settings.exclude:
            inside = ops.logical_and(ops.greater_equal(index, 0.0), ops.less_equal(index, last))
            weight = ops.where(inside, weight, ops.zeros_like(weight))
        taps.append((index, weight))
    if settings.exclude:
        total = _total([w for _, w in taps])
        taps = [(i, ops.divide(w, total)) for i, w in taps]
    along = [-1 if i == axis else 1 for i in range(rank_of(x))]
    parts = [(_taken(x, axis, i, last), ops.cast(ops.reshape(w, along), dtype_of(x))) for i, w in taps]
    return _total([ops.multiply(part, weight) for part, weight in parts])


def _total(parts: list[Any]) -> Any:
    return functools.reduce(ops.add, parts)


def _weight(d: Any, near: bool, settings: Any) -> Any:
    """The weight of an element at distances `d`; `near`: all of them are at most 1."""
    if settings.mode == "linear":
        return ops.subtract(1.0, d)
    a = settings.cubic
    if near:
        return ops.add(ops.multiply(ops.multiply(ops.subtract(ops.multiply(d, a + 2), a + 3), d), d), 1.0)
    cube = ops.multiply(ops.add(ops.multiply(ops.subtract(ops.multiply(d, a), 5 * a), d), 8 * a), d)
    return ops.subtract(cube, 4 * a)


def pad_unknown(x: Any, widths: Any, mode: str, fill: Any) -> tuple[Any, tuple[tuple[int, int], ...]]:
    """`x` padded along axes whose widths are unknown while recording (or cut, if they are negative then).

    Returns:
        The result, and the widths that are left to do: known ones.
    """
    left = []
    for axis, (before, after) in enumerate(widths):
        unknown = isinstance(before, Dim) or isinstance(after, Dim)
        if unknown:
            x = _padded_axis(x, axis, before, after, mode, fill)
        left.append((0, 0) if unknown else (before, after))
    return x, tuple(left)


def pad_around(x: Any, widths: Any, fill: Any = 0) -> Any:
    """`x` with `fill` around it; widths may be unknown while recording."""
    x, widths = pad_unknown(x, widths, "constant", fill)
    return ops.pad(x, widths, "constant", fill) if any(map(any, widths)) else x


def _padded_axis(x: Any, axis: int, before: Any, after: Any, mode: str, fill: Any) -> Any:
    size = shape_of(x)[axis]
    have = _number(size)
    places = ops.subtract(ops.arange(before + size + after, dtype="float32"), _number(before))
    last = ops.subtract(have, 1.0)
    if mode == "reflect":
        period = ops.maximum(ops.multiply(last, 2.0), 1.0)
        places = ops.mod(places, period)
        places = ops.minimum(places, ops.subtract(period, places))
    elif mode == "wrap":
        places = ops.mod(places, have)
    y = _taken(x, axis, places, last)
    if mode != "constant":
        return y
    inside = ops.logical_and(ops.greater_equal(places, 0.0), ops.less_equal(places, last))
    inside = ops.reshape(inside, [-1 if i == axis else 1 for i in range(rank_of(x))])
    return ops.where(inside, y, ops.full((), 0 if fill is None else fill, dtype_of(x)))


__all__ = ["pad_around", "pad_unknown", "stretched"]
