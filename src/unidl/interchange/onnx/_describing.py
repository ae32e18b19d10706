"""What is in an ONNX file, read without its weights (and without the package onnx).

The file is walked field by field as protobuf lays it out (https://protobuf.dev/programming-guides/encoding/), with the
numbers of ``onnx.proto``; the bytes of tensors are passed over.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from unidl.saving.inspecting import Array, Contents, insert

#: ``TensorProto.DataType`` to unidl's names and the bits of an element.
_TYPES = {
    1: ("float32", 32), 2: ("uint8", 8), 3: ("int8", 8), 4: ("uint16", 16), 5: ("int16", 16), 6: ("int32", 32),
    7: ("int64", 64), 8: ("string", 0), 9: ("bool", 8), 10: ("float16", 16), 11: ("float64", 64), 12: ("uint32", 32),
    13: ("uint64", 64), 14: ("complex64", 64), 15: ("complex128", 128), 16: ("bfloat16", 16), 17: ("float8_e4m3fn", 8),
    18: ("float8_e4m3fnuz", 8), 19: ("float8_e5m2", 8), 20: ("float8_e5m2fnuz", 8), 21: ("uint4", 4), 22: ("int4", 4),
    23: ("float4_e2m1fn", 4), 24: ("float8_e8m0fnu", 8), 25: ("uint2", 2), 26: ("int2", 2),
}  # fmt: skip
_LARGEST_NAME = 1 << 16


class Weight(NamedTuple):
    """An initializer: its shape, dtype, size in bytes, and the file that holds it ("" for the model itself)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    file: str


class Described(NamedTuple):
    """What `describe` found: lines about the file, and its initializers in order."""

    facts: dict[str, str]
    weights: list[Weight]


