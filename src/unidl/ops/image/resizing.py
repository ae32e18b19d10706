"""Resampling along the axes of images: one small matrix for each axis, the same on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.ops._bind import dtype_of
from unidl.ops._declare import OpError, Tensor, axis_index, composite, need_dtype, need_rank, require, same_dim
from unidl.ops.image._common import LAST, Axes, extent, image_axes, narrow, one_of, whole_numbers, wide
from unidl.ops.image._weights import areas, matrix, places

_INTERPOLATIONS = {
    "nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "lanczos3": "lanczos3", "lanczos5": "lanczos5",
    "area": "area",
}  # fmt: skip
_METHODS = {
    "linear": "linear", "bilinear": "linear", "trilinear": "linear", "triangle": "linear", "cubic": "cubic",
    "bicubic": "cubic", "tricubic": "cubic", "lanczos3": "lanczos3", "lanczos5": "lanczos5",
}  # fmt: skip


def _resampled(x: Any, axis: int, weights: Any) -> Any:
    """`x` with a dimension multiplied by the (want, have) matrix `weights`."""
    rank = len(x.shape)
    axis %= rank
    if axis == rank - 2:  # a product with few columns (channels) would be slow
        return ops.swapaxes(_resampled(ops.swapaxes(x, -1, -2), -1, weights), -1, -2)
    sizes = ops.shape(x)
    if axis == rank - 1:
        flat = ops.matmul(ops.reshape(x, (-1, sizes[-1])), ops.transpose(weights))
        return ops.reshape(flat, (*sizes[:-1], weights.shape[0]))
    inner: Any = 1
    for size in sizes[axis + 1 :]:
        inner = inner * size
    flat = ops.matmul(weights, ops.reshape(x, (*sizes[: axis + 1], inner)))
    return ops.reshape(flat, (*sizes[:axis], weights.shape[0], *sizes[axis + 1 :]))


def _line(n: Any, dtype: str, column: bool = False) -> Any:
    """0, 1, … n - 1 as a row or a column."""
    return ops.expand_dims(ops.cast(ops.arange(n, None, None, "int32"), dtype), 1 if column else 0)


def _nearest(images: Any, axis: int, want: int) -> Any:
    """The pixel under the centre of each new one; whole numbers, so that no rounding decides."""
    centres = 2 * np.arange(want, dtype="int32") + 1
    have = images.shape[axis]
    if have is not None:
        return ops.take(images, (centres.astype("int64") * have // (2 * want)).astype("int32"), axis)
    return ops.take(images, ops.floor_divide(ops.multiply(centres, extent(images, axis)), 2 * want), axis)


def _smooth(images: Any, axis: int, want: int, method: str, antialias: bool) -> Any:
    have, dtype = images.shape[axis], dtype_of(images)
    if have is not None:
        step = have / want
        row, column = np.arange(have, dtype="float64")[None], np.arange(want, dtype="float64")[:, None]
        if method == "area":
            weights = areas(np, row, column, step)
        else:
            weights = matrix(np, method, row, places(np, column, step, 0.0), step, antialias)
        return _resampled(images, axis, weights.astype(dtype))
    step = ops.divide(extent(images, axis, dtype), float(want))
    row, column = _line(ops.shape(images)[axis], dtype), np.arange(want, dtype=dtype)[:, None]
    if method == "area":
        return _resampled(images, axis, areas(ops, row, column, step))
    return _resampled(images, axis, matrix(ops, method, row, places(ops, column, step, 0.0), step, antialias))


def _fitted(images: Any, axes: Axes, size: tuple[int, ...], crop: bool, fill_value: float) -> Any:
    """`images` cut or padded at both sides to the proportions of `size`."""
    height, width = images.shape[axes.rows], images.shape[axes.columns]
    require(None not in (height, width), "to keep the aspect ratio height and width must be known.")
    tall, broad = width * size[0] // size[1], height * size[1] // size[0]
    key, widths = [slice(None)] * len(images.shape), [(0, 0)] * len(images.shape)
    for axis, have, want in ((axes.rows, height, tall), (axes.columns, width, broad)):
        if crop:
            want = max(min(have, want), 1)
            start = (have - want) // 2
            key[axis] = slice(start, start + want)
        else:
            edge = (max(have, want) - have) // 2
            widths[axis] = (edge, edge)
    if crop:
        return ops.getitem(images, tuple(key))
    return ops.pad(images, tuple(widths), "constant", fill_value) if any(map(any, widths)) else images


@composite
def resize_bilinear(images: Tensor, size: tuple[int, ...], channels_last: bool) -> Tensor:
    """The part of `resize` that engines have kernels for: batches of float32, bilinear, without antialiasing.

    Example:
        >>> from unidl import ops
        >>> x = ops.image.resizing.resize_bilinear([[[[0.0], [4.0]]]], (1, 4), True)
        >>> print(ops.convert_to_numpy(x)[..., 0])
        [[[0. 1. 3. 4.]]]
    """
    need_rank(images, "images", 4, 4)
    need_dtype(images, "images", "floating")
    want = whole_numbers(size, 2, "size")
    for axis, new in zip((1, 2) if channels_last else (2, 3), want, strict=True):
        require(images.shape[axis] != 0, f"`images` has no pixels (shape {list(images.shape)}).")
        if images.shape[axis] != new:
            images = _smooth(images, axis, new, "linear", False)
    return images


@composite
def resize(
    images: Tensor,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images of another size; pixels are areas (half-pixel centres), and weights beyond the edge are left out.

    Args:
        images: (batch, height, width, channels) or (height, width, channels), or channels first.
        size: (height, width) of the result.
        interpolation: "nearest", "bilinear", "bicubic" (Keys' kernel, a = -1/2), "lanczos3", "lanczos5", or "area"
            (the mean over each new pixel's area).
        antialias: whether kernels are widened when shrinking; no matter for "nearest" and "area".
        crop_to_aspect_ratio: cut the images to the proportions of `size` first.
        pad_to_aspect_ratio: pad them with `fill_value` instead, equally at both sides.
        fill_mode: only "constant".

    Returns:
        Same dtype; integers are rounded and kept within their range.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.image.resize([[[0.0], [4.0]]], (1, 4)))[..., 0])
        [[0. 1. 3. 4.]]
    """
    axes = image_axes(images, data_format)
    one_of(interpolation, tuple(_INTERPOLATIONS), "interpolation")
    require(fill_mode == "constant", f"`fill_mode` must be 'constant', not {fill_mode!r}.")
    require(
        not (crop_to_aspect_ratio and pad_to_aspect_ratio),
        "only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True.",
    )
    require(hasattr(size, "__len__"), f"`size` must be (height, width), not {size!r}.")
    want = whole_numbers(size, 2, "size")
    for axis in axes[:2]:
        require(images.shape[axis] != 0, f"`images` has no pixels (shape {list(images.shape)}).")
    dtype, method, batched = dtype_of(images), _INTERPOLATIONS[interpolation], len(images.shape) == 4
    if method != "nearest":
        images = ops.cast(images, wide(dtype))
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        fill = fill_value if method != "nearest" or dtype[0] in "fb" else int(fill_value)
        images = _fitted(images, axes, want, bool(crop_to_aspect_ratio), fill)
    if method == "linear" and dtype_of(images) == "float32" and not antialias:
        images = images if batched else ops.expand_dims(images, 0)
        images = resize_bilinear(images, want, axes is LAST)
        return narrow(images if batched else ops.squeeze(images, 0), dtype)
    for axis, new in zip(axes[:2], want, strict=True):
        if images.shape[axis] == new:
            continue
        images = _nearest(images, axis, new) if method == "nearest" else _smooth(images, axis, new, method, antialias)
    return narrow(images, dtype)


