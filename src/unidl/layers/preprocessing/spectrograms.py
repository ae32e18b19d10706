"""Spectrograms of sound."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from unidl import initializers, ops
from unidl.config import checked_data_format, epsilon
from unidl.graph.symbolic import SymbolicTensor
from unidl.layers._base import InputSpec, Layer
from unidl.layers.preprocessing._host import DataLayer

__all__ = ["MelSpectrogram", "STFTSpectrogram"]

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class MelSpectrogram(DataLayer):
    """The energies of sound in bands of the mel scale over time.

    (batch, samples) or (samples,) to (batch, num_mel_bins, frames) or (num_mel_bins, frames). The mel scale is HTK's,
    ``2595 * log10(1 + f / 700)``; bands are triangles with peaks of 1.

    Args:
        fft_length: size of the Fourier transforms.
        sequence_stride: samples from one frame to the next.
        sequence_length: samples in a frame; None: `fft_length`.
        window: "hann", "hamming", or an array.
        sampling_rate: samples per second.
        num_mel_bins: how many bands, between `min_freq` and `max_freq` (None: half the sampling rate).
        power_to_db: whether to put out decibels, relative to `ref_power`, at most `top_db` below the loudest.
        mag_exp: the power of the magnitudes, 2 for energy.
        min_power: least power, before decibels are taken.
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fft_length, self.sequence_stride = fft_length, sequence_stride
        self.sequence_length = sequence_length or fft_length
        if fft_length < self.sequence_length:
            raise ValueError(
                f"MelSpectrogram: `fft_length` must be at least `sequence_length`, but they are {fft_length} and "
                f"{self.sequence_length}."
            )
        self.window, self.sampling_rate, self.num_mel_bins = window, sampling_rate, num_mel_bins
        self.min_freq, self.max_freq = min_freq, max_freq or sampling_rate // 2
        self.power_to_db, self.top_db, self.mag_exp = power_to_db, top_db, mag_exp
        self.min_power, self.ref_power = min_power, ref_power
        bins = fft_length // 2 + 1
        self._bands = self.linear_to_mel_weight_matrix(num_mel_bins, bins, sampling_rate, min_freq, self.max_freq)

    def call(self, inputs: Any) -> Any:
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        real, imag = ops.stft(
            ops.cast(inputs, dtype), self.sequence_length, self.sequence_stride, self.fft_length, self.window, True
        )
        power = ops.add(ops.square(real), ops.square(imag))
        if self.mag_exp != 2:
            power = ops.power(power, self.mag_exp / 2)
        bands = ops.matmul(power, ops.cast(self._bands, dtype))
        if self.power_to_db:
            reference = 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
            bands = ops.subtract(ops.multiply(ops.log10(ops.maximum(bands, self.min_power)), 10.0), reference)
            bands = ops.maximum(bands, ops.subtract(ops.max(bands), self.top_db))
        return ops.cast(ops.swapaxes(bands, -1, -2), self.compute_dtype)

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins: int = 20,
        num_spectrogram_bins: int = 129,
        sampling_rate: float = 8000,
        lower_edge_hertz: float = 125.0,
        upper_edge_hertz: float = 3800.0,
        dtype: str = "float32",
    ) -> np.ndarray:
        """The weight of each frequency of a spectrum in each band of the mel scale: (frequencies, bands)."""

        def mel(hertz: Any) -> Any:
            return 1127.0 * np.log(1.0 + np.asarray(hertz, np.float64) / 700.0)

        frequencies = mel(np.linspace(0.0, sampling_rate / 2, num_spectrogram_bins))[:, None]
        edges = np.linspace(mel(lower_edge_hertz), mel(upper_edge_hertz), num_mel_bins + 2)
        low, centre, high = edges[:-2], edges[1:-1], edges[2:]
        weights = np.minimum((frequencies - low) / (centre - low), (high - frequencies) / (high - centre))
        weights[0] = 0.0  # the constant part of the signal belongs to no band
        return np.maximum(weights, 0.0).astype(dtype)


