"""Cases of Fourier transforms."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import ANY, FLOAT, Draw, Tolerance, add

_SUM = Tolerance(8, True)
_DTYPES = (*FLOAT, "int32")


def _parts(r: Draw, shape: tuple[int, ...]) -> list[Any]:
    return [r.array(shape), r.array(shape)]


def _size(r: Draw) -> int:
    return r.choice(1, 2, 3, 4, 5, 6, 8, 9, 12, 15, 16)


def _rfft(r: Draw) -> tuple[Any, ...]:
    return r.array((*r.shape(0, 2), _size(r))), r.choice(None, 1, 2, 5, 6, 8)


def _irfft(r: Draw) -> tuple[Any, ...]:
    length = r.choice(None, 1, 2, 5, 6, 8)
    shape = (*r.shape(0, 2), _size(r))
    return _parts(r, shape if length or shape[-1] > 1 else (*shape[:-1], 3)), length


def _sequences(r: Draw) -> tuple[Any, ...]:
    return r.array((*r.shape(0, 2), r.choice(6, 7, 12, 1))), r.choice(1, 2, 3, 6), r.integer(1, 4)


def _window(r: Draw, length: int) -> Any:
    return r.choice(None, "hann", "hamming", r.array((length,), "float32", 0.5, 1.5))


def _stft(r: Draw) -> tuple[Any, ...]:
    length, size = r.choice((4, 4), (3, 4), (5, 8), (2, None), (1, 1))
    center = r.flag()
    return r.array((*r.shape(0, 2), r.choice(9, 12))), length, r.integer(1, 5), size, _window(r, length), center


def _istft(r: Draw) -> tuple[Any, ...]:
    length, size = r.choice((4, 4), (3, 4), (5, 8))
    parts = _parts(r, (*r.shape(0, 1), r.choice(3, 4), size // 2 + 1))
    return parts, length, r.choice(1, 2), size, r.choice(None, 5, 20), _window(r, length), r.flag()


add("fft", lambda r: (_parts(r, (*r.shape(0, 2), _size(r))),), _DTYPES, gradient="x", tolerance=_SUM)
add(
    "fft2 ifft2", lambda r: (_parts(r, (*r.shape(0, 1), _size(r), _size(r))),), _DTYPES, gradient="x", tolerance=_SUM
)  # fmt: skip
add("rfft", _rfft, _DTYPES, gradient="x", tolerance=_SUM)
add("irfft", _irfft, _DTYPES, gradient="x", tolerance=_SUM)
add("extract_sequences", _sequences, ANY, gradient="x")
add("stft", _stft, _DTYPES, gradient="x", tolerance=_SUM)
add("istft", _istft, _DTYPES, gradient="x", tolerance=_SUM)