def _unknown(size: Any) -> bool:
    return size is None or isinstance(size, Dim)


@composite(promote="scale translation", floating=True)
def scale_and_translate(
    images: Tensor,
    output_shape: Any,
    scale: Tensor,
    translation: Tensor,
    spatial_dims: Any,
    method: str,
    antialias: bool = True,
) -> Tensor:
    """`images` resampled so that place x along a spatial axis comes to ``x * scale + translation``.

    Pixel i has its centre at i + 0.5. What lies outside of the source is 0.

    Args:
        images: a tensor of any rank.
        output_shape: the size of every axis; those that are not spatial stay as they are.
        scale, translation: one number for each spatial axis, shape (K,).
        spatial_dims: K different axes.
        method: "linear" (also "bilinear", "trilinear", "triangle"), "cubic" ("bicubic", "tricubic": Keys' kernel),
            "lanczos3" or "lanczos5".
        antialias: whether kernels are widened when shrinking.

    Returns:
        Shape `output_shape`, dtype of `images`; integers are rounded and kept between the source's extremes.

    Example:
        >>> from unidl import ops
        >>> x = ops.image.scale_and_translate([0.0, 4.0], (4,), [2.0], [0.0], (0,), "linear")
        >>> print(ops.convert_to_numpy(x))
        [0. 1. 3. 4.]
    """
    need_dtype(images, "images", "real")
    one_of(method, tuple(_METHODS), "method")
    rank = len(images.shape)
    need_rank(images, "images", 1)
    dims = spatial_dims if isinstance(spatial_dims, (tuple, list)) else (spatial_dims,)
    axes = [axis_index(a, rank, "spatial_dims") for a in dims]
    require(len(set(axes)) == len(axes), f"`spatial_dims` names an axis twice: {spatial_dims}.")
    require(
        hasattr(output_shape, "__len__") and len(output_shape) == rank,
        f"`output_shape` must hold {rank} sizes, not {output_shape!r}.",
    )
    # Of axes that are not spatial the size may be unknown.
    given = [images.shape[i] if i not in axes and _unknown(d) else d for i, d in enumerate(output_shape)]
    want = [None if d is None else whole_numbers(d, 1, "output_shape", 0)[0] for d in given]
    for what, numbers in (("scale", scale), ("translation", translation)):
        need_rank(numbers, what, 1, 1)
        same_dim(numbers.shape[0], len(axes), f"`{what}` and `spatial_dims`")
    for i, (old, new) in enumerate(zip(images.shape, want, strict=True)):
        if i not in axes and None not in (old, new) and old != new:
            raise OpError(f"`output_shape` has {new} for axis {i}, which is not spatial and has size {old}.")
        require(i not in axes or old != 0, f"`images` has no elements along axis {i} (shape {list(images.shape)}).")
    if not axes:
        return images
    dtype = dtype_of(images)
    inside = wide(dtype) if dtype_of(scale) != "float64" else "float64"
    source = images
    images = ops.cast(images, wide(dtype))
    for i, axis in enumerate(axes):
        factor, shift = (ops.cast(ops.getitem(v, i), inside) for v in (scale, translation))
        step = ops.divide(1.0, factor)
        at = places(ops, np.arange(want[axis], dtype=inside)[:, None], step, shift)
        row = _line(ops.shape(images)[axis], inside)
        weights = matrix(ops, _METHODS[method], row, at, step, antialias)
        last = ops.subtract(extent(images, axis, inside), 0.5)
        covered = ops.logical_and(ops.greater_equal(at, -0.5), ops.less_equal(at, last))
        weights = ops.cast(ops.where(covered, weights, 0.0), wide(dtype))
        images = _resampled(images, axis, weights)
    if "int" in dtype and 0 not in tuple(source.shape):
        low, high = (ops.cast(bound(source), wide(dtype)) for bound in (ops.min, ops.max))
        images = ops.minimum(ops.maximum(images, low), high)
    return narrow(images, dtype)


__all__ = ["resize", "scale_and_translate"]
