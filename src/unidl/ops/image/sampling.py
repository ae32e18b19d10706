"""Values between pixels, and what lies beyond the edge."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import OpError, Tensor, composite, need_dtype, need_rank, require
from unidl.ops.image._common import extent, narrow, one_of, wide

FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def _inside(index: Any, size: Any, fill_mode: str) -> Any:
    """Whole numbers `index` (as floats) as indices from 0 to ``size - 1`` under a way of continuing the source."""
    last = ops.subtract(size, 1.0)
    if fill_mode == "wrap":
        index = ops.subtract(index, ops.multiply(ops.floor(ops.divide(index, size)), size))
    elif fill_mode in ("mirror", "reflect"):
        # Periodic with the way forth and back, which has the edges once ("mirror") or twice.
        turn = ops.subtract(ops.multiply(size, 2.0), 1.0) if fill_mode == "reflect" else ops.multiply(last, 2.0)
        period = ops.add(turn, 1.0) if fill_mode == "reflect" else ops.maximum(turn, 1.0)
        index = ops.subtract(index, ops.multiply(ops.floor(ops.divide(index, period)), period))
        index = ops.minimum(index, ops.subtract(turn, index))
    return ops.cast(ops.minimum(ops.maximum(index, 0.0), last), "int32")


def _weighted(value: Any, factors: Sequence[Any], trailing: bool) -> Any:
    for factor in factors:
        value = ops.multiply(value, ops.expand_dims(factor, -1) if trailing else factor)
    return value


def interpolate(
    cells: Any,
    base: Any,
    coordinates: Sequence[Any],
    sizes: Sequence[tuple[Any, Any]],
    order: int,
    fill_mode: str,
    fill_value: Any,
    ties: str = "even",
) -> Any:
    """The source at `coordinates`: its nearest cell (`order` 0) or the mean of 2 in each direction (1).

    Args:
        cells: the source with its spatial axes as one, which is the first; at most one more, of channels.
        base: int32, where each coordinate's source begins among `cells`, or None: all at 0.
        coordinates: one tensor for each spatial axis, float32 or float64.
        sizes: the size of each spatial axis as a float and as an int32 (numbers or scalar tensors).
        ties: where the nearest of two equally near cells is: at the "even" index or "away" from 0.
    """
    trailing, dtype = len(cells.shape) == 2, dtype_of(coordinates[0])
    far = 2.0**22 if dtype == "float32" else 2.0**50  # as far out as whole numbers are exact, with room to spare
    neighbours: list[list[tuple[Any, Any, Any]]] = []  # by axis: (index, inside or not, weight)
    for place, (size, _) in zip(coordinates, sizes, strict=True):
        place = ops.where(ops.isnan(place), -far, ops.minimum(ops.maximum(place, -far), far))
        if order == 1:
            low = ops.stop_gradient(ops.floor(place))
            part = ops.subtract(place, low)
            corners = [(low, ops.subtract(1.0, part)), (ops.add(low, 1.0), part)]
        else:
            place = ops.stop_gradient(place)
            if ties == "even":
                corners = [(ops.round(place), None)]
            else:
                corners = [(ops.multiply(ops.sign(place), ops.floor(ops.add(ops.absolute(place), 0.5))), None)]
        found = []
        for index, weight in corners:
            valid = None
            if fill_mode == "constant":
                last = ops.subtract(size, 1.0)
                valid = ops.logical_and(ops.greater_equal(index, 0.0), ops.less_equal(index, last))
            found.append((_inside(index, size, fill_mode), valid, weight))
        neighbours.append(found)
    result = None
    for corner in itertools.product(*neighbours):
        flat, valid = None, None
        for (index, inside, _), (_, count) in zip(corner, sizes, strict=True):
            flat = index if flat is None else ops.add(ops.multiply(flat, count), index)
            if inside is not None:
                valid = inside if valid is None else ops.logical_and(valid, inside)
        value = ops.take(cells, flat if base is None else ops.add(base, flat), 0)
        if valid is not None:
            value = ops.where(ops.expand_dims(valid, -1) if trailing else valid, value, fill_value)
        value = _weighted(value, [weight for _, _, weight in corner if weight is not None], trailing)
        result = value if result is None else ops.add(result, value)
    return result


def filling(fill_value: Any, dtype: str) -> Any:
    """The number to fill with, whole where `dtype` is."""
    try:
        return float(fill_value) if dtype[0] == "f" or dtype == "bfloat16" else int(fill_value)
    except (TypeError, ValueError):
        raise OpError(f"`fill_value` must be a number, not {fill_value!r}.") from None


@composite
def map_coordinates(
    inputs: Tensor, coordinates: Tensor, order: int, fill_mode: str = "constant", fill_value: Any = 0
) -> Tensor:
    """`inputs` at `coordinates`, interpolated.

    Args:
        inputs: a tensor of N dimensions.
        coordinates: shape (N, …): places along each axis, where whole numbers are elements.
        order: 0 (the nearest element; of two the one at the even index) or 1 (linear).
        fill_mode: how `inputs` goes on beyond its edges: "constant" (k k | a b c | k k, with k = `fill_value`, and
            interpolated between edge and k), "nearest" (a a | a b c | c c), "wrap" (b c | a b c | a b), "mirror"
            (c b | a b c | b a) or "reflect" (b a | a b c | c b). They are SciPy's "grid-constant", "nearest",
            "grid-wrap", "mirror" and "reflect".

    Returns:
        Shape ``coordinates.shape[1:]``, dtype of `inputs`; integers are rounded (half to even).

    Example:
        >>> from unidl import ops
        >>> x = ops.image.map_coordinates([0.0, 10.0, 20.0], [[0.5, 1.75, -1.0]], 1, "nearest")
        >>> print(ops.convert_to_numpy(x))
        [ 5.  17.5  0. ]
    """
    require(order in (0, 1) and not isinstance(order, bool), f"`order` must be 0 or 1, not {order!r}.")
    one_of(fill_mode, FILL_MODES, "fill_mode")
    need_dtype(inputs, "inputs", "real")
    need_dtype(coordinates, "coordinates", "real")
    need_rank(coordinates, "coordinates", 2)
    rank = len(inputs.shape)
    need_rank(inputs, "inputs", 1)
    require(coordinates.shape[0] is not None, "the first dimension of `coordinates` must be known.")
    require(
        coordinates.shape[0] == rank,
        f"the first dimension of `coordinates` (shape {list(coordinates.shape)}) must be {rank}, the rank of `inputs`.",
    )
    require(0 not in list(inputs.shape), f"`inputs` has no elements (shape {list(inputs.shape)}).")
    dtype = dtype_of(inputs)
    inner = "float64" if "float64" in (wide(dtype), dtype_of(coordinates)) else "float32"
    sizes = [(extent(inputs, i, inner), extent(inputs, i)) for i in range(rank)]
    coordinates = ops.cast(coordinates, inner)
    cells = ops.reshape(inputs, (-1,))
    if order == 1:
        cells = ops.cast(cells, inner)
    fill = filling(fill_value, inner if order == 1 else dtype)
    found = interpolate(cells, None, [ops.getitem(coordinates, i) for i in range(rank)], sizes, order, fill_mode, fill)
    return narrow(found, dtype)


def sampled(
    images: Any, y: Any, x: Any, interpolation: str, fill_mode: str, fill_value: Any, ties: str = "even"
) -> Any:
    """Images (batch, height, width, channels) at `y` and `x` (batch or 1, rows, columns), in the same dtype."""
    dtype = dtype_of(images)
    order = 0 if interpolation == "nearest" else 1
    inner = dtype_of(y)
    counts = [extent(images, axis) for axis in (1, 2)]
    sizes = [(extent(images, axis, inner), count) for axis, count in zip((1, 2), counts, strict=True)]
    base = ops.multiply(ops.multiply(ops.arange(ops.shape(images)[0], None, None, "int32"), counts[0]), counts[1])
    cells = ops.reshape(images, (-1, ops.shape(images)[3]))
    if order == 1:
        cells = ops.cast(cells, wide(dtype))
    fill = filling(fill_value, wide(dtype) if order == 1 else dtype)
    found = interpolate(cells, ops.reshape(base, (-1, 1, 1)), [y, x], sizes, order, fill_mode, fill, ties)
    return narrow(found, dtype)


__all__ = ["map_coordinates"]
