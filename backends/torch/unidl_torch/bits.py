"""Ops on the bits of integers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _shifts(fn: Any) -> Any:
    """`fn`, defined for any number of places: PyTorch leaves those out of range to the machine."""

    def call(x: Tensor, y: Tensor) -> Tensor:
        if x.dtype is torch.bool:
            raise TypeError("a bool has no bits to move")
        last = 8 * x.dtype.itemsize - 1
        far = (y < 0) | (y > last)
        if fn is torch.bitwise_left_shift:
            return torch.where(far, 0, fn(x, torch.where(far, 0, y)))
        return torch.where(far, fn(fn(x, last), 1), fn(x, torch.where(far, 0, y)))

    return call


TABLE: dict[str, Any] = {
    "bitwise_and": torch.bitwise_and,
    "bitwise_or": torch.bitwise_or,
    "bitwise_xor": torch.bitwise_xor,
    "bitwise_invert": torch.bitwise_not,
    "bitwise_left_shift": _shifts(torch.bitwise_left_shift),
    "bitwise_right_shift": _shifts(torch.bitwise_right_shift),
}
