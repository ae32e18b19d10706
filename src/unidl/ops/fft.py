"""Fourier transforms, and the frames of sequences that they are taken of.

Complex numbers come and go as pairs of real tensors. The decompositions are products with matrices of cosines and
sines, in two steps where the length has divisors (Cooley and Tukey), so that engines without FFT have these ops too.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, Tensors, composite, need_dtype, need_rank, require, same_dim
from unidl.ops._precision import wide

Pair = tuple[Any, Any]


def _pair(x: Any, rank: int) -> Pair:
    """The real and imaginary part, checked."""
    require(len(x) == 2, f"`x` holds {len(x)} tensors; the real and the imaginary part are expected.")
    real, imag = x
    dtype = dtype_of(real)
    require(not dtype.startswith("complex"), f"`x` holds {dtype}; real and imaginary part are expected as two tensors.")
    need_rank(real, "x[0]", rank)
    require(len(real.shape) == len(imag.shape), f"the parts of `x` differ: {list(real.shape)}, {list(imag.shape)}.")
    for i, (a, b) in enumerate(zip(real.shape, imag.shape, strict=True)):
        same_dim(a, b, f"dimension {i} of the real and imaginary parts of `x`")
    require(real.shape[-1] != 0 and (rank == 1 or real.shape[-2] != 0), f"no elements in shape {list(real.shape)}.")
    return real, imag


def _real(x: Any) -> Any:
    """`x`; float16 and bfloat16 in float32, in which transforms are computed."""
    need_dtype(x, "x", "real")
    return wide(x)


def _length(value: Any, what: str) -> int:
    """A positive number of elements."""
    require(
        hasattr(value, "__index__") and not isinstance(value, bool) and int(value) > 0,
        f"`{what}` must be a positive int, not {value!r}.",
    )
    return int(value)


# -- the discrete Fourier transform ----------------------------------------------------------------


@functools.lru_cache(64)
def _waves(rows: int, columns: int, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and negative sine of ``2 pi i j / period``, the real and imaginary part of the transform's factors."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % period
    angles = turns * (2 * math.pi / period)
    quarters, rest = np.divmod(4 * turns, period)  # exact at right angles
    cosine = np.where(rest == 0, np.asarray([1.0, 0.0, -1.0, 0.0])[quarters], np.cos(angles))
    return cosine, -np.where(rest == 0, np.asarray([0.0, 1.0, 0.0, -1.0])[quarters], np.sin(angles))


def _times(parts: Any, factors: Pair, product: Any) -> Pair:
    """Complex product of a pair of tensors with a pair of arrays."""
    real, imag = parts
    cosine, sine = (f.astype(dtype_of(real)) if isinstance(f, np.ndarray) else f for f in factors)
    return (
        ops.subtract(product(real, cosine), product(imag, sine)),
        ops.add(product(real, sine), product(imag, cosine)),
    )


def _transformed(real: Any, imag: Any) -> Pair:
    """The discrete Fourier transform along the last axis."""
    n = real.shape[-1]
    if n is None:
        return _times((real, imag), _symbolic_waves(real), ops.matmul)
    first = max(d for d in range(1, math.isqrt(n) + 1) if n % d == 0)
    if first == 1:
        return _times((real, imag), _waves(n, n, n), ops.matmul)
    second = n // first
    # Element i * second + j, and frequency p + q * first: over i, then the factors of p and j, then over j.
    lead = tuple(ops.shape(real)[:-1])
    parts = [ops.swapaxes(ops.reshape(x, (*lead, first, second)), -2, -1) for x in (real, imag)]
    turned = _times(parts, _waves(first, first, first), ops.matmul)
    turned = _times(turned, _waves(second, first, n), ops.multiply)
    turned = _times([ops.swapaxes(x, -2, -1) for x in turned], _waves(second, second, second), ops.matmul)
    return tuple(ops.reshape(ops.swapaxes(x, -2, -1), (*lead, n)) for x in turned)  # type: ignore[return-value]


def _symbolic_waves(x: Any) -> Pair:
    places = ops.arange(ops.shape(x)[-1], dtype="int64")
    size = ops.sum(ops.ones_like(places))
    turns = ops.cast(ops.mod(ops.multiply(ops.expand_dims(places, 1), places), size), "float64")
    turns = ops.multiply(turns, ops.divide(2 * math.pi, ops.cast(size, "float64")))
    return ops.cast(ops.cos(turns), dtype_of(x)), ops.cast(ops.negative(ops.sin(turns)), dtype_of(x))


@composite(floating=True)
def fft(x: Tensors) -> tuple[Tensor, Tensor]:
    """Discrete Fourier transform along the last axis.

    Args:
        x: a pair of tensors of one shape, the real and the imaginary part.

    Returns:
        The real and the imaginary part, of that shape.

    Example:
        >>> from unidl import ops
        >>> real, imag = ops.fft(([1.0, 2.0], [0.0, 1.0]))
        >>> print(ops.convert_to_numpy(real), ops.convert_to_numpy(imag))
        [ 3. -1.] [ 1. -1.]
    """
    real, imag = _pair(x, 1)
    dtype = dtype_of(real)
    return tuple(ops.cast(part, dtype) for part in _transformed(_real(real), _real(imag)))  # type: ignore[return-value]


@composite(floating=True)
def fft2(x: Tensors) -> tuple[Tensor, Tensor]:
    """Discrete Fourier transform along the last two axes. Arguments and result as in `fft`.

    Example:
        >>> from unidl import ops
        >>> real, imag = ops.fft2(([[1.0, 2.0], [2.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]))
        >>> print(ops.convert_to_numpy(real))
        [[ 6.  0.]
         [ 0. -2.]]
    """
    real, imag = _pair(x, 2)
    dtype = dtype_of(real)
    parts = _transformed(_real(real), _real(imag))
    parts = _transformed(*(ops.swapaxes(part, -2, -1) for part in parts))
    return tuple(ops.cast(ops.swapaxes(part, -2, -1), dtype) for part in parts)  # type: ignore[return-value]


@composite(floating=True)
def ifft2(x: Tensors) -> tuple[Tensor, Tensor]:
    """Inverse of `fft2`.

    Example:
        >>> from unidl import ops
        >>> real, imag = ops.ifft2(ops.fft2(([[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]])))
        >>> print(ops.convert_to_numpy(ops.round(real)))
        [[1. 2.]
         [3. 4.]]
    """
    real, imag = _pair(x, 2)
    dtype = dtype_of(real)
    # The transform of the conjugate is the conjugate of the inverse transform, but for the scale.
    parts = ops.fft2([_real(real), ops.negative(_real(imag))])
    ones = ops.stop_gradient(ops.ones_like(parts[0]))
    count = ops.sum(ones, (-2, -1), True)
    return ops.cast(ops.divide(parts[0], count), dtype), ops.cast(ops.negative(ops.divide(parts[1], count)), dtype)


def resized(x: Any, size: int) -> Any:
    """The first `size` elements along the last axis, zeros where `x` has fewer."""
    have = x.shape[-1]
    if have is None or have < size:
        more = size if have is None else size - have
        x = ops.pad(x, (*((0, 0),) * (len(x.shape) - 1), (0, more)))
    return x if x.shape[-1] == size else ops.getitem(x, (Ellipsis, slice(0, size)))


@composite(floating=True)
def rfft(x: Tensor, fft_length: int | None = None) -> tuple[Tensor, Tensor]:
    """Discrete Fourier transform of real numbers along the last axis.

    Args:
        fft_length: how many elements are transformed: `x` is cut or followed by zeros. None: all.

    Returns:
        Real and imaginary part of the frequencies from 0 to ``fft_length // 2``; the others are their conjugates.

    Example:
        >>> from unidl import ops
        >>> real, imag = ops.rfft([1.0, 2.0, 3.0, 4.0])
        >>> print(ops.convert_to_numpy(real), ops.convert_to_numpy(imag))
        [10. -2. -2.] [0. 2. 0.]
    """
    need_rank(x, "x", 1)
    dtype, real = dtype_of(x), _real(x)
    if fft_length is not None:
        real = resized(real, _length(fft_length, "fft_length"))
    require(real.shape[-1] != 0, f"no elements in shape {list(real.shape)}.")
    parts = _transformed(real, ops.zeros_like(real))
    half = ops.shape(real)[-1] // 2 + 1
    return tuple(ops.cast(ops.getitem(p, (Ellipsis, slice(0, half))), dtype) for p in parts)  # type: ignore[return-value]


@composite(floating=True)
def irfft(x: Tensors, fft_length: int | None = None) -> Tensor:
    """Inverse of `rfft`.

    Args:
        x: a pair of tensors of one shape: real and imaginary part of the frequencies from 0 on.
        fft_length: size of the result's last dimension; the frequencies are cut or followed by zeros to
            ``fft_length // 2 + 1``. None: ``2 * (x[0].shape[-1] - 1)``. Give it where it is odd.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.irfft(([10.0, -2.0, -2.0], [0.0, 2.0, 0.0]))))
        [1. 2. 3. 4.]
    """
    real, imag = _pair(x, 1)
    dtype = dtype_of(real)
    real, imag = _real(real), _real(imag)
    if fft_length is None:
        require(real.shape[-1] != 1, f"`fft_length` is needed for one frequency; shape {list(real.shape)}.")
        odd = 0
    else:
        size = _length(fft_length, "fft_length")
        real, imag = resized(real, size // 2 + 1), resized(imag, size // 2 + 1)
        odd = size % 2
    # Frequency n - k is the conjugate of frequency k. Of the first one, and the last one if n is even, the
    # imaginary part would make the result complex; it is left out.
    end = None if odd else -1
    upper = [ops.flip(ops.getitem(p, (Ellipsis, slice(1, end))), -1) for p in (real, imag)]
    whole = ops.concatenate([real, upper[0]], -1)
    result = _transformed(whole, ops.concatenate([ops.negative(imag), upper[1]], -1))[0]
    count = ops.sum(ops.stop_gradient(ops.ones_like(whole)), -1, True)
    return ops.cast(ops.divide(result, count), dtype)


# -- frames ----------------------------------------------------------------------------------------


@composite
def extract_sequences(x: Tensor, sequence_length: int, sequence_stride: int) -> Tensor:
    """Windows of `sequence_length` along the last axis, one every `sequence_stride` elements.

    Returns:
        Shape ``(..., 1 + (n - sequence_length) // sequence_stride, sequence_length)``, none if n is too small.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.extract_sequences([1, 2, 3, 4, 5, 6], 3, 2)))
        [[1 2 3]
         [3 4 5]]
    """
    need_rank(x, "x", 1)
    length, stride = _length(sequence_length, "sequence_length"), _length(sequence_stride, "sequence_stride")
    n = ops.shape(x)[-1]
    if isinstance(n, int):
        places = np.arange(max(0, (n - length) // stride + 1), dtype="int32") * stride
        return ops.take(x, places[:, None] + np.arange(length, dtype="int32"), -1)
    starts = ops.multiply(ops.arange((n - length) // stride + 1), stride)
    return ops.take(x, ops.add(ops.expand_dims(starts, 1), ops.arange(length)), -1)


def _overlapped(frames: Any, stride: int) -> Any:
    """The sum of frames (..., count, length) of which each begins `stride` elements after the one before."""
    lead, (count, length) = tuple(ops.shape(frames)[:-2]), ops.shape(frames)[-2:]
    parts = -(-length // stride)
    rank = len(frames.shape)
    frames = ops.pad(frames, (*((0, 0),) * (rank - 1), (0, parts * stride - length)))
    # Part j of frame i goes to place i + j: with `parts` zeros after each column of parts, reading the
    # columns as one row and cutting it into rows shorter by one moves each part to its place.
    columns = ops.moveaxis(ops.reshape(frames, (*lead, count, parts, stride)), -2, -3)
    columns = ops.pad(columns, (*((0, 0),) * (rank - 1), (0, parts), (0, 0)))
    row = ops.reshape(columns, (*lead, parts * (count + parts), stride))
    row = ops.getitem(row, (Ellipsis, slice(0, parts * (count + parts - 1)), slice(None)))
    total = ops.sum(ops.reshape(row, (*lead, parts, count + parts - 1, stride)), -3)
    flat = ops.reshape(total, (*lead, (count + parts - 1) * stride))
    return ops.getitem(flat, (Ellipsis, slice(0, (count - 1) * stride + length)))


def _window(window: Any, length: int, fft_length: int, dtype: str) -> Any:
    """The window with zeros on both sides up to `fft_length`."""
    before = (fft_length - length) // 2
    if isinstance(window, str):
        require(window in ("hann", "hamming"), f"`window` must be 'hann', 'hamming', a tensor or None, not {window!r}.")
        alpha = 0.5 if window == "hann" else 0.54
        array = alpha - (1 - alpha) * np.cos(np.arange(length) * (2 * math.pi / length))
        return np.pad(array, (before, fft_length - length - before)).astype(dtype)
    if window is None:
        return np.ones(fft_length, dtype)
    shape = tuple(window.shape)
    require(len(shape) == 1 and shape[0] in (length, None), f"`window` has shape {list(shape)}, not [{length}].")
    return ops.pad(ops.cast(window, dtype), ((before, fft_length - length - before),))


def _sizes(sequence_length: Any, sequence_stride: Any, fft_length: Any) -> tuple[int, int, int]:
    length, stride = _length(sequence_length, "sequence_length"), _length(sequence_stride, "sequence_stride")
    if fft_length is None:
        return length, stride, 1 << (length - 1).bit_length()
    size = _length(fft_length, "fft_length")
    require(size >= length, f"`fft_length` {size} is less than `sequence_length` {length}.")
    return length, stride, size


@composite(promote="x", floating=True, name="stft")
def _stft(
    x: Tensor, sequence_length: int, sequence_stride: int, fft_length: int | None, window: Any, center: bool
) -> tuple[Tensor, Tensor]:
    """Fourier transform of windows over a sequence: what `ops.stft` calls."""
    length, stride, size = _sizes(sequence_length, sequence_stride, fft_length)
    need_rank(x, "x", 1)
    dtype, x = dtype_of(x), _real(x)
    shape = _window(window, length, size, dtype_of(x))
    if center:
        x = ops.pad(x, (*((0, 0),) * (len(x.shape) - 1), (size // 2, size // 2)), "reflect")
    parts = ops.rfft(ops.multiply(ops.extract_sequences(x, size, stride), shape))
    return tuple(ops.cast(part, dtype) for part in parts)  # type: ignore[return-value]


def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[Any, Any]:
    """Fourier transforms of windows over the last axis.

    Args:
        sequence_length: elements of a window.
        sequence_stride: elements from one window to the next.
        fft_length: elements that are transformed: the window has zeros on both sides up to this. None: the
            smallest power of 2 that is not less than `sequence_length`.
        window: "hann", "hamming", a tensor of `sequence_length` factors, or None for no factors.
        center: whether `x` is reflected at both ends, so that window t has element ``t * sequence_stride`` in its
            middle. Otherwise it begins there.

    Returns:
        Real and imaginary part (..., number of windows, fft_length // 2 + 1).

    Example:
        >>> from unidl import ops
        >>> real, imag = ops.stft([1.0, 2.0, 3.0, 4.0], 2, 2, 2, window=None, center=False)
        >>> print(ops.convert_to_numpy(real))
        [[ 3. -1.]
         [ 7. -1.]]
    """
    return _stft(x, sequence_length, sequence_stride, fft_length, window, center)


@composite(promote="x", floating=True, name="istft")
def _istft(
    x: Tensors,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None,
    window: Any,
    center: bool,
) -> Tensor:
    """The sequence of which `x` are the transforms: what `ops.istft` calls."""
    width, stride, size = _sizes(sequence_length, sequence_stride, fft_length)
    real, imag = _pair(x, 2)
    dtype = dtype_of(real)
    frames = ops.irfft([_real(real), _real(imag)], size)
    shape = _window(window, width, size, dtype_of(frames))
    # The sequence was multiplied by the window once and is once more, so it is divided by the windows' squares.
    total = _overlapped(ops.multiply(frames, shape), stride)
    count = ops.shape(real)[-2]
    weight = _overlapped(ops.broadcast_to(ops.square(shape), (count, size)), stride)
    enough = ops.greater(weight, 1e-10)
    total = ops.multiply(total, ops.where(enough, ops.divide(1.0, ops.where(enough, weight, 1.0)), 1.0))
    first = size // 2 if center else 0
    if length is not None:
        total = resized(ops.getitem(total, (Ellipsis, slice(first, None))), _length(length, "length"))
    elif first:
        total = ops.getitem(total, (Ellipsis, slice(first, -first)))
    return ops.cast(total, dtype)


def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """Inverse of `stft`, given the same arguments: windows are added up and divided by the sum of their squares.

    Args:
        x: a pair of tensors of one shape, real and imaginary part.
        length: elements of the result, which is cut or followed by zeros. None: all that the windows reach, with
            `center` without ``fft_length // 2`` on both sides.

    Example:
        >>> from unidl import ops
        >>> parts = ops.stft([1.0, 2.0, 3.0, 4.0], 2, 2, 2, window=None, center=False)
        >>> print(ops.convert_to_numpy(ops.istft(parts, 2, 2, 2, window=None, center=False)))
        [1. 2. 3. 4.]
    """
    return _istft(x, sequence_length, sequence_stride, fft_length, length, window, center)


__all__ = ["fft", "fft2", "ifft2", "rfft", "irfft", "extract_sequences", "stft", "istft"]
