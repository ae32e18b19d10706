"""Kernels of a convolution that computes the short-time Fourier transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.initializers._base import Initializer

#: Coefficients of windows that are sums of cosines: ``sum_k (-1)^k a_k cos(2 pi k i / n)``.
_COSINES = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}


def window(name: str, size: int, periodic: bool) -> np.ndarray:
    """The window `name` of `size` elements: symmetric, or one period.

    Sums of cosines, "bartlett", "cosine" and "tukey" are known here; for others SciPy is asked.

    Raises:
        ValueError: if nobody knows the name.
    """
    n = size if periodic else size - 1
    t = np.arange(size) / max(n, 1)
    if size <= 1:
        known = (*_COSINES, "bartlett", "cosine", "tukey")
        return np.ones(size) if name in known else _from_scipy(name, size, periodic)
    if name in _COSINES:
        return np.sum([(-1) ** k * a * np.cos(2 * np.pi * k * t) for k, a in enumerate(_COSINES[name])], 0)
    if name == "bartlett":
        return 1 - np.abs(2 * t - 1)
    if name == "cosine":
        return np.sin(np.pi * (np.arange(size) + 0.5) / (n + 1))
    if name == "tukey":  # flat for a half, cosines at both ends
        return 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.minimum(t, 1 - t) * 4, 1))
    return _from_scipy(name, size, periodic)


def _from_scipy(name: str, size: int, periodic: bool) -> np.ndarray:
    try:
        from scipy.signal import get_window
    except ImportError:
        known = ", ".join([*_COSINES, "bartlett", "cosine", "tukey"])
        raise ValueError(f"Unknown window {name!r}. unidl knows {known}; install SciPy for others.") from None
    return np.asarray(get_window(name, size, periodic))


class STFT(Initializer):
    """The real or imaginary part of a Fourier transform of windows, as the kernel of a convolution.

    For a kernel of shape (frame, 1, frequencies): ``w[t] * cos(-2 pi t f / (2 * (frequencies - 1)))``, or the sine.

    Args:
        side: "real" or "imag".
        window: name of a window ("hann", "hamming", …), its values, or None for none.
        scaling: divide by the window's Euclidean norm ("density"), by its sum ("spectrum"), or by nothing (None).
        periodic: whether the window is one period; otherwise it is symmetric.

    Raises:
        ValueError: for another `side` or `scaling`, or an unknown window.
    """

    def __init__(
        self, side: str = "real", window: Any = "hann", scaling: str | None = "density", periodic: bool = False
    ) -> None:
        if side not in ("real", "imag"):
            raise ValueError(f"STFT: `side` must be 'real' or 'imag', not {side!r}.")
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(f"STFT: `scaling` must be 'density', 'spectrum' or None, not {scaling!r}.")
        if isinstance(window, str):
            _window(window, 1, False)
        self.side, self.window, self.scaling, self.periodic = side, window, scaling, periodic

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) != 3:
            raise ValueError(f"STFT makes kernels of shape (frame, 1, frequencies), not {shape}.")
        frame, _, frequencies = shape
        angles = -np.pi * np.arange(frame)[:, None, None] * np.arange(frequencies) / max(frequencies - 1, 1)
        kernel = np.broadcast_to(np.cos(angles) if self.side == "real" else np.sin(angles), shape)
        if self.window is None:
            return kernel
        taper = _window(self.window, frame, self.periodic) if isinstance(self.window, str) else np.asarray(self.window)
        if taper.shape != (frame,):
            raise ValueError(f"STFT: `window` has shape {taper.shape}; the kernel's frame has {frame} elements.")
        scale = 1.0
        if self.scaling is not None:
            scale = np.sqrt(np.sum(taper**2)) if self.scaling == "density" else np.sum(np.abs(taper))
        return kernel * taper.reshape(-1, 1, 1) / scale


_window = window  # the constructor has an argument of that name
