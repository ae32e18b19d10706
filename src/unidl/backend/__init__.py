"""The active backend and Keras's `backend` functions."""

from __future__ import annotations

from typing import Any

from unidl import _seed
from unidl._select import select
from unidl.backend.contract import Backend
from unidl.dtypes import dtype_name as standardize_dtype
from unidl.dtypes import floatx, result_dtype, set_floatx

#: The backend that this process uses, chosen when unidl was imported; `choice` says why.
active: Backend
active, choice = select()
if _seed.portable():
    from unidl._portable import make_portable

    make_portable(active)


def backend() -> str:
    """The name of the active backend."""
    return active.name


def result_type(*dtypes: Any) -> str:
    """The dtype in which values of `dtypes` (names, dtypes or tensors) meet.

    Example:
        >>> import unidl
        >>> unidl.backend.result_type("int32", "float16")
        'float16'
    """
    return result_dtype(*(standardize_dtype(getattr(d, "dtype", d)) for d in dtypes))


__all__ = ["Backend", "active", "backend", "choice", "floatx", "result_type", "set_floatx", "standardize_dtype"]
