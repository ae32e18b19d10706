"""Resize, Upsample, GridSample, AffineGrid, RoiAlign: reading images between their elements."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._structures import Node
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._sizes import same_size
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, rank_of, shape_of
from unidl.interchange.onnx.importing.stretching import stretched


@operator("Upsample", 9)
def _upsample(call: Call, x: Any, scales: Any) -> Any:
    return _upsampled(call, x, call.array(scales, "the scales").astype(np.float64).tolist())


@operator("Upsample", 7)
def _upsample_scales(call: Call, x: Any) -> Any:
    return _upsampled(call, x, call.need("scales"))


@operator("Upsample", 1)
def _upsample_height_width(call: Call, x: Any) -> Any:
    return _upsampled(call, x, [1.0, 1.0, call.need("height_scale"), call.need("width_scale")])


def _upsampled(call: Call, x: Any, scales: list[float], shrinking: str = "floor") -> Any:
    """`x` resized as before opset 11; `shrinking`: how places are rounded along axes that get smaller."""
    mode = call.get("mode", "nearest")
    call.room([d if isinstance(d, Dim) else _length(d, s) for d, s in zip(shape_of(x), scales, strict=True)])
    for axis, scale in enumerate(scales):
        if scale != 1:
            rounding = shrinking if scale < 1 else "floor"
            settings = _Settings(call, "nearest" if mode == "nearest" else "linear", "asymmetric", rounding)
            resized = stretched if isinstance(shape_of(x)[axis], Dim) else _axis_resized
            x = resized(call, x, axis, float(scale), None, settings)
    return x


@operator("Resize", 11)
def _resize(call: Call, x: Any, roi: Any = None, scales: Any = None, sizes: Any = None) -> Any:
    mode = call.get("mode", "nearest")
    settings = _Settings(
        call,
        mode,
        call.get("coordinate_transformation_mode", "half_pixel"),
        call.get("nearest_mode", "round_prefer_floor"),
    )
    rank = rank_of(x)
    axes = [call.axis(a, rank) for a in call.get("axes", range(rank))]
    shape = shape_of(x)
    given_scales = None if scales is None else call.array(scales, "the scales").astype(np.float64).reshape(-1).tolist()
    given_sizes = None if sizes is None else call.integers(sizes, "the sizes")
    if given_sizes:
        policy = call.get("keep_aspect_ratio_policy", "stretch")
        ratios: list[Any] = [
            None if isinstance(s, Dim) or isinstance(shape[a], Dim) else s / shape[a]
            for s, a in zip(given_sizes, axes, strict=True)
        ]
        if policy != "stretch":
            if None in ratios:
                raise call.error(f"sizes must be known for keep_aspect_ratio_policy {policy!r}")
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            ratios = [ratio] * len(axes)
            given_sizes = [math.floor(shape[a] * ratio + 0.5) for a in axes]
        factors = ratios
    elif given_scales:
        factors, given_sizes = given_scales, None
    else:
        raise call.error("neither scales nor sizes are given")
    if len(factors) != len(axes):
        raise call.error(f"there are {len(factors)} scales or sizes for {len(axes)} axes")
    regions = None
    if settings.transform == "tf_crop_and_resize":
        flat = call.array(roi, "the region").astype(np.float64).reshape(-1)
        regions = [(flat[i], flat[i + len(axes)]) for i in range(len(axes))]
    call.room(
        [
            d
            if isinstance(d, Dim)
            else (given_sizes[axes.index(i)] if given_sizes else _length(d, factors[axes.index(i)]))
            if i in axes
            else d
            for i, d in enumerate(shape)
        ]
    )
    dtype = dtype_of(x)
    exact = mode == "nearest" and regions is None
    wide = x if exact or dtype.startswith(("float", "bfloat")) else ops.cast(x, "float32")
    for i, axis in enumerate(axes):
        size = None if given_sizes is None else given_sizes[i]
        region = None if regions is None else regions[i]
        if region is None and (factors[i] == 1 if size is None else same_size(shape[axis], size)):
            continue
        if isinstance(shape[axis], Dim) or isinstance(size, Dim):
            wide = stretched(call, wide, axis, factors[i], size, settings)
        else:
            wide = _axis_resized(call, wide, axis, factors[i], size, settings, region)
    if dtype_of(wide) != dtype:
        wide = ops.cast(ops.clip(ops.round(wide), *_bounds(dtype)), dtype)
    return wide


def _bounds(dtype: str) -> tuple[float, float]:
    info = np.iinfo(dtype)
    return float(info.min), float(info.max)


@operator("Resize", 10)
def _resize_10(call: Call, x: Any, scales: Any) -> Any:
    return _upsampled(call, x, call.array(scales, "the scales").astype(np.float64).tolist(), "ceil")


class _Settings:
    """What Resize's attributes say about all axes."""

    def __init__(self, call: Call, mode: str, transform: str, rounding: str) -> None:
        if mode not in ("nearest", "linear", "cubic", "bilinear"):
            raise call.error(f"the mode {mode!r} is unknown; known are nearest, linear and cubic")
        self.mode = "linear" if mode == "bilinear" else mode
        self.transform = transform
        self.rounding = rounding
        self.cubic = call.get("cubic_coeff_a", -0.75)
        self.antialias = bool(call.get("antialias", 0))
        self.exclude = bool(call.get("exclude_outside", 0))
        self.fill = call.get("extrapolation_value", 0.0)


