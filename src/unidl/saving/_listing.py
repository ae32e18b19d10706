"""The contents of unidl's and Keras's own files, for `unidl.saving.inspecting`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unidl.saving import _h5, hdf5
from unidl.saving import shards as sharding
from unidl.saving._containers import CONFIG, METADATA, container, parsed
from unidl.saving._safetensors import Reader
from unidl.saving.inspecting import Array, Contents, insert


def keras_archive(path: Path) -> Contents:
    """A ``.keras`` archive or folder."""
    with container(path) as archive:
        metadata, config = archive.json(METADATA) or {}, archive.json(CONFIG)
        found = Contents("Keras archive")
        found.facts = {str(k).replace("_", " "): str(v) for k, v in metadata.items()}
        found.facts.update(_model_facts(config))
        with hdf5.opened(archive.weights(), path) as file:
            _walk(file, found.tree, found.notes, "", set())
    return found


def hdf5_file(path: Path) -> Contents:
    """An HDF5 file: weights of Keras 3, or a whole model of any Keras."""
    found = Contents("HDF5 weights" if path.name.endswith(".weights.h5") else "HDF5 file")
    with hdf5.opened(path, path) as file:
        for name in ("keras_version", "backend"):
            if name in file.attrs:
                found.facts[name.replace("_", " ")] = str(file.attrs[name])
        config = file.attrs.get("model_config")
        if isinstance(config, str):
            found.kind = "HDF5 file of a whole model"
            found.facts.update(_model_facts(parsed(config, f"model_config in {path}")))
        _walk(file, found.tree, found.notes, "", set())
    return found


def shards(path: Path) -> Contents:
    """The JSON file of weights in several HDF5 files."""
    found = Contents("HDF5 weights in several files")
    with sharding.opened(path) as several:
        for group in several.groups:
            for name, dataset in several[group].items():
                insert(found.tree, [*_path(group), name], _array(dataset))
        found.facts["files"] = ", ".join(several.names)
    return found


def safetensors_file(path: Path) -> Contents:
    """A safetensors file; dots in names part its levels."""
    try:
        file = Reader(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}.") from None
    found = Contents("safetensors", dict(file.metadata))
    for name, (shape, dtype, start, end) in file.specs.items():
        insert(found.tree, name.split("."), Array(shape, dtype, end - start))
    return found


def _model_facts(config: Any) -> dict[str, str]:
    """What a configuration says of the whole model."""
    if not isinstance(config, dict):
        return {}
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    facts = {"model": str(config.get("class_name"))}
    if isinstance(inner, dict) and "name" in inner:
        facts["model"] += f" {inner['name']!r}"
    if isinstance(layers, list):
        facts["model"] += f" of {len(layers)} layers"
    return facts


def _path(group: str) -> list[str]:
    """A group's path without the level that only says "variables"."""
    return [part for part in group.strip("/").split("/") if part and part != "vars"]


def _array(dataset: _h5.Dataset) -> Array:
    return Array(dataset.shape, dataset.type_name or str(dataset.dtype), dataset.nbytes)


def _walk(group: _h5.Group, tree: dict[str, Any], notes: dict[str, str], path: str, seen: set[int]) -> None:
    """List a group. What two names lead to is listed once."""
    if group.address in seen:
        return
    seen.add(group.address)
    if isinstance(group.attrs.get("name"), str):
        notes[path.removesuffix("/")] = group.attrs["name"]
    for name in sorted(group, key=lambda n: (int(n), n) if n.isdecimal() else (-1, n)):
        item = group[name]
        if isinstance(item, _h5.Dataset):
            insert(tree, [name], _array(item))
        elif name == "vars":
            _walk(item, tree, notes, path, seen)
        elif len(item):
            below = tree.setdefault(name, {})
            _walk(item, below if isinstance(below, dict) else {}, notes, f"{path}{name}/", seen)
            if not below:
                del tree[name]
