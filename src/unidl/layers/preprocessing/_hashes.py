"""The hash functions of the hashing layers, written from their specifications.

`fingerprint64` is FarmHash's 64-bit fingerprint (https://github.com/google/farmhash), `siphash64` is SipHash-2-4
(Aumasson and Bernstein, 2012, https://www.aumasson.jp/siphash/siphash.pdf). Both read bytes as little-endian
words, so that they give the same numbers on every machine and engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

MASK = (1 << 64) - 1
#: FarmHash's constants, and that of TensorFlow's fingerprints of two.
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
CAT = 0xC6A4A7935BD1E995
#: What SipHash's state is before the key.
SIPHASH_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def _rotate(value: int, shift: int) -> int:
    """A 64-bit rotation to the right of what is first cut to 64 bits."""
    value &= MASK
    return (value >> shift | value << (64 - shift)) & MASK


def _mix(value: int) -> int:
    value &= MASK
    return value ^ (value >> 47)


def _pair(u: int, v: int, factor: int) -> int:
    """Two words to one."""
    u, v = u & MASK, v & MASK
    a = _mix((u ^ v) * factor)
    return _mix((v ^ a) * factor) * factor & MASK


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
    return (a + z) & MASK, (b + c) & MASK


def fingerprint64(text: bytes) -> int:
    """FarmHash's 64-bit fingerprint."""
    n = len(text)
    if n <= 16:
        return _upto16(text, n)
    factor = K2 + 2 * n
    if n <= 64:
        a = _word(text, 0) * (K1 if n <= 32 else K2)
        b = _word(text, 8)
        c = _word(text, n - 8) * factor
        d = _word(text, n - 16) * K2
        y = _rotate(a + b, 43) + _rotate(c, 30) + d
        z = _pair(y, a + _rotate(b + K2, 18) + c, factor)
        if n <= 32:
            return z
        e = _word(text, 16) * factor
        f = _word(text, 24)
        g = (y + _word(text, n - 32)) * factor
        h = (z + _word(text, n - 24)) * factor
        return _pair(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, factor)
    return _long(text, n)


def _upto16(text: bytes, n: int) -> int:
    factor = K2 + 2 * n
    if n >= 8:
        a, b = _word(text, 0) + K2, _word(text, n - 8)
        return _pair(_rotate(b, 37) * factor + a, (_rotate(a, 25) + b) * factor, factor)
    if n >= 4:
        return _pair(n + (_word(text, 0, 4) << 3), _word(text, n - 4, 4), factor)
    if n:
        y = text[0] + (text[n >> 1] << 8)
        z = n + (text[-1] << 2)
        return _mix((y * K2 & MASK) ^ (z * K0 & MASK)) * K2 & MASK
    return K2


def _long(text: bytes, n: int) -> int:
    """More than 64 bytes: 56 bytes of state, 64 bytes at a time; the last 64 bytes once more."""
    seed = 81
    y = seed * K1 + 113
    z = _mix(y * K2 + 113) * K2
    x = seed * K2 + _word(text, 0)
    v, w = (0, 0), (0, 0)
    rest = (n - 1) & 63
    blocks = range(0, n - 1 - rest, 64)
    for i, start in enumerate((*blocks, n - 64)):
        factor, weight = K1, 1
        if i == len(blocks):
            factor, weight = K1 + ((z & 0xFF) << 1), 9
            w = (w[0] + rest, w[1])
            v = (v[0] + w[0], v[1])
            w = (w[0] + v[0], w[1])
        x = _rotate(x + y + v[0] + _word(text, start + 8), 37) * factor
        y = _rotate(y + v[1] + _word(text, start + 48), 42) * factor
        x = (x ^ (w[1] * weight)) & MASK
        y += v[0] * weight + _word(text, start + 40)
        z = _rotate(z + w[0], 33) * factor
        v = _weak(text, start, v[1] * factor, x + w[0])
        w = _weak(text, start + 32, z + w[1], y + _word(text, start + 16))
        z, x = x, z
    return _pair(_pair(v[0], w[0], factor) + _mix(y) * K0 + z, _pair(v[1], w[1], factor) + x, factor)


def siphash64(text: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 with a key of two 64-bit words."""
    a, b, c, d = (start ^ key[i % 2] & MASK for i, start in enumerate(SIPHASH_START))

    def rounds(count: int) -> None:
        nonlocal a, b, c, d
        for _ in range(count):
            a = (a + b) & MASK
            c = (c + d) & MASK
            b = _rotate(b, 51) ^ a
            d = _rotate(d, 48) ^ c
            a = _rotate(a, 32)
            a, c = (a + d) & MASK, (c + b) & MASK
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
    result = first ^ CAT ^ (_mix(second * CAT) * CAT & MASK)
    return _mix(_mix(result * CAT) * CAT)


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
