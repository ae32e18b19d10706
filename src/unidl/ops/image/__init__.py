"""Ops on images."""

from __future__ import annotations

from unidl.ops.image.borders import *
from unidl.ops.image.color import *
from unidl.ops.image.filters import *
from unidl.ops.image.geometry import *
from unidl.ops.image.patches import *
from unidl.ops.image.resizing import *
from unidl.ops.image.sampling import *
