"""Pictures as arrays, and back; from files and into files. Pillow is loaded on first use."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import numpy as np

from unidl.config import checked_data_format
from unidl.dtypes import floatx

_MODES = {"grayscale": ("L", "I;16", "I"), "rgb": ("RGB",), "rgba": ("RGBA",)}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow() -> Any:
    """The module `PIL.Image`.

    Raises:
        ImportError: that says what to install.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("Images need Pillow: pip install pillow (or unidl[image]).") from error
    return Image


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """A picture (`PIL.Image.Image`) of an array (height, width, channels) with 1, 3 or 4 channels.

    Args:
        data_format: "channels_last" or "channels_first".
        scale: whether values are stretched over 0 to 255.
        dtype: in which to compute; None: the default float.

    Example:
        >>> import unidl
        >>> unidl.utils.array_to_img([[[0.0], [1.0]]]).size
        (2, 1)
    """
    image, first = pillow(), checked_data_format(data_format) == "channels_first"
    array = np.asarray(_host(x), dtype or floatx())
    if array.ndim != 3:
        raise ValueError(f"array_to_img: 3 dimensions are expected (one image), not an array of shape {array.shape}.")
    array = array.transpose(1, 2, 0) if first else array
    if scale:
        array = array - array.min()
        top = array.max()
        array = array * 255 / top if top else array
    if array.shape[2] in (3, 4):
        return image.fromarray(array.astype("uint8"))
    if array.shape[2] == 1:
        # More than 8 bits for a gray picture become 32.
        return image.fromarray(array[:, :, 0].astype("int32" if array.max() > 255 else "uint8"))
    raise ValueError(f"array_to_img: 1, 3 or 4 channels are expected, not {array.shape[2]} (shape {array.shape}).")


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """The array (height, width, channels), or channels first, of a picture; `dtype` None: the default float.

    Example:
        >>> import unidl
        >>> unidl.utils.img_to_array(unidl.utils.array_to_img([[[0.0], [1.0]]])).tolist()
        [[[0.0], [255.0]]]
    """
    first = checked_data_format(data_format) == "channels_first"
    array = np.asarray(img, dtype=dtype or floatx())
    if array.ndim == 2:
        array = array[None] if first else array[:, :, None]
    elif array.ndim == 3:
        array = array.transpose(2, 0, 1) if first else array
    else:
        raise ValueError(f"img_to_array: a picture of 2 or 3 dimensions is expected, not of shape {array.shape}.")
    return array


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as a picture.

    Args:
        path: a path or a file; its ending says the format, unless `file_format` does.
        scale: whether values are stretched over 0 to 255.
        kwargs: for `PIL.Image.Image.save`.

    Example:
        >>> import io, unidl
        >>> file = io.BytesIO()
        >>> unidl.utils.save_img(file, [[[0.0], [1.0]]], file_format="png")
        >>> file.getvalue()[1:4]
        b'PNG'
    """
    picture = array_to_img(x, data_format, scale)
    name = file_format or (pathlib.Path(path).suffix.lstrip(".") if isinstance(path, (str, pathlib.Path)) else "")
    jpeg = name.lower() in ("jpg", "jpeg")
    if jpeg and picture.mode == "RGBA":
        picture = picture.convert("RGB")  # JPEG has no transparency
    picture.save(path, format="jpeg" if jpeg else file_format, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """The picture in a file, as a `PIL.Image.Image`.

    Args:
        path: a path or an `io.BytesIO`.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: (height, width) to which it is resized.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        keep_aspect_ratio: cut its middle to the proportions of `target_size` first.

    Example:
        >>> import io, unidl
        >>> file = io.BytesIO()
        >>> unidl.utils.save_img(file, [[[0.0], [1.0]]], file_format="png")
        >>> unidl.utils.load_img(file, target_size=(4, 6)).size
        (6, 4)
    """
    image = pillow()
    if color_mode not in _MODES:
        raise ValueError(f"load_img: `color_mode` must be one of {', '.join(_MODES)}, not {color_mode!r}.")
    if interpolation not in _INTERPOLATIONS:
        names = ", ".join(_INTERPOLATIONS)
        raise ValueError(f"load_img: `interpolation` must be one of {names}, not {interpolation!r}.")
    if isinstance(path, io.BytesIO):
        picture = image.open(path)
    elif isinstance(path, (str, bytes, pathlib.Path)):
        name = path.decode() if isinstance(path, bytes) else path
        picture = image.open(io.BytesIO(pathlib.Path(name).read_bytes()))
    else:
        raise TypeError(f"load_img: `path` must be a path or an io.BytesIO, not a {type(path).__name__}.")
    if picture.mode not in _MODES[color_mode]:
        picture = picture.convert(_MODES[color_mode][0])
    if target_size is None:
        return picture
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        broad = min(picture.width, picture.height * width // height)
        tall = min(picture.height, picture.width * height // width)
        left, top = (picture.width - broad) // 2, (picture.height - tall) // 2
        box = (left, top, left + broad, top + tall)
    return picture.resize((width, height), getattr(image.Resampling, interpolation.upper()), box=box)


def smart_resize(
    x: Any, size: Any, interpolation: str = "bilinear", data_format: str = "channels_last", **kwargs: Any
) -> Any:
    """Images resized without distortion: their middle is cut to the proportions of `size` first.

    Args:
        x: one image or a batch: a NumPy array or a tensor, as the result is.
        size: (height, width).
        interpolation: as in `ops.image.resize`.

    Example:
        >>> import numpy as np, unidl
        >>> unidl.preprocessing.image.smart_resize(np.ones((8, 6, 3), "float32"), (4, 4)).shape
        (4, 4, 3)
    """
    from unidl import ops

    if kwargs.pop("backend_module", None) is not None or kwargs:
        raise TypeError(f"smart_resize does not take {sorted(kwargs) or ['backend_module']}.")
    if len(size) != 2:
        raise ValueError(f"smart_resize: `size` must be (height, width), not {size!r}.")
    if len(x.shape) not in (3, 4):
        raise ValueError(f"smart_resize: an image or a batch of them is expected, not of shape {tuple(x.shape)}.")
    resized = ops.image.resize(
        ops.convert_to_tensor(x), tuple(size), interpolation, crop_to_aspect_ratio=True, data_format=data_format
    )
    return ops.convert_to_numpy(resized) if isinstance(x, np.ndarray) else resized


def _host(x: Any) -> Any:
    from unidl import ops
    from unidl.backend import active

    return ops.convert_to_numpy(x) if active.is_tensor(x) else x
