"""Colours: brightness, contrast, saturation, hue, and less colour."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer

__all__ = [
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomGrayscale",
    "RandomHue", "RandomSaturation",
]  # fmt: skip


class Colors(BaseImagePreprocessingLayer):
    """Layers of colours: in training they change images by what was drawn, and keep them within `value_range`."""

    def __init__(self, factor: Any = None, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any) -> None:
        super().__init__(factor=factor, value_range=value_range, seed=seed, **kwargs)

    def _changed(self, images: Any, transformation: Any) -> Any:
        raise NotImplementedError

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        return self._changed(images, transformation) if training else images

    def _unit(self, images: Any) -> Any:
        """Images from 0 to 1."""
        low, high = self.value_range
        return ops.multiply(ops.subtract(images, low), 1.0 / (high - low))

    def _ranged(self, images: Any) -> Any:
        """The opposite of `_unit`."""
        low, high = self.value_range
        return ops.add(ops.multiply(images, float(high - low)), float(low))

    def _gray(self, images: Any) -> Any:
        gray = ops.image.rgb_to_grayscale(images, self.data_format)
        return ops.add(gray, ops.zeros_like(images))


class RandomBrightness(Colors):
    """In training, adds a number to all pixels of an image.

    Args:
        factor: fractions of the value range: (least, greatest) between -1 (black) and 1 (white), or f for (-f, f).
        value_range: the least and the greatest value of pixels, to which the result is clipped.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomBrightness((0.5, 0.5), value_range=(0, 1))
        >>> unidl.ops.convert_to_numpy(layer(unidl.ops.full((1, 1, 2, 1), 0.25), training=True)).ravel().tolist()
        [0.75, 0.75]
    """

    _factor_bounds = (-1, 1)
    _symmetric = True

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any) -> None:
        super().__init__(factor, value_range, seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        images = self._images(data)
        self._is_batched(images)
        if not training:
            return None
        span = float(self.value_range[1] - self.value_range[0])
        delta = self._uniform((self._batch(images), 1, 1, 1), *self.factor)
        return {"rgb_delta": ops.multiply(delta, span)}

    def _changed(self, images: Any, transformation: Any) -> Any:
        return self._clipped(ops.add(images, self._each(transformation["rgb_delta"], images, self.compute_dtype)))


class RandomContrast(Colors):
    """In training, moves the pixels of each channel away from its mean, or towards it.

    A pixel x becomes ``(x - mean) * f + mean``.

    Args:
        factor: (a, b) for f from 1 - a to 1 + b, or a for both.
        value_range: the least and the greatest value of pixels, to which the result is clipped.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomContrast(0.5)
        >>> same = layer.transform_images(unidl.ops.array([[[[1.0], [3.0]]]]), {"contrast_factor": [2.0]})
        >>> unidl.ops.convert_to_numpy(same).ravel().tolist()
        [0.0, 4.0]
    """

    _factor_bounds = (0, 1)

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: Any = None, **kwargs: Any) -> None:
        super().__init__(factor, value_range, seed, **kwargs)

    def _set_factor(self, factor: Any) -> None:
        one = isinstance(factor, (int, float))
        pair = tuple(factor) if isinstance(factor, (tuple, list)) else ()
        super()._set_factor(factor)  # refuses what is wrong
        self.factor = (factor, factor) if one else pair

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = (self._batch(self._images(data)), 1, 1, 1)
        return {"contrast_factor": self._uniform(shape, 1.0 - self.factor[0], 1.0 + self.factor[1])}

    def _changed(self, images: Any, transformation: Any) -> Any:
        rank = len(images.shape)
        mean = ops.mean(images, axis=(self._axes.rows + rank, self._axes.columns + rank), keepdims=True)
        factor = self._each(transformation["contrast_factor"], images, self.compute_dtype)
        return self._clipped(ops.add(ops.multiply(ops.subtract(images, mean), factor), mean))


class _OneFactor(Colors):
    """Layers that draw one number for each image from `factor`."""

    _factor_bounds = (0, 1)

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, seed, data_format=data_format, **kwargs)

    def _drawn(self, images: Any) -> Any:
        return self._uniform((self._batch(images),), *self.factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"factor": self._drawn(self._images(data))} if training else None

    def _factors(self, transformation: Any, images: Any) -> Any:
        return self._each(transformation["factor"], images, self.compute_dtype)

    def _hsv(self, images: Any) -> list[Any]:
        hsv = ops.image.rgb_to_hsv(self._unit(images), self.data_format)
        rest = (slice(None),) * (-self._axes.channels - 1)
        return [ops.getitem(hsv, (..., slice(i, i + 1), *rest)) for i in range(3)]

    def _rgb(self, channels: list[Any]) -> Any:
        joined = ops.concatenate(channels, self._axes.channels)
        return self._clipped(self._ranged(ops.image.hsv_to_rgb(joined, self.data_format)))


class RandomSaturation(_OneFactor):
    """In training, makes the colours of each RGB image stronger or weaker.

    Args:
        factor: (least, greatest), or f for (0, f): 0 is gray, 0.5 no change, 1 fully saturated.
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomSaturation((0.0, 0.0), value_range=(0, 1))
        >>> unidl.ops.convert_to_numpy(layer(unidl.ops.array([[[0.5, 0.25, 0.0]]]), training=True)).ravel().tolist()
        [0.5, 0.5, 0.5]
    """

    def _drawn(self, images: Any) -> Any:
        factor = super()._drawn(images)
        return ops.divide(factor, ops.maximum(ops.subtract(1.0, factor), 1e-7))

    def _changed(self, images: Any, transformation: Any) -> Any:
        hue, saturation, value = self._hsv(images)
        stronger = ops.multiply(saturation, self._factors(transformation, images))
        return self._rgb([hue, ops.minimum(ops.maximum(stronger, 0.0), 1.0), value])


class RandomHue(_OneFactor):
    """In training, turns the hues of each RGB image around the circle of colours.

    Args:
        factor: (least, greatest), or f for (0, f): 0 is no change, 1 half a turn, in either direction.
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomHue((1.0, 1.0), value_range=(0, 1))
        >>> red = layer(unidl.ops.array([[[1.0, 0.0, 0.0]]]), training=True)
        >>> [round(float(v)) for v in unidl.ops.convert_to_numpy(red).ravel()]
        [0, 1, 1]
    """

    def _drawn(self, images: Any) -> Any:
        factor = ops.multiply(super()._drawn(images), 0.5)
        back = ops.less(self._uniform((self._batch(images),)), 0.5)
        return ops.where(back, ops.negative(factor), factor)

    def _changed(self, images: Any, transformation: Any) -> Any:
        hue, saturation, value = self._hsv(images)
        turned = ops.add(hue, self._factors(transformation, images))
        return self._rgb([ops.subtract(turned, ops.floor(turned)), saturation, value])


class RandomColorDegeneration(_OneFactor):
    """In training, mixes each RGB image with itself in gray.

    Args:
        factor: how much gray: (least, greatest), or f for (0, f).
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomColorDegeneration((1.0, 1.0), value_range=(0, 1))
        >>> gray = layer(unidl.ops.array([[[1.0, 0.0, 0.0]]]), training=True)
        >>> [round(float(v), 4) for v in unidl.ops.convert_to_numpy(gray).ravel()]
        [0.2989, 0.2989, 0.2989]
    """

    def _changed(self, images: Any, transformation: Any) -> Any:
        factor = self._factors(transformation, images)
        return self._clipped(ops.add(images, ops.multiply(ops.subtract(self._gray(images), images), factor)))


class RandomGrayscale(Colors):
    """In training, makes each RGB image gray with probability `factor`; it keeps its three channels.

    Args:
        factor: from 0 to 1.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> gray = unidl.layers.RandomGrayscale(1.0)(unidl.ops.array([[[0.0, 1.0, 0.0]]]), training=True)
        >>> [round(float(v), 3) for v in unidl.ops.convert_to_numpy(gray).ravel()]
        [0.587, 0.587, 0.587]
    """

    def __init__(self, factor: float = 0.5, data_format: str | None = None, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if not isinstance(factor, (int, float)) or not 0 <= factor <= 1:
            raise ValueError(f"RandomGrayscale: `factor` must be a number from 0 to 1, not {factor!r}.")
        self.factor = factor

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return ops.less(self._uniform((self._batch(self._images(data)), 1, 1, 1)), float(self.factor))

    def _changed(self, images: Any, transformation: Any) -> Any:
        return ops.where(self._each(transformation, images), self._gray(images), images)


class RandomColorJitter(Colors):
    """In training, changes brightness, contrast, saturation and hue, one after the other.

    Args:
        value_range: the least and the greatest value of pixels.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: as of `RandomBrightness`,
            `RandomContrast`, `RandomSaturation` and `RandomHue`; None: this does not change.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomColorJitter(brightness_factor=0.2, hue_factor=0.1)
        >>> tuple(layer(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(None, value_range, seed, data_format=data_format, **kwargs)
        self.brightness_factor = brightness_factor
        self.contrast_factor = contrast_factor
        self.saturation_factor = saturation_factor
        self.hue_factor = hue_factor
        parts = {
            "brightness": (RandomBrightness, brightness_factor), "contrast": (RandomContrast, contrast_factor),
            "saturation": (RandomSaturation, saturation_factor), "hue": (RandomHue, hue_factor),
        }  # fmt: skip
        common = dict(
            value_range=value_range, data_format=self.data_format, seed=self.generator, dtype=kwargs.get("dtype")
        )
        self._parts = tuple(
            (name, layer(factor, **common)) for name, (layer, factor) in parts.items() if factor is not None
        )

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return {name: layer.get_random_transformation(data, training) for name, layer in self._parts}

    def _changed(self, images: Any, transformation: Any) -> Any:
        for name, layer in self._parts:
            images = layer.transform_images(images, transformation[name])
        return images
