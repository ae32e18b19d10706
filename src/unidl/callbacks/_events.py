"""Event files that TensorBoard reads, written without TensorFlow.

A file is a row of records (length, checksum, bytes, checksum), each of which is an ``Event`` message in protocol
buffer encoding. Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord and the ``.proto`` files
event, summary, histogram and graph of TensorFlow; checksums are CRC-32C (RFC 3720), rotated and offset.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

_numbers = itertools.count()


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def masked_crc(data: bytes) -> int:
    """The checksum of a record's part."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


# -- messages ------------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    """A field of type int32, int64 or bool."""
    return _varint(field << 3) + _varint(value)


def double(field: int, value: float) -> bytes:
    """A field of type double."""
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def single(field: int, value: float) -> bytes:
    """A field of type float."""
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def blob(field: int, value: bytes | str) -> bytes:
    """A field of type string, bytes or message, or a packed row of numbers."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def scalar(tag: str, value: float) -> bytes:
    """A summary value: one number."""
    return blob(1, tag) + single(2, value)


def histogram(tag: str, values: np.ndarray, bins: int = 30) -> bytes:
    """A summary value: how values are distributed."""
    flat = np.asarray(values, np.float64).reshape(-1)
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        flat = np.zeros(1)
    counts, edges = np.histogram(flat, bins)
    message = double(1, flat.min()) + double(2, flat.max()) + double(3, flat.size)
    message += double(4, flat.sum()) + double(5, np.square(flat).sum())
    message += blob(6, edges[1:].astype("<f8").tobytes()) + blob(7, counts.astype("<f8").tobytes())
    return blob(1, tag) + blob(5, message)


def image(tag: str, pixels: np.ndarray) -> bytes:
    """A summary value: a picture, of shape (height, width, 1 or 3) and dtype uint8."""
    height, width, channels = pixels.shape
    message = integer(1, height) + integer(2, width) + integer(3, channels) + blob(4, png(pixels))
    return blob(1, tag) + blob(4, message)


def png(pixels: np.ndarray) -> bytes:
    """A picture in the PNG format (RFC 2083), shape (height, width, 1 or 3), dtype uint8."""
    height, width, channels = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


def graph_definition(graph: Any) -> bytes:
    """A recorded graph as a ``GraphDef`` message: its nodes under the paths of their layers."""
    names: dict[int, str] = {}
    used: dict[str, int] = {}
    message = b""

    def named(base: str) -> str:
        count = used[base] = used.get(base, -1) + 1
        return f"{base}_{count}" if count else base

    def leaf(tensor: Any) -> str:
        nonlocal message
        if id(tensor) not in names:
            variable = tensor.value is not None
            base = getattr(tensor.value, "path", None) or tensor.name or ("constant" if variable else "input")
            names[id(tensor)] = name = named(str(base))
            message += blob(1, blob(1, name) + blob(2, "Variable" if variable else "Placeholder"))
        return names[id(tensor)]

    for node in graph.nodes:
        inputs = [names.get(id(t)) or leaf(t) for t in node.inputs()]
        name = named(f"{node.path}/{node.op.name}" if getattr(node, "path", "") else node.op.name)
        for tensor in node.outputs:
            names[id(tensor)] = name
        message += blob(1, blob(1, name) + blob(2, node.op.name) + b"".join(blob(3, i) for i in inputs))
    return message


# -- files ---------------------------------------------------------------------------------------------


class EventWriter:
    """Writes one event file in `folder`, which is made when the first event comes."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._file: Any = None

    def summaries(self, step: int, values: Sequence[bytes]) -> None:
        """Write summary values for a step."""
        if values:
            self._event(integer(2, step) + blob(5, b"".join(blob(1, v) for v in values)))

    def scalar(self, name: str, data: Any, step: int) -> None:
        """Write one number."""
        self.summaries(step, [scalar(name, float(data))])

    def histogram(self, name: str, data: Any, step: int) -> None:
        """Write how values are distributed."""
        self.summaries(step, [histogram(name, np.asarray(data))])

    def image(self, name: str, data: Any, step: int) -> None:
        """Write a picture of shape (height, width, 1 or 3) and dtype uint8."""
        self.summaries(step, [image(name, np.asarray(data))])

    def graph(self, definition: bytes) -> None:
        """Write a graph."""
        self._event(blob(4, definition))

    def flush(self) -> None:
        """Let readers see what has been written."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """End the file; a later event begins another."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _event(self, fields: bytes) -> None:
        if self._file is None:
            os.makedirs(self.folder, exist_ok=True)
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
            self._file = open(os.path.join(self.folder, name), "xb")  # noqa: SIM115 - kept open; `close` ends it
            self._record(double(1, time.time()) + blob(3, "brain.Event:2"))
        self._record(double(1, time.time()) + fields)

    def _record(self, data: bytes) -> None:
        length = struct.pack("<Q", len(data))
        self._file.write(length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data)))
