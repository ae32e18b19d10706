"""Random numbers from PyTorch's own generators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unidl.dtypes import floatx
from unidl_torch.device import default_device
from unidl_torch.dtypes import DTYPES


def random_uniform(shape: Any, dtype: str | None = None, generator: Any = None) -> Tensor:
    return torch.rand(shape, dtype=DTYPES[dtype or floatx()], device=default_device())


def random_normal(shape: Any, dtype: str | None = None, generator: Any = None) -> Tensor:
    return torch.randn(shape, dtype=DTYPES[dtype or floatx()], device=default_device())


def random_gamma(shape: Any, alpha: Tensor, dtype: str | None = None, generator: Any = None) -> Tensor:
    target = DTYPES[dtype or floatx()]
    wide = torch.float64 if target is torch.float64 else torch.float32
    return torch._standard_gamma(_spread(alpha.to(wide), shape)).to(target)


def random_binomial(
    shape: Any, counts: Tensor, probabilities: Tensor, dtype: str | None = None, generator: Any = None
) -> Tensor:
    target = DTYPES[dtype or floatx()]
    wide = torch.float64 if target is torch.float64 else torch.float32
    counts, probabilities = _spread(counts.to(wide), shape), _spread(probabilities.to(wide), shape)
    return torch.binomial(counts, probabilities).to(target)


def _spread(x: Tensor, shape: Any) -> Tensor:
    return x.detach().expand((shape,) if isinstance(shape, int) else tuple(shape)).contiguous()


TABLE: dict[str, Any] = {
    "random_uniform": random_uniform,
    "random_normal": random_normal,
    "random_gamma": random_gamma,
    "random_binomial": random_binomial,
}
