"""The binary files of MXNet's arrays (``.params``): what `mx.nd.save` and `mx.npx.save` write.

A file is the magic number 0x112, 8 reserved bytes, the count of arrays, the arrays, the count of names and the names;
all
numbers are little-endian. An array is a shape, a device, a dtype's number and the values. Which integers the
shape is made of, and what comes before it, depends on the array's own magic number; the first files had none, and
began with the
number of dimensions.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unidl.interchange.mxnet._errors import MxnetError

_LIST = 0x112
_FIRST_MAGIC, _STORAGE_MAGIC, _NUMPY_MAGIC = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_SPARSE = {1: "row_sparse", 2: "csr"}
_MOST_DIMENSIONS = 32
_MOST_NAME = 65536
_MOST_SIZE = 2**40
#: The numbers of dtypes in MXNet. NumPy itself has no bfloat16.
DTYPES = {
    0: "float32", 1: "float64", 2: "float16", 3: "uint8", 4: "int32", 5: "int8", 6: "int64", 7: "bool", 8: "int16",
    9: "uint16", 10: "uint32", 11: "uint64", 12: "bfloat16",
}  # fmt: skip


@dataclass
class Stored:
    """Where an array is in a file.

    Attributes:
        dtype: its name; "" for an array that was never filled, which has no values.
        start: the place of its first byte.
    """

    shape: tuple[int, ...]
    dtype: str
    start: int

    @property
    def nbytes(self) -> int:
        if not self.dtype:
            return 0
        return math.prod(self.shape) * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


def _numpy_dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        try:
            import ml_dtypes
        except ImportError as error:
            raise ImportError("Arrays in bfloat16 need the package ml_dtypes: pip install 'unidl[onnx]'") from error
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name).newbyteorder("<")


class _Reader:
    """Reads numbers from a file, and never more than it has."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self.file, self.where = file, where
        self.size = os.fstat(file.fileno()).st_size

    @property
    def left(self) -> int:
        return self.size - self.file.tell()

    def error(self, what: str) -> MxnetError:
        return MxnetError(f"{self.where} is damaged or no file of MXNet's arrays: at byte {self.file.tell()}, {what}.")

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise self.error(f"{count} more bytes are needed, and {self.left} are left")
        return self.file.read(count)

    def number(self, kind: str) -> int:
        dtype = np.dtype(f"<{kind}")
        return int(np.frombuffer(self.take(dtype.itemsize), dtype)[0])

    def count(self, what: str, each: int) -> int:
        """A count of things that take at least `each` bytes."""
        count = self.number("u8")
        if count * each > self.left:
            raise self.error(f"{count} {what} cannot be in the {self.left} bytes that are left")
        return count

    def array(self) -> Stored:
        magic = self.number("u4")
        if magic in (_STORAGE_MAGIC, _NUMPY_MAGIC):
            storage = self.number("i4")
            if storage:
                kind = _SPARSE.get(storage, f"unknown ({storage})")
                raise MxnetError(
                    f"{self.where} holds an array whose storage is {kind}, and only dense ones are read: make it dense "
                    "with .tostype('default') in MXNet, and save it again."
                )
        if magic == _NUMPY_MAGIC:
            rank, kind, empty = self.number("i4"), "i8", -1
        elif magic in (_FIRST_MAGIC, _STORAGE_MAGIC):
            rank, kind, empty = self.number("i4"), "i8", 0
        else:
            rank, kind, empty = magic, "u4", 0
        if rank == empty:
            return Stored((), "", self.file.tell())
        if not 0 <= rank <= _MOST_DIMENSIONS:
            raise self.error(f"an array of {rank} dimensions is announced")
        shape = tuple([self.number(kind) for _ in range(rank)])
        self.take(8)  # kind and number of the device
        flag = self.number("i4")
        if flag not in DTYPES or min(shape, default=0) < 0 or max(shape, default=0) > _MOST_SIZE:
            raise self.error(f"an array of shape {list(shape)} and dtype number {flag} is announced")
        found = Stored(shape, DTYPES[flag], self.file.tell())
        if found.nbytes > self.left:
            raise self.error(f"an array of shape {list(shape)} has {found.nbytes} bytes, and {self.left} are left")
        return found

    def skip(self, count: int) -> None:
        self.file.seek(count, os.SEEK_CUR)

    def arrays(self) -> list[Stored]:
        if self.number("u8") != _LIST:
            raise self.error(f"it does not begin with {_LIST:#x}")
        self.take(8)
        found = []
        for _ in range(self.count("arrays", 8)):
            found.append(self.array())
            self.skip(found[-1].nbytes)
        return found

    def names(self, wanted: int) -> list[str]:
        """The names of the arrays; those of a list without names are numbers."""
        count = self.count("names", 8)
        if count == 0:
            return [str(i) for i in range(wanted)]
        if count != wanted:
            raise self.error(f"there are {count} names for {wanted} arrays")
        names = []
        for _ in range(count):
            length = self.number("u8")
            if length > _MOST_NAME:
                raise self.error(f"a name of {length} bytes is announced")
            try:
                names.append(self.take(length).decode())
            except UnicodeDecodeError:
                raise self.error("a name is no UTF-8 text") from None
        if len(set(names)) < count:
            raise self.error("two arrays have the same name")
        return names


def listing(path: Any) -> dict[str, Stored]:
    """The arrays of a file by name, without their values.

    Raises:
        MxnetError: if it is no such file, or damaged.
    """
    path = Path(path)
    with path.open("rb") as file:
        return dict(_listed(_Reader(file, str(path))))


def _listed(reader: _Reader) -> Iterator[tuple[str, Stored]]:
    found = reader.arrays()
    return zip(reader.names(len(found)), found, strict=True)


def read_params(path: Any) -> dict[str, np.ndarray]:
    """The arrays of a file by name (``arg:…`` and ``aux:…`` in a checkpoint). Those that were never filled are left
    out.

    Raises:
        FileNotFoundError: if there is no such file.
        MxnetError: if it is no such file, damaged, or holds sparse arrays.
    """
    path = Path(path)
    arrays = {}
    with path.open("rb") as file:
        for name, stored in list(_listed(_Reader(file, str(path)))):
            if stored.dtype:
                file.seek(stored.start)
                dtype = _numpy_dtype(stored.dtype)
                values = np.fromfile(file, dtype, math.prod(stored.shape))
                try:
                    arrays[name] = values.reshape(stored.shape).astype(dtype.newbyteorder("="), copy=False)
                except ValueError as error:
                    raise MxnetError(f"{path}: array {name!r} of shape {list(stored.shape)}: {error}") from None
    return arrays
