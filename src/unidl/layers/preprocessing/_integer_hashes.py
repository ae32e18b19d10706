"""The hash functions of `_hashes` with ops, of integers as they are written in decimals.

A decimal of 64 bits has 1 … 20 characters, so that FarmHash needs four of its cases, and SipHash three blocks at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from unidl import ops
from unidl.layers.preprocessing._hashes import CAT, K0, K1, K2, MASK, SIPHASH_START
from unidl.layers.preprocessing._words import Words, chosen

#: The most characters that an int64 has.
_LONGEST = 20


class Decimals:
    """Integers as characters.

    Args:
        values: an int64 tensor.

    Attributes:
        length: how many characters each has, of the shape of `values`.
    """

    def __init__(self, values: Any) -> None:
        digits, count = _digits(values)
        minus = ops.expand_dims(ops.cast(ops.less(values, 0), "int64"), -1)
        places = np.arange(_LONGEST, dtype=np.int64)
        sign = ops.where(ops.equal(places, count), ops.multiply(minus, ord("-")), 0)
        length = ops.add(count, minus)
        to_end = ops.subtract(ops.subtract(length, 1), places)
        self.length = ops.squeeze(length, -1)
        # Characters from the last one back, and from the first on, 0 beyond: (…, 20).
        self._back = ops.where(ops.less(places, count), ops.add(digits, ord("0")), sign)
        front = ops.take_along_axis(self._back, ops.maximum(to_end, 0), -1)
        self._front = ops.where(ops.greater_equal(to_end, 0), front, 0)

    def longer_than(self, count: int) -> Any:
        return ops.greater(self.length, count)

    def word(self, start: int, size: int = 8) -> Words:
        """`size` characters from `start` on as a little-endian word."""
        return _word(self._front[..., start : start + size], range(size))

    def word_back(self, end: int, size: int = 8) -> Words:
        """`size` characters as a word, of which the first is `end` characters before the end of the text."""
        return _word(self._back[..., end - size : end], reversed(range(size)))


def _digits(values: Any) -> tuple[Any, Any]:
    """The digits from the last one back, 0 beyond the first: (…, 20); and how many there are: (…, 1)."""
    negative = ops.less(values, 0)
    # The last digit apart: what is left of the least integer of 64 bits has a positive counterpart.
    floor = ops.mod(values, 10)
    last = ops.where(negative, ops.mod(ops.subtract(10, floor), 10), floor)
    rest = ops.floor_divide(ops.where(negative, ops.add(values, last), values), 10)
    rest = ops.expand_dims(ops.where(negative, ops.negative(rest), rest), -1)
    powers = np.array([10**i for i in range(_LONGEST - 2)], np.int64)
    before = ops.mod(ops.floor_divide(rest, powers), 10)
    digits = ops.concatenate([ops.expand_dims(last, -1), before, ops.zeros_like(rest)], -1)
    count = ops.add(ops.sum(ops.cast(ops.greater_equal(rest, powers), "int64"), -1, keepdims=True), 1)
    return digits, count


def _word(characters: Any, places: Iterable[int]) -> Words:
    """The characters (…, n) as the bytes of words, each at its place, as far as there are characters."""
    weights = np.array([1 << 8 * i for i in places][: characters.shape[-1]], np.int64)
    return Words(ops.sum(ops.multiply(characters, weights), -1))


# -- FarmHash --------------------------------------------------------------------------------------


def fingerprints(text: Decimals) -> Words:
    """FarmHash's 64-bit fingerprints: the cases of `fingerprint64` up to 20 characters."""
    short = chosen(text.longer_than(3), _from_4(text), _from_1(text))
    long = chosen(text.longer_than(16), _from_17(text), _from_8(text))
    return chosen(text.longer_than(7), long, short)


def _pair(u: Words, v: Words, factor: Words) -> Words:
    """Two words to one."""
    a = ((u ^ v) * factor).mixed()
    return ((v ^ a) * factor).mixed() * factor


def _factor(text: Decimals) -> Words:
    return Words(text.length) * 2 + K2


def _from_1(text: Decimals) -> Words:
    """Of 1 … 3 characters, of which the second is the middle one, if there is one."""
    first = text.word(0, 1)
    middle = chosen(text.longer_than(1), text.word(1, 1), first)
    y = first + middle * (1 << 8)
    z = Words(text.length) + text.word_back(1, 1) * 4
    return (y * K2 ^ z * K0).mixed() * K2


def _from_4(text: Decimals) -> Words:
    """Of 4 … 7 characters."""
    return _pair(Words(text.length) + text.word(0, 4) * 8, text.word_back(4, 4), _factor(text))


def _from_8(text: Decimals) -> Words:
    """Of 8 … 16 characters."""
    factor, a, b = _factor(text), text.word(0) + K2, text.word_back(8)
    return _pair(b.rotated(37) * factor + a, (a.rotated(25) + b) * factor, factor)


def _from_17(text: Decimals) -> Words:
    """Of 17 characters and more, as long as they are no more than 32."""
    factor = _factor(text)
    a, b = text.word(0) * K1, text.word(8)
    c, d = text.word_back(8) * factor, text.word_back(16) * K2
    return _pair((a + b).rotated(43) + c.rotated(30) + d, a + (b + K2).rotated(18) + c, factor)


def combined(first: Words, second: Words) -> Words:
    """`combine64` of words."""
    result = (second * CAT).mixed() * CAT ^ first ^ CAT
    return ((result * CAT).mixed() * CAT).mixed()


# -- SipHash ---------------------------------------------------------------------------------------

_State = tuple[Words, Words, Words, Words]


def siphashes(text: Decimals, key: tuple[int, int]) -> Words:
    """SipHash-2-4 with a key of two 64-bit words."""
    zero = Words(ops.zeros_like(text.length))
    a, b, c, d = (zero + (start ^ key[i % 2] & MASK) for i, start in enumerate(SIPHASH_START))
    last = ops.floor_divide(text.length, 8)  # the block that ends with the length
    for block in range(_LONGEST // 8 + 1):
        ending = Words(ops.where(ops.equal(last, block), text.length, 0)) * (1 << 56)
        new = _block((a, b, c, d), text.word(8 * block) + ending)
        there = ops.less_equal(block, last)
        a, b, c, d = (chosen(there, have, had) for have, had in zip(new, (a, b, c, d), strict=True))
    a, b, c, d = _rounds((a, b, c ^ 0xFF, d), 4)
    return a ^ b ^ c ^ d


def _block(state: _State, word: Words) -> _State:
    """The state after one word more."""
    a, b, c, d = state
    a, b, c, d = _rounds((a, b, c, d ^ word), 2)
    return a ^ word, b, c, d


def _rounds(state: _State, count: int) -> _State:
    a, b, c, d = state
    for _ in range(count):
        a, c = a + b, c + d
        b, d = b.rotated(51) ^ a, d.rotated(48) ^ c
        a = a.rotated(32) + d
        c = c + b
        b, d = b.rotated(47) ^ c, d.rotated(43) ^ a
        c = c.rotated(32)
    return a, b, c, d


# -- buckets ---------------------------------------------------------------------------------------


def integer_buckets(values: Any, key: tuple[int, int] | None, count: int) -> Any:
    """The hash modulo `count` of each int64, as it is written in decimals; `key`: of SipHash, else it is FarmHash."""
    text = Decimals(values)
    return (fingerprints(text) if key is None else siphashes(text, key)).modulo(count)
