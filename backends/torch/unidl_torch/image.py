"""Kernels for images."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional


def resize_bilinear(images: Tensor, size: tuple[int, ...], channels_last: bool) -> Tensor:
    if not images.is_floating_point():  # the kernel takes uint8 too
        raise TypeError(f"images of dtype {images.dtype}")
    if channels_last:
        images = images.permute(0, 3, 1, 2)
    if 0 in images.shape[:2]:  # refused by the kernel
        images = images.new_zeros((*images.shape[:2], *size))
    else:
        images = functional.interpolate(images, tuple(size), mode="bilinear", align_corners=False)
    return images.permute(0, 2, 3, 1) if channels_last else images


TABLE: dict[str, Any] = {"resize_bilinear": resize_bilinear}
