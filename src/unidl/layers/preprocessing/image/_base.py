"""What image layers share: one call for images, labels, boxes and masks, and the hooks that do the work."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from unidl import ops, tree
from unidl._state import state
from unidl.backend import active
from unidl.config import checked_data_format
from unidl.graph.trace import Trace, recording
from unidl.layers.preprocessing._host import DataLayer, in_graph, in_pipeline
from unidl.ops._bind import dtype_of
from unidl.ops.image._common import FIRST, LAST, extent

_HOOKS = (
    "get_random_transformation", "transform_images", "transform_labels", "transform_bounding_boxes",
    "transform_segmentation_masks",
)  # fmt: skip


def _anywhere(hook: Callable[..., Any]) -> Callable[..., Any]:
    """`hook` such that it may be called in data pipelines of TensorFlow on other engines, too."""

    @functools.wraps(hook)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if state.trace is not None or active.name == "tensorflow" or "tensorflow" not in sys.modules:
            return hook(self, *args, **kwargs)
        if not any(in_graph(leaf) for leaf in tree.flatten((args, kwargs))):
            return hook(self, *args, **kwargs)

        def output_spec(*given: Any) -> Any:
            # What the hook is given besides the pipeline's tensors is constant there.
            args, kwargs = tree.map_structure(lambda v: active.to_numpy(v) if active.is_tensor(v) else v, given)
            with recording(Trace()):
                return hook(self, *args, **kwargs)

        def run(args: Any, kwargs: Any) -> Any:
            return hook(self, *args, **kwargs)

        return in_pipeline(sys.modules["tensorflow"], run, output_spec, (args, kwargs), {})

    return wrapped


def number_range(layer: str, name: str, value: Any, bounds: tuple[float, float], symmetric: bool) -> tuple[Any, Any]:
    """`value` as a pair: itself, or for one number v, (-v, v) if `symmetric`, else (0, v).

    Raises:
        ValueError: for anything else, and beyond `bounds`.
    """
    numbers = list(value) if isinstance(value, (tuple, list)) else [value]
    fine = len(numbers) == (2 if isinstance(value, (tuple, list)) else 1)
    fine = fine and all(isinstance(n, (int, float)) and bounds[0] <= n <= bounds[1] for n in numbers)
    if not fine:
        raise ValueError(
            f"{layer}: `{name}` must be one number or two (the ends of a range), from {bounds[0]} to {bounds[1]}, not "
            f"{value!r}."
        )
    if len(numbers) == 2:
        return min(numbers), max(numbers)
    return (max(-abs(numbers[0]), bounds[0]) if symmetric else 0, abs(numbers[0]))


class BaseImagePreprocessingLayer(DataLayer):
    """A layer of images, (height, width, channels) or a batch of them, or channels first.

    Called with a dict of "images" and any of "labels", "bounding_boxes" (a dict of "boxes" and "labels") and
    "segmentation_masks", it changes all of them alike. Subclasses define what is drawn, `get_random_transformation`,
    and how it is applied: `transform_images`, `transform_labels`, `transform_bounding_boxes` and
    `transform_segmentation_masks`, which take batches. These may be called alone.

    Args:
        factor: a number or a pair, how much may change; for layers with `_factor_bounds`.
        bounding_box_format: format of the boxes, as in `unidl.utils.bounding_boxes.convert_format`.
        data_format: "channels_last" or "channels_first".
        seed: an int for a stream of its own; None: from the global seed.
        value_range: the least and the greatest value of pixels; for layers of colours.
    """

    factor: Any
    _stateless = True
    #: What `factor` may be; None: the layer takes none.
    _factor_bounds: tuple[float, float] | None = None
    #: Whether one number stands for as much in the other direction.
    _symmetric = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _HOOKS:
            if name in cls.__dict__:
                setattr(cls, name, _anywhere(cls.__dict__[name]))

    def __init__(
        self, factor: Any = None, bounding_box_format: Any = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        is_random = "seed" in kwargs
        seed, value_range = kwargs.pop("seed", None), kwargs.pop("value_range", None)
        super().__init__(**kwargs)
        self.bounding_box_format = bounding_box_format
        self.data_format = checked_data_format(data_format)
        self._axes = LAST if self.data_format == "channels_last" else FIRST
        if is_random:
            from unidl.random import SeedGenerator, checked_seed

            self.seed = seed
            checked = checked_seed(seed)
            #: Where this layer's randomness comes from.
            self.generator = checked if isinstance(checked, SeedGenerator) else SeedGenerator(checked)
        if value_range is not None:
            self._set_value_range(value_range)
        if self._factor_bounds is not None:
            self._set_factor(0.0 if factor is None else factor)
        elif factor is not None:
            raise ValueError(f"{type(self).__name__} does not take a `factor` (but {factor!r} came).")

    def _set_factor(self, factor: Any) -> None:
        assert self._factor_bounds is not None
        self.factor = number_range(type(self).__name__, "factor", factor, self._factor_bounds, self._symmetric)

    def _set_value_range(self, value_range: Any) -> None:
        fine = isinstance(value_range, (tuple, list)) and len(value_range) == 2
        if not fine or not all(isinstance(v, (int, float)) for v in value_range) or value_range[0] >= value_range[1]:
            raise ValueError(
                f"{type(self).__name__}: `value_range` must have two numbers, the lower first; it is {value_range!r}."
            )
        self.value_range = tuple(value_range)

    # -- hooks ------------------------------------------------------------------------------

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """What is done to these images: drawn once, for all that belongs to them. None: nothing is drawn."""
        return None

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """The images, changed."""
        raise NotImplementedError(f"{type(self).__name__} must define `transform_images`.")

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """The labels: most layers leave them as they are."""
        return labels

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        """The boxes: layers of colours leave them as they are."""
        return bounding_boxes

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """The masks: layers of colours leave them as they are."""
        return segmentation_masks

    # -- calling ----------------------------------------------------------------------------

    def transform_single_image(self, image: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_images` of one image (height, width, channels), with a transformation for a batch of one."""
        return self._of_one(self.transform_images, image, transformation, training)

    def transform_single_label(self, label: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_labels` of the label of one image."""
        return self._of_one(self.transform_labels, label, transformation, training)

    def transform_single_bounding_box(self, bounding_box: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_bounding_boxes` of the boxes of one image."""
        return self._of_one(self.transform_bounding_boxes, bounding_box, transformation, training)

    def transform_single_segmentation_mask(
        self, segmentation_mask: Any, transformation: Any, training: bool = True
    ) -> Any:
        """`transform_segmentation_masks` of the mask of one image."""
        return self._of_one(self.transform_segmentation_masks, segmentation_mask, transformation, training)

    def _of_one(self, hook: Callable[..., Any], value: Any, transformation: Any, training: bool) -> Any:
        batch = tree.map_structure(lambda v: ops.expand_dims(v, 0), value)
        return tree.map_structure(lambda v: ops.squeeze(v, 0), hook(batch, transformation, training=training))

    def _default_training(self) -> bool:
        return True

    def call(self, data: Any, training: Any = True) -> Any:
        images = data["images"] if isinstance(data, dict) else data
        batched = self._is_batched(images)
        transformation = self.get_random_transformation(data, training=training)

        def changed(hook: Any, value: Any) -> Any:
            if batched:
                return hook(value, transformation, training=training)
            return self._of_one(hook, value, transformation, training)

        if not isinstance(data, dict):
            return changed(self.transform_images, images)
        result = dict(data)
        result["images"] = changed(self.transform_images, images)
        if "bounding_boxes" in data:
            self._need_format()
            result["bounding_boxes"] = changed(self.transform_bounding_boxes, dict(data["bounding_boxes"]))
        for key, hook in (("labels", self.transform_labels), ("segmentation_masks", self.transform_segmentation_masks)):
            if key in data:
                result[key] = changed(hook, data[key])
        return result

    def _is_batched(self, images: Any) -> bool:
        rank = len(images.shape)
        if rank not in (3, 4):
            raise ValueError(
                f"Layer {self.path!r}: one image (3 dimensions) or a batch of them (4) was expected, but the shape is "
                f"{list(images.shape)}."
            )
        return rank == 4

    def _need_format(self) -> None:
        if not self.bounding_box_format:
            raise ValueError(
                f"Layer {self.path!r}: 'bounding_boxes' came, but the layer has no `bounding_box_format`. Pass it to "
                f"{type(self).__name__}, for example bounding_box_format='xyxy'."
            )

    # -- help for subclasses ----------------------------------------------------------------

    def _images(self, data: Any) -> Any:
        """The images of `data` as a tensor."""
        return ops.convert_to_tensor(data["images"] if isinstance(data, dict) else data)

    def _batch(self, images: Any) -> Any:
        """How many images there are."""
        return ops.shape(images)[0] if len(images.shape) == 4 else 1

    def _shape(self, images: Any) -> tuple[Any, ...]:
        """Their shape: ints, and scalar tensors for what is unknown."""
        return tuple(extent(images, i) for i in range(len(images.shape)))

    def _size(self, shape: Any) -> tuple[Any, Any]:
        """Height and width in a shape of images."""
        return shape[self._axes.rows], shape[self._axes.columns]

    def _uniform(self, shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
        """float32 numbers from [low, high); where both are equal, just that."""
        from unidl import random

        if low == high:
            return ops.full(shape, float(low), "float32")
        return random.uniform(shape, float(low), float(high), "float32", self.generator)

    def _floats(self, images: Any) -> Any:
        """Images in the dtype that the layer computes in."""
        return ops.cast(ops.convert_to_tensor(images), self.compute_dtype)

    def _each(self, value: Any, like: Any, dtype: Any = None) -> Any:
        """One value for each image, (batch,) or the same with further axes, such that it broadcasts to images."""
        value = ops.convert_to_tensor(value)
        value = value if dtype is None else ops.cast(value, dtype)
        if len(value.shape) > 1 or len(like.shape) == 3:
            return value if len(value.shape) != 1 else ops.reshape(value, (-1, 1, 1))
        return ops.reshape(value, (-1,) + (1,) * (len(like.shape) - 1))

    def _chosen(self, images: Any, factor: tuple[Any, Any]) -> Any:
        """For each image, True with a probability that is itself drawn from `factor`."""
        batch = self._batch(images)
        return ops.less(self._uniform((batch,)), self._uniform((batch,), *factor))

    def _clipped(self, images: Any) -> Any:
        low, high = self.value_range
        return ops.minimum(ops.maximum(images, low), high)

    def _moved_boxes(self, bounding_boxes: Any, size: Any, move: Any, new_size: Any = None) -> Any:
        """Boxes after `move`, which maps left, top, right and bottom in pixels to those in images of `new_size`.

        They are cut off at the edges.
        """
        from unidl.utils.bounding_boxes import clip_to_image_size, convert_format

        self._need_format()
        name, new_size = self.bounding_box_format, size if new_size is None else new_size
        boxes = convert_format(bounding_boxes["boxes"], name, "xyxy", *size)
        moved = ops.stack(list(move(*(ops.getitem(boxes, (..., i)) for i in range(4)))), -1)
        clipped = clip_to_image_size({**bounding_boxes, "boxes": moved}, *new_size)
        return {**clipped, "boxes": convert_format(clipped["boxes"], "xyxy", name, *new_size)}

    def _per_box(self, value: Any, like: Any) -> Any:
        """One number for each image, such that it meets one for each box, (batch, N) or (N,)."""
        return ops.reshape(ops.cast(ops.convert_to_tensor(value), dtype_of(like)), (-1,) + (1,) * (len(like.shape) - 1))

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "data_format": self.data_format}
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config
