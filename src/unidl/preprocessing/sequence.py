"""Sequences: see `unidl.utils`."""

from __future__ import annotations

from unidl.utils import pad_sequences

__all__ = ["pad_sequences"]
