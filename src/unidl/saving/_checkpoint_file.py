"""One file of a checkpoint: safetensors, with a state in JSON and a checksum of the whole file.

Format: https://github.com/huggingface/safetensors: the header's length in 8 bytes, a header in JSON, the arrays. The
header's metadata has the entries "format", "format_version", "state" and "crc32": the CRC-32 (as zlib has it) of the
file in which this entry is "00000000". Nothing in such a file is executed when it is read.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unidl.saving._plain_state import packed, unpacked
from unidl.saving._writing import replacing

FORMAT, VERSION = "unidl checkpoint", 1
_BLANK = "0" * 8
#: What a header may need at most, in bytes: the limit of the safetensors library.
_LONGEST_HEADER = 100_000_000
_BLOCK = 1 << 22
_DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "complex64": "C64",
}  # fmt: skip
_NAMES = {code: name for name, code in _DTYPES.items()}


class DamagedError(ValueError):
    """A checkpoint's file is not what was written."""


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a nested state so that `path` is either the old file or the whole new one, also after a power cut."""
    arrays: dict[str, np.ndarray] = {}
    plain = json.dumps({name: packed(value, name, arrays) for name, value in state.items()})
    with replacing(path) as temporary, open(temporary, "wb", buffering=0) as file:
        _write(file, arrays, plain)
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def read(path: Path) -> dict[str, Any]:
    """What `write` was given, with arrays in the place of tensors.

    Raises:
        DamagedError: if the file is not whole.
        ValueError: if it was written by a later version of unidl.
        OSError: if it cannot be opened.
    """
    try:
        with open(path, "rb") as file:
            header, metadata, raw = _header(file, os.fstat(file.fileno()).st_size)
            arrays = _arrays(file, header, raw, metadata["crc32"])
        version = int(metadata["format_version"])
        state = unpacked(json.loads(metadata["state"]), arrays) if version <= VERSION else {}
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise DamagedError(f"The checkpoint {str(path)!r} is damaged: {error}.") from None
    if version > VERSION:
        raise ValueError(
            f"The checkpoint {str(path)!r} has format version {version}; this version of unidl reads up to {VERSION}. "
            "Install the version that wrote it, or a later one."
        )
    return state


# -- writing -----------------------------------------------------------------------------------------


def _write(file: BinaryIO, arrays: dict[str, np.ndarray], state: str) -> None:
    metadata = {"format": FORMAT, "format_version": str(VERSION), "crc32": _BLANK, "state": state}
    header: dict[str, Any] = {"__metadata__": metadata}
    parts, end = [], 0
    for name, array in arrays.items():
        code, array = _stored(array)
        start, end = end, end + array.nbytes
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, end]}
        parts.append(array)
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)  # arrays begin at multiples of 8
    if len(raw) > _LONGEST_HEADER:
        raise ValueError(f"A checkpoint's state may need {_LONGEST_HEADER} bytes as JSON, not {len(raw)}.")
    begin = len(raw).to_bytes(8, "little") + raw
    checksum = zlib.crc32(begin)
    _put(file, memoryview(begin))
    for array in parts:
        data = array.reshape(-1).view(np.uint8).data
        for at in range(0, len(data), _BLOCK):
            block = data[at : at + _BLOCK]
            checksum = zlib.crc32(block, checksum)
            _put(file, block)
    file.seek(8 + raw.index(_mark(_BLANK)) + len(_mark("")) - 1)
    _put(file, memoryview(f"{checksum:08x}".encode()))


def _put(file: BinaryIO, data: memoryview) -> None:
    """Write all of `data`: an unbuffered file may take less at a time."""
    while data:
        data = data[file.write(data) :]


def _stored(array: np.ndarray) -> tuple[str, np.ndarray]:
    """The code of an array's dtype, and the array as it is stored: contiguous, little-endian."""
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    array = np.asarray(array, order="C")
    try:
        return _DTYPES[array.dtype.name], array
    except KeyError:
        raise TypeError(f"A checkpoint holds arrays of {', '.join(_DTYPES)}, not {array.dtype}.") from None


def _mark(digest: str) -> bytes:
    return f'"crc32":"{digest}"'.encode()


def _sync_folder(folder: Path) -> None:
    """Have a rename in a folder survive a power cut; not every system can open folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:  # some file systems cannot: the file itself is on the disk
        pass
    finally:
        os.close(handle)


# -- reading -----------------------------------------------------------------------------------------


def _header(file: BinaryIO, size: int) -> tuple[dict[str, Any], dict[str, str], bytes]:
    """The arrays' entries, the metadata, and the header as it is in the file."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST_HEADER):
        raise DamagedError(f"it has {size} bytes, and a header of {length}")
    raw = file.read(length)
    header = json.loads(raw)
    metadata = header.pop("__metadata__")
    if metadata["format"] != FORMAT:
        raise DamagedError(f"its format is {metadata['format']!r}, not {FORMAT!r}")
    end = 0
    for entry in header.values():
        dtype, shape, (start, stop) = _dtype(entry["dtype"]), entry["shape"], entry["data_offsets"]
        if start != end or any(type(n) is not int or n < 0 for n in shape):
            raise DamagedError("its header does not fit together")
        end = start + math.prod(shape) * dtype.itemsize
        if stop != end:
            raise DamagedError("its header does not fit together")
    if 8 + length + end != size:
        raise DamagedError(f"it has {size} bytes in place of {8 + length + end}")
    return header, metadata, raw


def _arrays(file: BinaryIO, header: dict[str, Any], raw: bytes, wanted: str) -> dict[str, np.ndarray]:
    """The arrays, in the order of the file, if the checksum is as `wanted`."""
    checksum = zlib.crc32(len(raw).to_bytes(8, "little") + raw.replace(_mark(wanted), _mark(_BLANK), 1))
    arrays: dict[str, np.ndarray] = {}
    for name, entry in header.items():
        arrays[name] = array = np.empty(entry["shape"], _dtype(entry["dtype"]))
        data = array.reshape(-1).view(np.uint8).data
        for at in range(0, len(data), _BLOCK):
            block = data[at : at + _BLOCK]
            if file.readinto(block) != len(block):  # type: ignore[attr-defined]
                raise DamagedError("it ends too early")
            checksum = zlib.crc32(block, checksum)
    if f"{checksum:08x}" != wanted:
        raise DamagedError(f"its checksum is {checksum:08x}, not {wanted}")
    return arrays


def _dtype(code: str) -> np.dtype:
    name = _NAMES[code]
    if name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(name)
