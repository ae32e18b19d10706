"""Words of 64 bits in tensors, for hash functions that are written with ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops


class Words:
    """A tensor of unsigned numbers, with arithmetic modulo 2**64. The other operand is words too, or a Python int.

    Args:
        bits: an int64 tensor with the bits of the numbers: its sums and products have those of theirs.
    """

    def __init__(self, bits: Any) -> None:
        self.bits = bits

    def __add__(self, other: Words | int) -> Words:
        return Words(ops.add(self.bits, _bits(other)))

    def __mul__(self, other: Words | int) -> Words:
        return Words(ops.multiply(self.bits, _bits(other)))

    def __xor__(self, other: Words | int) -> Words:
        return Words(ops.bitwise_xor(self.bits, _bits(other)))

    def __rshift__(self, count: int) -> Words:
        """With zeros coming in from the left."""
        return Words(ops.bitwise_and(ops.bitwise_right_shift(self.bits, count), 2 ** (64 - count) - 1))

    def rotated(self, count: int) -> Words:
        """Turned to the right by `count` bits."""
        return Words(ops.bitwise_or((self >> count).bits, (self * (1 << (64 - count))).bits))

    def mixed(self) -> Words:
        """The upper bits mixed into the lower ones, as FarmHash does it."""
        return self ^ (self >> 47)

    def modulo(self, count: int) -> Any:
        """The remainders of division by `count`, which is below 2**62: an int64 tensor."""
        last = ops.bitwise_and(self.bits, 1)
        return ops.mod(ops.add(ops.multiply(ops.mod((self >> 1).bits, count), 2), last), count)


def chosen(condition: Any, one: Words, other: Words) -> Words:
    """`one` where the boolean tensor `condition` is true, `other` elsewhere."""
    return Words(ops.where(condition, one.bits, other.bits))


def _bits(value: Words | int) -> Any:
    return value.bits if isinstance(value, Words) else np.uint64(value).astype(np.int64)