def _length(size: int, scale: float) -> int:
    """The length of a resized axis, in float32 as runtimes compute it: scales in files are float32."""
    return math.floor(np.float32(size) * np.float32(scale))


def _source(settings: _Settings, count: int, size: int, scale: np.float32, region: Any) -> np.ndarray:
    """For each element of the result: where it lies in the input.

    In float32, as runtimes compute it: 17 / 1.7 is 10, and the nearest element the tenth. Where the specification
    leaves it open whether a length is rounded, it is, as in PyTorch and onnxruntime.
    """
    places = np.arange(count, dtype=np.float32)
    kind = settings.transform
    if kind == "asymmetric":
        return places / scale
    if kind == "align_corners":
        return places * np.float32(size - 1) / np.float32(count - 1) if count > 1 else np.zeros(count)
    if kind == "half_pixel":
        return (places + 0.5) / scale - 0.5
    if kind == "pytorch_half_pixel":
        return (places + 0.5) / scale - 0.5 if count > 1 else np.full(count, -0.5)
    if kind == "half_pixel_symmetric":
        adjustment = count / (size * scale)
        centre = size / 2
        return centre * (1 - adjustment) + (places + 0.5) / scale - 0.5
    if kind == "tf_half_pixel_for_nn":
        return (places + 0.5) / scale
    assert kind == "tf_crop_and_resize"
    start, end = region
    if count > 1:
        return start * (size - 1) + places * (end - start) * (size - 1) / (count - 1)
    return np.full(count, 0.5 * (start + end) * (size - 1))


