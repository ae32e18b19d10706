"""The active backend and Keras's `backend` functions."""

from __future__ import annotations

import importlib
from typing import Any

from unidl import _seed
from unidl._select import select
from unidl.backend.contract import Backend
from unidl.config import epsilon, image_data_format, set_epsilon, set_image_data_format
from unidl.dtypes import FLOATS, INTEGERS, floatx, result_dtype, set_floatx
from unidl.dtypes import dtype_name as standardize_dtype

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


def is_float_dtype(dtype: Any) -> bool:
    """Whether `dtype` (a name, or the dtype of a tensor) is a float dtype.

    Example:
        >>> import unidl
        >>> unidl.backend.is_float_dtype("bfloat16"), unidl.backend.is_float_dtype("int8")
        (True, False)
    """
    return standardize_dtype(dtype) in FLOATS


def is_int_dtype(dtype: Any) -> bool:
    """Whether `dtype` (a name, or the dtype of a tensor) is an integer dtype; bool is none."""
    return standardize_dtype(dtype) in INTEGERS


#: What tests written for Keras ask before they use such tensors: unidl's are dense.
SUPPORTS_SPARSE_TENSORS = SUPPORTS_RAGGED_TENSORS = False

_uids: dict[str, int] = {}


def get_uid(prefix: str = "") -> int:
    """How many times this `prefix` has been asked for, 1 the first time; `clear_session` starts afresh.

    Example:
        >>> import unidl
        >>> unidl.backend.get_uid("block"), unidl.backend.get_uid("block")
        (1, 2)
    """
    _uids[prefix] = count = _uids.get(prefix, 0) + 1
    return count


def __getattr__(name: str) -> Any:
    if name in ("clear_session", "is_keras_tensor"):  # they are made of layers, which are made of this
        from unidl.utils import _symbolic

        return getattr(_symbolic, name)
    if name == "random":
        return importlib.import_module("unidl.random")
    if not name.startswith("_"):  # scripts for Keras 2 call ops here: ``K.mean(x)``
        found = getattr(importlib.import_module("unidl.ops"), name, None)
        if callable(found):
            return found
    raise AttributeError(f"module 'unidl.backend' has no attribute {name!r}")


__all__ = [
    "Backend", "active", "backend", "choice", "clear_session", "epsilon", "floatx", "get_uid", "image_data_format",
    "is_float_dtype", "is_int_dtype", "is_keras_tensor", "result_type", "set_epsilon", "set_floatx",
    "set_image_data_format", "standardize_dtype",
]  # fmt: skip
