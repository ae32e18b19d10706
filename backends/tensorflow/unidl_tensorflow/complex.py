"""Complex numbers."""

from __future__ import annotations

from typing import Any

from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


def view_as_complex(x: Tensor) -> Tensor:
    return tf.complex(x[..., 0], x[..., 1])


def view_as_real(x: Tensor) -> Tensor:
    return tf.stack([tf.math.real(x), tf.math.imag(x)], -1)


def real(x: Tensor) -> Tensor:
    return tf.math.real(x) if x.dtype.is_complex else tf.identity(x)


def imag(x: Tensor) -> Tensor:
    return tf.math.imag(x) if x.dtype.is_complex else tf.zeros_like(x)


def conjugate(x: Tensor) -> Tensor:
    return tf.math.conj(x) if x.dtype.is_complex else tf.identity(x)


TABLE: dict[str, Any] = {
    "view_as_complex": view_as_complex,
    "view_as_real": view_as_real,
    "real": real,
    "imag": imag,
    "conjugate": conjugate,
}
