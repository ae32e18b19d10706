"""Tones: fewer of them, inverted, or stretched over the whole range."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer, number_range
from unidl.layers.preprocessing.image.color import Colors

__all__ = ["AutoContrast", "RandomInvert", "RandomPosterization", "Solarization"]


class RandomPosterization(Colors):
    """In training, keeps only the first bits of the 8 that pixels have.

    Args:
        factor: how many bits, from 1 to 8; or (least, greatest), from which a number is drawn for each image.
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> posterized = unidl.layers.RandomPosterization(1)(unidl.ops.array([[[100.0], [200.0]]]), training=True)
        >>> unidl.ops.convert_to_numpy(posterized).ravel().tolist()
        [0.0, 128.0]
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(None, value_range, seed, data_format=data_format, **kwargs)
        low, high = factor if isinstance(factor, (tuple, list)) and len(factor) == 2 else (factor, factor)
        for bits in (low, high):
            if isinstance(bits, bool) or bits not in range(1, 9):
                raise ValueError(
                    f"RandomPosterization: The `factor` argument should be a number of bits from 1 to 8, or two of "
                    f"them, not {factor!r}."
                )
        self.factor = (int(min(low, high)), int(max(low, high)))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        batch = self._batch(self._images(data))
        bits = ops.minimum(ops.floor(self._uniform((batch,), self.factor[0], self.factor[1] + 1.0)), self.factor[1])
        if self.factor[0] == self.factor[1]:
            bits = ops.full((batch,), self.factor[0], "float32")
        return {"shift_factor": ops.cast(ops.subtract(8.0, bits), "uint8")}

    def _changed(self, images: Any, transformation: Any) -> Any:
        shift = self._each(transformation["shift_factor"], images, "float32")
        step = ops.round(ops.exp2(shift))
        whole = ops.floor(ops.cast(ops.multiply(self._unit(images), 255.0), "float32"))
        kept = ops.multiply(ops.floor(ops.divide(whole, step)), step)
        return self._ranged(ops.cast(ops.multiply(kept, 1 / 255), self.compute_dtype))


class RandomInvert(Colors):
    """In training, inverts some of the images: a pixel x becomes ``low + high - x``.

    Args:
        factor: (least, greatest) of the probability, or f for (0, f).
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomInvert((1.0, 1.0))
        >>> unidl.ops.convert_to_numpy(layer(unidl.ops.array([[[55.0]]]), training=True)).ravel().tolist()
        [200.0]
    """

    _factor_bounds = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, seed, data_format=data_format, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"apply_inversion": self._chosen(self._images(data), self.factor)} if training else None

    def _changed(self, images: Any, transformation: Any) -> Any:
        inverted = ops.subtract(float(sum(self.value_range)), images)
        return ops.where(self._each(transformation["apply_inversion"], images), inverted, images)


class Solarization(Colors):
    """In training, inverts the pixels that are not below a threshold, after something was added to all.

    Args:
        addition_factor: (least, greatest) of what is added, as fractions of the value range, or f for (0, f).
        threshold_factor: (least, greatest) of the threshold, likewise.
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.Solarization(threshold_factor=(0.5, 0.5))
        >>> unidl.ops.convert_to_numpy(layer(unidl.ops.array([[[100.0], [200.0]]]), training=True)).ravel().tolist()
        [100.0, 55.0]
    """

    def __init__(
        self,
        addition_factor: Any = 0.0,
        threshold_factor: Any = 0.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(None, value_range, seed, **kwargs)
        self.addition_factor = number_range("Solarization", "addition_factor", addition_factor, (0, 1), False)
        self.threshold_factor = number_range("Solarization", "threshold_factor", threshold_factor, (0, 1), False)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = (self._batch(self._images(data)), 1, 1, 1)
        low, high = self.value_range
        additions = ops.multiply(self._uniform(shape, *self.addition_factor), float(high - low))
        thresholds = ops.multiply(self._uniform(shape, *self.threshold_factor), float(high - low))
        return {"additions": additions, "thresholds": ops.add(thresholds, float(low))}

    def _changed(self, images: Any, transformation: Any) -> Any:
        added = self._clipped(ops.add(images, self._each(transformation["additions"], images, self.compute_dtype)))
        below = ops.less(added, self._each(transformation["thresholds"], images, self.compute_dtype))
        return ops.where(below, added, ops.subtract(float(sum(self.value_range)), added))


class AutoContrast(BaseImagePreprocessingLayer):
    """Each channel of each image stretched over the whole range of values, in training and outside of it.

    Channels of one value stay as they are.

    Args:
        value_range: the least and the greatest value of pixels.

    Example:
        >>> import unidl
        >>> stretched = unidl.layers.AutoContrast()(unidl.ops.array([[[100.0], [150.0], [200.0]]]))
        >>> unidl.ops.convert_to_numpy(stretched).ravel().tolist()
        [0.0, 127.5, 255.0]
    """

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        super().__init__(value_range=value_range, **kwargs)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._floats(images)
        rank = len(images.shape)
        axes = (self._axes.rows + rank, self._axes.columns + rank)
        low, high = (f(images, axis=axes, keepdims=True) for f in (ops.min, ops.max))
        spread = ops.subtract(high, low)
        flat = ops.equal(spread, 0.0)
        start, span = float(self.value_range[0]), float(self.value_range[1] - self.value_range[0])
        fraction = ops.divide(ops.subtract(images, low), ops.where(flat, 1.0, spread))
        return ops.where(flat, images, self._clipped(ops.add(ops.multiply(fraction, span), start)))
