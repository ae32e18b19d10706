"""Many links, many or large attributes: kept in a fractal heap, and listed by a B-tree of version 2."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from unidl.saving._h5._buffer import Buffer, Cursor, DamagedFile

#: Kinds of trees: of huge objects in a heap, of links by name, of attributes by name.
_HUGE, LINKS, ATTRIBUTES = 1, 5, 8
_MANAGED, _TINY = 0, 2
#: More levels, and more rows of blocks, than any file has.
_MOST_LEVELS, _MOST_ROWS = 32, 64


def objects(file: Buffer, heap: int, tree: int, kind: int) -> Iterator[Cursor]:
    """The links or attributes that a tree lists, as messages.

    Raises:
        DamagedFile: for what is damaged, or shared between objects of the file.
    """
    place = Heap(file, heap)
    for record in records(file, tree, kind):
        if kind == LINKS:
            record.skip(4)
        name = record.sub(place.id_size)
        if kind == ATTRIBUTES and record.uint(1) & 2:
            raise DamagedFile("an attribute is shared with other objects, which is not so in model files")
        yield place.object(name)


def records(file: Buffer, address: int, kind: int) -> Iterator[Cursor]:
    """All records of a B-tree of version 2."""
    head = file.at(address, b"BTHD")
    version, found = head.uint(1), head.uint(1)
    if version != 0 or found != kind:
        raise DamagedFile(f"a tree of the file is of kind {found}, version {version}, where kind {kind} belongs")
    node_size, record_size, depth = head.uint(4), head.uint(2), head.uint(2)
    head.skip(2)
    root, count = head.address(), head.uint(2)
    if root is None or count == 0:
        return
    if depth > _MOST_LEVELS or record_size == 0:
        raise DamagedFile(f"a tree of the file has {depth} levels and records of {record_size} bytes")
    sizes = _pointer_sizes(file, node_size, record_size, depth)
    todo = [(root, count, depth)]
    while todo:
        where, count, level = todo.pop()
        file.spend(node_size)
        node = file.at(where, b"BTIN" if level else b"BTLF").sub(node_size - 4)
        if node.uint(1) != 0 or node.uint(1) != kind:
            raise DamagedFile("a tree of the file has nodes of another kind")
        for _ in range(count):
            yield node.sub(record_size)
        for _ in range(count + 1 if level else 0):
            child, fewer = node.address(), node.uint(sizes[0])
            node.skip(sizes[level - 1] if level > 1 else 0)  # the number of records below
            if child is None:
                raise DamagedFile("a tree of the file has a hole")
            todo.append((child, fewer, level - 1))


def _pointer_sizes(file: Buffer, node_size: int, record_size: int, depth: int) -> list[int]:
    """How many bytes count the records of a leaf, and those below a node at each level from 1.

    They follow from how many records there can be.
    """
    most = (node_size - 10) // record_size
    if most < 1:
        raise DamagedFile(f"a tree of the file has nodes of {node_size} bytes and records of {record_size}")
    found, below = [_bytes_for(most)], most
    for level in range(1, depth + 1):
        pointer = file.offset_size + found[0] + (found[level - 1] if level > 1 else 0)
        here = (node_size - 10 - pointer) // (record_size + pointer)
        if here < 1:
            raise DamagedFile(f"a tree of the file has nodes of {node_size} bytes, too small for any child")
        below = (here + 1) * below + here
        found.append(_bytes_for(below))
    return found


def _bytes_for(most: int) -> int:
    """How many bytes a number up to `most` takes."""
    return (most.bit_length() - 1) // 8 + 1


class Heap:
    """Objects of any size by their names, which say where they are.

    Attributes:
        id_size: how many bytes a name has.

    Raises:
        DamagedFile: if there is none, or its blocks are packed.
    """

    def __init__(self, file: Buffer, address: int) -> None:
        self.file = file
        head = file.at(address, b"FRHP")
        if head.uint(1) != 0:
            raise DamagedFile("a heap of the file is of an unknown version")
        self.id_size, packed = head.uint(2), head.uint(2)
        head.skip(1)
        most = head.uint(4)
        head.length()
        self._huge = head.address()
        head.length(), head.address()
        for _ in range(8):
            head.length()
        width, start, most_direct, bits = head.uint(2), head.length(), head.length(), head.uint(2)
        head.skip(2)
        root, rows = head.address(), head.uint(2)
        if packed:
            raise DamagedFile("a heap of the file is packed, which is not read")
        if not all(n and n & (n - 1) == 0 for n in (width, start, most_direct)) or most_direct < start or bits > 64:
            raise DamagedFile(f"a heap of the file has {width} columns of blocks of {start} to {most_direct} bytes")
        self._offset_size = (bits + 7) // 8
        self._length_size = min((most_direct.bit_length() + 6) // 8, _bytes_for(max(most, 1)))
        self._blocks: list[tuple[int, int, int]] = []
        self._large: dict[int, tuple[int, int]] | None = None
        if root is not None and rows == 0:
            self._blocks.append((0, start, root))
        elif root is not None:
            self._walk(root, rows, width, start, most_direct)
        self._blocks.sort()

    def _walk(self, root: int, rows: int, width: int, start: int, most_direct: int) -> None:
        """Find the blocks with objects: where in the heap each begins, its size, and where in the file it is."""
        direct = most_direct.bit_length() - start.bit_length() + 2
        todo = [(root, 0, rows)]
        while todo:
            address, offset, rows = todo.pop()
            if rows > _MOST_ROWS:
                raise DamagedFile(f"a heap of the file has {rows} rows of blocks")
            table = self.file.at(address, b"FHIB")
            table.skip(1 + self.file.offset_size + self._offset_size)
            for row in range(rows):
                size = start << max(row - 1, 0)
                self.file.spend(width * self.file.offset_size)
                for _ in range(width):
                    child = table.address()
                    if child is not None and row < direct:
                        self._blocks.append((offset, size, child))
                    elif child is not None:
                        todo.append((child, offset, (size // (start * width)).bit_length()))
                    offset += size

    def object(self, name: Cursor) -> Cursor:
        """The bytes of the object with this name."""
        kind = name.uint(1)
        if kind >> 4 == _TINY:
            return name.sub((kind & 15) + 1)
        if kind >> 4 == _MANAGED:
            offset, length = name.uint(self._offset_size), name.uint(self._length_size)
            number = bisect.bisect_right(self._blocks, (offset, 1 << 64, 0)) - 1
            begin, size, address = self._blocks[number] if number >= 0 else (0, 0, 0)
            if not length or offset + length > begin + size:
                raise DamagedFile(f"{length} bytes at {offset} of a heap lie in none of its blocks")
            where = address + offset - begin
        else:
            where, length = self._place_of_huge(kind, name)
        self.file.spend(length)
        return Cursor(self.file, self.file.part(where, length))

    def _place_of_huge(self, kind: int, name: Cursor) -> tuple[int, int]:
        if kind >> 4 != _HUGE or self._huge is None or self.id_size > self.file.offset_size + self.file.length_size:
            raise DamagedFile("an object in a heap of the file is of an unknown kind")
        if self._large is None:
            self._large = {}
            for record in records(self.file, self._huge, _HUGE):
                where, length, number = record.address(), record.length(), record.length()
                if where is not None:
                    self._large[number] = where, length
        number = name.uint(min(name.left, self.file.length_size))
        if number not in self._large:
            raise DamagedFile(f"a heap of the file has no object {number}")
        return self._large[number]
