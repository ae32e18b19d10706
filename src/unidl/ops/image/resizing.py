"""Ops on images."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.config import checked_data_format
from unidl.ops._declare import Tensor, composite, require


def _weights(have: int, want: int, interpolation: str) -> np.ndarray:
    """The (want, have) matrix that resamples one axis, pixels being areas (half-pixel centres)."""
    places = (np.arange(want) + 0.5) * have / want - 0.5
    if interpolation == "nearest":
        return np.eye(have, dtype="float32")[np.clip(np.floor(places + 0.5), 0, have - 1).astype(int)]
    places = np.clip(places, 0, have - 1)
    low = np.floor(places).astype(int)
    high = np.minimum(low + 1, have - 1)
    part = (places - low)[:, None]
    identity = np.eye(have)
    return (identity[low] * (1 - part) + identity[high] * part).astype("float32")


@composite(floating=True)
def resize(images: Tensor, size: Any, interpolation: str = "bilinear", data_format: str | None = None) -> Tensor:
    """Images of another size, by "nearest" or "bilinear" interpolation, without antialiasing.

    Args:
        images: (batch, height, width, channels) or (height, width, channels), or channels first.
        size: (height, width) of the result.

    Resampling is separable: one small matrix for each axis, the same on every backend.
    """
    from unidl.ops._bind import dtype_of

    require(
        interpolation in ("nearest", "bilinear"),
        f"`interpolation` must be 'nearest' or 'bilinear', not {interpolation!r}.",
    )
    require(len(images.shape) in (3, 4), f"images need 3 or 4 dimensions, not {len(images.shape)}.")
    last = checked_data_format(data_format) == "channels_last"
    rows, columns = (-3, -2) if last else (-2, -1)
    have = images.shape[rows], images.shape[columns]
    require(None not in have, f"height and width must be known, not {have}.")
    for axis, old, new in ((rows, have[0], size[0]), (columns, have[1], size[1])):
        if old == new:
            continue
        weights = _weights(old, new, interpolation).astype(dtype_of(images))
        if axis == -2:
            images = ops.matmul(weights, images)
        else:
            images = ops.swapaxes(ops.matmul(weights, ops.swapaxes(images, axis, -2)), axis, -2)
    return images


__all__ = ["resize"]
