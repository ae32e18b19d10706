"""Types and shapes of data: the messages 1 and 3 of HDF5's object headers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from unidl.saving._h5._buffer import Buffer, Cursor, DamagedFile

_FIXED, _FLOAT, _STRING, _OPAQUE, _ENUM, _VARIABLE = 0, 1, 3, 5, 8, 9


@dataclass(frozen=True)
class Type:
    """The type of one element.

    Attributes:
        numpy: as NumPy has it; for texts of any length, the 16 bytes that say where the text is.
        text: whether it is a text of any length, kept in the file's heap.
        name: for people.
    """

    numpy: np.dtype[Any]
    text: bool = False
    name: str = ""


def read_type(cursor: Cursor) -> Type:
    """The type that a datatype message describes.

    Raises:
        DamagedFile: for types that weights and attributes of model files do not have.
    """
    kind = cursor.uint(1) & 15
    bits, size = cursor.uint(3), cursor.uint(4)
    order = ">" if bits & 1 else "<"
    if kind == _FIXED and size in (1, 2, 4, 8):
        cursor.skip(4)
        return _named(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"))
    if kind == _FLOAT and size in (2, 4, 8):
        cursor.skip(5)
        exponent = cursor.uint(1)
        cursor.skip(6)
        if size == 2 and exponent == 8:
            return Type(np.dtype(f"{order}u2"), name="bfloat16")
        return _named(np.dtype(f"{order}f{size}"))
    if kind == _STRING and 0 < size < 2**20:
        return Type(np.dtype(f"S{size}"), name="text")
    if kind == _OPAQUE and 0 < size < 2**20:
        return Type(np.dtype(f"V{size}"), name="bytes")
    if kind == _ENUM and bits & 0xFFFF == 2 and size == 1:
        base = read_type(cursor)
        if base.numpy.itemsize == 1:
            return Type(np.dtype(bool), name="bool")
    if kind == _VARIABLE and bits & 15 == 1:
        return Type(np.dtype(f"V{8 + cursor.file.offset_size}"), text=True, name="text")
    raise DamagedFile(f"data of HDF5 class {kind} with {size} bytes is no part of a model file")


def _named(dtype: np.dtype[Any]) -> Type:
    return Type(dtype, name=dtype.name)


def read_shape(cursor: Cursor) -> tuple[int, ...]:
    """The sizes that a dataspace message describes.

    Raises:
        DamagedFile: if there are more than 32, or none at all.
    """
    version, rank, _ = cursor.uint(1), cursor.uint(1), cursor.uint(1)
    if version == 1:
        cursor.skip(5)
    elif version != 2 or cursor.uint(1) == 2:
        raise DamagedFile("a data set without elements, or of an unknown kind")
    if rank > 32:
        raise DamagedFile(f"a data set of {rank} dimensions")
    shape = tuple(cursor.length() for _ in range(rank))
    if math.prod(max(d, 1) for d in shape) >= 2**48:
        raise DamagedFile(f"a data set claims the shape {shape}")
    return shape


def decoded(file: Buffer, raw: Any, kind: Type, shape: tuple[int, ...]) -> Any:
    """The value of an attribute: a text, an array, or a number."""
    count = math.prod(shape)
    if kind.text:
        texts = [heap_text(file, Cursor(file, raw, i * kind.numpy.itemsize)) for i in range(count)]
        return texts if shape else texts[0]
    if count * kind.numpy.itemsize > len(raw):
        raise DamagedFile("an attribute is longer than the place it has")
    array = np.frombuffer(raw, kind.numpy, count).reshape(shape).copy()
    if kind.numpy.kind == "S":
        try:
            texts = [value.decode("utf-8") for value in array.reshape(-1)]
        except UnicodeDecodeError as error:
            raise DamagedFile(f"an attribute is no text: {error}") from None
        return texts if shape else texts[0]
    return array if shape else array[()]


def heap_text(file: Buffer, place: Cursor) -> str:
    """The text in the global heap that an element of a text of any length points to."""
    length, address, wanted = place.uint(4), place.address(), place.uint(4)
    if address is None or (length == 0 and wanted == 0):
        return ""
    if address not in file.heaps:
        file.heaps[address] = _heap(file, address)
    found = file.heaps[address].get(wanted)
    if found is None or length > len(found.data):
        raise DamagedFile(f"a text points to nothing in the heap at address {address}")
    file.spend(length)
    try:
        return found.data[:length].tobytes().rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFile(f"a text is none: {error}") from None


def _heap(file: Buffer, address: int) -> dict[int, Cursor]:
    """The texts in the global heap at `address` by number."""
    heap = file.at(address, b"GCOL")
    heap.skip(4)
    size = heap.length()
    file.part(address, size)
    file.spend(size)
    found: dict[int, Cursor] = {}
    while heap.position + 8 + file.length_size <= address + size:
        index = heap.uint(2)
        heap.skip(6)
        length = heap.length()
        if index == 0:  # what is free comes last
            break
        found[index] = heap.sub(length)
        heap.align(8, address)
    return found
