"""The elements of data sets: in one piece, or in chunks that may be packed."""

from __future__ import annotations

import itertools
import math
import zlib
from typing import Any

import numpy as np

from unidl.saving._h5._buffer import Buffer, Cursor, DamagedFile
from unidl.saving._h5._chunks import read_chunks
from unidl.saving._h5._headers import leaves

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
#: Bytes that a data set may claim for each byte stored, beyond the first `_FREE`.
_MOST_RATIO, _FREE = 200, 2**20


class Layout:
    """Where the elements are.

    Attributes:
        stored: how many bytes the file has for them.
    """

    def __init__(
        self, file: Buffer, content: Cursor, filters: Cursor | None, size: int, shape: tuple[int, ...]
    ) -> None:
        """`size` is that of the whole data set in bytes, as it claims to be, `shape` that of its elements."""
        self.file = file
        self.filters = [] if filters is None else _filters(filters)
        self.raw: Any = b""
        self.chunks: list[tuple[tuple[int, ...], int, int, int]] = []
        self.chunk_shape: tuple[int, ...] = ()
        version, kind = content.uint(1), content.uint(1)
        if version in (1, 2):
            kind = self._old(content, kind, size)
        elif version not in (3, 4) or kind == 3:
            what = "is made of others (a virtual data set)" if kind == 3 else f"has a layout of version {version}"
            raise DamagedFile(f"a data set {what}, which is not read")
        elif kind == 0:
            self.raw = content.take(content.uint(2))
        elif kind == 1:
            self._whole(content.address(), content.length(), size)
        elif kind == 2 and version == 4:
            self.chunk_shape, self.chunks = read_chunks(file, content, shape, bool(self.filters))
        elif kind == 2:
            rank, tree = content.uint(1), content.address()
            self._chunked(tree, tuple(content.uint(4) for _ in range(rank)))
        else:
            raise DamagedFile(f"a data set of layout {kind}, which is not read")
        self.stored = sum(c[1] for c in self.chunks) if kind == 2 else len(self.raw)
        if kind != 2 and self.stored < size:
            raise DamagedFile(f"a data set claims {size} bytes of which {self.stored} are there")
        if self.stored > len(file.data):
            raise DamagedFile("the chunks of a data set overlap")
        if kind == 2 and size > _FREE + _MOST_RATIO * self.stored:
            raise DamagedFile(f"a data set claims {size} bytes, but only {self.stored} are stored")

    def _old(self, content: Cursor, rank: int, size: int) -> int:
        """The layouts of HDF5 before 1.6.3."""
        kind = content.uint(1)
        content.skip(5)
        where = content.address() if kind else None
        sizes = tuple(content.uint(4) for _ in range(rank))
        if kind == 0:
            self.raw = content.take(content.uint(4))
        elif kind == 1:
            self._whole(where, size, size)
        else:
            self._chunked(where, sizes)
        return kind

    def _whole(self, where: int | None, length: int, size: int) -> None:
        if where is None:
            if size > _FREE:
                raise DamagedFile(f"a data set claims {size} bytes of which none are there")
            self.raw = bytes(size)  # never written: zeros
        else:
            self.raw = self.file.part(where, length)

    def _chunked(self, tree: int | None, shape: tuple[int, ...]) -> None:
        if not shape or not all(shape) or math.prod(shape) > 2**32:
            raise DamagedFile(f"a data set has chunks of shape {shape}")
        self.chunk_shape = shape[:-1]
        if tree is None:
            return
        for key, where in leaves(self.file, tree, 1, 8 + 8 * len(shape)):
            length, skipped = key.uint(4), key.uint(4)
            start = tuple(key.uint(8) for _ in shape)[:-1]
            self.file.part(where, length)
            self.chunks.append((start, length, where, skipped))

    def read(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """All elements, as an array of its own.

        Raises:
            DamagedFile: if chunks are damaged.
        """
        if not self.chunk_shape:
            return np.frombuffer(self.raw, dtype, math.prod(shape)).reshape(shape).copy()
        if len(self.chunk_shape) != len(shape):
            raise DamagedFile("the chunks of a data set have another rank than it has")
        out = np.zeros(shape, dtype)
        size = math.prod(self.chunk_shape) * dtype.itemsize
        for start, length, where, skipped in self.chunks:
            raw = self._unpacked(self.file.part(where, length), size, skipped, dtype.itemsize)
            chunk = np.frombuffer(raw, dtype).reshape(self.chunk_shape)
            ends = [min(a + n, total) for a, n, total in zip(start, self.chunk_shape, shape)]
            if any(e <= a for a, e in zip(start, ends)):
                raise DamagedFile("a chunk lies outside of its data set")
            inside = tuple(slice(0, e - a) for a, e in zip(start, ends))
            out[tuple(map(slice, start, ends))] = chunk[inside]
        return out

    def _unpacked(self, raw: Any, size: int, skipped: int, itemsize: int) -> Any:
        for number in reversed(range(len(self.filters))):
            kind = self.filters[number]
            if skipped >> number & 1:
                continue
            if kind == _DEFLATE:
                try:
                    raw = zlib.decompressobj().decompress(raw, size + 4)
                except zlib.error as error:
                    raise DamagedFile(f"a chunk is damaged: {error}") from None
            elif kind == _SHUFFLE and itemsize > 1:
                if len(raw) % itemsize:
                    raise DamagedFile(f"a chunk has {len(raw)} bytes, no multiple of {itemsize}")
                raw = np.frombuffer(raw, np.uint8).reshape(itemsize, -1).T.tobytes()
            elif kind == _FLETCHER32:
                raw = raw[:-4]
        if len(raw) != size:
            raise DamagedFile(f"a chunk has {len(raw)} bytes where {size} belong")
        return raw


def _filters(content: Cursor) -> list[int]:
    """The numbers of the filters that chunks went through, in order."""
    version, count = content.uint(1), content.uint(1)
    content.skip(6 if version == 1 else 0)
    found = []
    for _ in itertools.repeat(None, count):
        kind = content.uint(2)
        named = content.uint(2) if version == 1 or kind >= 256 else 0
        content.skip(2)
        values = content.uint(2)
        content.skip(named + -named % 8 if version == 1 else named)
        content.skip(4 * (values + (values & 1 if version == 1 else 0)))
        if kind not in (_DEFLATE, _SHUFFLE, _FLETCHER32):
            raise DamagedFile(f"a data set is packed with filter {kind}, which is not read")
        found.append(kind)
    return found
