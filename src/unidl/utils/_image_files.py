"""`image_dataset_from_directory`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from unidl.config import checked_data_format
from unidl.graph.symbolic import TensorSpec
from unidl.ops.image._weights import areas, matrix, places
from unidl.utils._directories import Request, checked_format

FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_CHANNELS = {"grayscale": ("L", 1), "rgb": ("RGB", 3), "rgba": ("RGBA", 4)}
_METHODS = {"bilinear": "linear", "bicubic": "cubic", "lanczos3": "lanczos3", "lanczos5": "lanczos5"}
_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: Any = "int",
    class_names: Any = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of the images in a directory, with labels from the names of its folders; needs Pillow.

    Args:
        directory: with one folder for each class, unless `labels` is given.
        labels: "inferred"; None for images alone; or a list of class indices for the files in the order of their paths.
        label_mode: "int" (int32, shape (batch,)), "binary" (float32, (batch, 1)), "categorical" (float32, one-hot),
            or None.
        class_names: the folders to use, in the order of their class indices; by default all, by name.
        color_mode: "grayscale", "rgb" or "rgba": 1, 3 or 4 channels.
        batch_size: None for single images.
        image_size: (height, width) to which images are resized.
        shuffle: another order in each pass; False: by name.
        seed: of the order. One seed gives the same order on every backend.
        validation_split, subset: the part of the files that is for validation, and which to return: "training",
            "validation", or "both" for a list of two.
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic".
        follow_links: look into folders that are links.
        crop_to_aspect_ratio: cut the middle part of the shape of `image_size` before resizing.
        pad_to_aspect_ratio: resize without distortion, and fill with zeros.
        data_format: "channels_last" or "channels_first".
        format: "tf": on TensorFlow a `tf.data.Dataset`, elsewhere a `utils.Dataset`, whose methods have the same names;
            "grain": a `utils.Dataset` always. Neither needs another package.
        verbose: print how many files were found.

    Returns:
        A data set of float32 images from 0 to 255, of shape (batch, height, width, channels), or of pairs of images and
        labels, with the attributes `class_names` and `file_paths`.

    Raises:
        ValueError: if there is no file, or arguments do not go together.
        ImportError: without Pillow.
    """
    if color_mode not in _CHANNELS:
        raise ValueError(f"`color_mode` must be one of {sorted(_CHANNELS)}; received: color_mode={color_mode!r}.")
    if isinstance(image_size, int):
        image_size = (image_size, image_size)
    if not isinstance(image_size, (list, tuple)) or len(image_size) != 2:
        raise ValueError(f"Invalid `image_size`: a tuple of 2 integers was expected; received: {image_size!r}.")
    interpolation = str(interpolation).lower()
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"`interpolation` should be one of {_INTERPOLATIONS}; received: {interpolation!r}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("Only one of `pad_to_aspect_ratio` and `crop_to_aspect_ratio` can be True.")
    request = Request(
        "image", FORMATS, directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
        subset, follow_links, verbose, checked_format(format),
    )  # fmt: skip
    request.check()
    size = int(image_size[0]), int(image_size[1])
    mode, channels = _CHANNELS[color_mode]
    first = checked_data_format(data_format) == "channels_first"

    def load(path: str) -> np.ndarray:
        image = decoded(path, mode)
        if crop_to_aspect_ratio:
            image = resized(cropped(image, size), size, interpolation)
        elif pad_to_aspect_ratio:
            image = padded(image, size, interpolation)
        else:
            image = resized(image, size, interpolation)
        return np.ascontiguousarray(image.transpose(2, 0, 1)) if first else image

    _pillow()
    spec = TensorSpec((channels, *size) if first else (*size, channels), "float32")
    return request.datasets(load, spec, np.stack, "No {0}images")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("Reading images needs Pillow: pip install pillow") from None
    return Image


def decoded(path: str, mode: str) -> np.ndarray:
    """A picture as float32 from 0 to 255, shape (height, width, channels)."""
    Image = _pillow()
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):  # 16 bits: the upper 8
                image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
            array = np.asarray(image.convert(mode), np.float32)
    except OSError as error:
        raise ValueError(f"{path!r} cannot be read as an image: {error}") from None
    return array[:, :, None] if array.ndim == 2 else array


def cropped(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest part in the middle of the shape of `size`."""
    height, width = image.shape[:2]
    rows = min(height, int(width * size[0] / size[1]))
    columns = min(width, int(height * size[1] / size[0]))
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[top : top + rows, left : left + columns]


def padded(image: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Resized without distortion, with zeros around."""
    height, width = image.shape[:2]
    ratio = max(height / size[0], width / size[1])
    exact = height / ratio, width / ratio
    inner = max(1, int(exact[0])), max(1, int(exact[1]))
    top, left = (max(0, int((size[i] - exact[i]) / 2)) for i in (0, 1))
    result = np.zeros((*size, image.shape[2]), np.float32)
    result[top : top + inner[0], left : left + inner[1]] = resized(image, inner, interpolation)
    return result


def resized(image: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """A picture resampled to (height, width), without smoothing what is made smaller."""
    if image.shape[:2] == size:
        return image
    height, width, channels = image.shape
    rows, columns = _resampling(interpolation, height, size[0]), _resampling(interpolation, width, size[1])
    if interpolation == "nearest":
        return image[rows][:, columns]
    image = (rows @ image.reshape(height, -1)).reshape(size[0], width, channels)
    result: np.ndarray = np.matmul(columns, image)
    return result


@functools.lru_cache(64)
def _resampling(interpolation: str, have: int, want: int) -> np.ndarray:
    """The (want, have) matrix for one axis, or for "nearest" the indices."""
    step = have / want
    targets = np.arange(want)[:, None]
    if interpolation == "nearest":
        return np.minimum(((targets[:, 0] + 0.5) * step).astype(np.int64), have - 1)
    sources = np.arange(have)[None, :]
    if interpolation == "area":
        return areas(np, sources, targets, step).astype(np.float32)
    at = places(np, targets, step, 0.0)
    if interpolation in _METHODS:
        return matrix(np, _METHODS[interpolation], sources, at, step, False).astype(np.float32)
    distance = np.abs(at - sources)
    if interpolation == "gaussian":  # of deviation 1/2, cut at 3 deviations
        weights = np.where(distance < 1.5, np.exp(-2.0 * distance**2), 0.0)
    else:  # D. Mitchell and A. Netravali, SIGGRAPH 1988, with B = C = 1/3
        near = (7 / 6 * distance - 2) * distance**2 + 8 / 9
        far = ((2 - 7 / 18 * distance) * distance - 10 / 3) * distance + 16 / 9
        weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
