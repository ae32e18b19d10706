"""Files, groups and data sets, with the few methods of h5py that reading models needs."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from unidl.saving._h5._buffer import Buffer, Cursor, DamagedFile
from unidl.saving._h5._data import Layout
from unidl.saving._h5._dense import ATTRIBUTES, objects
from unidl.saving._h5._headers import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    SPACE,
    TYPE,
    members,
    messages,
)
from unidl.saving._h5._types import decoded, read_shape, read_type

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class _Object:
    """What groups and data sets have in common.

    Attributes:
        address: the place in the file, the same for all names of one object.
        name: the path that led to it.
    """

    def __init__(self, file: Buffer, address: int, name: str, parts: list[tuple[int, Cursor]] | None = None) -> None:
        self.buffer = file
        self.address = address
        self.name = name
        self._parts = messages(file, address) if parts is None else parts
        self._attributes: dict[str, Any] | None = None

    def _part(self, kind: int) -> Cursor | None:
        return next((Cursor(c.file, c.data) for k, c in self._parts if k == kind), None)

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes by name: texts, lists of texts, numbers, arrays.

        Raises:
            DamagedFile: for those that are damaged, or kept in another way than model files do.
        """
        if self._attributes is None:
            found = {}
            for kind, content in self._parts:
                if kind == ATTRIBUTE:
                    name, value = _attribute(self.buffer, Cursor(content.file, content.data))
                    found[name] = value
                elif kind == ATTRIBUTE_INFO:
                    info = Cursor(content.file, content.data)
                    info.skip(1)
                    info.skip(2 if info.uint(1) & 1 else 0)
                    heap, tree = info.address(), info.address()
                    if heap is not None and tree is not None:
                        for one in objects(self.buffer, heap, tree, ATTRIBUTES):
                            name, value = _attribute(self.buffer, one)
                            found[name] = value
            self._attributes = found
        return self._attributes


class Group(_Object, Mapping[str, Any]):
    """Names, and the groups and data sets under them."""

    def __init__(self, file: Buffer, address: int, name: str, parts: list[tuple[int, Cursor]] | None = None) -> None:
        super().__init__(file, address, name, parts)
        self._members = members(file, [(k, Cursor(c.file, c.data)) for k, c in self._parts])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._members))

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, path: object) -> bool:
        """Whether there is something, a link that is refused included, at this path."""
        try:
            self[str(path)]
        except KeyError:
            return False
        except DamagedFile:
            return True
        return True

    def __getitem__(self, path: str) -> Any:
        """What is at this path.

        Raises:
            KeyError: if there is nothing.
            DamagedFile: if a link leads there, or it is damaged.
        """
        here: Any = self
        for name in path.strip("/").split("/"):
            if not isinstance(here, Group) or name not in here._members:
                raise KeyError(path)
            here = here._child(name)
        return here

    def _child(self, name: str) -> Any:
        where, path = self._members[name], f"{self.name}/{name}".lstrip("/")
        if isinstance(where, str):
            raise DamagedFile(f"{path!r} is a {where}, which may lead out of the file")
        if where not in self.buffer.objects:
            parts = messages(self.buffer, where)
            kind = Dataset if any(number == LAYOUT for number, _ in parts) else Group
            self.buffer.objects[where] = kind(self.buffer, where, path, parts)
        return self.buffer.objects[where]

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class Dataset(_Object):
    """An array in the file.

    Attributes:
        shape, dtype: as the file says. Texts of any length have the dtype object.
        type_name: the name of the dtype; "bfloat16", which NumPy lacks, included.
    """

    def __init__(self, file: Buffer, address: int, name: str, parts: list[tuple[int, Cursor]]) -> None:
        super().__init__(file, address, name, parts)
        space, kind, layout = self._part(SPACE), self._part(TYPE), self._part(LAYOUT)
        if self._part(EXTERNAL) is not None:
            raise DamagedFile(f"{name!r} keeps its data in another file (external storage)")
        if space is None or kind is None or layout is None:
            raise DamagedFile(f"{name!r} is no whole data set")
        self.shape = read_shape(space)
        self._type = read_type(kind)
        try:
            self._layout = Layout(file, layout, self._part(FILTERS), self.nbytes, self.shape)
        except DamagedFile as error:
            raise DamagedFile(f"{name!r}: {error}") from None

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(object) if self._type.text else self._type.numpy

    @property
    def type_name(self) -> str:
        marked = self.attrs.get("dtype") == "bfloat16" and self._type.numpy.itemsize == 2
        return "bfloat16" if marked else self._type.name

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self._type.numpy.itemsize

    @property
    def in_one_piece(self) -> bool:
        """Whether reading cannot fail, since the bytes are there as they are."""
        return not self._layout.chunk_shape

    def __getitem__(self, key: Any) -> Any:
        """All elements, for the keys ``()`` and ``...``; those of `key` otherwise."""
        if self._type.text:
            raise DamagedFile(f"{self.name!r} holds texts, not numbers")
        try:
            value = self._layout.read(self.shape, self._type.numpy)
        except DamagedFile as error:
            raise DamagedFile(f"{self.name!r}: {error}") from None
        if self.type_name == "bfloat16":
            import ml_dtypes

            value = value.view(ml_dtypes.bfloat16)
        elif value.dtype.byteorder == ">":
            value = value.astype(value.dtype.newbyteorder("="))
        return value if key is Ellipsis or key == () else value[key]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        value = self[()]
        return value if dtype is None else value.astype(dtype)


