"""Windows of images and volumes."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import same_padding
from unidl.ops._declare import Tensor, composite, need_rank, require
from unidl.ops.image._common import is_last, one_of, whole_numbers


def _along(x: Any, axis: int, window: int, stride: int, dilation: int) -> Any:
    """`x` with windows along `axis` in place of elements, the elements of each joining the last axis."""
    if window == 1 and stride == 1:
        return x
    front = (slice(None),) * axis
    if stride == window and dilation == 1:
        count = ops.shape(x)[axis] // window
        x = ops.getitem(x, (*front, slice(0, count * window)))
        shape = ops.shape(x)
        x = ops.moveaxis(ops.reshape(x, (*shape[:axis], count, window, *shape[axis + 1 :])), axis + 1, -2)
    else:
        last = (window - 1) * dilation
        starts = [i * dilation for i in range(window)]
        x = ops.stack([ops.getitem(x, (*front, slice(s, s - last or None, stride))) for s in starts], -2)
    shape = ops.shape(x)
    return ops.reshape(x, (*shape[:-2], window * shape[-1]))


def _patches(
    x: Any, window: tuple[int, ...], strides: Any, dilation: Any, padding: str, data_format: str | None, what: str
) -> Any:
    n = len(window)
    need_rank(x, what, n + 1, n + 2)
    padding = padding.lower() if isinstance(padding, str) else padding
    one_of(padding, ("valid", "same"), "padding")
    steps = window if strides is None else whole_numbers(strides, n, "strides")
    rates = whole_numbers(dilation, n, "dilation_rate")
    last = is_last(data_format)
    batched = len(x.shape) == n + 2
    if not batched:
        x = ops.expand_dims(x, 0)
    if not last:
        x = ops.moveaxis(x, 1, -1)
    reaches = [(w - 1) * d + 1 for w, d in zip(window, rates, strict=True)]
    if padding == "same":
        widths = [(0, 0)] * (n + 2)
        for axis, (w, s, d) in enumerate(zip(window, steps, rates, strict=True), 1):
            size = x.shape[axis]
            require(size is not None or s == 1, f"with padding='same' the spatial sizes of `{what}` must be known.")
            widths[axis] = same_padding(1 if size is None else size, w, s, d)  # for steps of 1 the same for all sizes
        x = ops.pad(x, tuple(widths))
    for axis, reach in enumerate(reaches, 1):
        size = x.shape[axis]
        require(
            size is None or size >= reach,
            f"a patch covers {reach} elements, but `{what}` has only {size} there. Use padding='same'.",
        )
    # From the last axis to the first, so that each window ends up in front of what has joined the channels before.
    for axis in range(n, 0, -1):
        x = _along(x, axis, window[axis - 1], steps[axis - 1], rates[axis - 1])
    if not last:
        x = ops.moveaxis(x, -1, 1)
    return x if batched else ops.squeeze(x, 0)


@composite
def extract_patches(
    images: Tensor,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Windows of images or volumes, each laid out along the axis of the channels.

    Args:
        images: one image or a batch; for three sizes, one volume or a batch.
        size: an int or (height, width); or (depth, height, width).
        strides: from one window to the next; None: `size`, so that windows do not overlap.
        dilation_rate: from one element of a window to the next.
        padding: "valid", or "same", which fills with zeros.

    Returns:
        Same dtype; spatial sizes are numbers of windows, and channel ``(row * width + column) * channels + c``
        is channel c at that row and column of the window.

    Example:
        >>> from unidl import ops
        >>> patches = ops.image.extract_patches(ops.reshape(ops.arange(16), (4, 4, 1)), 2)
        >>> print(ops.convert_to_numpy(patches)[0])
        [[0 1 4 5]
         [2 3 6 7]]
    """
    n = 3 if hasattr(size, "__len__") and len(size) == 3 else 2
    window = whole_numbers(size, n, "size")
    return _patches(images, window, strides, dilation_rate, padding, data_format, "images")


@composite
def extract_patches_3d(
    volumes: Tensor,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Windows of volumes; arguments and result as in `extract_patches`, an int `size` giving cubes.

    Example:
        >>> from unidl import ops
        >>> ops.image.extract_patches_3d(ops.zeros((2, 4, 4, 4, 3)), 2).shape == (2, 2, 2, 2, 24)
        True
    """
    window = whole_numbers(size, 3, "size")
    return _patches(volumes, window, strides, dilation_rate, padding, data_format, "volumes")


__all__ = ["extract_patches", "extract_patches_3d"]
