"""Layers that act only in training: dropout and noise; and a penalty on activity."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import require_rank
from unidl.ops.random import random_dropout, random_normal, random_uniform

__all__ = [
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D",
]  # fmt: skip


def checked_rate(layer: str, rate: Any, name: str = "rate") -> float:
    """`rate` as a float from 0 to 1."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"{layer}: `{name}` must be a number from 0 to 1, not {rate!r}.")
    return float(rate)


def checked_noise_shape(layer: str, noise_shape: Any) -> tuple[int | None, ...] | None:
    """`noise_shape` as a tuple of positive ints and None."""
    if noise_shape is None:
        return None
    sizes = tuple(noise_shape) if isinstance(noise_shape, (tuple, list)) else ("",)
    if not all(d is None or (isinstance(d, int) and not isinstance(d, bool) and d > 0) for d in sizes):
        raise ValueError(
            f"{layer}: `noise_shape` must be a tuple of positive integers, or None where the input's size is meant, "
            f"not {noise_shape!r}."
        )
    return sizes


def _noise_sizes(x: Any, noise_shape: Any) -> tuple[Any, ...]:
    """The shape of what is drawn for `x`."""
    sizes = ops.shape(x)
    if noise_shape is None:
        return tuple(sizes)
    return tuple(have if want is None else want for have, want in zip(sizes, noise_shape, strict=True))


def drop(x: Any, rate: float, generator: Any, noise_shape: Any = None) -> Any:
    """`x` with elements set to 0 with probability `rate`, the others divided by ``1 - rate``.

    Args:
        noise_shape: where it has 1, elements along that axis are kept or dropped together; None
            elsewhere stands for the size of `x`.
    """
    if rate == 0:
        return x
    if rate == 1:
        return ops.zeros_like(x)
    if noise_shape is None:
        return random_dropout(x, rate, generator)
    keep = ops.greater_equal(random_uniform(_noise_sizes(x, noise_shape), None, generator), rate)
    return ops.where(keep, ops.multiply(x, 1.0 / (1.0 - rate)), ops.zeros_like(x))


class _Noise(Layer):
    """What layers share that draw for each element with a `rate`, in training only.

    Args:
        noise_shape: shape of what is drawn, 1 where elements share their fate; None: all apart.
        seed: an int for a stream of its own; None: from the global seed.
    """

    _stateless = True

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any) -> None:
        from unidl.random import SeedGenerator

        super().__init__(**kwargs)
        self.rate = checked_rate(type(self).__name__, rate)
        self.noise_shape = checked_noise_shape(type(self).__name__, noise_shape)
        self.seed = seed
        # What never draws has no state.
        self.seed_generator = SeedGenerator(seed) if self.rate > 0 else None
        self.supports_masking = True

    def _check_shape(self, input_shape: Any) -> None:
        if self.noise_shape is not None:
            require_rank(input_shape, len(self.noise_shape), f"(as many as its `noise_shape` {self.noise_shape})")


class Dropout(_Noise):
    """In training, sets elements to 0 with probability `rate` and divides the others by ``1 - rate``.

    (Srivastava et al., JMLR 15, 2014.)

    Args:
        noise_shape: shape of what is drawn, 1 where elements share their fate; None: all apart.
        seed: an int for a stream of its own; None: from the global seed.
    """

    def call(self, inputs: Any, training: Any = False) -> Any:
        return drop(inputs, self.rate, self.seed_generator, self.noise_shape) if training else inputs


class AlphaDropout(_Noise):
    """Dropout that leaves mean 0 and variance 1 as they are, for nets of `selu` (Klambauer et al., arXiv:1706.02515).

    In training, elements are set to the least value of selu with probability `rate`; the result is scaled and moved.

    Args:
        noise_shape: shape of what is drawn, 1 where elements share their fate; None: all apart.
        seed: an int for a stream of its own; None: from the global seed.
    """

    #: The limit of selu at minus infinity.
    least = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            return ops.zeros_like(inputs)
        rate, least = self.rate, self.least
        keep = ops.greater_equal(
            random_uniform(_noise_sizes(inputs, self.noise_shape), None, self.seed_generator), rate
        )
        scale = ((1 - rate) * (1 + rate * least**2)) ** -0.5
        return ops.where(keep, ops.add(ops.multiply(inputs, scale), -scale * least * rate), scale * least * (1 - rate))


class _SpatialDropout(Dropout):
    """Dropout of whole feature maps."""

    spatial = 1

    def __init__(self, rate: float, data_format: str | None, seed: Any, name: Any, dtype: Any, kwargs: Any) -> None:
        from unidl.config import checked_data_format

        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = checked_data_format(data_format)
        ones = (1,) * self.spatial
        self.noise_shape = (None, *ones, None) if self.data_format == "channels_last" else (None, None, *ones)
        self.input_spec = InputSpec(ndim=self.spatial + 2)


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of (batch, time, channels) (Tompson et al., arXiv:1411.4280)."""

    def __init__(self, rate: float, seed: Any = None, name: Any = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(rate, "channels_last", seed, name, dtype, kwargs)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images (Tompson et al., arXiv:1411.4280)."""

    spatial = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Any = None,
        name: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, data_format, seed, name, dtype, kwargs)


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of volumes (Tompson et al., arXiv:1411.4280)."""

    spatial = 3

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Any = None,
        name: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, data_format, seed, name, dtype, kwargs)


class GaussianNoise(Layer):
    """In training, adds normal noise of standard deviation `stddev`."""

    _stateless = True

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any) -> None:
        from unidl.random import SeedGenerator

        super().__init__(**kwargs)
        if not stddev >= 0:
            raise ValueError(f"GaussianNoise: `stddev` must be at least 0, not {stddev!r}.")
        self.stddev = float(stddev)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed) if self.stddev > 0 else None
        self.supports_masking = True

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        noise = random_normal(ops.shape(inputs), self.compute_dtype, self.seed_generator)
        return ops.add(inputs, ops.multiply(noise, self.stddev))


class GaussianDropout(_Noise):
    """In training, multiplies by normal noise of mean 1 and variance ``rate / (1 - rate)``."""

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(rate, None, seed, **kwargs)
        if self.rate == 1:
            raise ValueError("GaussianDropout: `rate` must be below 1.")

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        noise = random_normal(ops.shape(inputs), self.compute_dtype, self.seed_generator)
        return ops.multiply(inputs, ops.add(ops.multiply(noise, math.sqrt(self.rate / (1 - self.rate))), 1.0))


class ActivityRegularization(Layer):
    """The inputs, with ``l1 * sum(|x|) + l2 * sum(x ** 2)`` added to the loss."""

    _stateless = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        from unidl.regularizers import L1L2

        super().__init__(activity_regularizer=L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs
