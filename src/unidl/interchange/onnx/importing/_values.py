"""What entries of the table ask of values, wherever those are: on the engine, on the host, or symbolic."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.dtypes import FLOATS, INTEGERS, dtype_name
from unidl.graph.symbolic import Dim, SymbolicTensor
from unidl.interchange.onnx._structures import DataDependentError, OnnxError
from unidl.interchange.onnx._tensors import MOST_ELEMENTS


def is_host(value: Any) -> bool:
    """Whether `value` is an array on the host."""
    return isinstance(value, np.ndarray)


def has_sizes(value: Any) -> bool:
    """Whether `value` holds sizes that are unknown while recording."""
    return is_host(value) and value.dtype == object and any(isinstance(v, Dim) for v in value.flat)


def enter(value: Any) -> Any:
    """An array as a tensor of the engine, if the engine has its dtype; anything else as it is."""
    if isinstance(value, list):
        return [enter(v) for v in value]
    if not is_host(value) or value.dtype.name not in active.dtypes:
        return value
    return active.to_tensor(value)


def leave(value: Any) -> Any:
    """A value as what callers get: NumPy arrays, lists, dicts, None."""
    if isinstance(value, list):
        return [leave(v) for v in value]
    return value if value is None or is_host(value) or isinstance(value, dict) else ops.convert_to_numpy(value)


def dtype_of(value: Any) -> str:
    """The name of a value's dtype: that of NumPy or ml_dtypes, "string" for text, "int64" for sizes."""
    if is_host(value):
        if value.dtype == object:
            return "int64" if has_sizes(value) else "string"
        return str(value.dtype.name)
    return value.dtype if type(value) is SymbolicTensor else dtype_name(value.dtype)


@functools.cache
def wide_only() -> frozenset[str]:
    """Float dtypes that unidl knows and the engine lacks: computed in float32."""
    return frozenset(FLOATS) - active.dtypes.keys()


def is_integer(value: Any) -> bool:
    """Whether `value` is an array or a tensor of integers, with values that can be read."""
    if isinstance(value, list) or (type(value) is SymbolicTensor and value.value is None):
        return False
    return dtype_of(value) in INTEGERS


def shape_of(value: Any) -> tuple[Any, ...]:
    """Sizes; a `Dim` for each that is unknown while recording."""
    return tuple(value.shape) if is_host(value) else tuple(ops.shape(value))


def rank_of(value: Any) -> int:
    return len(value.shape)


def on_host(value: Any, what: str = "a value") -> np.ndarray:
    """The value as an array on the host.

    Raises:
        DataDependentError: if it is symbolic.
    """
    if is_host(value):
        return np.asarray(value)  # a variable of the NumPy backend is an array that does more
    if type(value) is SymbolicTensor and value.value is None:
        raise DataDependentError(f"{what} depends on the data: it is known only when the model runs.")
    return np.asarray(ops.convert_to_numpy(value))


def integers(value: Any, what: str = "a value") -> list[Any]:
    """A vector (or scalar) of integers as a list, with a `Dim` for each size that is unknown while recording."""
    items = on_host(value, what).reshape(-1).tolist()
    return [v if isinstance(v, Dim) else int(v) for v in items]


def sizes(values: Any) -> np.ndarray:
    """A list of ints and `Dim` objects as a vector on the host."""
    values = list(values)
    if any(isinstance(v, Dim) for v in values):
        result = np.empty(len(values), object)
        result[:] = values
        return result
    return np.array(values, np.int64)


def as_tensor(value: Any) -> Any:
    """An array on the host in a form that ops take: sizes that are unknown become tensors."""
    if is_host(value) and value.dtype == object and dtype_of(value) == "int64":
        parts = [_size(v) for v in value.reshape(-1).tolist()]
        return ops.reshape(ops.stack(parts), value.shape)
    return value


def _size(value: Any) -> Any:
    """A size, known or not, as a scalar int64 tensor."""
    if not isinstance(value, Dim):
        return np.array(value, np.int64)
    if value.kind == "size":
        return ops.cast(ops.axis_size(*value.args), "int64")
    a, b = (_size(v) for v in value.args)
    return _SIZE_OPS[value.kind](a, b)


_SIZE_OPS: dict[str, Any] = {
    "add": ops.add, "sub": ops.subtract, "mul": ops.multiply, "floordiv": ops.floor_divide, "mod": ops.mod,
}  # fmt: skip


def room(shape: Any, what: str) -> tuple[Any, ...]:
    """`shape` as a tuple, refused if a tensor of it would be absurd.

    Raises:
        OnnxError: if a size is negative, or there are more than `MOST_ELEMENTS` elements.
    """
    known = [d for d in shape if not isinstance(d, Dim)]
    count = 1
    for d in known:
        if d < 0:
            raise OnnxError(f"{what} would have the shape {list(shape)}: sizes cannot be negative.")
        count *= d
    if count > MOST_ELEMENTS:
        raise OnnxError(
            f"{what} would have the shape {list(shape)}, {count} elements; at most {MOST_ELEMENTS} are made."
        )
    return tuple(shape)
