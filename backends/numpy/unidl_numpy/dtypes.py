"""unidl's dtype names and NumPy's dtypes, and the precision in which sums are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.dtypes import ALL
from unidl.errors import OpError

DTYPES: dict[str, Any] = {name: np.dtype(name) for name in ALL if name != "bfloat16"}
try:
    import ml_dtypes
except ImportError:  # bfloat16 exists only with that package
    pass
else:
    DTYPES["bfloat16"] = np.dtype(ml_dtypes.bfloat16)

NAMES: dict[Any, str] = {dtype: name for name, dtype in DTYPES.items()}

#: Sums of floats are kept in the next wider one, products of 16-bit floats as well.
_SUMS = {"float16": "float32", "bfloat16": "float32", "float32": "float64"}
_PRODUCTS = {"float16": "float32", "bfloat16": "float32"}


def dtype_name(x: np.ndarray) -> str:
    """unidl's name of an array's dtype.

    Raises:
        OpError: for dtypes that are no tensor's (strings, objects, foreign byte order).
    """
    name = NAMES.get(x.dtype)
    if name is None:
        raise OpError(f"an array of NumPy dtype {x.dtype} is no tensor: tensors hold numbers and bools.")
    return name


def wide_sum(x: np.ndarray) -> Any:
    """The dtype in which elements of `x` are summed."""
    return DTYPES[_SUMS.get(NAMES[x.dtype], NAMES[x.dtype])]


def wide(x: np.ndarray) -> np.ndarray:
    """`x`, in float32 if it is of a 16-bit float dtype."""
    return x.astype(_PRODUCTS.get(NAMES[x.dtype], x.dtype), copy=False)