def describe(path: Path) -> Described:
    """Names, shapes, dtypes and sizes of the weights in an ONNX file, and what else it says of itself.

    Raises:
        ValueError: if it is no ONNX file, or is damaged.
    """
    with open(path, "rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _model(_Fields(data, 0, len(data)))
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no ONNX file, or it is damaged: {error}.") from None


class _Fields:
    """The fields of one message: (number, int) or (number, `_Fields`) pairs."""

    def __init__(self, data: mmap.mmap, start: int, stop: int) -> None:
        self.data, self.start, self.stop = data, start, stop

    def __iter__(self) -> Iterator[tuple[int, int | _Fields]]:
        place = self.start
        while place < self.stop:
            key, place = self._number(place)
            kind = key & 7
            if kind == 0:
                value, place = self._number(place)
                yield key >> 3, value
            elif kind in (1, 5):
                place += 8 if kind == 1 else 4
            elif kind == 2:
                length, place = self._number(place)
                if place + length > self.stop:
                    raise ValueError("a field reaches beyond its end")
                yield key >> 3, _Fields(self.data, place, place + length)
                place += length
            else:
                raise ValueError(f"a field of the unknown kind {kind}")
        if place != self.stop:
            raise ValueError("a field reaches beyond its end")

    def _number(self, place: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            if place >= self.stop or shift > 63:
                raise ValueError("a number that does not end")
            byte = self.data[place]
            value |= (byte & 127) << shift
            place, shift = place + 1, shift + 7
            if byte < 128:
                return value, place

    def numbers(self) -> list[int]:
        """What a packed list of numbers holds."""
        place, found = self.start, []
        while place < self.stop:
            value, place = self._number(place)
            found.append(value)
        return found

    def text(self) -> str:
        if self.stop - self.start > _LARGEST_NAME:
            raise ValueError(f"a name of {self.stop - self.start} bytes")
        return self.data[self.start : self.stop].decode()


def _model(fields: _Fields) -> Described:
    facts: dict[str, str] = {}
    opsets: list[str] = []
    weights: list[Weight] = []
    producer = version = ""
    graphs = 0
    for number, value in fields:
        if isinstance(value, int):
            if number == 1:
                facts["IR version"] = str(value)
        elif number == 2:
            producer = value.text()
        elif number == 3:
            version = value.text()
        elif number == 7:
            graphs += 1
            weights += _graph(value, facts)
        elif number == 8:
            opsets.append(_opset(value))
    if not graphs or "IR version" not in facts:
        raise ValueError("it holds no graph")
    facts["opset"] = ", ".join(opsets)
    if producer:
        facts["producer"] = f"{producer} {version}".strip()
    return Described(facts, weights)


def _graph(fields: _Fields, facts: dict[str, str]) -> Iterator[Weight]:
    nodes: Counter[str] = Counter()
    sides: dict[str, list[tuple[str, str]]] = {"inputs": [], "outputs": []}
    weights: list[Weight] = []
    for number, value in fields:
        if isinstance(value, int):
            continue
        if number == 1:
            nodes[_text(value, 4)] += 1
        elif number == 2:
            facts["graph"] = value.text()
        elif number == 5:
            weights.append(_weight(value))
        elif number in (11, 12):
            sides["inputs" if number == 11 else "outputs"].append(_declared(value))
    facts["nodes"] = f"{sum(nodes.values())} ({', '.join(f'{n} {kind}' for kind, n in nodes.most_common())})"
    held = {w.name for w in weights}  # old files list weights among the inputs
    facts.update({side: ", ".join(text for name, text in found if name not in held) for side, found in sides.items()})
    yield from weights


def _text(fields: _Fields, wanted: int) -> str:
    """The text in one field of a message."""
    return next((v.text() for n, v in fields if n == wanted and not isinstance(v, int)), "")


def _inside(fields: _Fields, *path: int) -> _Fields | None:
    """A message in a message."""
    for wanted in path:
        found = next((v for n, v in fields if n == wanted and not isinstance(v, int)), None)
        if found is None:
            return None
        fields = found
    return fields


def _opset(fields: _Fields) -> str:
    version = next((v for n, v in fields if n == 2 and isinstance(v, int)), 1)
    domain = _text(fields, 1)
    return f"{domain} {version}".strip()


def _declared(fields: _Fields) -> tuple[str, str]:
    """The name of an input or output, and ``name float32[batch, 4]``."""
    name, tensor = _text(fields, 1), _inside(fields, 2, 1)
    if tensor is None:
        return name, name
    kind = next((v for n, v in tensor if n == 1 and isinstance(v, int)), 0)
    shape = _inside(tensor, 2)
    dims = []
    for _, dim in shape or ():
        if not isinstance(dim, int):
            known = next((str(v) for n, v in dim if n == 1 and isinstance(v, int)), "")
            dims.append(known or _text(dim, 2) or "?")
    return name, f"{name} {_TYPES.get(kind, ('unknown', 0))[0]}[{', '.join(dims)}]"


def _weight(fields: _Fields) -> Weight:
    name, file, kind = "", "", 0
    dims: list[int] = []
    for number, value in fields:
        if isinstance(value, int):
            if number == 1:
                dims.append(value)
            elif number == 2:
                kind = value
        elif number == 1:
            dims += value.numbers()
        elif number == 8:
            name = value.text()
        elif number == 13 and _text(value, 1) == "location":
            file = _text(value, 2)
    dtype, bits = _TYPES.get(kind, ("unknown", 0))
    return Weight(name, tuple(dims), dtype, (math.prod(dims) * bits + 7) // 8, file)


def contents(path: Path) -> Contents:
    """What `unidl inspect` shows of an ONNX file.

    Raises:
        ValueError: as `describe`.
    """
    found = describe(path)
    facts = dict(found.facts)
    if files := sorted({w.file for w in found.weights if w.file}):
        facts["weights in"] = ", ".join(files)
    result = Contents("ONNX model", facts)
    for weight in found.weights:
        parts = [part for part in weight.name.split("/") if part] or ["(without a name)"]
        insert(result.tree, parts, Array(weight.shape, weight.dtype, weight.nbytes))
    return result


__all__ = ["Described", "Weight", "contents", "describe"]
