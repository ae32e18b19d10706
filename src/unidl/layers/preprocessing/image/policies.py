"""Several changes, one after the other or in chains that are mixed."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers.preprocessing.image._base import number_range
from unidl.layers.preprocessing.image.blurring import RandomSharpness
from unidl.layers.preprocessing.image.color import Colors, RandomBrightness, RandomColorDegeneration, RandomContrast
from unidl.layers.preprocessing.image.equalization import Equalization
from unidl.layers.preprocessing.image.geometry import RandomRotation, RandomShear, RandomTranslation
from unidl.layers.preprocessing.image.tones import AutoContrast, RandomPosterization, Solarization

__all__ = ["AugMix", "RandAugment"]


class _Policy(Colors):
    """Layers that choose among others, the same for a whole batch."""

    def __init__(
        self, factor: Any, value_range: Any, interpolation: str, seed: Any, data_format: str | None, **kwargs: Any
    ) -> None:
        super().__init__(None, value_range, seed, data_format=data_format, **kwargs)
        name = type(self).__name__
        self.factor = number_range(name, "factor", factor, (0, 1), False)
        self.interpolation = interpolation

    def _choices(self, others: bool, **kwargs: Any) -> tuple[tuple[str, Any], ...]:
        """The layers that are chosen among, by name. `others`: also those that AugMix's authors tested with."""
        low, high = self.factor
        common = dict(
            data_format=self.data_format, dtype=kwargs.get("dtype"), bounding_box_format=self.bounding_box_format
        )
        drawn = dict(common, seed=self.generator)
        tones = dict(drawn, value_range=self.value_range)
        moves = dict(drawn, interpolation=self.interpolation)
        fixed = dict(common, value_range=self.value_range)
        made = [
            ("random_shear", RandomShear(self.factor, self.factor, **moves)),
            ("random_translation", RandomTranslation(self.factor, self.factor, **moves)),
            ("random_rotation", RandomRotation(self.factor, **moves)),
            ("random_posterization", RandomPosterization((8 - int(4 * high), 8 - int(4 * low)), **tones)),
            ("solarization", Solarization(self.factor, self.factor, **tones)),
            ("auto_contrast", AutoContrast(**fixed)),
            ("equalization", Equalization(**fixed)),
        ]
        if others:
            made += [
                ("random_brightness", RandomBrightness(self.factor, **tones)),
                ("random_color_degeneration", RandomColorDegeneration(self.factor, **tones)),
                ("random_contrast", RandomContrast(self.factor, **tones)),
                ("random_sharpness", RandomSharpness(self.factor, **tones)),
            ]
        return tuple(made)

    def _indices(self, count: int, choices: int) -> Any:
        """`count` whole numbers below `choices`."""
        drawn = ops.floor(self._uniform((count,), 0.0, float(choices)))
        return ops.cast(ops.minimum(drawn, choices - 1.0), "int32")

    def _drawn(self, data: Any) -> dict[str, Any]:
        """The transformation of each layer that may be chosen."""
        return {name: layer.get_random_transformation(data) for name, layer in self._layers}

    def _applied(self, hook: str, index: Any, value: Any, transforms: dict[str, Any]) -> Any:
        """`value` after the hook of the layer that `index` chooses."""

        def branch(name: str, layer: Any) -> Any:
            return lambda v: getattr(layer, hook)(v, transforms[name], training=True)

        return ops.switch(index, [branch(name, layer) for name, layer in self._layers], value)

    def _boxes(self, index: Any, boxes: dict[str, Any], transforms: dict[str, Any]) -> dict[str, Any]:
        """Boxes after the layer that `index` chooses."""
        keys = ("boxes", "labels")
        given = [ops.cast(ops.convert_to_tensor(boxes["boxes"]), "float32"), ops.convert_to_tensor(boxes["labels"])]

        def branch(name: str, layer: Any) -> Any:
            def run(*values: Any) -> tuple[Any, ...]:
                inner = {**boxes, **dict(zip(keys, values, strict=True))}
                moved = layer.transform_bounding_boxes(inner, transforms[name], training=True)
                return tuple(moved[k] for k in keys)

            return run

        found = ops.switch(index, [branch(name, layer) for name, layer in self._layers], *given)
        return {**boxes, **dict(zip(keys, found, strict=True))}

    _layers: tuple[tuple[str, Any], ...] = ()


