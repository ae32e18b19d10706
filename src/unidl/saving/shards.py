"""Weights in several HDF5 files of limited size, and a JSON file that says which part is in which.

As Keras 3 defines it: ``m.weights.json`` has ``{"metadata": {"total_size": bytes}, "weight_map": {"/layers/dense/vars":
"m_00000.weights.h5"}}``; a part whose variables are in several files has a list of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unidl.saving import _h5, hdf5
from unidl.saving._containers import parsed
from unidl.saving._writing import replacing

SUFFIX = ".weights.json"
_GB = 1024**3
_SHARD = re.compile(r"[^/\\\0]+_\d{5,}\.weights\.h5")


def index_path(path: Path) -> Path:
    """The path of the JSON file: Keras also takes one that ends in ``.weights.h5``."""
    if path.name.endswith(SUFFIX):
        return path
    changed = path.with_name(path.name.removesuffix(".weights.h5") + SUFFIX)
    warnings.warn(f"Weights in several files need a name that ends in {SUFFIX}: {changed} is written.", stacklevel=4)
    return changed


def write(path: Path, root: Any, max_shard_size: float, skipped: Any = ()) -> None:
    """Write the variables of all parts of `root` to files of at most `max_shard_size` GB (of 1024³ bytes).

    The JSON file is written last, and then the files that an older one at `path` names are removed: after a crash
    either the old weights are whole or the new ones.

    Raises:
        ValueError: if a variable is larger than that.
    """
    most, old = float(max_shard_size) * _GB, _named(path) if path.exists() else set()
    writer = _Writer(path, most)
    try:
        for place, part in hdf5.all_parts(root, None, skipped):
            writer.place = place
            part.save_own_variables(writer)
        writer.close()
        with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            index = {"metadata": {"total_size": writer.total}, "weight_map": writer.weight_map}
            json.dump(index, file, indent=4)
    except BaseException:
        writer.close()
        for name in writer.names:
            path.with_name(name).unlink(missing_ok=True)
        raise
    for name in old - set(writer.names):
        path.with_name(name).unlink(missing_ok=True)


class _Writer(dict[str, Any]):
    """A store for `save_own_variables` that begins a new file when one is full.

    Attributes:
        place: the path of the part that is saving.
        names: of the files written.
    """

    def __init__(self, path: Path, most: float) -> None:
        super().__init__()
        self.place = ""
        self.names: list[str] = []
        self.weight_map: dict[str, Any] = {}
        self.total = 0
        self._path, self._most, self._size = path, most, 0
        self._file: Any = None
        base = path.name.removesuffix(SUFFIX)
        taken = {p.name for p in path.parent.glob(f"{base}*_00000.weights.h5")}
        numbers = (base if i == 0 else f"{base}-{i}" for i in range(len(taken) + 1))
        self._base = next(b for b in numbers if f"{b}_00000.weights.h5" not in taken)

    def __setitem__(self, key: str, value: Any) -> None:
        value = np.asarray(value)
        if value.nbytes > self._most:
            raise ValueError(
                f"Variable {key} of {self.place!r} has {value.nbytes} bytes, more than max_shard_size allows "
                f"({self._most:.0f} bytes): raise max_shard_size, which is in GB."
            )
        if self._file is None or self._size + value.nbytes > self._most:
            self.close()
            self.names.append(f"{self._base}_{len(self.names):05}.weights.h5")
            self._file = hdf5.library().File(self._path.with_name(self.names[-1]), "w")
            self._size = 0
        self._size += value.nbytes
        self.total += value.nbytes
        group = f"/{self.place}/vars" if self.place else "/vars"
        hdf5.put(self._file.require_group(group), key, value)
        files = self.weight_map.get(group, [])
        files = [files] if isinstance(files, str) else files
        if self.names[-1] not in files:
            files = [*files, self.names[-1]]
        self.weight_map[group] = files[0] if len(files) == 1 else files

    def close(self) -> None:
        """Close the file that is being written."""
        if self._file is not None:
            self._file.close()
            self._file = None


class ShardedFile:
    """The files that a JSON file names, read like one: ``file["layers/dense/vars"]`` has the data sets of all.

    Raises:
        ValueError: if the JSON file is damaged, or names anything but files of weights beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map = _weight_map(path)
        self._files: dict[str, _h5.File] = {}

    @property
    def groups(self) -> list[str]:
        """The paths of all groups."""
        return [group.removeprefix("/") for group in self._map]

    @property
    def names(self) -> list[str]:
        """The names of the files."""
        return sorted({name for names in self._map.values() for name in names})

    @property
    def size(self) -> int:
        """The size of all files in bytes."""
        return sum(os.path.getsize(self.path.with_name(name)) for name in self.names)

    def __getitem__(self, group: str) -> dict[str, Any]:
        """Raises KeyError if there is no such group."""
        found: dict[str, Any] = {}
        for name in self._map[f"/{group}"]:
            if name not in self._files:
                file = self.path.with_name(name)
                if not file.is_file():
                    raise _h5.DamagedFile(f"it names {name}, which is not beside it")
                self._files[name] = _h5.File(file)
            part = self._files[name][group]
            found.update({key: part[key] for key in part} if isinstance(part, _h5.Group) else {})
        return found


@contextlib.contextmanager
def opened(path: Path) -> Iterator[ShardedFile]:
    """The weights that the JSON file at `path` lists, for reading.

    Raises:
        ValueError: if any of the files is damaged or missing.
    """
    try:
        yield ShardedFile(path)
    except _h5.DamagedFile as error:
        raise ValueError(f"The weights that {path} lists are damaged: {error}. Refused.") from None


def _weight_map(path: Path) -> dict[str, list[str]]:
    index = parsed(path.read_bytes(), str(path), strict=True)
    found = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no list of weights: it lacks 'weight_map'.")
    groups = {group: [names] if isinstance(names, str) else names for group, names in found.items()}
    for names in groups.values():
        if not isinstance(names, list) or not all(isinstance(n, str) and _SHARD.fullmatch(n) for n in names):
            raise ValueError(f"{path} names {names!r}, which is no file of weights beside it: refused.")
    return groups


def _named(path: Path) -> set[str]:
    """The files that the JSON file at `path` names; none if it is damaged."""
    try:
        return {name for names in _weight_map(path).values() for name in names}
    except (ValueError, OSError):
        return set()
