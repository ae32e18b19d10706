"""One file of a checkpoint: safetensors, with a state in JSON and a checksum of the whole file.

The header's metadata has the entries "format", "format_version", "state" and "crc32": the CRC-32 (as zlib has it) of
the file in which this entry is "00000000". Nothing in such a file is executed when it is read.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unidl.saving import _safetensors
from unidl.saving._plain_state import packed, unpacked
from unidl.saving._writing import replacing

FORMAT, VERSION = "unidl checkpoint", 1
_BLANK = "0" * 8


class DamagedError(ValueError):
    """A checkpoint's file is not what was written."""


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a nested state so that `path` is either the old file or the whole new one, also after a power cut."""
    arrays: dict[str, np.ndarray] = {}
    plain = json.dumps({name: packed(value, name, arrays) for name, value in state.items()})
    for array in arrays.values():
        if array.dtype.name not in _safetensors.DTYPES:
            kinds = ", ".join(_safetensors.DTYPES)
            raise TypeError(f"A checkpoint holds arrays of {kinds}, not {array.dtype}.")
    specs = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    metadata = {"format": FORMAT, "format_version": str(VERSION), "crc32": _BLANK, "state": plain}
    with replacing(path) as temporary, open(temporary, "wb", buffering=0) as file:
        with _Checksum() as checksum:
            begin = _safetensors.write_to(file, specs, arrays.__getitem__, metadata, checksum.add)
        file.seek(begin.index(_mark(_BLANK)) + len(_mark("")) - 1)
        _safetensors.put(file, memoryview(checksum.text.encode()))
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
        with open(path, "rb", buffering=0) as file:
            header = _safetensors.Header(file)
            metadata = header.metadata
            if metadata["format"] != FORMAT:
                raise DamagedError(f"its format is {metadata['format']!r}, not {FORMAT!r}")
            arrays = _arrays(file, header)
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


def _arrays(file: BinaryIO, header: _safetensors.Header) -> dict[str, np.ndarray]:
    """The arrays that follow the header, if the checksum is as it says."""
    wanted = header.metadata["crc32"]
    arrays: dict[str, np.ndarray] = {}
    with _Checksum() as checksum:
        checksum.add(memoryview(header.begin.replace(_mark(wanted), _mark(_BLANK), 1)))
        for name, (shape, dtype, _, _) in header.specs.items():
            arrays[name] = array = np.empty(shape, _safetensors.numpy_dtype(dtype))
            data = array.reshape(-1).view(np.uint8).data
            for at in range(0, len(data), _safetensors.BLOCK):
                block = data[at : at + _safetensors.BLOCK]
                _fill(file, block)
                checksum.add(block)
    if checksum.text != wanted:
        raise DamagedError(f"its checksum is {checksum.text}, not {wanted}")
    return arrays


def _fill(file: BinaryIO, data: memoryview) -> None:
    """Read all of `data`: a file without a buffer may give less at a time."""
    while data:
        count = file.readinto(data)  # type: ignore[attr-defined]
        if not count:
            raise DamagedError("it ends too early")
        data = data[count:]


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


class _Checksum:
    """The CRC-32 of blocks in their order, computed by a thread while the caller writes or reads.

    zlib lets other threads run while it computes. A few blocks wait at most, so that memory does not grow. The thread
    is a plain one: pools take no work any more while Python ends, which is when a checkpoint may still be written.

    Attributes:
        text: the checksum as it is in files, when the block is over.
    """

    _ALONE = 1 << 16  # up to so many bytes a thread costs more than it saves

    def __init__(self) -> None:
        self._value = 0
        self._blocks: queue.Queue[memoryview | None] = queue.Queue(4)
        self._thread: threading.Thread | None = None

    def add(self, block: memoryview) -> None:
        """Note that `block` comes next. It must not change before the end."""
        if self._thread is None:
            if len(block) <= self._ALONE:
                self._value = zlib.crc32(block, self._value)
                return
            self._thread = threading.Thread(target=self._compute, name="unidl-checksum")
            self._thread.start()
        self._blocks.put(block)

    def _compute(self) -> None:
        while (block := self._blocks.get()) is not None:
            self._value = zlib.crc32(block, self._value)

    @property
    def text(self) -> str:
        return f"{self._value:08x}"

    def __enter__(self) -> _Checksum:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._thread is not None:
            self._blocks.put(None)
            self._thread.join()
