"""Initializers without randomness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.initializers._base import Initializer


class Zeros(Initializer):
    """All 0."""

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.ones(shape)


class Constant(Initializer):
    """A given value.

    Args:
        value: a number, or an array that broadcasts to the variable's shape.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        from unidl.ops._bind import host_array

        array = host_array(self.value)
        try:
            return np.broadcast_to(array, shape)
        except ValueError:
            raise ValueError(f"Constant of shape {array.shape} does not broadcast to {shape}.") from None


def given(value: Any) -> Callable[..., Any]:
    """A function ``(shape, dtype)`` that returns the array or tensor `value`, which must have that shape."""
    from unidl import ops

    own = tuple(ops.shape(value))

    def initializer(shape: Any, dtype: Any = None) -> Any:
        if tuple(shape) != own:
            raise ValueError(f"Expected `shape` to be {own}, that of the array given as initializer, not {shape}.")
        return ops.cast(value, dtype) if dtype is not None else ops.convert_to_tensor(value)

    return initializer


class Identity(Initializer):
    """The identity matrix, times `gain`, for variables of shape (rows, columns)."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices: a shape of 2 dimensions is expected, not {shape}.")
        return self.gain * np.eye(*shape)
