"""Histograms made even."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer
from unidl.ops.image._common import LAST, as_before, channels_last, extent

__all__ = ["ContrastLimitedAdaptiveHistogramEqualization", "Equalization"]


def histograms(values: Any, bins: int) -> Any:
    """How often each of 0 … bins - 1 is in each row of `values`, (rows, N) of int32: (rows, bins) of float32."""
    rows = ops.shape(values)[0]
    starts = ops.multiply(ops.arange(rows, dtype="int32"), bins)
    places = ops.reshape(ops.add(values, ops.expand_dims(starts, 1)), (-1,))
    counts = ops.segment_sum(ops.ones_like(places, dtype="float32"), places, rows * bins)
    return ops.reshape(counts, (-1, bins))


def looked_up(tables: Any, values: Any, bins: int) -> Any:
    """``tables[row, value]`` for each of `values`, (rows, N); tables: (rows, bins)."""
    starts = ops.multiply(ops.arange(ops.shape(values)[0], dtype="int32"), bins)
    places = ops.add(values, ops.expand_dims(starts, 1))
    return ops.take(ops.reshape(tables, (-1,)), places, 0)


class _Equalizing(BaseImagePreprocessingLayer):
    def _steps(self, images: Any, steps: int) -> Any:
        """Pixels as float32 from 0 to `steps`."""
        low, high = self.value_range
        scaled = ops.multiply(ops.subtract(ops.cast(images, "float32"), float(low)), steps / (high - low))
        return ops.minimum(ops.maximum(scaled, 0.0), float(steps))

    def _back(self, pixels: Any) -> Any:
        """Pixels from 0 to 255 in the value range."""
        low, high = self.value_range
        scaled = ops.add(ops.multiply(pixels, (high - low) / 255), float(low))
        return ops.cast(self._clipped(scaled), self.compute_dtype)


class Equalization(_Equalizing):
    """Each channel of each image with tones that are equally frequent, in training and outside of it.

    A pixel becomes the share of pixels that are not brighter. Channels of one tone stay as they are.

    Args:
        value_range: the least and the greatest value of pixels.
        bins: how many tones are told apart.

    Example:
        >>> import unidl
        >>> even = unidl.layers.Equalization()(unidl.ops.array([[[10.0], [11.0], [12.0], [200.0]]]))
        >>> unidl.ops.convert_to_numpy(even).ravel().tolist()
        [0.0, 85.0, 170.0, 255.0]
    """

    def __init__(
        self, value_range: Any = (0, 255), bins: int = 256, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(value_range=value_range, data_format=data_format, **kwargs)
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 2:
            raise ValueError(f"Equalization: `bins` must be an int of at least 2, not {bins!r}.")
        self.bins = bins

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = ops.convert_to_tensor(images)
        planes = images if self._axes is not LAST else ops.moveaxis(images, -1, -3)
        sizes = ops.shape(planes)
        rows = ops.reshape(planes, (-1, sizes[-2] * sizes[-1]))
        tones = ops.cast(self._steps(rows, self.bins - 1), "int32")
        counts = ops.cumsum(histograms(tones, self.bins), 1)
        total = ops.getitem(counts, (slice(None), slice(-1, None)))
        first = ops.min(ops.where(ops.equal(counts, 0.0), total, counts), axis=1, keepdims=True)
        rest = ops.subtract(total, first)
        flat = ops.equal(rest, 0.0)
        share = ops.divide(ops.subtract(counts, first), ops.where(flat, 1.0, rest))
        table = ops.round(ops.multiply(ops.maximum(share, 0.0), 255.0))
        even = ops.where(flat, self._steps(rows, 255), looked_up(table, tones, self.bins))
        even = ops.reshape(self._back(even), sizes)
        return even if self._axes is not LAST else ops.moveaxis(even, -3, -1)


class ContrastLimitedAdaptiveHistogramEqualization(_Equalizing):
    """Tones made equally frequent in each part of an image, with a limit (CLAHE), in training and outside of it.

    (K. Zuiderveld, Graphics Gems IV, 1994.) The image is divided into tiles, each of which gets a curve of tones;
    between the tiles' centres, curves are interpolated.

    Args:
        value_range: the least and the greatest value of pixels.
        clip_limit: how many times as frequent as on average a tone may count, which limits the contrast; what is
            above is spread over all tones. 0: no limit.
        tile_grid_size: tiles along height and width.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))
        >>> tuple(layer(unidl.ops.ones((1, 8, 8, 3))).shape)
        (1, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Any = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(value_range=value_range, data_format=data_format, **kwargs)
        tiles = tuple(tile_grid_size) if isinstance(tile_grid_size, (tuple, list)) else ()
        if len(tiles) != 2 or not all(isinstance(n, int) and n > 0 for n in tiles):
            raise ValueError(
                "ContrastLimitedAdaptiveHistogramEqualization: `tile_grid_size` must be two positive ints, not "
                f"{tile_grid_size!r}."
            )
        self.clip_limit = clip_limit
        self.tile_grid_size = tiles

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = ops.convert_to_tensor(images)
        batched = len(images.shape) == 4
        pixels = ops.moveaxis(channels_last(images, self._axes), 3, 1)
        height, width = ops.shape(pixels)[2:]
        planes = ops.cast(self._steps(ops.reshape(pixels, (-1, height, width)), 255), "int32")
        tiles, places = zip(*(self._along(planes, axis, n) for axis, n in ((1, height), (2, width))), strict=True)
        tables = self._tables(planes, tiles)
        flat = ops.reshape(planes, (-1, height * width))
        result = None
        for down, weight_down in places[0]:
            for across, weight_across in places[1]:
                tile = ops.add(
                    ops.multiply(ops.expand_dims(down, 1), self.tile_grid_size[1]), ops.expand_dims(across, 0)
                )
                index = ops.add(ops.multiply(ops.reshape(tile, (1, -1)), 256), flat)
                found = looked_up(tables, index, 256 * self.tile_grid_size[0] * self.tile_grid_size[1])
                weight = ops.multiply(ops.expand_dims(weight_down, 1), ops.expand_dims(weight_across, 0))
                part = ops.multiply(found, ops.reshape(weight, (1, -1)))
                result = part if result is None else ops.add(result, part)
        even = ops.reshape(self._back(result), ops.shape(pixels))
        return as_before(ops.moveaxis(even, 1, 3), self._axes, batched)

    def _along(self, planes: Any, axis: int, size: Any) -> tuple[Any, Any]:
        """For each row (or column): its tile, and two tiles with their weights."""
        count = self.tile_grid_size[axis - 1]
        at = ops.arange(size, dtype="int32")
        total = extent(planes, axis)
        tile = ops.floor_divide(ops.multiply(at, count), total)
        centre = ops.multiply(ops.add(ops.cast(at, "float32"), 0.5), float(count))
        centre = ops.subtract(ops.divide(centre, ops.cast(ops.convert_to_tensor(total), "float32")), 0.5)
        centre = ops.minimum(ops.maximum(centre, 0.0), count - 1.0)
        low = ops.floor(centre)
        part = ops.subtract(centre, low)
        low = ops.cast(low, "int32")
        high = ops.minimum(ops.add(low, 1), count - 1)
        return tile, [(low, ops.subtract(1.0, part)), (high, part)]

    def _tables(self, planes: Any, tiles: Any) -> Any:
        """Each plane's curves, one tile after the other: (planes, tiles * 256)."""
        down, across = self.tile_grid_size
        tile = ops.add(ops.multiply(ops.expand_dims(tiles[0], 1), across), ops.expand_dims(tiles[1], 0))
        tones = ops.add(ops.multiply(ops.expand_dims(tile, 0), 256), planes)
        sizes = ops.shape(planes)
        counts = histograms(ops.reshape(tones, (-1, sizes[1] * sizes[2])), down * across * 256)
        counts = ops.reshape(counts, (-1, down * across, 256))
        total = ops.maximum(ops.sum(counts, axis=-1, keepdims=True), 1.0)
        if self.clip_limit > 0:
            limit = ops.maximum(ops.multiply(total, float(self.clip_limit) / 256), 1.0)
            kept = ops.minimum(counts, limit)
            above = ops.sum(ops.subtract(counts, kept), axis=-1, keepdims=True)
            counts = ops.add(kept, ops.multiply(above, 1 / 256))
        curve = ops.round(ops.multiply(ops.divide(ops.cumsum(counts, -1), total), 255.0))
        return ops.reshape(curve, (-1, down * across * 256))
