"""Where new tensors are put."""

from __future__ import annotations

import functools
import os

import torch


@functools.cache
def default_device() -> torch.device:
    """The first GPU if there is one, else the CPU; ``UNIDL_TORCH_DEVICE`` names another."""
    asked = os.environ.get("UNIDL_TORCH_DEVICE")
    if asked:
        return torch.device(asked)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
