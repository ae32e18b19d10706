"""What is in a file of a model: names, shapes and dtypes, read without the values.

`readers` says who reads which files, by the end of their names; other modules may add theirs.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Array:
    """An array that a file holds.

    Attributes:
        shape: its sizes.
        dtype: the name of its dtype.
        nbytes: how many bytes its values have.
    """

    shape: tuple[int, ...]
    dtype: str
    nbytes: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass
class Contents:
    """What a file holds.

    Attributes:
        kind: what it is, for people.
        facts: further lines about it: what wrote it, and when.
        tree: names to arrays, or to such dicts.
        notes: remarks on entries by path: what a layer is called.
    """

    kind: str
    facts: dict[str, str] = field(default_factory=dict)
    tree: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """All arrays with their paths, in order."""
        yield from _arrays(self.tree, "")


def _arrays(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Array]]:
    for name, value in tree.items():
        if isinstance(value, Array):
            yield prefix + name, value
        else:
            yield from _arrays(value, f"{prefix}{name}/")


#: End of a file's name to the function that reads it, or "module:function" of one. The longest that fits counts.
readers: dict[str, str | Callable[[Path], Contents]] = {
    ".keras": "unidl.saving._listing:keras_archive",
    ".h5": "unidl.saving._listing:hdf5_file",
    ".hdf5": "unidl.saving._listing:hdf5_file",
    ".weights.json": "unidl.saving._listing:shards",
    ".safetensors": "unidl.saving._listing:safetensors_file",
    ".params": "unidl.interchange.mxnet._describing:arrays",
    "-symbol.json": "unidl.interchange.mxnet._describing:symbol",
    ".onnx": "unidl.interchange.onnx._describing:contents",
}


def contents(path: Any) -> Contents:
    """What the file at `path` holds.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if nobody reads such files, or it is damaged.

    Example:
        >>> import os, tempfile, unidl
        >>> from unidl.saving.inspecting import contents
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2, name="last")])
        >>> path = os.path.join(tempfile.mkdtemp(), "w.safetensors")
        >>> model.save_weights(path)
        >>> [(name, array.shape, array.dtype) for name, array in contents(path).arrays()]
        [('last/kernel', (3, 2), 'float32'), ('last/bias', (2,), 'float32')]
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    fitting = [end for end in readers if path.name.endswith(end)]
    if path.is_dir():
        fitting = [".keras"]
    if not fitting:
        raise ValueError(f"{path.name!r} is no file that can be inspected: those end in {', '.join(sorted(readers))}.")
    read = readers[max(fitting, key=len)]
    if isinstance(read, str):
        module, _, name = read.partition(":")
        read = getattr(importlib.import_module(module), name)
    return read(path)


def insert(tree: dict[str, Any], parts: list[str], array: Array) -> None:
    """Put an array into a tree at the end of a path."""
    for part in parts[:-1]:
        below = tree.setdefault(part, {})
        tree = below if isinstance(below, dict) else tree.setdefault(f"{part} (group)", {})
    name = parts[-1]
    tree[f"{name} (array)" if name in tree else name] = array
