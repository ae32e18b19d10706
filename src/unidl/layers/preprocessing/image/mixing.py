"""Pairs of images mixed, and their labels with them."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import is_float
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer
from unidl.layers.preprocessing.image.erasing import patches
from unidl.ops._bind import dtype_of

__all__ = ["CutMix", "MixUp"]


class _Mixing(BaseImagePreprocessingLayer):
    """Layers that mix each image of a batch with another one."""

    def _order(self, images: Any) -> Any:
        """The batch's indices, shuffled."""
        return ops.cast(ops.argsort(self._uniform((self._batch(images),))), "int32")

    def _other(self, values: Any, transformation: Any) -> Any:
        """What belongs to the other images."""
        return ops.take(values, ops.cast(ops.convert_to_tensor(transformation["permutation_order"]), "int32"), 0)

    def _mixed(self, values: Any, transformation: Any) -> Any:
        """`values` (of floats) and the others, by weight."""
        weight = ops.cast(ops.convert_to_tensor(transformation["mix_weight"]), dtype_of(values))
        if len(weight.shape):
            weight = ops.reshape(weight, (-1,) + (1,) * (len(values.shape) - 1))
        other = self._other(values, transformation)
        return ops.add(ops.multiply(values, weight), ops.multiply(other, ops.subtract(1.0, weight)))

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """Labels in the same proportions: they become floats, and should be one-hot."""
        labels = ops.convert_to_tensor(labels)
        labels = labels if is_float(dtype_of(labels)) else ops.cast(labels, self.compute_dtype)
        return self._mixed(labels, transformation) if training else labels


class MixUp(_Mixing):
    """In training, each image is a weighted mean of itself and another one (H. Zhang et al., arXiv:1710.09412).

    Labels, one-hot, are mixed likewise; an image's boxes are those of both; its mask becomes that of the image that
    weighs more.

    Args:
        alpha: the weights are from the beta distribution of (alpha, alpha): small numbers mix less.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.MixUp()
        >>> pair, order = unidl.ops.array([[[[0.0]]], [[[1.0]]]]), unidl.ops.array([1, 0])
        >>> mixed = layer.transform_images(pair, {"mix_weight": [0.75, 0.75], "permutation_order": order})
        >>> unidl.ops.convert_to_numpy(mixed).ravel().tolist()
        [0.25, 0.75]
    """

    def __init__(self, alpha: float = 0.2, data_format: str | None = None, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if not isinstance(alpha, (int, float)) or alpha <= 0:
            raise ValueError(f"MixUp: `alpha` must be a positive number, not {alpha!r}.")
        self.alpha = alpha

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        from unidl import random

        if not training:
            return None
        images = self._images(data)
        alpha = float(self.alpha)
        weight = random.beta((self._batch(images),), alpha, alpha, "float32", self.generator)
        return {"mix_weight": weight, "permutation_order": self._order(images)}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if training and len(images.shape) == 3:
            images = ops.expand_dims(images, 0)
        return self._mixed(images, transformation) if training else images

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return bounding_boxes
        result = dict(bounding_boxes)
        for key in ("boxes", "labels"):
            values = ops.convert_to_tensor(bounding_boxes[key])
            result[key] = ops.concatenate([values, self._other(values, transformation)], min(1, len(values.shape) - 1))
        return result

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        if not training:
            return masks
        weight = ops.convert_to_tensor(transformation["mix_weight"])
        own = ops.reshape(ops.greater_equal(weight, 0.5), (-1,) + (1,) * (len(masks.shape) - 1))
        return ops.where(own, masks, self._other(masks, transformation))


class CutMix(_Mixing):
    """In training, a rectangle of each image is that of another one (S. Yun et al., arXiv:1905.04899).

    Labels, one-hot, are mixed by area; masks as images are.

    Args:
        factor: (least, greatest) of the parameter of the beta distribution that areas are from, or f for (0, f).
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> data = {"images": unidl.ops.ones((4, 8, 8, 3)), "labels": unidl.ops.eye(4)}
        >>> mixed = unidl.layers.CutMix()(data, training=True)
        >>> bool(abs(float(unidl.ops.sum(mixed["labels"])) - 4.0) < 1e-5)
        True
    """

    _factor_bounds = (0, 1)

    def __init__(self, factor: Any = 1.0, seed: Any = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(factor=factor, seed=seed, data_format=data_format, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        from unidl import random

        if not training:
            return None
        images = self._images(data)
        batch = self._batch(images)
        alpha = ops.maximum(self._uniform((batch,), *self.factor), 1e-3)
        kept = random.beta((batch,), alpha, alpha, "float32", self.generator)
        part = ops.sqrt(ops.maximum(ops.subtract(1.0, kept), 0.0))
        masks = patches(self, images, part, part)
        covered = ops.mean(ops.cast(masks, "float32"), axis=(1, 2, 3), keepdims=True)
        return {
            "permutation_order": self._order(images), "batch_masks": masks, "mix_weight": ops.subtract(1.0, covered),
        }  # fmt: skip

    def _pasted(self, images: Any, transformation: Any) -> Any:
        if len(images.shape) == 3:
            images = ops.expand_dims(images, 0)
        masks = ops.convert_to_tensor(transformation["batch_masks"])
        return ops.where(masks, self._other(images, transformation), images)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        return self._pasted(images, transformation) if training else images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._pasted(masks, transformation) if training else masks
