"""NumPy archives (``.npz``) whose arrays may hold lists, read without pickle.

NumPy stores arrays of lists as a pickle, a program for a small machine that may also call any function. Here that
program is read as data: numbers, texts, lists and the few symbols that describe an array are understood, nothing is
imported or called, and anything else is refused.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from typing import Any

import numpy as np

_SYMBOLS = {
    "numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct", "numpy ndarray", "numpy dtype",
    "_codecs encode",  # how Python 3 writes bytes for Python 2
}  # fmt: skip


def load_npz(path: Any) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file; those of objects must hold (lists of) numbers and texts.

    Raises:
        ValueError: if the file is damaged, or an array of objects holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith(".npy")]
            return {name.removesuffix(".npy"): _array(archive.read(name), name) for name in names}
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is no .npz file: {error}") from None


def _array(data: bytes, name: str) -> np.ndarray:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if not dtype.hasobject:
        file.seek(0)
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    if dtype != np.dtype(object):
        raise ValueError(f"{name!r} has dtype {dtype}, which cannot be read safely.")
    items = _Reader(data[file.tell() :], name).items()
    if len(items) != math.prod(shape):
        raise ValueError(f"{name!r} is damaged: it has {len(items)} items for shape {shape}.")
    result = np.empty(len(items), object)
    for i, item in enumerate(items):
        result[i] = item
    return result.reshape(shape)


class _Symbol(str):
    """The name of something that the program refers to. It stays a name."""


class _Made:
    """What calling a symbol would make: it stays a note of that."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.state: Any = None


class _Reader:
    """Reads the description of one array of objects."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name

    def items(self) -> list[Any]:
        """The array's items, flat."""
        try:
            made = self._run()
        except (IndexError, struct.error, KeyError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(f"{self.name!r} is damaged: {error}.") from None
        state = made.state if isinstance(made, _Made) and made.symbol.endswith("_reconstruct") else None
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[4], list):
            raise ValueError(f"{self.name!r} is damaged: it describes no array of objects.")
        _check_plain(state[4], self.name)
        return state[4]

    def _refuse(self, what: str) -> ValueError:
        return ValueError(
            f"Refusing to read {self.name!r}: it {what}, which plain data never does. The file may be malicious."
        )

    def _run(self) -> Any:
        data, at = self.data, 0
        stack: list[Any] = []
        marks: list[int] = []
        memo: dict[int, Any] = {}

        def line() -> bytes:
            nonlocal at
            if (end := data.find(b"\n", at)) < 0:
                raise IndexError("it ends too early")
            text, at = data[at:end], end + 1
            return text

        def sized(width: int) -> bytes:
            nonlocal at
            size = int.from_bytes(data[at : at + width], "little")
            at += width + size
            if at > len(data):
                raise IndexError("it ends too early")
            return data[at - size : at]

        def number(form: str, width: int) -> Any:
            nonlocal at
            at += width
            return struct.unpack_from(form, data, at - width)[0]

        def marked() -> list[Any]:
            place = marks.pop()
            values = stack[place:]
            del stack[place:]
            return values

        while True:
            code = data[at : at + 1]
            at += 1
            if code == b"K":  # the most frequent come first
                stack.append(data[at])
                at += 1
            elif code == b"M":
                stack.append(data[at] | data[at + 1] << 8)
                at += 2
            elif code == b"J":
                stack.append(number("<i", 4))
            elif code == b"(":
                marks.append(len(stack))
            elif code == b"e":
                values = marked()
                stack[-1].extend(values)
            elif code == b"a":
                value = stack.pop()
                stack[-1].append(value)
            elif code == b"]":
                stack.append([])
            elif code == b"l":
                stack.append(marked())
            elif code == b"q":
                memo[data[at]] = stack[-1]
                at += 1
            elif code == b"r":
                memo[number("<I", 4)] = stack[-1]
            elif code == b"\x94":
                memo[len(memo)] = stack[-1]
            elif code == b"h":
                stack.append(memo[data[at]])
                at += 1
            elif code == b"j":
                stack.append(memo[number("<I", 4)])
            elif code == b"\x80":
                at += 1
            elif code == b"\x95":
                at += 8
            elif code == b"G":
                stack.append(number(">d", 8))
            elif code in (b"N", b"\x88", b"\x89"):
                stack.append({b"N": None, b"\x88": True, b"\x89": False}[code])
            elif code == b"\x8a":
                stack.append(int.from_bytes(sized(1), "little", signed=True))
            elif code in (b"X", b"\x8c", b"\x8d"):
                stack.append(sized({b"X": 4, b"\x8c": 1, b"\x8d": 8}[code]).decode())
            elif code in (b"U", b"T"):  # texts of Python 2
                stack.append(sized({b"U": 1, b"T": 4}[code]).decode("latin1"))
            elif code in (b"C", b"B"):
                stack.append(sized({b"C": 1, b"B": 4}[code]))
            elif code == b")":
                stack.append(())
            elif code in (b"\x85", b"\x86", b"\x87"):
                count = code[0] - 0x84
                stack[-count:] = [tuple(stack[-count:])]
            elif code == b"t":
                stack.append(tuple(marked()))
            elif code in (b"c", b"\x93"):
                if code == b"c":
                    module, name = line().decode(), line().decode()
                else:
                    name, module = stack.pop(), stack.pop()
                if f"{module} {name}" not in _SYMBOLS:
                    raise self._refuse(f"asks for {module}.{name}")
                stack.append(_Symbol(f"{module} {name}"))
            elif code == b"R":
                stack.pop()
                if type(stack[-1]) is not _Symbol:
                    raise self._refuse("calls something that has no name")
                stack[-1] = _Made(stack[-1])
            elif code == b"b":
                state = stack.pop()
                if type(stack[-1]) is not _Made:
                    raise self._refuse("sets the state of something that it has not made")
                stack[-1].state = state
            elif code == b".":
                return stack.pop()
            else:
                raise self._refuse(f"contains the instruction {code!r}")


def _check_plain(values: list[Any], name: str) -> None:
    for value in values:
        if type(value) is list:
            _check_plain(value, name)
        elif not isinstance(value, (int, float, str)) or type(value) is _Symbol:
            raise ValueError(f"Refusing to read {name!r}: its items are not all lists of numbers and texts.")
