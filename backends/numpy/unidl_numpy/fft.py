"""Fourier transforms, in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl_numpy.kernel import kernels


def _joined(x: Any) -> np.ndarray:
    if x[0].shape != x[1].shape or x[0].dtype.kind == "c":
        raise ValueError("two real arrays of one shape are expected")
    return x[0].astype("float64") + 1j * x[1].astype("float64")


def _parts(result: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    return result.real.astype(dtype), result.imag.astype(dtype)


def fft(x: Any) -> Any:
    return _parts(np.fft.fft(_joined(x)), x[0].dtype)


def fft2(x: Any) -> Any:
    return _parts(np.fft.fft2(_joined(x)), x[0].dtype)


def ifft2(x: Any) -> Any:
    return _parts(np.fft.ifft2(_joined(x)), x[0].dtype)


def rfft(x: np.ndarray, fft_length: int | None = None) -> Any:
    if x.dtype.kind == "c":
        raise ValueError("a real array is expected")
    return _parts(np.fft.rfft(x.astype("float64"), fft_length), x.dtype)


def irfft(x: Any, fft_length: int | None = None) -> Any:
    return np.fft.irfft(_joined(x), fft_length).astype(x[0].dtype)


TABLE: dict[str, Any] = kernels({"fft": fft, "fft2": fft2, "ifft2": ifft2, "rfft": rfft, "irfft": irfft})
