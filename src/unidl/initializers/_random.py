"""Random initializers. Each draw is made on the host (see `unidl._draws`)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import _draws
from unidl.initializers._base import RandomInitializer

_TRUNCATED_STDDEV = 0.87962566103423978  # of the standard normal distribution cut off at 2


class RandomNormal(RandomInitializer):
    """The normal distribution."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return _draws.normal(self.stream(), shape, _host(dtype), self.mean, self.stddev)


class TruncatedNormal(RandomInitializer):
    """The normal distribution without what lies 2 standard deviations or more from the mean."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return _draws.truncated_normal(self.stream(), shape, _host(dtype), self.mean, self.stddev)


class RandomUniform(RandomInitializer):
    """The uniform distribution on [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return _draws.uniform(self.stream(), shape, _host(dtype), self.minval, self.maxval)


def compute_fans(shape: tuple[int, ...], input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """How many inputs each output of a kernel sees, and how many outputs each input reaches.

    The last two axes are inputs and outputs, those before them positions of a convolution kernel,
    unless `input_axes` and `output_axes` are both given: then the sizes of those axes count.
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    positions = math.prod(shape[:-2])
    return shape[-2] * positions, shape[-1] * positions


class VarianceScaling(RandomInitializer):
    """Variance ``scale / n``, n the number of inputs, of outputs, or their mean.

    Args:
        scale: above 0.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal", "untruncated_normal" or "uniform"; "normal" is the first.
        input_axes, output_axes: see `compute_fans`.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Any = None,
        output_axes: Any = None,
    ) -> None:
        super().__init__(seed)
        if scale <= 0:
            raise ValueError(f"VarianceScaling: Argument `scale` must be positive float: above 0, not {scale}.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"Invalid `mode` argument: {mode!r}. There are 'fan_in', 'fan_out' and 'fan_avg'.")
        distribution = {"normal": "truncated_normal"}.get(str(distribution).lower(), str(distribution).lower())
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"Invalid `distribution` argument: {distribution!r}. VarianceScaling has 'truncated_normal', "
                "'untruncated_normal' and 'uniform'."
            )
        if (input_axes is None) != (output_axes is None):
            raise ValueError("VarianceScaling: give both `input_axes` and `output_axes`, or neither.")
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def along(self, input_axes: Sequence[int], output_axes: Sequence[int]) -> VarianceScaling:
        """The same for kernels whose inputs and outputs lie along these axes, unless it was told its axes."""
        if self.input_axes is not None:
            return self
        told = copy.copy(self)  # a generator of seeds stays shared
        told.input_axes, told.output_axes = input_axes, output_axes
        return told

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, n))
        stream, host = self.stream(), _host(dtype)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return _draws.uniform(stream, shape, host, -limit, limit)
        if self.distribution == "truncated_normal":
            return _draws.truncated_normal(stream, shape, host, 0.0, stddev / _TRUNCATED_STDDEV)
        return _draws.normal(stream, shape, host, 0.0, stddev)


class GlorotUniform(VarianceScaling):
    """Uniform, variance ``2 / (fan_in + fan_out)`` (X. Glorot, Y. Bengio, AISTATS 2010)."""

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed, input_axes, output_axes)


class GlorotNormal(VarianceScaling):
    """Truncated normal, variance ``2 / (fan_in + fan_out)`` (X. Glorot, Y. Bengio, AISTATS 2010)."""

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, input_axes, output_axes)


class LecunUniform(VarianceScaling):
    """Uniform, variance ``1 / fan_in`` (Y. LeCun et al., "Efficient BackProp", 1998)."""

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed, input_axes, output_axes)


class LecunNormal(VarianceScaling):
    """Truncated normal, variance ``1 / fan_in`` (Y. LeCun et al., "Efficient BackProp", 1998)."""

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class HeUniform(VarianceScaling):
    """Uniform, variance ``2 / fan_in`` (K. He et al., ICCV 2015)."""

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed, input_axes, output_axes)


class HeNormal(VarianceScaling):
    """Truncated normal, variance ``2 / fan_in`` (K. He et al., ICCV 2015)."""

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class Orthogonal(RandomInitializer):
    """A random matrix with orthonormal rows or columns, times `gain` (A. Saxe et al., ICLR 2014).

    All axes but the last are taken together as rows. The matrix is uniformly distributed: the Q of
    a normal matrix's QR decomposition, its columns' signs set by R's diagonal
    (F. Mezzadri, Notices AMS 54, 2007).
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs a shape of at least 2 dimensions, not {shape}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(_draws.normal(self.stream(), tall, np.float64))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


def _host(dtype: str) -> Any:
    """The dtype to draw in: narrower floats are rounded from float32."""
    return np.float64 if dtype == "float64" else np.float32
