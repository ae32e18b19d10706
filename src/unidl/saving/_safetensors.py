"""Files in the safetensors format, one array at a time: https://github.com/huggingface/safetensors#format.

A file is the length of its header (8 bytes), the header, which is JSON, and the arrays' bytes one after the other. So
what it holds is known before anything of it is read, and nothing in it can run.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

#: How the format calls dtypes.
DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "complex64": "C64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_NAMES = {short: name for name, short in DTYPES.items()}
#: Those that NumPy does not have by itself.
_FOREIGN = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2"})
#: What a header may need at most, in bytes: the limit of the safetensors library.
_MOST_HEADER = 100_000_000
#: How many bytes are read or written at a time.
BLOCK = 1 << 22

Specs = Mapping[str, tuple[tuple[int, ...], str]]


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype in memory of an array that the format can hold."""
    if name not in _FOREIGN:
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name))


# -- writing -----------------------------------------------------------------------------------------


def write(path: str, specs: Specs, value: Callable[[str], np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a file of arrays; see `write_to`."""
    with open(path, "wb", buffering=0) as file:
        write_to(file, specs, value, metadata)


def write_to(
    file: BinaryIO,
    specs: Specs,
    value: Callable[[str], np.ndarray],
    metadata: Mapping[str, str],
    seen: Callable[[memoryview], None] | None = None,
) -> bytes:
    """Write arrays by name to an empty file, which has no buffer.

    Args:
        specs: name to (shape, dtype), in the order in which the arrays are written.
        value: gives the array of a name. It is asked for one at a time.
        metadata: texts for the header.
        seen: is given all bytes in their order, each block before it is written.

    Returns:
        The header with its length: what is in the file before the arrays.

    Raises:
        ValueError: for a dtype that the format lacks, a header that is too long, an array of another shape.
    """
    begin, size = _begin(specs, metadata)
    _reserve(file, size)
    _pass_on(file, memoryview(begin), seen)
    for name, (shape, dtype) in specs.items():
        array = np.ascontiguousarray(value(name), numpy_dtype(dtype).newbyteorder("<"))
        if array.size != math.prod(shape):
            raise ValueError(f"{name!r} has shape {array.shape}, not {shape}.")
        data = array.reshape(-1).view(np.uint8).data
        for at in range(0, len(data), BLOCK):
            _pass_on(file, data[at : at + BLOCK], seen)
    return begin


def _reserve(file: BinaryIO, size: int) -> None:
    """Have the file system give the file its room at once, which halves the time of writing to ext4.

    Where that is impossible, or there is too little room, writing goes on as without it and says what is wrong.
    """
    if size > BLOCK and hasattr(os, "posix_fallocate"):
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, size)


def put(file: BinaryIO, data: memoryview) -> None:
    """Write all of `data`: a file without a buffer may take less at a time."""
    while data:
        data = data[file.write(data) :]


def _pass_on(file: BinaryIO, data: memoryview, seen: Callable[[memoryview], None] | None) -> None:
    if seen is not None:
        seen(data)
    put(file, data)


def _begin(specs: Specs, metadata: Mapping[str, str]) -> tuple[bytes, int]:
    """The header with its length, and the size of the whole file."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    place = 0
    for name, (shape, dtype) in specs.items():
        if dtype not in DTYPES:
            raise ValueError(f"{name!r} has dtype {dtype}, which safetensors files do not have.")
        end = place + math.prod(shape) * numpy_dtype(dtype).itemsize
        header[name] = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # arrays begin at multiples of 8
    if len(text) > _MOST_HEADER:
        raise ValueError(
            f"Names, shapes and metadata would need {len(text)} bytes; safetensors files have up to {_MOST_HEADER}."
        )
    begin = struct.pack("<Q", len(text)) + text
    return begin, len(begin) + place


# -- reading -----------------------------------------------------------------------------------------


class Header:
    """What an open file says that it holds, checked against its size; the file stands at the first array then.

    Attributes:
        begin: the header with its length, as it is in the file.
        specs: name to (shape, dtype, first byte, last byte), in the order of the bytes, which count from the header's
            end.
        metadata: texts of the header.

    Raises:
        ValueError: if it is no whole safetensors file.
        OSError: if it cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        first = file.read(8)
        length = int.from_bytes(first, "little")
        if size < 8 or length > min(_MOST_HEADER, size - 8):
            raise ValueError(f"a header of {length} bytes does not fit into the file")
        text = file.read(length)
        self.begin = first + text
        header = _parsed(text)
        self.metadata = {str(k): str(v) for k, v in (header.pop("__metadata__", None) or {}).items()}
        specs = [(name, _spec(name, entry)) for name, entry in header.items()]
        self.specs = dict(sorted(specs, key=lambda item: item[1][2:]))
        place = 0
        for name, (_, _, start, end) in self.specs.items():
            if start != place:
                raise ValueError(f"the data of {name!r} does not begin where that before it ends")
            place = end
        if place != size - 8 - length:
            raise ValueError(f"its arrays have {place} bytes together, but {size - 8 - length} follow the header")


class Reader:
    """The arrays of a file by name.

    Attributes:
        specs, metadata: as `Header` has them.

    Raises:
        ValueError: if it is no whole safetensors file.
        OSError: if it cannot be read.
    """

    def __init__(self, path: Any) -> None:
        with open(path, "rb") as file:
            header = Header(file)
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.specs, self.metadata, self._data = header.specs, header.metadata, data[len(header.begin) :]

    def __getitem__(self, name: str) -> np.ndarray:
        """An array, which is that of the file: it cannot be written to."""
        shape, dtype, start, end = self.specs[name]
        return np.frombuffer(self._data[start:end], numpy_dtype(dtype)).reshape(shape)


def _parsed(text: bytes) -> dict[str, Any]:
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
    if end - start != math.prod(shape) * numpy_dtype(dtype).itemsize:
        raise ValueError(f"{name!r} of shape {shape} and dtype {dtype} has {end - start} bytes")
    return shape, dtype, start, end
