"""The zip files of `torch.save`, read as ``weights_only=True`` does: plain containers and tensors, nothing else.

A file holds ``data.pkl``, a pickle that describes the containers, and the bytes of each tensor's storage beside it.
Only the opcodes that such pickles need are let through, and only names that stand here for functions which describe a
tensor. Format: https://docs.pytorch.org/docs/stable/notes/serialization.html.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_MOST_PICKLE = 64 * 2**20
_OPCODES = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "EMPTY_DICT", "EMPTY_TUPLE", "EMPTY_LIST", "TUPLE", "TUPLE1", "TUPLE2",
    "TUPLE3", "SETITEM", "SETITEMS", "APPEND", "APPENDS", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2",
    "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL",
    "STACK_GLOBAL", "REDUCE", "BUILD", "BINPERSID",
})  # fmt: skip
_STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip


class _Kind(NamedTuple):
    """A class of storages: NumPy's name of the dtype."""

    dtype: str


class _Storage(NamedTuple):
    """Numbers in the file: their dtype, the name of their entry, and how many there are."""

    dtype: str
    key: str
    size: int


class StoredTensor(NamedTuple):
    """A tensor in the file: a view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Dict(OrderedDict):  # type: ignore[type-arg]
    """What a pickled `OrderedDict` becomes; the attributes that PyTorch sets on it are dropped."""

    def __setstate__(self, state: Any) -> None:
        """Version numbers of modules: not needed."""


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> StoredTensor:
    shape, strides = tuple(shape), tuple(strides)
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(type(n) is int and 0 <= n < 2**48 for n in numbers):
        raise pickle.UnpicklingError(f"a tensor is described as {numbers} of {storage!r}")
    if len(shape) != len(strides) or len(shape) > 32:
        raise pickle.UnpicklingError(f"a tensor has the shape {shape} and the strides {strides}")
    reach = offset + 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if 0 not in shape else offset
    if reach > storage.size:
        raise pickle.UnpicklingError(f"a tensor of shape {shape} reaches beyond its {storage.size} numbers")
    return StoredTensor(storage, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Any:
    return data


_NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Dict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", name): _Kind(dtype) for name, dtype in _STORAGES.items()},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no state_dict needs")
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> Any:
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" and isinstance(pid[1], _Kind)):
            raise pickle.UnpicklingError(f"it refers to {pid!r}")
        _, kind, key, _, count = pid
        if type(count) is not int or not 0 <= count < 2**48 or not isinstance(key, str):
            raise pickle.UnpicklingError(f"it refers to {pid!r}")
        return _Storage(kind.dtype, key, count)


class StateDict:
    """The tensors of a file by name, read when they are asked for.

    Attributes:
        tensors: name to what the file says of the tensor, in the file's order.

    Raises:
        ValueError: if the file is none of `torch.save`, is damaged, or holds more than tensors in containers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(
                f"{path} is no file that torch.save wrote in the form of PyTorch 1.6 or later: {error}. Load it in "
                "PyTorch and save its state_dict() again."
            ) from None
        try:
            self._entries = {i.filename.partition("/")[2]: i for i in self._zip.infolist()}
            found = self._unpickled()
            order = self._zip.read(self._entries["byteorder"]).strip() if "byteorder" in self._entries else b"little"
        except Exception as error:
            self._zip.close()
            if isinstance(error, (MemoryError, KeyboardInterrupt)):
                raise
            raise ValueError(f"{path} is no state_dict of PyTorch: {error}. Nothing was loaded.") from None
        self._big = order == b"big"
        self.tensors = _tensors(found, path)

    def _unpickled(self) -> Any:
        if "data.pkl" not in self._entries or "constants.pkl" in self._entries:
            raise ValueError("it is another kind of archive, perhaps TorchScript")
        entry = self._entries["data.pkl"]
        if entry.file_size > _MOST_PICKLE:
            raise ValueError(f"its description has {entry.file_size} bytes")
        with self._zip.open(entry) as file:
            content = file.read(_MOST_PICKLE + 1)
        if len(content) > _MOST_PICKLE:
            raise ValueError("its description is longer than it says")
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in _OPCODES:
                raise ValueError(f"its description has the instruction {opcode.name}, which no state_dict needs")
            if opcode.name == "LONG_BINPUT" and isinstance(argument, int) and argument > len(content):
                raise ValueError("its description counts wrongly")
        return _Unpickler(io.BytesIO(content)).load()

    def __enter__(self) -> StateDict:
        return self

    def __exit__(self, *exc: object) -> None:
        self._zip.close()

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of a name; bfloat16 as float32.

        Raises:
            ValueError: if it is not whole.
        """
        tensor = self.tensors[name]
        dtype = np.dtype("<u2" if tensor.storage.dtype == "bfloat16" else tensor.storage.dtype)
        dtype = dtype.newbyteorder(">") if self._big else dtype
        size = tensor.storage.size * dtype.itemsize
        entry = self._entries.get(f"data/{tensor.storage.key}")
        if entry is None or entry.file_size != size or entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{self.path} is damaged: the {size} bytes of {name!r} are not there as they should be.")
        try:
            flat = np.frombuffer(self._zip.read(entry), dtype)
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise ValueError(f"{self.path} is damaged: {name!r} cannot be read ({error}).") from None
        strides = [s * dtype.itemsize for s in tensor.strides]
        array = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides, writeable=False)
        if tensor.storage.dtype == "bfloat16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(array.dtype.newbyteorder("="), copy=False)


def _tensors(found: Any, path: Path) -> dict[str, StoredTensor]:
    """The tensors in what was unpickled: a dict of them, or a checkpoint with such a dict in it."""
    for inside in ("state_dict", "model_state_dict", "model", "module"):
        if isinstance(found, dict) and isinstance(found.get(inside), dict):
            found = found[inside]
            break
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no state_dict, but a {type(found).__name__}. Save model.state_dict().")
    tensors = {str(k): v for k, v in found.items() if isinstance(v, StoredTensor)}
    if not tensors:
        raise ValueError(f"{path} holds no tensors by name. Save model.state_dict().")
    return tensors
