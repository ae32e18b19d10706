"""unidl's dtypes and their promotion, the same on every backend.

The lattice is JAX's (https://docs.jax.dev/en/latest/type_promotion.html), which Keras 3 follows too:
a float never becomes wider because an integer was 64-bit.
Python numbers are *weak*: they take the dtype of the tensor they meet, unless they are of a higher
kind (bool < int < float < complex), in which case the defaults below decide.
"""

from __future__ import annotations

import functools
from typing import Any

FLOATS = ("float16", "bfloat16", "float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
COMPLEX = ("complex64", "complex128")
ALL = ("bool", *INTEGERS, *FLOATS, *COMPLEX)

_config = {"floatx": "float32", "intx": "int32"}

# Each dtype's direct successors in the lattice; "i*", "f*" and "c*" are the weak Python kinds.
_EDGES: dict[str, tuple[str, ...]] = {
    "bool": ("i*",),
    "i*": ("uint8", "int8"),
    "uint8": ("int16", "uint16"),
    "uint16": ("int32", "uint32"),
    "uint32": ("int64", "uint64"),
    "uint64": ("f*",),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": ("f*",),
    "f*": ("c*", "float16", "bfloat16"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64", "complex64"),
    "float64": ("complex128",),
    "c*": ("complex64",),
    "complex64": ("complex128",),
    "complex128": (),
}


def _reachable(name: str) -> frozenset[str]:
    seen, todo = {name}, [name]
    while todo:
        for nxt in _EDGES[todo.pop()]:
            if nxt not in seen:
                seen.add(nxt)
                todo.append(nxt)
    return frozenset(seen)


_ABOVE = {name: _reachable(name) for name in _EDGES}


@functools.cache
def _join(a: str, b: str) -> str:
    common = _ABOVE[a] & _ABOVE[b]
    # The least upper bound is the element from which all other common bounds can be reached.
    return next(c for c in common if common <= _ABOVE[c])


def dtype_name(dtype: Any) -> str:
    """The plain name of a dtype given as a name, NumPy dtype, Python type or an engine's dtype.

    Raises:
        ValueError: if it is no dtype that unidl knows.
    """
    if dtype is None:
        return floatx()
    if isinstance(dtype, str):
        name = dtype
    elif dtype is float:
        return floatx()
    elif dtype is int:
        return intx()
    elif dtype is bool:
        return "bool"
    else:
        name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype).rsplit(".", 1)[-1]
    if name.startswith("torch."):
        name = name[6:]
    name = {"bool_": "bool", "half": "float16", "float": "float32", "double": "float64", "int": "int32"}.get(name, name)
    if name.startswith(("str", "bytes")):  # NumPy's names hold the length
        return "string"
    if name not in ALL:
        raise ValueError(f"Unknown dtype {dtype!r}. unidl knows {', '.join(ALL)}.")
    return name


def weak_kind(value: Any) -> str | None:
    """The weak dtype of a Python number ("bool" is not weak), None for anything else."""
    kind = type(value)
    if kind is bool:
        return "bool"
    if kind is int:
        return "i*"
    if kind is float:
        return "f*"
    if kind is complex:
        return "c*"
    return None


def result_dtype(*dtypes: str) -> str:
    """The dtype in which values of `dtypes` meet; weak kinds ("i*", "f*", "c*") may be among them."""
    return _result(tuple(dtypes), _config["floatx"], _config["intx"])


@functools.cache
def _result(dtypes: tuple[str, ...], float_default: str, int_default: str) -> str:
    joined = functools.reduce(_join, dtypes)
    if joined == "f*":
        return float_default
    if joined == "i*":
        return int_default
    if joined == "c*":
        return "complex128" if float_default == "float64" else "complex64"
    return joined


def to_float(dtype: str) -> str:
    """`dtype` itself if it is floating or complex, the default float otherwise."""
    return dtype if dtype in FLOATS or dtype in COMPLEX else _config["floatx"]


def floatx() -> str:
    """The default float dtype ("float32" unless `set_floatx` changed it)."""
    return _config["floatx"]


def intx() -> str:
    """The default integer dtype, "int32"."""
    return _config["intx"]


def set_floatx(value: str) -> None:
    """Set the default float dtype: "float16", "bfloat16", "float32" or "float64"."""
    if value not in FLOATS:
        raise ValueError(f"floatx must be one of {', '.join(FLOATS)}, not {value!r}.")
    _config["floatx"] = value


def is_float(dtype: str) -> bool:
    return dtype in FLOATS


def is_integer(dtype: str) -> bool:
    return dtype in INTEGERS
