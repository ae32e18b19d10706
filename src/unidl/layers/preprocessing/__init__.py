"""Preprocessing layers: numbers, categories, text, audio.

Each family is a module, which lists its names in `__all__`.
"""

from __future__ import annotations

from unidl.layers.preprocessing.rescaling import *

__all__ = sorted(
    name for name, value in globals().items() if getattr(value, "__module__", "").startswith("unidl.layers.")
)
