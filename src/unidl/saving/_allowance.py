"""How much memory a file may make unidl take: a configuration of a hundred bytes can ask for any number of units."""

from __future__ import annotations

import math
import re
from typing import Any

from unidl._state import state

#: Bytes of variables for each byte of the file (which may be compressed, and lack the optimizer's state), and beyond.
_TIMES, _FREE = 16, 2**26


def _bytes(dtype: str) -> int:
    bits = re.search(r"\d+", dtype)
    return max(int(bits[0]) // 8, 1) if bits else 1


class Allowance:
    """A context in which variables may be made up to a size that fits the file they are read from.

    Args:
        size: of the file in bytes.
        where: the file, for the message.
    """

    def __init__(self, size: int, where: Any) -> None:
        self._size, self._where = size, where
        self._left = _FREE + _TIMES * size

    def spend(self, shape: tuple[int, ...], dtype: str) -> None:
        """Note that a variable is about to be made.

        Raises:
            ValueError: if the file cannot hold values for all of them.
        """
        self._left -= math.prod(shape) * _bytes(dtype)
        if self._left < 0:
            raise ValueError(
                f"The configuration in {self._where} asks for a variable of shape {shape}, and for more in all than the "
                f"{self._size} bytes of the file can hold: refused."
            )

    def __enter__(self) -> Allowance:
        self._outer, state.allowance = state.allowance, self
        return self

    def __exit__(self, *exc: object) -> None:
        state.allowance = self._outer
