"""The bytes of a file, read with every address checked."""

from __future__ import annotations

from typing import Any


class DamagedFile(ValueError):
    """The file is no HDF5 file, is damaged, or has parts that model files do not have."""


class Buffer:
    """The bytes of a file.

    Attributes:
        data: all of them, as a memoryview.
        base: where the HDF5 file begins in them; addresses count from there.
        offset_size, length_size: how many bytes addresses and lengths have in this file.
        objects: groups and data sets met so far by address, so that each is read once.
        heaps: the same for texts: by address of the heap, places by number.
    """

    def __init__(self, data: Any) -> None:
        self.data = memoryview(data)
        self.base = 0
        self.offset_size = self.length_size = 8
        self.objects: dict[int, Any] = {}
        self.heaps: dict[int, dict[int, Cursor]] = {}
        self._left = 2 * len(self.data) + 65536

    def spend(self, count: int) -> None:
        """Note that `count` bytes which describe the file were read. Since each is read once, there is an end to it.

        Raises:
            DamagedFile: if it was more than the file has: its parts overlap, to keep the reader busy.
        """
        self._left -= count
        if self._left < 0:
            raise DamagedFile("parts of the file overlap")

    def part(self, address: int, count: int) -> memoryview:
        """`count` bytes at `address`.

        Raises:
            DamagedFile: if the file ends before.
        """
        start = self.base + address
        if address < 0 or count < 0 or start + count > len(self.data):
            raise DamagedFile(f"{count} bytes at address {address} lie beyond the end of the file")
        return self.data[start : start + count]

    def at(self, address: int, signature: bytes = b"") -> Cursor:
        """A cursor at `address`, behind `signature`, which must be there."""
        cursor = Cursor(self, self.data[self.base :], address)
        if signature and cursor.take(len(signature)).tobytes() != signature:
            raise DamagedFile(f"there is no {signature.decode()} at address {address}")
        return cursor


class Cursor:
    """A place in some bytes, moving forward."""

    def __init__(self, file: Buffer, data: memoryview, position: int = 0) -> None:
        self.file = file
        self.data = data
        self.position = position

    @property
    def left(self) -> int:
        return len(self.data) - self.position

    def take(self, count: int) -> memoryview:
        """The next `count` bytes."""
        end = self.position + count
        if count < 0 or self.position < 0 or end > len(self.data):
            raise DamagedFile(f"{count} bytes at {self.position} lie beyond the end of what holds them")
        taken, self.position = self.data[self.position : end], end
        return taken

    def sub(self, count: int) -> Cursor:
        """A cursor over the next `count` bytes alone."""
        return Cursor(self.file, self.take(count))

    def skip(self, count: int) -> None:
        self.take(count)

    def align(self, size: int, start: int = 0) -> None:
        """Skip to the next multiple of `size` after `start`."""
        self.take(-(self.position - start) % size)

    def uint(self, size: int) -> int:
        """The next `size` bytes as a number, the low byte first."""
        return int.from_bytes(self.take(size), "little")

    def address(self) -> int | None:
        """An address; None if it is undefined."""
        size = self.file.offset_size
        value = self.uint(size)
        return None if value == 2 ** (8 * size) - 1 else value

    def length(self) -> int:
        return self.uint(self.file.length_size)

    def text(self, count: int | None = None) -> str:
        """`count` bytes of text, or all until a zero byte."""
        if count is None:
            end, size = -1, 64
            while end < 0:
                if size > 65536:
                    raise DamagedFile("a name has no end")
                end = self.data[max(self.position, 0) : self.position + size].tobytes().find(b"\0")
                size *= 4
            raw = self.take(end + 1).tobytes()
        else:
            raw = self.take(count).tobytes()
        try:
            return raw.partition(b"\0")[0].decode("utf-8")
        except UnicodeDecodeError as error:
            raise DamagedFile(f"a name is no text: {error}") from None
