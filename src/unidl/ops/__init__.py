"""All ops. Each is declared once in a module of this package; backends supply kernels.

Parameters that are tensors take native tensors, variables, NumPy arrays, numbers, or symbolic
tensors (then the op is recorded instead of run). Errors are `unidl.errors.OpError` (a ValueError)
and name the op, the shapes and dtypes that came, and what was expected.
"""

from __future__ import annotations

from unidl.ops import image, linalg, nn, numpy
from unidl.ops._convert import *
from unidl.ops.control import *
from unidl.ops.custom import *
from unidl.ops.decompositions import *
from unidl.ops.fft import *
from unidl.ops.linalg import *
from unidl.ops.nn import *
from unidl.ops.numpy import *
from unidl.ops.rearrange import *
from unidl.ops.scatter import *
from unidl.ops.segment import *
from unidl.ops.slicing import *
