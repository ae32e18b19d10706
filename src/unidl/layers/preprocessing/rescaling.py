"""Rescaling of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.config import image_data_format
from unidl.layers.preprocessing._host import DataLayer, host_values

__all__ = ["Rescaling"]


class Rescaling(DataLayer):
    """``inputs * scale + offset``, e.g. ``Rescaling(1 / 255)`` for images of bytes.

    Args:
        scale, offset: numbers, or one for each channel.

    Example:
        >>> import unidl
        >>> unidl.ops.convert_to_numpy(unidl.layers.Rescaling(0.5, offset=-1.0)([[0, 2, 4]])).tolist()
        [[-1.0, 0.0, 1.0]]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        dtype = self.compute_dtype
        scale, offset = _channels(self.scale, inputs), _channels(self.offset, inputs)
        scaled = ops.multiply(ops.cast(inputs, dtype), ops.cast(scale, dtype))
        return scaled if np.ndim(offset) == 0 and offset == 0 else ops.add(scaled, ops.cast(offset, dtype))


def _channels(value: Any, inputs: Any) -> Any:
    """`value` such that it meets the channels of channels-first images."""
    value = np.asarray(host_values(value), np.float64)
    rank = len(inputs.shape)
    if value.ndim == 1 and value.size > 1 and rank > 2 and image_data_format() == "channels_first":
        return value.reshape(-1, *(1,) * (rank - 2))
    return value
