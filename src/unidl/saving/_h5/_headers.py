"""Object headers of HDF5: the messages that say what a group or data set is, and the names in groups."""

from __future__ import annotations

from collections.abc import Iterator

from unidl.saving._h5._buffer import Buffer, Cursor, DamagedFile
from unidl.saving._h5._dense import LINKS, objects

SPACE, LINK_INFO, TYPE, FILL, EXTERNAL, LINK, LAYOUT, FILTERS, ATTRIBUTE, CONTINUED, SYMBOLS, ATTRIBUTE_INFO = (
    1, 2, 3, 5, 7, 6, 8, 11, 12, 16, 17, 21,
)  # fmt: skip


def messages(file: Buffer, address: int) -> list[tuple[int, Cursor]]:
    """Numbers and contents of all messages of the object at `address`, continued blocks included."""
    start = file.at(address)
    newer = file.part(address, 4).tobytes() == b"OHDR"
    if newer:
        blocks, tracked = [_newer_block(start)], bool(file.part(address + 5, 1)[0] & 4)
    else:
        if start.uint(1) != 1:
            raise DamagedFile(f"there is no object at address {address}")
        start.skip(7)
        size = start.uint(4)
        start.skip(4)
        blocks, tracked = [start.sub(size)], False
    seen: set[int] = set()
    found: list[tuple[int, Cursor]] = []
    for block in blocks:  # grows while it is read
        for kind, content in _block(block, newer, tracked):
            if kind != CONTINUED:
                found.append((kind, content))
                continue
            where, length = content.address(), content.length()
            if where is None or where in seen:
                raise DamagedFile(f"the object at address {address} continues in a circle")
            seen.add(where)
            if newer:
                further = file.at(where, b"OCHK")
                blocks.append(further.sub(length - 8))
            else:
                blocks.append(file.at(where).sub(length))
    return found


def _newer_block(start: Cursor) -> Cursor:
    start.skip(4)
    version, flags = start.uint(1), start.uint(1)
    if version != 2:
        raise DamagedFile(f"an object header of version {version}")
    start.skip((16 if flags & 32 else 0) + (4 if flags & 16 else 0))
    return start.sub(start.uint(1 << (flags & 3)))


def _block(block: Cursor, newer: bool, tracked: bool) -> Iterator[tuple[int, Cursor]]:
    smallest = (6 if tracked else 4) if newer else 8
    while block.left >= smallest:
        kind = block.uint(1 if newer else 2)
        size, flags = block.uint(2), block.uint(1)
        block.file.spend(smallest + size)
        block.skip((2 if tracked else 0) if newer else 3)
        content = block.sub(size)
        if flags & 2 and kind in (SPACE, TYPE, LAYOUT, FILTERS, ATTRIBUTE):
            raise DamagedFile("a part of an object is shared with others, which is not so in model files")
        if kind:
            yield kind, content


def members(file: Buffer, parts: list[tuple[int, Cursor]]) -> dict[str, int | str]:
    """Names in the group with these messages: the address of each, or, for what is refused, what kind of link it is.

    Raises:
        DamagedFile: if what is no group has names, or they are kept in a way that model files do not have.
    """
    found: dict[str, int | str] = {}
    for kind, content in parts:
        if kind == SYMBOLS:
            tree, heap = content.address(), content.address()
            if tree is None or heap is None:
                raise DamagedFile("a group has no list of names")
            for name, where in _symbols(file, tree, _heap(file, heap)):
                found[name] = where
        elif kind == LINK:
            name, where = _link(content)
            found[name] = where
        elif kind == LINK_INFO:
            content.skip(1)
            content.skip(8 if content.uint(1) & 1 else 0)
            many, tree = content.address(), content.address()
            if many is not None and tree is not None:
                for one in objects(file, many, tree, LINKS):
                    name, where = _link(one)
                    found[name] = where
    return found


def _heap(file: Buffer, address: int) -> Cursor:
    head = file.at(address, b"HEAP")
    head.skip(4)
    size = head.length()
    head.length()
    where = head.address()
    if where is None:
        raise DamagedFile("the names of a group are nowhere")
    return Cursor(file, file.part(where, size))


def leaves(file: Buffer, address: int, kind: int, key_size: int) -> Iterator[tuple[Cursor, int]]:
    """The keys and children of the lowest nodes of a B-tree of version 1."""
    todo, seen = [(address, 256)], set()
    while todo:
        where, above = todo.pop()
        if where in seen:
            raise DamagedFile("a tree of the file has a circle")
        seen.add(where)
        node = file.at(where, b"TREE")
        if node.uint(1) != kind:
            raise DamagedFile("a tree of the file is of the wrong kind")
        level, count = node.uint(1), node.uint(2)
        if level >= above:
            raise DamagedFile("a tree of the file is out of order")
        node.address(), node.address()
        file.spend(count * (key_size + file.offset_size))
        below: list[tuple[int, int]] = []
        for _ in range(count):
            key, child = node.sub(key_size), node.address()
            if child is None:
                raise DamagedFile("a tree of the file has a hole")
            if level == 0:
                yield key, child
            else:
                below.append((child, level))
        todo += reversed(below)


def _symbols(file: Buffer, tree: int, heap: Cursor) -> Iterator[tuple[str, int | str]]:
    seen: set[int] = set()
    for _, child in leaves(file, tree, 0, file.length_size):
        if child in seen:
            raise DamagedFile("a group lists some names twice")
        seen.add(child)
        node = file.at(child, b"SNOD")
        node.skip(2)
        count = node.uint(2)
        file.spend(count * (24 + 2 * file.offset_size))
        for _ in range(count):
            place, where, cached = node.uint(file.offset_size), node.address(), node.uint(4)
            node.skip(20)
            heap.position = place
            name = heap.text()
            if cached == 2:
                yield name, "soft link"
            elif where is not None:
                yield name, where


def _link(content: Cursor) -> tuple[str, int | str]:
    content.skip(1)
    flags = content.uint(1)
    kind = content.uint(1) if flags & 8 else 0
    content.skip((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = content.text(content.uint(1 << (flags & 3)))
    if kind == 0:
        where = content.address()
        if where is None:
            raise DamagedFile(f"the link {name!r} leads nowhere")
        return name, where
    return name, {1: "soft link", 64: "external link"}.get(kind, "link of an unknown kind")
