"""Layers that act only in training: dropout and noise; and a penalty on activity."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.layers._base import Layer
from unidl.layers._common import require_rank
from unidl.ops.random import random_dropout, random_normal, random_uniform

__all__ = [
    "ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D",
]  # fmt: skip


def checked_rate(layer: str, rate: Any, name: str = "rate") -> float:
    """`rate` as a float from 0 to 1."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"{layer}: `{name}` must be a number from 0 to 1, not {rate!r}.")
    return float(rate)


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
    sizes = tuple(have if want is None else want for have, want in zip(ops.shape(x), noise_shape, strict=True))
    keep = ops.greater_equal(random_uniform(sizes, None, generator), rate)
    return ops.where(keep, ops.multiply(x, 1.0 / (1.0 - rate)), ops.zeros_like(x))


class Dropout(Layer):
    """In training, sets elements to 0 with probability `rate` and divides the others by ``1 - rate``.

    (Srivastava et al., JMLR 15, 2014.)

    Args:
        noise_shape: shape of what is drawn, 1 where elements share their fate; None: all apart.
        seed: an int for a stream of its own; None: from the global seed.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any) -> None:
        from unidl.random import SeedGenerator

        super().__init__(**kwargs)
        self.rate = checked_rate(type(self).__name__, rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if self.noise_shape is not None:
            require_rank(input_shape, len(self.noise_shape), f"(as many as its `noise_shape` {self.noise_shape})")

    def call(self, inputs: Any, training: Any = False) -> Any:
        return drop(inputs, self.rate, self.seed_generator, self.noise_shape) if training else inputs


class _SpatialDropout(Dropout):
    """Dropout of whole feature maps."""

    spatial = 1

    def __init__(self, rate: float, data_format: str | None, seed: Any, name: Any, dtype: Any, kwargs: Any) -> None:
        from unidl.config import checked_data_format

        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = checked_data_format(data_format)
        ones = (1,) * self.spatial
        self.noise_shape = (None, *ones, None) if self.data_format == "channels_last" else (None, None, *ones)

    def build(self, input_shape: Any) -> None:
        require_rank(input_shape, self.spatial + 2, f"(batch, {self.spatial} spatial, channels)")


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

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any) -> None:
        from unidl.random import SeedGenerator

        super().__init__(**kwargs)
        if not stddev >= 0:
            raise ValueError(f"GaussianNoise: `stddev` must be at least 0, not {stddev!r}.")
        self.stddev = float(stddev)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        noise = random_normal(ops.shape(inputs), self.compute_dtype, self.seed_generator)
        return ops.add(inputs, ops.multiply(noise, self.stddev))


class GaussianDropout(Layer):
    """In training, multiplies by normal noise of mean 1 and variance ``rate / (1 - rate)``."""

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any) -> None:
        from unidl.random import SeedGenerator

        super().__init__(**kwargs)
        self.rate = checked_rate("GaussianDropout", rate)
        if self.rate == 1:
            raise ValueError("GaussianDropout: `rate` must be below 1.")
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: Any, training: Any = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        noise = random_normal(ops.shape(inputs), self.compute_dtype, self.seed_generator)
        return ops.multiply(inputs, ops.add(ops.multiply(noise, math.sqrt(self.rate / (1 - self.rate))), 1.0))


class ActivityRegularization(Layer):
    """The inputs, with ``l1 * sum(|x|) + l2 * sum(x ** 2)`` added to the loss."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        from unidl.regularizers import L1L2

        super().__init__(activity_regularizer=L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs
