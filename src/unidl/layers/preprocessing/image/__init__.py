"""Image layers: sizes, random changes for training, and mixtures of images.

Each family is a module, which lists its names in `__all__`.
"""

from __future__ import annotations

from unidl.layers.preprocessing.image.blurring import *
from unidl.layers.preprocessing.image.boxes import *
from unidl.layers.preprocessing.image.color import *
from unidl.layers.preprocessing.image.equalization import *
from unidl.layers.preprocessing.image.erasing import *
from unidl.layers.preprocessing.image.geometry import *
from unidl.layers.preprocessing.image.mixing import *
from unidl.layers.preprocessing.image.policies import *
from unidl.layers.preprocessing.image.sizes import *
from unidl.layers.preprocessing.image.tones import *
from unidl.layers.preprocessing.image.warping import *

__all__ = sorted(
    name for name, value in globals().items() if getattr(value, "__module__", "").startswith("unidl.layers.")
)
