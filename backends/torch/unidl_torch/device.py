"""Where new tensors are put."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator

import torch


class _Chosen(threading.local):
    """The device of the innermost `on_device` of this thread; None outside."""

    device: torch.device | None = None


_chosen = _Chosen()


@functools.cache
def _first_device() -> torch.device:
    asked = os.environ.get("UNIDL_TORCH_DEVICE")
    if asked:
        return torch.device(asked)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_device() -> torch.device:
    """The first GPU if there is one, else the CPU; ``UNIDL_TORCH_DEVICE`` names another, `on_device` for a while."""
    return _chosen.device or _first_device()


@contextlib.contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Put new tensors on `device`, those that PyTorch's own functions make included."""
    outer, _chosen.device = _chosen.device, device
    try:
        with device:
            yield
    finally:
        _chosen.device = outer
