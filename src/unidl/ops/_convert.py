"""From and to tensors."""

from __future__ import annotations

from typing import Any

from unidl._state import state
from unidl.backend import active
from unidl.backend.variables import VariableMixin
from unidl.dtypes import dtype_name
from unidl.graph.symbolic import SymbolicTensor
from unidl.ops._bind import as_symbol, host_array


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Any:
    """`x` (number, list, NumPy array, tensor) as a native tensor.

    Python floats get the default float dtype, ints int32; arrays and tensors keep theirs.
    """

    name = None if dtype is None else dtype_name(dtype)
    if state.scope is not None and isinstance(x, VariableMixin):
        x = state.scope.get(x)
    if type(x) is SymbolicTensor or state.trace is not None:
        return as_symbol(x, name)
    if active.is_tensor(x):
        return x if name is None or active.dtype(x) == name else active.cast(x, name)
    if active.strings and name in (None, "string") and _is_text(x):
        return active.to_tensor(x)
    return active.to_tensor(host_array(x, name), name)


def _is_text(x: Any) -> bool:
    """Whether `x` is a string, a list of such or an array of such."""
    while isinstance(x, (list, tuple)) and x:
        x = x[0]
    return isinstance(x, (str, bytes)) or getattr(getattr(x, "dtype", None), "kind", "") in ("U", "S")


def array(x: Any, dtype: Any = None) -> Any:
    """`x` as a native tensor; the same as `convert_to_tensor`."""
    return convert_to_tensor(x, dtype)


def convert_to_numpy(x: Any) -> Any:
    """`x` as a NumPy array on the host; a variable's is a copy, since variables change in place."""
    if getattr(getattr(x, "dtype", None), "name", "") == "string" and active.is_tensor(x):
        return active.to_numpy(x)
    return x.numpy() if isinstance(x, VariableMixin) else host_array(x)


def is_tensor(x: Any) -> bool:
    """Whether `x` is a native or symbolic tensor."""

    return type(x) is SymbolicTensor or active.is_tensor(x)


__all__ = ["array", "convert_to_numpy", "convert_to_tensor", "is_tensor"]
