"""Where the chunks of a data set are, in the layouts of HDF5 1.10 and later."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unidl.saving._h5._buffer import Buffer, Cursor, DamagedFile

_SINGLE, _IMPLICIT, _FIXED_ARRAY = 1, 2, 3
#: Where a chunk begins, its bytes in the file, their address, and the filters that were left out.
Chunk = tuple[tuple[int, ...], int, int, int]


def read_chunks(
    file: Buffer, content: Cursor, shape: tuple[int, ...], packed: bool
) -> tuple[tuple[int, ...], list[Chunk]]:
    """The shape of chunks, and the chunks that there are, from the part of a layout message behind its class.

    Args:
        shape: of the data set.
        packed: whether chunks go through filters.

    Raises:
        DamagedFile: for data sets that can grow: their chunks are listed in other ways.
    """
    flags, rank, size = content.uint(1), content.uint(1), content.uint(1)
    sizes = tuple(content.uint(size) for _ in range(rank))
    if not sizes or not all(sizes) or math.prod(sizes) > 2**32 or rank != len(shape) + 1:
        raise DamagedFile(f"a data set of shape {shape} has chunks of shape {sizes[:-1]}")
    kind, whole = content.uint(1), math.prod(sizes)
    if flags & 1 and packed:
        raise DamagedFile("a data set leaves some of its chunks as they are, which is not read")
    counts = [-(-total // each) for total, each in zip(shape, sizes)]
    if kind == _SINGLE:
        length, skipped = (content.length(), content.uint(4)) if flags & 2 else (whole, 0)
        entries: Iterator[tuple[int | None, int, int]] = iter([(content.address(), length, skipped)])
        if math.prod(counts) != 1:
            raise DamagedFile(f"a data set of shape {shape} has one chunk of shape {sizes[:-1]}")
    elif kind == _IMPLICIT and not packed:
        entries = _in_a_row(file, content.address(), math.prod(counts), whole)
    elif kind == _FIXED_ARRAY:
        content.skip(1)
        entries = _fixed_array(file, content.address(), math.prod(counts), whole, packed)
    else:
        raise DamagedFile("a data set can grow, which is not read in files of libver='latest'")
    found: list[Chunk] = []
    for number, (where, length, skipped) in enumerate(entries):
        if where is not None:
            file.part(where, length)
            found.append((_start(number, counts, sizes), length, where, skipped))
    return sizes[:-1], found


def _start(number: int, counts: list[int], sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Where a chunk begins in the data set; the last axis counts first."""
    places: list[int] = []
    for count, size in zip(reversed(counts), reversed(sizes[:-1])):
        number, place = divmod(number, count)
        places.insert(0, place * size)
    return tuple(places)


def _in_a_row(file: Buffer, address: int | None, count: int, size: int) -> Iterator[tuple[int | None, int, int]]:
    if address is None:
        return
    file.part(address, count * size)
    for number in range(count):
        yield address + number * size, size, 0


def _fixed_array(
    file: Buffer, address: int | None, count: int, size: int, packed: bool
) -> Iterator[tuple[int | None, int, int]]:
    if address is None:
        return
    head = file.at(address, b"FAHD")
    version, client, entry, bits, total = head.uint(1), head.uint(1), head.uint(1), head.uint(1), head.length()
    where = head.address()
    wide = entry - file.offset_size - 4  # of the number that says how long a packed chunk is
    if version != 0 or client != packed or (packed and not 0 < wide <= 8) or (not packed and entry != file.offset_size):
        raise DamagedFile("the list of chunks of a data set is of an unknown kind")
    if total != count or bits > 32:
        raise DamagedFile(f"a data set of {count} chunks lists {total}: it can grow, which is not read")
    if where is None:
        return
    block = file.at(where, b"FADB")
    block.skip(2 + file.offset_size)
    each = 1 << bits
    used = None
    pages = -(-total // each)
    if pages > 1:
        used = block.take((pages + 7) // 8).tobytes()
        block.skip(4)
    for first in range(0, total, each):
        number = min(each, total - first)
        file.spend(number * entry)
        page = block.sub(number * entry)
        block.skip(4)
        there = used is None or used[first // each // 8] & (128 >> first // each % 8)
        for _ in range(number):
            if not there:
                yield None, 0, 0
            elif packed:
                yield page.address(), page.uint(wide), page.uint(4)
            else:
                yield page.address(), size, 0