class STFTSpectrogram(Layer):
    """Short-time Fourier transforms by convolution, whose kernels can be trained.

    Channels last: (batch, samples, channels) to (batch, frames, channels * frequencies), or to (batch, frames,
    frequencies, channels) with `expand_dims`. Channels first: (batch, channels, samples) to (batch, channels *
    frequencies, frames), or to (batch, channels, frames, frequencies). There are ``fft_length // 2 + 1`` frequencies,
    twice as many in mode "stft".

    Args:
        mode: "log" (of the magnitude), "magnitude", "psd" (power spectral density), "real", "imag", "angle", or "stft",
            real parts followed by imaginary ones.
        frame_length: samples in a frame.
        frame_step: samples from one frame to the next; None: half a frame.
        fft_length: size of the Fourier transform; None: the next power of 2.
        window, periodic, scaling: as in `initializers.STFT`.
        padding: "valid" or "same".
        expand_dims: whether channels have an axis of their own.
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if frame_step is not None and not 1 <= frame_step <= frame_length:
            raise ValueError(f"STFTSpectrogram: `frame_step` must be from 1 to {frame_length}, not {frame_step}.")
        if fft_length is not None and fft_length < frame_length:
            raise ValueError(f"STFTSpectrogram: `fft_length` {fft_length} is less than `frame_length` {frame_length}.")
        if fft_length is not None and fft_length & (fft_length - 1):
            warnings.warn(f"STFTSpectrogram: `fft_length` {fft_length} is no power of two.", stacklevel=2)
        for name, value, allowed in (
            ("mode", mode, _MODES),
            ("scaling", scaling, ("density", "spectrum", None)),
            ("padding", padding, ("valid", "same")),
        ):
            if value not in allowed:
                raise ValueError(f"STFTSpectrogram: `{name}` must be one of {allowed}, not {value!r}.")
        self.mode, self.frame_length, self.frame_step, self.fft_length = mode, frame_length, frame_step, fft_length
        self._step = frame_step or max(1, frame_length // 2)
        self._size = fft_length or 2 ** math.ceil(math.log2(frame_length))
        self.window, self.periodic, self.scaling, self.padding = window, periodic, scaling, padding
        self.expand_dims, self.data_format = expand_dims, checked_data_format(data_format)
        self.input_spec = InputSpec(ndim=3)
        self._initializers = {
            side: initializers.STFT(side, window, scaling, periodic)
            for side, other in (("real", "imag"), ("imag", "real"))
            if mode != other
        }

    def build(self, input_shape: Any) -> None:
        shape = (self.frame_length, 1, self._size // 2 + 1)
        self.real_kernel = self.imag_kernel = None
        for side, initializer in self._initializers.items():
            setattr(self, f"{side}_kernel", self.add_weight(shape, initializer, name=f"{side}_kernel"))

    def call(self, inputs: Any) -> Any:
        dtype = inputs.dtype if type(inputs) is SymbolicTensor else ops.dtype(inputs)
        if dtype not in ("float16", "bfloat16", "float32", "float64"):
            raise TypeError(f"Layer {self.path!r} takes floats, not {dtype}.")
        if self.data_format == "channels_last":
            inputs = ops.transpose(inputs, (0, 2, 1))
        sizes = ops.shape(inputs)
        flat = ops.reshape(inputs, (-1, sizes[2], 1))

        def part(kernel: Any) -> Any:
            """(batch, channels, frames, frequencies)"""
            out = ops.conv(flat, kernel, self._step, self.padding, "channels_last")
            return ops.reshape(out, (-1, sizes[1], *ops.shape(out)[1:]))

        real = None if self.real_kernel is None else part(self.real_kernel)
        imag = None if self.imag_kernel is None else part(self.imag_kernel)
        return self._arranged(self._result(real, imag))

    def _result(self, real: Any, imag: Any) -> Any:
        mode = self.mode
        if mode in ("real", "imag"):
            return real if imag is None else imag
        if mode == "angle":
            return ops.arctan2(imag, real)
        if mode == "stft":
            return ops.concatenate([real, imag], -1)
        power = ops.add(ops.square(real), ops.square(imag))
        if mode == "psd":  # frequencies between the first and the last stand for negative ones as well
            twice = np.ones(self._size // 2 + 1, "float32")
            twice[1:-1] = 2.0
            return ops.multiply(power, ops.cast(twice, self.compute_dtype))
        magnitude = ops.sqrt(ops.maximum(power, epsilon()))
        return magnitude if mode == "magnitude" else ops.log(ops.maximum(magnitude, epsilon()))

    def _arranged(self, x: Any) -> Any:
        first = self.data_format == "channels_first"
        if self.expand_dims:
            return x if first else ops.transpose(x, (0, 2, 3, 1))
        sizes = ops.shape(x)
        if first:
            return ops.reshape(ops.transpose(x, (0, 1, 3, 2)), (-1, sizes[1] * sizes[3], sizes[2]))
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, sizes[2], sizes[1] * sizes[3]))
