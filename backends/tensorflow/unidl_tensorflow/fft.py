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
    if fft_length == 1 or (fft_length is None and x.shape[-1] == 1):  # TensorFlow's derivative is wrong here
        return x[..., :1], tf.zeros_like(x[..., :1])
    return _parts(tf.signal.rfft(x, None if fft_length is None else [fft_length]))


def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    if fft_length == 1:
        return tf.math.real(_joined(x)[..., :1])
    return tf.signal.irfft(_joined(x), None if fft_length is None else [fft_length])


TABLE: dict[str, Any] = {"fft": fft, "fft2": fft2, "ifft2": ifft2, "rfft": rfft, "irfft": irfft}
