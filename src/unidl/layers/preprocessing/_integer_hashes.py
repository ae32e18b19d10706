"""The hash functions of `_hashes` with ops, of integers as they are written in decimals.

All tensors are int64 and hold the bits of unsigned numbers: sums and products are equal in both. A decimal of 64 bits
has 1 … 20 characters, so that of FarmHash three of its five cases are needed, and of SipHash up to three blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.layers.preprocessing._hashes import _K0, _K1, _K2, remainder, shifted, signed

_DIGITS, _LONGEST = 19, 20


class Decimals:
    """Integers as characters.

    Attributes:
        length: how many each has.
        front: the characters from the first on, 0 beyond the last: (…, 20).
        back: from the last one back.
    """

    def __init__(self, values: Any) -> None:
        negative = ops.less(values, 0)
        # The last digit apart: what is left of the least integer of 64 bits has a positive counterpart.
        floor = ops.mod(values, 10)
        last = ops.where(negative, ops.mod(ops.subtract(10, floor), 10), floor)
        rest = ops.floor_divide(ops.where(negative, ops.add(values, last), values), 10)
        rest = ops.expand_dims(ops.where(negative, ops.negative(rest), rest), -1)
        powers = np.array([10**i for i in range(_DIGITS - 1)], np.int64)
        digits = ops.mod(ops.floor_divide(rest, powers), 10)
        digits = ops.concatenate([ops.expand_dims(last, -1), digits, ops.zeros_like(rest)], -1)
        count = ops.add(ops.sum(ops.cast(ops.greater_equal(rest, powers), "int64"), -1, keepdims=True), 1)
        minus = ops.expand_dims(ops.cast(negative, "int64"), -1)
        length = ops.add(count, minus)
        places = np.arange(_LONGEST, dtype=np.int64)
        sign = ops.multiply(ops.cast(ops.equal(places, count), "int64"), ops.multiply(minus, ord("-")))
        self.back = ops.where(ops.less(places, count), ops.add(digits, ord("0")), sign)
        behind = ops.subtract(ops.subtract(length, 1), places)
        from_front = ops.take_along_axis(self.back, ops.maximum(behind, 0), -1)
        self.front = ops.where(ops.greater_equal(behind, 0), from_front, 0)
        self.length = ops.squeeze(length, -1)

    def word(self, start: int, size: int = 8) -> Any:
        """The characters from `start` on as a little-endian word."""
        return self._sum(self.front[..., start : start + size], range(size))

    def word_back(self, end: int, size: int = 8) -> Any:
        """The word that begins `end` characters before the end."""
        return self._sum(self.back[..., end - size : end], reversed(range(size)))

    def _sum(self, characters: Any, places: Any) -> Any:
        weights = np.array([1 << 8 * i for i in places][: characters.shape[-1]], np.int64)
        return ops.sum(ops.multiply(characters, weights), -1)


def _rotate(value: Any, shift: int) -> Any:
    return ops.bitwise_or(shifted(value, shift), ops.multiply(value, 1 << (64 - shift)))


def _times(value: Any, factor: int) -> Any:
    return ops.multiply(value, signed(factor))


def _plus(value: Any, term: int) -> Any:
    return ops.add(value, signed(term))


def _mix(value: Any) -> Any:
    return ops.bitwise_xor(value, shifted(value, 47))


def _pair(u: Any, v: Any, factor: Any) -> Any:
    a = _mix(ops.multiply(ops.bitwise_xor(u, v), factor))
    return ops.multiply(_mix(ops.multiply(ops.bitwise_xor(v, a), factor)), factor)


def fingerprints(text: Decimals) -> Any:
    """FarmHash's 64-bit fingerprints."""
    n = text.length
    factor = _plus(ops.multiply(n, 2), _K2)
    first, last = text.word(0), text.word_back(8)
    # 17 … 20 characters
    a, c = _times(first, _K1), ops.multiply(last, factor)
    b, d = text.word(8), _times(text.word_back(16), _K2)
    y = ops.add(ops.add(_rotate(ops.add(a, b), 43), _rotate(c, 30)), d)
    longest = _pair(y, ops.add(ops.add(a, _rotate(_plus(b, _K2), 18)), c), factor)
    # 8 … 16
    a, b = _plus(first, _K2), last
    u = ops.add(ops.multiply(_rotate(b, 37), factor), a)
    long = _pair(u, ops.multiply(ops.add(_rotate(a, 25), b), factor), factor)
    # 4 … 7
    middle = _pair(ops.add(n, ops.multiply(text.word(0, 4), 8)), text.word_back(4, 4), factor)
    # 1 … 3: the second character is the middle one, if there is one
    one = text.front[..., 0]
    y = ops.add(one, ops.multiply(ops.where(ops.greater(n, 1), text.front[..., 1], one), 256))
    z = ops.add(n, ops.multiply(text.back[..., 0], 4))
    short = _times(_mix(ops.bitwise_xor(_times(y, _K2), _times(z, _K0))), _K2)
    result = ops.where(ops.greater(n, 3), middle, short)
    return ops.where(ops.greater(n, 16), longest, ops.where(ops.greater(n, 7), long, result))


def _rounds(state: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    a, b, c, d = state
    for _ in range(count):
        a, c = ops.add(a, b), ops.add(c, d)
        b, d = ops.bitwise_xor(_rotate(b, 51), a), ops.bitwise_xor(_rotate(d, 48), c)
        a = ops.add(_rotate(a, 32), d)
        c = ops.add(c, b)
        b, d = ops.bitwise_xor(_rotate(b, 47), c), ops.bitwise_xor(_rotate(d, 43), a)
        c = _rotate(c, 32)
    return a, b, c, d


def siphashes(text: Decimals, key: tuple[int, int]) -> Any:
    """SipHash-2-4 with a key of two 64-bit words."""
    zero = ops.zeros_like(text.length)
    starts = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    state = tuple(_plus(zero, start ^ key[i % 2] & (1 << 64) - 1) for i, start in enumerate(starts))
    blocks = ops.floor_divide(text.length, 8)
    for block in range(_LONGEST // 8 + 1):
        last = ops.multiply(text.length, ops.cast(ops.equal(blocks, block), "int64"))
        word = ops.add(text.word(8 * block), ops.multiply(last, 1 << 56))
        a, b, c, d = _rounds((*state[:3], ops.bitwise_xor(state[3], word)), 2)
        new, there = (ops.bitwise_xor(a, word), b, c, d), ops.less_equal(block, blocks)
        state = tuple(ops.where(there, have, had) for have, had in zip(new, state, strict=True))
    a, b, c, d = _rounds((state[0], state[1], ops.bitwise_xor(state[2], 0xFF), state[3]), 4)
    return ops.bitwise_xor(ops.bitwise_xor(a, b), ops.bitwise_xor(c, d))


def integer_buckets(values: Any, key: tuple[int, int] | None, count: int) -> Any:
    """The hash modulo `count` of each int64, as it is written in decimals; `key`: of SipHash, else it is FarmHash."""
    text = Decimals(values)
    return remainder(fingerprints(text) if key is None else siphashes(text, key), count)
