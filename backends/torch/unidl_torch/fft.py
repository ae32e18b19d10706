"""Fourier transforms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _joined(x: Any) -> Tensor:
    if x[0].shape != x[1].shape:
        raise ValueError("two tensors of one shape are expected")
    return torch.complex(*x)


def _run(transform: Any, x: Tensor, *length: Any, dimensions: int = 1) -> Tensor:
    if x.numel():
        return transform(x, *length)
    # MKL refuses empty batches.
    one = transform(x.new_zeros(x.shape[-dimensions:]), *length)
    return one.new_zeros((*x.shape[:-dimensions], *one.shape))


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.real, x.imag


def fft(x: Any) -> Any:
    return _parts(_run(torch.fft.fft, _joined(x)))


def fft2(x: Any) -> Any:
    return _parts(_run(torch.fft.fft2, _joined(x), dimensions=2))


def ifft2(x: Any) -> Any:
    return _parts(_run(torch.fft.ifft2, _joined(x), dimensions=2))


def rfft(x: Tensor, fft_length: int | None = None) -> Any:
    return _parts(_run(torch.fft.rfft, x, fft_length))


def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    return _run(torch.fft.irfft, _joined(x), fft_length)


def extract_sequences(x: Tensor, sequence_length: int, sequence_stride: int) -> Tensor:
    if x.shape[-1] >= sequence_length:
        return x.unfold(-1, sequence_length, sequence_stride)
    none = x.new_zeros((*x.shape[:-1], sequence_length))
    return none.unfold(-1, sequence_length, sequence_stride)[..., :0, :]


TABLE: dict[str, Any] = {
    "fft": fft,
    "fft2": fft2,
    "ifft2": ifft2,
    "rfft": rfft,
    "irfft": irfft,
    "extract_sequences": extract_sequences,
}