_KINDS = (
    "asymmetric", "align_corners", "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)  # fmt: skip


def _axis_resized(
    call: Call, x: Any, axis: int, scale: float, want: int | None, settings: _Settings, region: Any = None
) -> Any:
    size = shape_of(x)[axis]
    if settings.transform not in _KINDS:
        raise call.error(f"the coordinate transformation {settings.transform!r} is unknown")
    count = _length(size, scale) if want is None else want
    call.room([count])
    places = _source(settings, count, size, np.float32(scale), region)
    if settings.mode == "nearest":
        index = _rounded(places, settings.rounding)
        y = ops.take(x, np.clip(index, 0, size - 1).astype(np.int64), axis)
    else:
        y = _weighted(x, axis, places, min(scale, 1.0) if settings.antialias else 1.0, settings)
    if region is None:
        return y
    outside = (places < 0) | (places > size - 1)
    mask = outside.reshape([-1 if i == axis else 1 for i in range(rank_of(x))])
    return ops.where(mask, np.asarray(settings.fill, np.float32).astype(dtype_of(y)), y) if outside.any() else y


def _rounded(places: np.ndarray, how: str) -> np.ndarray:
    if how == "floor":
        return np.floor(places)
    if how == "ceil":
        return np.ceil(places)
    if how == "round_prefer_ceil":
        return np.floor(places + 0.5)
    return np.ceil(places - 0.5)


def _weights(distance: np.ndarray, settings: _Settings) -> np.ndarray:
    """The weight of an element at a distance."""
    d = np.abs(distance)
    if settings.mode == "linear":
        return np.clip(1 - d, 0, None)
    a = settings.cubic
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _weighted(x: Any, axis: int, places: np.ndarray, shrink: float, settings: _Settings) -> Any:
    """Sums of neighbours; with `shrink` below 1 the kernel is widened, so that no element is skipped."""
    size = shape_of(x)[axis]
    reach = (1 if settings.mode == "linear" else 2) / shrink
    first = np.floor(places - reach).astype(int) + 1
    taps = int(np.ceil(2 * reach)) + (1 if shrink < 1 else 0)
    index = first[:, None] + np.arange(taps)
    weights = _weights((index - places[:, None]) * shrink, settings)
    inside = (index >= 0) & (index < size)
    if settings.exclude or shrink < 1:
        weights = np.where(inside, weights, 0.0) if settings.exclude else weights
        weights = weights / weights.sum(1, keepdims=True)
    index = np.clip(index, 0, size - 1)
    dtype = dtype_of(x)
    if taps > 4:
        matrix = np.zeros((len(places), size))
        np.add.at(matrix, (np.arange(len(places))[:, None], index), weights)
        return ops.moveaxis(ops.matmul(ops.moveaxis(x, axis, -1), matrix.T.astype(dtype)), -1, axis)
    total = None
    along = [-1 if i == axis else 1 for i in range(rank_of(x))]
    for t in range(taps):
        if not weights[:, t].any():
            continue
        part = ops.multiply(ops.take(x, index[:, t].astype(np.int64), axis), weights[:, t].reshape(along).astype(dtype))
        total = part if total is None else ops.add(total, part)
    return total


# -- sampling at places that tensors say -----------------------------------------------------------


@operator("AffineGrid")
def _affine_grid(call: Call, theta: Any, size: Any) -> Any:
    """For each output element the place, from -1 to 1, that `theta` sends it to."""
    dims = call.integers(size, "the size")
    call.room(dims)
    spatial = dims[2:]
    lines = []
    for n in spatial:
        if call.get("align_corners", 0):
            lines.append(np.linspace(-1, 1, n) if n > 1 else np.zeros(1))
        else:
            lines.append((np.arange(n) * 2 + 1) / n - 1)
    grids = np.meshgrid(*lines, indexing="ij")
    places = np.stack([*grids[::-1], np.ones_like(grids[0])], -1).reshape(-1, len(spatial) + 1)
    found = ops.matmul(places.astype(dtype_of(theta)), ops.swapaxes(theta, 1, 2))
    return ops.reshape(found, (shape_of(theta)[0], *spatial, len(spatial)))


@operator("GridSample", 16)
@operator("GridSample", domain=MICROSOFT)
def _grid_sample(call: Call, x: Any, grid: Any) -> Any:
    n = rank_of(x) - 2
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(m := call.get("mode", "linear"), m)
    padding, aligned = call.get("padding_mode", "zeros"), bool(call.get("align_corners", 0))
    if mode not in ("linear", "nearest", "cubic") or padding not in ("zeros", "border", "reflection"):
        raise call.error(f"mode {mode!r} with padding {padding!r} is unknown")
    sizes = shape_of(x)[2:]
    taps: list[list[tuple[Any, Any]]] = []
    for axis, size in enumerate(sizes):
        place = ops.getitem(grid, (..., n - 1 - axis))
        place = _denormalized(place, size, aligned)
        if padding != "zeros" and mode != "cubic":
            place = _inside(place, size, padding, aligned)
        taps.append(_neighbours(place, mode))
    flat = ops.reshape(x, (*shape_of(x)[:2], -1))
    out_shape = shape_of(grid)[1:-1]
    total = None
    for chosen in itertools.product(*taps):
        weight: Any = None
        index: Any = None
        for (place, w), size in zip(chosen, sizes, strict=True):
            if padding == "zeros":
                valid = ops.logical_and(ops.greater_equal(place, 0.0), ops.less_equal(place, float(size - 1)))
                w = ops.where(valid, w, ops.zeros_like(w))
            elif mode == "cubic":
                place = _inside(place, size, padding, aligned)
            whole = ops.cast(ops.clip(ops.round(place), 0.0, float(size - 1)), "int64")
            index = whole if index is None else ops.add(ops.multiply(index, size), whole)
            weight = w if weight is None else ops.multiply(weight, w)
        rows = ops.reshape(index, (shape_of(grid)[0], 1, -1))
        values = ops.take_along_axis(flat, ops.broadcast_to(rows, (*shape_of(x)[:2], shape_of(rows)[-1])), 2)
        values = ops.reshape(values, (*shape_of(x)[:2], *out_shape))
        part = ops.multiply(values, ops.cast(ops.expand_dims(weight, 1), dtype_of(x)))
        total = part if total is None else ops.add(total, part)
    return total


def _denormalized(place: Any, size: int, aligned: bool) -> Any:
    if aligned:
        return ops.multiply(ops.add(place, 1.0), (size - 1) / 2)
    return ops.divide(ops.subtract(ops.multiply(ops.add(place, 1.0), float(size)), 1.0), 2.0)


def _inside(place: Any, size: int, padding: str, aligned: bool) -> Any:
    """Places outside moved to the border, or mirrored at it."""
    low, high = (0.0, float(size - 1)) if aligned else (-0.5, size - 0.5)
    if padding == "border":
        return ops.clip(place, 0.0, float(size - 1))
    span = high - low
    if span <= 0:
        return ops.zeros_like(place)
    away = ops.mod(ops.subtract(place, low), 2 * span)
    mirrored = ops.add(ops.minimum(away, ops.subtract(2 * span, away)), low)
    return ops.clip(mirrored, 0.0, float(size - 1)) if not aligned else mirrored


def _neighbours(place: Any, mode: str) -> list[tuple[Any, Any]]:
    """Whole places around each place, with their weights."""
    if mode == "nearest":
        whole = ops.round(place)
        return [(whole, ops.ones_like(place))]
    first = ops.floor(place)
    rest = ops.subtract(place, first)
    if mode == "linear":
        return [(first, ops.subtract(1.0, rest)), (ops.add(first, 1.0), rest)]
    a = -0.75
    result = []
    for shift in (-1, 0, 1, 2):
        d = ops.absolute(ops.subtract(rest, float(shift)))
        if shift in (0, 1):
            w = ops.add(ops.multiply(ops.multiply(ops.subtract(ops.multiply(d, a + 2), a + 3), d), d), 1.0)
        else:
            cube = ops.subtract(ops.multiply(d, a), 5 * a)
            w = ops.subtract(ops.multiply(ops.add(ops.multiply(cube, d), 8 * a), d), 4 * a)
        result.append((ops.add(first, float(shift)), w))
    return result


def _regions(node: Node, shapes: Sequence[Any]) -> tuple[Any, ...]:
    height, width = (node.attributes.get(f"output_{side}", 1) for side in ("height", "width"))
    return (shapes[1][0], shapes[0][1], height, width)


@operator("RoiAlign", 16, result=_regions)
def _roi_align(call: Call, x: Any, rois: Any, batch: Any) -> Any:
    return _aligned(call, x, rois, batch, "half_pixel")


@operator("RoiAlign", 10, result=_regions)
def _roi_align_before_modes(call: Call, x: Any, rois: Any, batch: Any) -> Any:
    return _aligned(call, x, rois, batch, "output_half_pixel")


def _aligned(call: Call, x: Any, rois: Any, batch: Any, default: str) -> Any:
    """Means (or maxima) of points that are spread evenly over bins of each region."""
    height, width = call.get("output_height", 1), call.get("output_width", 1)
    ratio, scale = call.get("sampling_ratio", 0), call.get("spatial_scale", 1.0)
    half = call.get("coordinate_transformation_mode", default) == "half_pixel"
    boxes = call.array(rois, "the regions").astype(np.float64) * scale - (0.5 if half else 0.0)
    members = call.array(batch, "the batch indices")
    rows, columns = shape_of(x)[2:]
    results = []
    for (left, top, right, bottom), member in zip(boxes, members, strict=True):
        w, h = right - left, bottom - top
        if not half:
            w, h = max(w, 1.0), max(h, 1.0)
        ny = ratio if ratio > 0 else math.ceil(h / height)
        nx = ratio if ratio > 0 else math.ceil(w / width)
        call.room([height, width, max(ny, 0), max(nx, 0)])
        if min(ny, nx) < 1:  # a region without an extent has no points
            results.append(ops.zeros((shape_of(x)[1], height, width), dtype_of(x)))
            continue
        ys = top + (np.arange(height)[:, None] + (np.arange(ny) + 0.5) / max(ny, 1)) * (h / height)
        xs = left + (np.arange(width)[:, None] + (np.arange(nx) + 0.5) / max(nx, 1)) * (w / width)
        image = ops.getitem(x, int(member))
        if call.get("mode", "avg") == "max":
            results.append(_region_max(image, ys, xs, rows, columns, (height, width)))
            continue
        down = _sampling(ys.reshape(-1), rows).reshape(height, -1, rows).mean(1)
        across = _sampling(xs.reshape(-1), columns).reshape(width, -1, columns).mean(1)
        dtype = dtype_of(x)
        results.append(ops.matmul(ops.matmul(down.astype(dtype), image), across.T.astype(dtype)))
    if not results:
        return ops.zeros((0, shape_of(x)[1], height, width), dtype_of(x))
    return ops.stack(results, 0)


def _sampling(places: np.ndarray, size: int) -> Any:
    """A matrix that reads `places` of a line by linear interpolation; nothing beyond one element outside."""
    low, high = _corner_matrices(places, size)
    return low + high


def _region_max(image: Any, ys: np.ndarray, xs: np.ndarray, rows: int, columns: int, bins: tuple[int, int]) -> Any:
    """The largest of the four weighted neighbours of all points of a bin, as ONNX defines it."""
    parts = []
    for down in _corner_matrices(ys.reshape(-1), rows):
        for across in _corner_matrices(xs.reshape(-1), columns):
            parts.append(
                ops.matmul(ops.matmul(down.astype("float32"), ops.cast(image, "float32")), across.T.astype("float32"))
            )
    points = _largest(parts)
    channels = shape_of(image)[0]
    points = ops.reshape(points, (channels, bins[0], ys.shape[1], bins[1], xs.shape[1]))
    return ops.cast(ops.max(points, (2, 4)), dtype_of(image))


def _largest(parts: list[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = ops.maximum(total, part)
    return total


def _corner_matrices(places: np.ndarray, size: int) -> list[np.ndarray]:
    """Matrices that read the element before and the one after each of `places` of a line, with their weights."""
    valid = (places >= -1) & (places <= size)
    inside = np.clip(places, 0, size - 1)
    low = np.floor(inside).astype(int)
    high = np.minimum(low + 1, size - 1)
    rest = inside - low
    lines = np.arange(len(places))
    matrices = []
    for index, weight in ((low, 1 - rest), (high, rest)):
        matrix = np.zeros((len(places), size))
        matrix[lines, index] = np.where(valid, weight, 0)
        matrices.append(matrix)
    return matrices


@operator("CropAndResize", domain=MICROSOFT)
def _crop_and_resize(call: Call, x: Any, boxes: Any, batch: Any, size: Any) -> Any:
    """Boxes (y1, x1, y2, x2) of images, from 0 to 1, read at points that are spread evenly from edge to edge."""
    height, width = call.integers(size, "the crop size")
    call.room([height, width])
    mode = call.get("mode", "bilinear")
    rows, columns = shape_of(x)[2:]
    images = ops.take(x, batch, 0)

    def line(low: Any, high: Any, length: int, count: int) -> tuple[Any, Any]:
        """Matrices (boxes, count, length) that read a line, and whether their points lie on it."""
        low, high = (ops.expand_dims(v, 1) for v in (low, high))
        if count > 1:
            share = (np.arange(count) / (count - 1)).astype(np.float32)
            places = ops.multiply(ops.add(low, ops.multiply(ops.subtract(high, low), share)), float(length - 1))
        else:
            places = ops.multiply(ops.add(low, high), 0.5 * (length - 1))
        inside = ops.logical_and(ops.greater_equal(places, 0.0), ops.less_equal(places, float(length - 1)))
        if mode == "nearest":
            places = ops.floor(ops.add(places, 0.5))
        away = ops.absolute(ops.subtract(ops.expand_dims(places, -1), np.arange(length, dtype=np.float32)))
        return ops.maximum(ops.subtract(1.0, away), 0.0), inside

    y1, x1, y2, x2 = (ops.cast(ops.getitem(boxes, (slice(None), i)), "float32") for i in range(4))
    down, fits_down = line(y1, y2, rows, height)
    across, fits_across = line(x1, x2, columns, width)
    y = ops.matmul(ops.expand_dims(down, 1), ops.cast(images, "float32"))
    y = ops.matmul(y, ops.swapaxes(ops.expand_dims(across, 1), -1, -2))
    fits = ops.logical_and(ops.expand_dims(fits_down, (1, 3)), ops.expand_dims(fits_across, (1, 2)))
    return ops.cast(ops.where(fits, y, float(call.get("extrapolation_value", 0.0))), dtype_of(x))
