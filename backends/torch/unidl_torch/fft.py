"""Fourier transforms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.real, x.imag


def fft(x: Any) -> Any:
    return _parts(torch.fft.fft(torch.complex(*x)))


def fft2(x: Any) -> Any:
    return _parts(torch.fft.fft2(torch.complex(*x)))


def ifft2(x: Any) -> Any:
    return _parts(torch.fft.ifft2(torch.complex(*x)))


def rfft(x: Tensor, fft_length: int | None = None) -> Any:
    return _parts(torch.fft.rfft(x, fft_length))


def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    return torch.fft.irfft(torch.complex(*x), fft_length)


def extract_sequences(x: Tensor, sequence_length: int, sequence_stride: int) -> Tensor:
    if x.shape[-1] < sequence_length:
        return x.new_zeros((*x.shape[:-1], 0, sequence_length))
    return x.unfold(-1, sequence_length, sequence_stride)


TABLE: dict[str, Any] = {
    "fft": fft,
    "fft2": fft2,
    "ifft2": ifft2,
    "rfft": rfft,
    "irfft": irfft,
    "extract_sequences": extract_sequences,
}