class RandAugment(_Policy):
    """In training, applies some layers that are chosen at random (E. Cubuk et al., arXiv:1909.13719).

    Args:
        value_range: the least and the greatest value of pixels.
        num_ops: how many layers are applied, one after the other.
        factor: (least, greatest) of the changes' strength, or f for (0, f).
        interpolation: "bilinear" or "nearest".
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandAugment(num_ops=2, factor=0.3)
        >>> tuple(layer(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, interpolation, seed, data_format, **kwargs)
        if isinstance(num_ops, bool) or not isinstance(num_ops, int) or num_ops < 0:
            raise ValueError(f"RandAugment: `num_ops` must be an int of at least 0, not {num_ops!r}.")
        self.num_ops = num_ops
        self._layers = self._choices(True, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return {"transforms": self._drawn(data), "layer_idxes": self._indices(self.num_ops, len(self._layers))}

    def _each_step(self, transformation: Any) -> list[Any]:
        return [ops.getitem(ops.convert_to_tensor(transformation["layer_idxes"]), i) for i in range(self.num_ops)]

    def _changed(self, images: Any, transformation: Any) -> Any:
        for index in self._each_step(transformation):
            images = self._applied("transform_images", index, images, transformation["transforms"])
        return images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        for index in self._each_step(transformation) if training else ():
            masks = self._applied("transform_segmentation_masks", index, masks, transformation["transforms"])
        return masks

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        for index in self._each_step(transformation) if training else ():
            bounding_boxes = self._boxes(index, bounding_boxes, transformation["transforms"])
        return bounding_boxes


class AugMix(_Policy):
    """In training, mixes each image with several changed versions of itself (D. Hendrycks et al., arXiv:1912.02781).

    Each chain applies some layers that are chosen at random. Their results are averaged with random weights, and the
    average with the image. Labels, masks and boxes stay as they are.

    Args:
        value_range: the least and the greatest value of pixels.
        num_chains: how many chains there are.
        chain_depth: how many layers a chain has at most; the number is drawn from 0 on.
        factor: (least, greatest) of the changes' strength, or f for (0, f).
        alpha: parameter of the Dirichlet and beta distributions that the weights are from.
        all_ops: whether brightness, contrast, sharpness and colour are changed, too.
        interpolation: "bilinear" or "nearest".
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.AugMix(num_chains=2, chain_depth=1)
        >>> tuple(layer(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, interpolation, seed, data_format, **kwargs)
        for name, number in (("num_chains", num_chains), ("chain_depth", chain_depth)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ValueError(f"AugMix: `{name}` must be a positive int, not {number!r}.")
        if not isinstance(alpha, (int, float)) or alpha <= 0:
            raise ValueError(f"AugMix: `alpha` must be a positive number, not {alpha!r}.")
        self.num_chains = num_chains
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops
        self._layers = self._choices(bool(all_ops), **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        from unidl import random

        if not training:
            return None
        alpha, n = float(self.alpha), self.num_chains
        gamma = ops.maximum(random.gamma((n,), alpha, "float32", self.generator), 1e-6)
        depths = self._indices(n, self.chain_depth + 1)
        chains = []
        for i in range(n):
            indices = self._indices(self.chain_depth, len(self._layers))
            steps = [
                {"layer_idx": ops.getitem(indices, j), "transforms": self._drawn(data)} for j in range(self.chain_depth)
            ]
            chains.append({"depth": ops.getitem(depths, i), "steps": steps})
        return {
            "chain_mixing_weights": ops.divide(gamma, ops.sum(gamma)),
            "weight_sample": random.beta((), alpha, alpha, "float32", self.generator),
            "chain_transforms": chains,
        }

    def _changed(self, images: Any, transformation: Any) -> Any:
        weights = ops.cast(ops.convert_to_tensor(transformation["chain_mixing_weights"]), self.compute_dtype)
        mixed = ops.zeros_like(images)
        for i, chain in enumerate(transformation["chain_transforms"]):
            changed = images
            for j, step in enumerate(chain["steps"]):
                new = self._applied("transform_images", step["layer_idx"], changed, step["transforms"])
                changed = ops.where(ops.greater(chain["depth"], j), new, changed)
            mixed = ops.add(mixed, ops.multiply(changed, ops.getitem(weights, i)))
        weight = ops.cast(ops.convert_to_tensor(transformation["weight_sample"]), self.compute_dtype)
        return ops.add(ops.multiply(images, weight), ops.multiply(mixed, ops.subtract(1.0, weight)))
