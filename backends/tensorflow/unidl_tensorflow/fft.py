"""Fourier transforms."""

from __future__ import annotations

from typing import Any

from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


def _joined(x: Any) -> Tensor:
    if not x[0].shape.is_compatible_with(x[1].shape):
        raise ValueError("two tensors of one shape are expected")
    return tf.complex(*x)


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    return tf.math.real(x), tf.math.imag(x)


def fft(x: Any) -> Any:
    return _parts(tf.signal.fft(_joined(x)))


def fft2(x: Any) -> Any:
    return _parts(tf.signal.fft2d(_joined(x)))


def ifft2(x: Any) -> Any:
    return _parts(tf.signal.ifft2d(_joined(x)))


def rfft(x: Tensor, fft_length: int | None = None) -> Any:
    from unidl.ops.fft import resized

    if x.dtype.is_complex:
        raise TypeError("a real tensor is expected")
    # TensorFlow's derivative is wrong where it cuts or fills up itself, and for one element.
    x = x if fft_length is None else resized(x, fft_length)
    return (x, tf.zeros_like(x)) if x.shape[-1] == 1 else _parts(tf.signal.rfft(x))


def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    from unidl.ops.fft import resized

    if fft_length is None:
        return tf.signal.irfft(_joined(x))
    joined = resized(_joined(x), fft_length // 2 + 1)
    return tf.math.real(joined) if fft_length == 1 else tf.signal.irfft(joined, [fft_length])


TABLE: dict[str, Any] = {"fft": fft, "fft2": fft2, "ifft2": ifft2, "rfft": rfft, "irfft": irfft}
