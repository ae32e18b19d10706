"""Preprocessing layers: numbers, categories, text, audio, images.

Each family is a module, which lists its names in `__all__`.
"""

from __future__ import annotations

from unidl.layers.preprocessing.category_encoding import *
from unidl.layers.preprocessing.discretization import *
from unidl.layers.preprocessing.hashing import *
from unidl.layers.preprocessing.image import *
from unidl.layers.preprocessing.lookup import *
from unidl.layers.preprocessing.normalization import *
from unidl.layers.preprocessing.pipeline import *
from unidl.layers.preprocessing.rescaling import *
from unidl.layers.preprocessing.spectrograms import *
from unidl.layers.preprocessing.text_vectorization import *

__all__ = sorted(
    name for name, value in globals().items() if getattr(value, "__module__", "").startswith("unidl.layers.")
)