class File(Group):
    """An open HDF5 file: the group at its root.

    Args:
        source: a path, or all bytes of the file.

    Raises:
        OSError: if it cannot be read.
        DamagedFile: if it is no HDF5 file, or is damaged.
    """

    def __init__(self, source: Any) -> None:
        self._map: Any = None
        if isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as stream:
                if os.fstat(stream.fileno()).st_size == 0:
                    raise DamagedFile("the file is empty")
                self._map = source = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        buffer = Buffer(source)
        super().__init__(buffer, _root(buffer), "")

    def close(self) -> None:
        """Let go of the file."""
        self._parts, self._members = [], {}
        self.buffer.objects.clear()

    def __enter__(self) -> File:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _root(file: Buffer) -> int:
    """The address of the root group: what the superblock is read for."""
    start = 0
    while bytes(file.data[start : start + 8]) != _SIGNATURE:
        start = max(512, start * 2)
        if start + 8 > len(file.data):
            raise DamagedFile("it does not begin like an HDF5 file")
    file.base = start
    head = file.at(8)
    version = head.uint(1)
    if version > 3:
        raise DamagedFile(f"it is of version {version} of HDF5's format, which is not known")
    head.skip(4 if version < 2 else 0)
    file.offset_size, file.length_size = head.uint(1), head.uint(1)
    if file.offset_size not in (2, 4, 8) or file.length_size not in (2, 4, 8):
        raise DamagedFile("its addresses are of a strange size")
    head.skip({0: 9, 1: 13}.get(version, 1))
    for _ in range(4 if version < 2 else 3):
        head.address()
    if version < 2:
        head.address()
    root = head.address()
    if root is None:
        raise DamagedFile("it has no root group")
    return root


def _attribute(file: Buffer, content: Cursor) -> tuple[str, Any]:
    version, flags = content.uint(1), content.uint(1)
    sizes = [content.uint(2) for _ in range(3)]
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise DamagedFile("an attribute of an unknown kind")
    content.skip(1 if version == 3 else 0)
    parts = []
    for size in sizes:
        parts.append(content.sub(size))
        content.skip(-size % 8 if version == 1 else 0)
    name = parts[0].text(sizes[0])
    kind, shape = read_type(parts[1]), read_shape(parts[2])
    return name, decoded(file, content.take(content.left), kind, shape)
