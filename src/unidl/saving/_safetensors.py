"""Files in the safetensors format, one array at a time: https://github.com/huggingface/safetensors#format.

A file is the length of its header (8 bytes), the header, which is JSON, and the arrays' bytes one after the other. So
what it holds is known before anything of it is read, and nothing in it can run.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "complex64": "C64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_NAMES = {short: name for name, short in _DTYPES.items()}
#: Those that NumPy does not have by itself.
_FOREIGN = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2"})
_MOST_HEADER = 100_000_000


def _dtype(name: str) -> np.dtype[Any]:
    if name not in _FOREIGN:
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name))


def write(
    path: str,
    specs: Mapping[str, tuple[tuple[int, ...], str]],
    value: Callable[[str], np.ndarray],
    metadata: Mapping[str, str],
) -> None:
    """Write arrays by name.

    Args:
        specs: name to (shape, dtype), in the order in which the arrays are written.
        value: gives the array of a name. It is asked for one at a time.
        metadata: texts for the header.

    Raises:
        ValueError: for a dtype that the format lacks.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    place = 0
    for name, (shape, dtype) in specs.items():
        if dtype not in _DTYPES:
            raise ValueError(f"{name!r} has dtype {dtype}, which safetensors files do not have.")
        end = place + math.prod(shape) * _dtype(dtype).itemsize
        header[name] = {"dtype": _DTYPES[dtype], "shape": list(shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, (shape, dtype) in specs.items():
            array = np.ascontiguousarray(value(name), _dtype(dtype).newbyteorder("<"))
            if array.size != math.prod(shape):
                raise ValueError(f"{name!r} has shape {array.shape}, not {shape}.")
            file.write(array.reshape(-1).view(np.uint8).data)
        file.flush()


class Reader:
    """The arrays of a file by name.

    Attributes:
        specs: name to (shape, dtype, first byte, last byte).
        metadata: texts of the header.

    Raises:
        ValueError: if it is no whole safetensors file.
        OSError: if it cannot be read.
    """

    def __init__(self, path: Any) -> None:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(_MOST_HEADER, size - 8):
                raise ValueError(f"a header of {length} bytes does not fit into the file")
            header = _header(file.read(length))
            self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[8 + length :]
        self.metadata = {str(k): str(v) for k, v in (header.pop("__metadata__", None) or {}).items()}
        self.specs = {name: _spec(name, entry) for name, entry in header.items()}
        place = 0
        for name, (_, _, start, end) in sorted(self.specs.items(), key=lambda item: item[1][2:]):
            if start != place:
                raise ValueError(f"the data of {name!r} does not begin where that before it ends")
            place = end
        if place != len(self._data):
            raise ValueError(f"its arrays have {place} bytes together, but {len(self._data)} follow the header")

    def __getitem__(self, name: str) -> np.ndarray:
        """An array, which is that of the file: it cannot be written to."""
        shape, dtype, start, end = self.specs[name]
        return np.frombuffer(self._data[start:end], _dtype(dtype)).reshape(shape)


def _header(text: bytes) -> dict[str, Any]:
    from unidl.saving._containers import parsed

    header = parsed(text, "the header", strict=True)
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__") or {}, dict):
        raise ValueError("its header is no object of JSON")
    return header


def _spec(name: str, entry: Any) -> tuple[tuple[int, ...], str, int, int]:
    try:
        shape, dtype, (start, end) = tuple(entry["shape"]), _NAMES[entry["dtype"]], entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"its header does not describe {name!r}") from None
    if not all(type(n) is int and 0 <= n < 2**48 for n in (*shape, start, end)) or len(shape) > 32:
        raise ValueError(f"its header gives {name!r} the shape {shape} and the place {start} to {end}")
    if end - start != math.prod(shape) * _dtype(dtype).itemsize:
        raise ValueError(f"{name!r} of shape {shape} and dtype {dtype} has {end - start} bytes")
    return shape, dtype, start, end
