"""Variables in HDF5 files: ``<path of the part>/vars/0``, ``…/1``, as Keras 3 lays them out."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.saving._states import parts_of


def library() -> Any:
    """h5py.

    Raises:
        ImportError: saying what to install.
    """
    try:
        import h5py
    except ImportError:
        raise ImportError(
            'Files of Keras (.keras, .weights.h5) need the package h5py: pip install "unidl[keras-files]". '
            "Weights can be kept in .safetensors files without it."
        ) from None
    return h5py


def write(file: Any, root: Any, optimizer: Any = None) -> None:
    """Put the variables of all parts of `root`, and of the optimizer, into an open file."""
    for path, part in [*parts_of(root), *([("optimizer", optimizer)] if optimizer is not None else [])]:
        store: dict[str, Any] = {}
        part.save_own_variables(store)
        group = file.create_group(f"{path}/vars" if path else "vars")
        if path:
            file[path].attrs["name"] = str(getattr(part, "name", ""))
        for name, value in store.items():
            value = np.asarray(value)
            if value.dtype.name == "bfloat16":  # HDF5 has no such type: the bytes, and what they are
                dataset = group.create_dataset(name, data=value.view(np.uint16))
                dataset.attrs["dtype"] = "bfloat16"
            else:
                group.create_dataset(name, data=value)


def read(file: Any, root: Any, optimizer: Any = None, skip_mismatch: bool = False, source: str = "The file") -> None:
    """Give the parts of `root`, and the optimizer, the variables in an open file.

    Everything is read before anything is changed, so that a file that does not fit changes nothing.

    Raises:
        ValueError: naming the parts that do not fit, unless `skip_mismatch`.
    """
    found, problems = [], []
    for path, part in [*parts_of(root), *([("optimizer", optimizer)] if optimizer is not None else [])]:
        group = _group(file, f"{path}/vars" if path else "vars")
        store = {} if group is None else {name: _value(group, name) for name in group}
        own: dict[str, Any] = {}
        part.save_own_variables(own)
        have, want = ({k: np.shape(v) for k, v in s.items()} for s in (store, own))
        if have == want or (have and not want):
            found.append((part, store))
        elif want:
            name = getattr(part, "path", None) or getattr(part, "name", path)
            problems.append(f"{path or 'the model itself'} ({name!r}) has {_shapes(want)}, the file {_shapes(have)}")
    if problems and not skip_mismatch:
        raise ValueError(
            f"{source} does not fit the model: {'; '.join(problems[:6])}"
            f"{f' and {len(problems) - 6} more' if len(problems) > 6 else ''}. Nothing was loaded; "
            "pass skip_mismatch=True to load what fits."
        )
    for part, store in found:
        if store:
            part.load_own_variables(store)


def _shapes(shapes: dict[str, Any]) -> str:
    return "variables of shapes " + ", ".join(map(str, shapes.values())) if shapes else "none"


def _group(file: Any, path: str) -> Any:
    """The group at `path`, followed by hard links only: others lead out of the file."""
    h5py = library()
    node = file
    for name in path.split("/"):
        if name not in node:
            return None
        if not isinstance(node.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"The HDF5 file has a link at {path!r}, which may lead out of it: refused.")
        node = node[name]
    return node if isinstance(node, h5py.Group) else None


def _value(group: Any, name: str) -> np.ndarray:
    """A dataset that the file itself holds, and not more than it can hold."""
    h5py = library()
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"The HDF5 file has a link at {group.name}/{name}, which may lead out of it: refused.")
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"{group.name}/{name} in the HDF5 file is no plain data set: refused.")
    if dataset.nbytes > 4096 and dataset.id.get_storage_size() * 1024 < dataset.nbytes:
        raise ValueError(
            f"{group.name}/{name} in the HDF5 file claims {dataset.nbytes} bytes of which "
            f"{dataset.id.get_storage_size()} are there: refused."
        )
    value = dataset[()]
    if dataset.attrs.get("dtype") == "bfloat16" and value.dtype == np.uint16:
        import ml_dtypes

        return value.view(ml_dtypes.bfloat16)
    return value
