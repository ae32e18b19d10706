"""Ops on the bits of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl_numpy.kernel import kernels


def _no_bools(x: np.ndarray) -> None:
    if x.dtype == bool:
        raise TypeError("a bool has no bits to move")


def left_shift(x: np.ndarray, y: np.ndarray) -> Any:
    _no_bools(x)
    far = (y < 0) | (y >= 8 * x.itemsize)  # the machine's own shift is undefined there
    return np.where(far, np.zeros((), x.dtype), np.left_shift(x, np.where(far, 0, y).astype(y.dtype)))


def right_shift(x: np.ndarray, y: np.ndarray) -> Any:
    _no_bools(x)
    last = 8 * x.itemsize - 1
    far = (y < 0) | (y > last)
    shifted = np.right_shift(x, np.where(far, last, y).astype(y.dtype))
    return np.where(far & (x >= 0), np.zeros((), x.dtype), shifted)


TABLE: dict[str, Any] = kernels(
    {
        "bitwise_and": np.bitwise_and,
        "bitwise_or": np.bitwise_or,
        "bitwise_xor": np.bitwise_xor,
        "bitwise_invert": np.invert,
        "bitwise_left_shift": left_shift,
        "bitwise_right_shift": right_shift,
    }
)
