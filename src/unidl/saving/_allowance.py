"""While a model is read from a file: how much memory it may take, and first values that nobody needs to draw."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from unidl._state import state

#: Bytes of variables for each byte of the file (which may be compressed, and lack the optimizer's state), and beyond.
_TIMES, _FREE = 16, 2**26


def _bytes(dtype: str) -> int:
    bits = re.search(r"\d+", dtype)
    return max(int(bits[0]) // 8, 1) if bits else 1


class Allowance:
    """A context in which a model is made whose weights are in a file.

    A configuration of a hundred bytes can ask for any number of units: variables may be made up to a size that fits the
    file. And random first values are drawn only where the file turns out to hold none.

    Args:
        size: of the file in bytes.
        where: the file, for the message.
    """

    def __init__(self, size: int, where: Any) -> None:
        self._size, self._where = size, where
        self._left = _FREE + _TIMES * size
        self._waiting: dict[int, tuple[Any, Any, Any, str]] = {}

    def first_value(self, initializer: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray | None:
        """Zeros in place of what a random initializer would draw; None for others.

        Raises:
            ValueError: if the file cannot hold values for all variables made so far.
        """
        from unidl.initializers._base import RandomInitializer
        from unidl.ops._bind import numpy_dtype

        self._left -= math.prod(shape) * _bytes(dtype)
        if self._left < 0:
            raise ValueError(
                f"The configuration in {self._where} asks for a variable of shape {shape}, and for more in all than "
                f"the {self._size} bytes of the file can hold: refused."
            )
        drawn = isinstance(initializer, RandomInitializer) and type(initializer).__module__.startswith("unidl.")
        return np.zeros(shape, numpy_dtype(dtype)) if drawn else None

    def postpone(self, variable: Any, initializer: Any, shape: Any, dtype: str) -> None:
        """Note how a variable that has zeros would have begun."""
        self._waiting[id(variable)] = variable, initializer, shape, dtype

    def loaded(self, variables: Iterable[Any]) -> None:
        """Note that the file had values for these variables."""
        for variable in variables:
            self._waiting.pop(id(variable), None)

    def __enter__(self) -> Allowance:
        self._outer, state.allowance = state.allowance, self
        return self

    def __exit__(self, kind: Any, *exc: object) -> None:
        from unidl.initializers._base import host_value

        state.allowance = self._outer
        if kind is None:
            for variable, initializer, shape, dtype in self._waiting.values():
                variable.assign(host_value(initializer, shape, dtype))
