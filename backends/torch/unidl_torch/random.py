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


TABLE: dict[str, Any] = {"random_uniform": random_uniform, "random_normal": random_normal}
