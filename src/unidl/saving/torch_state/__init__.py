"""Weights from PyTorch's ``state_dict`` files: read without PyTorch, without running anything, matched by structure."""

from __future__ import annotations

from unidl.saving.torch_state._load import load
from unidl.saving.torch_state._report import Report, StateDictMismatchError

__all__ = ["Report", "StateDictMismatchError", "load"]
