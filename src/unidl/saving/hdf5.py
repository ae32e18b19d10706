"""Variables in HDF5 files: ``<path of the part>/vars/0``, ``…/1``, as Keras 3 lays them out.

Files are written with h5py and read by `unidl.saving._h5`, which needs no library.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from unidl._state import state
from unidl.saving import _h5
from unidl.saving._states import parts_of

#: Of all files that unidl writes; see docs/file-formats.md.
FORMAT_VERSION = 1
#: The name under which Keras 2.12 to 2.15 kept what is under ``layers/``.
_OLD_LAYERS = "_layer_checkpoint_dependencies"


def library() -> Any:
    """h5py.

    Raises:
        ImportError: saying what to install.
    """
    try:
        import h5py
    except ImportError:
        raise ImportError(
            "Writing files of Keras (.keras, .weights.h5, .h5) needs the package h5py: "
            'pip install "unidl[keras-files]". '
            "Weights can be kept in .safetensors files without it."
        ) from None
    return h5py


def check_version(found: Any, path: Any) -> None:
    """Refuse a file that a later release wrote in a form that this one does not know.

    Raises:
        ValueError: naming both versions.
    """
    if not (str(found).isdecimal() and int(found) <= FORMAT_VERSION):
        raise ValueError(
            f"{path} is of format version {found!r}, and this release of unidl knows versions up to {FORMAT_VERSION}: "
            "install a later one."
        )


@contextlib.contextmanager
def opened(source: Any, where: Any) -> Iterator[_h5.File]:
    """The HDF5 file at a path, or in bytes, for reading.

    Raises:
        ValueError: if it is none, is damaged, or has what model files have not; names `where`.
    """
    try:
        with _h5.File(source) as file:
            yield file
    except _h5.DamagedFile as error:
        raise ValueError(f"{where} is damaged, or no file of weights: {error}. Refused.") from None


class GroupWriter(dict[str, Any]):
    """A store for `save_own_variables` that writes what it is given to an HDF5 group and keeps nothing of it."""

    def __init__(self, file: Any, path: str, name: str) -> None:
        super().__init__()
        self._group = file.require_group(f"{path}/vars" if path else "vars")
        if path:
            self._group.attrs["name"] = name

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, None)
        put(self._group, key, np.asarray(value))


def put(group: Any, name: str, value: np.ndarray) -> None:
    """Write an array into a group of h5py. bfloat16, which HDF5 lacks, goes in as two bytes and a note, as in Keras."""
    if value.dtype.name == "bfloat16":
        group.create_dataset(name, data=value.view("V2")).attrs["dtype"] = "bfloat16"
    else:
        group.create_dataset(name, data=value)


def all_parts(root: Any, optimizer: Any = None, skipped: Any = ()) -> list[tuple[str, Any]]:
    """The parts of a model, and its optimizer, by path, without those in `skipped`."""
    left_out = {id(part) for part in skipped or ()}
    found = [*parts_of(root), *([("optimizer", optimizer)] if optimizer is not None else [])]
    return [(path, part) for path, part in found if id(part) not in left_out]


def write(file: Any, root: Any, optimizer: Any = None, skipped: Any = ()) -> None:
    """Put the variables of all parts of `root`, and of the optimizer, into a file that h5py has open."""
    file.attrs["unidl_format_version"] = FORMAT_VERSION
    for path, part in all_parts(root, optimizer, skipped):
        part.save_own_variables(GroupWriter(file, path, str(getattr(part, "name", ""))))


class Stored(Mapping[str, Any]):
    """The data sets of one part: what `load_own_variables` takes. Each array is read when it is asked for."""

    def __init__(self, datasets: Mapping[str, Any]) -> None:
        # Chunks may turn out to be damaged only when they are read: that comes before anything is changed.
        self._datasets = {k: v if v.in_one_piece else v[()] for k, v in datasets.items()}
        self.shapes = {k: tuple(v.shape) for k, v in datasets.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._datasets[name][()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)


def stored_at(file: Any, path: str) -> Stored:
    """What an open file, or `shards.ShardedFile`, holds for the part at `path`; empty if nothing.

    Raises:
        ValueError: if a link is on the way, or something that is no data set.
    """
    for candidate in (path, path.replace("layers", _OLD_LAYERS, 1)):
        try:
            group = file[f"{candidate}/vars" if candidate else "vars"]
        except KeyError:
            continue
        datasets = {name: group[name] for name in group} if isinstance(group, Mapping) else {}
        for name, dataset in datasets.items():
            if not isinstance(dataset, _h5.Dataset):
                raise _h5.DamagedFile(f"{candidate}/vars/{name} is no data set")
        return Stored(datasets)
    return Stored({})


def read(
    file: Any,
    root: Any,
    optimizer: Any = None,
    skip_mismatch: bool = False,
    source: str = "The file",
    skipped: Any = (),
) -> None:
    """Give the parts of `root`, and the optimizer, the variables in an open file.

    All shapes are compared before anything is changed, so that a file that does not fit changes nothing. Arrays are
    read one at a time.

    Raises:
        ValueError: naming the parts that do not fit; with `skip_mismatch` that is a warning, and they stay as they are.
    """
    found, problems = [], []
    for path, part in all_parts(root, optimizer, skipped):
        stored = stored_at(file, path)
        own: dict[str, Any] = {}
        part.save_own_variables(own)
        want = {k: tuple(np.shape(v)) for k, v in own.items()}
        if stored.shapes == want or (stored.shapes and not want):
            found.append((part, stored))
        elif want:
            name = getattr(part, "path", None) or getattr(part, "name", path)
            problems.append(
                f"{path or 'the model itself'} ({name!r}) has {_shapes(want)}, the file {_shapes(stored.shapes)}"
            )
    if problems:
        listed = "; ".join(problems[:6]) + (f" and {len(problems) - 6} more" if len(problems) > 6 else "")
        if not skip_mismatch:
            raise ValueError(
                f"{source} does not fit the model: {listed}. Nothing was loaded; pass skip_mismatch=True to load what "
                "fits."
            )
        warnings.warn(f"{source} does not fit the model everywhere. Left as it was: {listed}.", stacklevel=3)
    for part, stored in found:
        if stored:
            part.load_own_variables(stored)
            if state.allowance is not None:
                own = part._own_variables() if hasattr(part, "_own_variables") else part.variables
                state.allowance.loaded(own)


def _shapes(shapes: dict[str, Any]) -> str:
    return "variables of shapes " + ", ".join(map(str, shapes.values())) if shapes else "none"


def size_of(source: Any) -> int:
    """The size in bytes of a file, given by path, or of bytes."""
    return os.path.getsize(source) if isinstance(source, (str, os.PathLike)) else len(source)
