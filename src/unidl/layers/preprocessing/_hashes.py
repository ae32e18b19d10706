"""The hash functions of the hashing layers, written from their specifications.

`fingerprint64` is FarmHash's 64-bit fingerprint (https://github.com/google/farmhash), `siphash64` is SipHash-2-4
(Aumasson and Bernstein, 2012, https://www.aumasson.jp/siphash/siphash.pdf). Both read bytes as little-endian
words, so that they give the same numbers on every machine and engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from unidl import ops

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_CAT = 0xC6A4A7935BD1E995


def _rotate(value: int, shift: int) -> int:
    """A 64-bit rotation to the right of what is first cut to 64 bits."""
    value &= _MASK
    return (value >> shift | value << (64 - shift)) & _MASK


def _mix(value: int) -> int:
    value &= _MASK
    return value ^ (value >> 47)


def _pair(u: int, v: int, factor: int) -> int:
    """Two words to one."""
    u, v = u & _MASK, v & _MASK
    a = _mix((u ^ v) * factor)
    return _mix((v ^ a) * factor) * factor & _MASK


def _word(text: bytes, start: int, size: int = 8) -> int:
    return int.from_bytes(text[start : start + size], "little")


def _weak(text: bytes, start: int, a: int, b: int) -> tuple[int, int]:
    """32 bytes into a pair of words."""
    w, x, y, z = (_word(text, start + 8 * i) for i in range(4))
    a += w
    b = _rotate(b + a + z, 21)
    c = a
    a += x + y
    b += _rotate(a, 44)
    return (a + z) & _MASK, (b + c) & _MASK


def fingerprint64(text: bytes) -> int:
    """FarmHash's 64-bit fingerprint."""
    n = len(text)
    if n <= 16:
        return _upto16(text, n)
    factor = _K2 + 2 * n
    if n <= 64:
        a = _word(text, 0) * (_K1 if n <= 32 else _K2)
        b = _word(text, 8)
        c = _word(text, n - 8) * factor
        d = _word(text, n - 16) * _K2
        y = _rotate(a + b, 43) + _rotate(c, 30) + d
        z = _pair(y, a + _rotate(b + _K2, 18) + c, factor)
        if n <= 32:
            return z
        e = _word(text, 16) * factor
        f = _word(text, 24)
        g = (y + _word(text, n - 32)) * factor
        h = (z + _word(text, n - 24)) * factor
        return _pair(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, factor)
    return _long(text, n)


def _upto16(text: bytes, n: int) -> int:
    factor = _K2 + 2 * n
    if n >= 8:
        a, b = _word(text, 0) + _K2, _word(text, n - 8)
        return _pair(_rotate(b, 37) * factor + a, (_rotate(a, 25) + b) * factor, factor)
    if n >= 4:
        return _pair(n + (_word(text, 0, 4) << 3), _word(text, n - 4, 4), factor)
    if n:
        y = text[0] + (text[n >> 1] << 8)
        z = n + (text[-1] << 2)
        return _mix((y * _K2 & _MASK) ^ (z * _K0 & _MASK)) * _K2 & _MASK
    return _K2


def _long(text: bytes, n: int) -> int:
    """More than 64 bytes: 56 bytes of state, 64 bytes at a time; the last 64 bytes once more."""
    seed = 81
    y = seed * _K1 + 113
    z = _mix(y * _K2 + 113) * _K2
    x = seed * _K2 + _word(text, 0)
    v, w = (0, 0), (0, 0)
    rest = (n - 1) & 63
    blocks = range(0, n - 1 - rest, 64)
    for i, start in enumerate((*blocks, n - 64)):
        factor, weight = _K1, 1
        if i == len(blocks):
            factor, weight = _K1 + ((z & 0xFF) << 1), 9
            w = (w[0] + rest, w[1])
            v = (v[0] + w[0], v[1])
            w = (w[0] + v[0], w[1])
        x = _rotate(x + y + v[0] + _word(text, start + 8), 37) * factor
        y = _rotate(y + v[1] + _word(text, start + 48), 42) * factor
        x = (x ^ (w[1] * weight)) & _MASK
        y += v[0] * weight + _word(text, start + 40)
        z = _rotate(z + w[0], 33) * factor
        v = _weak(text, start, v[1] * factor, x + w[0])
        w = _weak(text, start + 32, z + w[1], y + _word(text, start + 16))
        z, x = x, z
    return _pair(_pair(v[0], w[0], factor) + _mix(y) * _K0 + z, _pair(v[1], w[1], factor) + x, factor)


def siphash64(text: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 with a key of two 64-bit words."""
    k0, k1 = key[0] & _MASK, key[1] & _MASK
    a, b, c, d = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def rounds(count: int) -> None:
        nonlocal a, b, c, d
        for _ in range(count):
            a = (a + b) & _MASK
            c = (c + d) & _MASK
            b = _rotate(b, 51) ^ a
            d = _rotate(d, 48) ^ c
            a = _rotate(a, 32)
            a, c = (a + d) & _MASK, (c + b) & _MASK
            b = _rotate(b, 47) ^ c
            d = _rotate(d, 43) ^ a
            c = _rotate(c, 32)

    n = len(text)
    for start in range(0, n - n % 8 + 8, 8):
        word = _word(text, start)
        if start + 8 > n:
            word |= (n & 0xFF) << 56
        d ^= word
        rounds(2)
        a ^= word
    c ^= 0xFF
    rounds(4)
    return a ^ b ^ c ^ d


def combine64(first: int, second: int) -> int:
    """One fingerprint of two, in this order; how TensorFlow crosses features."""
    result = first ^ _CAT ^ (_mix(second * _CAT) * _CAT & _MASK)
    return _mix(_mix(result * _CAT) * _CAT)


# The same with ops, on int64 tensors that hold the bits of unsigned numbers: sums and products are equal in both.


def combined(first: Any, second: Any) -> Any:
    """`combine64` of tensors."""
    factor = signed(_CAT)

    def mixed(value: Any) -> Any:
        return ops.bitwise_xor(value, shifted(value, 47))

    result = ops.bitwise_xor(ops.multiply(mixed(ops.multiply(second, factor)), factor), ops.bitwise_xor(first, factor))
    return mixed(ops.multiply(mixed(ops.multiply(result, factor)), factor))


def signed(word: int) -> np.int64:
    """The int64 of the same bits."""
    return np.uint64(word).astype(np.int64)


def shifted(value: Any, bits: int) -> Any:
    """To the right, with zeros coming in from the left."""
    return ops.bitwise_and(ops.bitwise_right_shift(value, bits), 2 ** (64 - bits) - 1)


def remainder(value: Any, count: int) -> Any:
    """Unsigned numbers modulo `count`, which is below 2**62."""
    last = ops.bitwise_and(value, 1)
    return ops.mod(ops.add(ops.multiply(ops.mod(shifted(value, 1), count), 2), last), count)


def buckets(texts: Iterable[str], hashed: Callable[[bytes], int], count: int) -> list[int]:
    """The hash of each text modulo `count`; texts that occur again are not hashed again."""
    known: dict[str, int] = {}
    result = []
    for text in texts:
        bucket = known.get(text)
        if bucket is None:
            bucket = known[text] = hashed(text.encode("utf-8", "surrogateescape")) % count
        result.append(bucket)
    return result
