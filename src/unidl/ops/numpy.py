"""Ops with the names and the meaning that they have in NumPy."""

from __future__ import annotations

from unidl.ops._convert import array
from unidl.ops.arithmetic import *
from unidl.ops.bits import *
from unidl.ops.comparing import *
from unidl.ops.complex import *
from unidl.ops.creation import *
from unidl.ops.decompositions import slogdet
from unidl.ops.diagonals import *
from unidl.ops.einsum import *
from unidl.ops.exponential import *
from unidl.ops.indexing import *
from unidl.ops.joining import *
from unidl.ops.nan import *
from unidl.ops.padding import *
from unidl.ops.products import *
from unidl.ops.reduce import *
from unidl.ops.repeating import *
from unidl.ops.rounding import *
from unidl.ops.running import *
from unidl.ops.search import *
from unidl.ops.shape import *
from unidl.ops.statistics import *
from unidl.ops.tapers import *
from unidl.ops.trigonometric import *
from unidl.ops.vectorize import *
