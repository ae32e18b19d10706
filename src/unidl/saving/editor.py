"""`KerasFileEditor`: looking at a file of weights, changing what is in it, and writing it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unidl.saving import _h5, hdf5
from unidl.saving._containers import CONFIG, METADATA, container
from unidl.saving._writing import replacing

_SUFFIX = ".weights.h5"


class KerasFileEditor:
    """The weights in a ``.keras`` or ``.weights.h5`` file as a tree of names, which can be changed and written anew.

    Objects (layers, the optimizer) are named by a path, ``layers/dense_1``, or by its last part if only one has it. All
    weights are in memory; to look at a large file, use ``unidl inspect``.

    Args:
        filepath: the file.

    Attributes:
        weights_dict: names to arrays, or to such dicts.
        object_metadata: path of an object to what the file says of it, such as the name of a layer.
        config, metadata: of a ``.keras`` file; else None.

    Raises:
        ValueError: if it is no such file, is damaged, or has links in it.

    Example:
        >>> import os, tempfile, unidl
        >>> path = os.path.join(tempfile.mkdtemp(), "old.weights.h5")
        >>> unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2)]).save_weights(path)
        >>> editor = unidl.saving.KerasFileEditor(path)
        >>> editor.rename_object("layers/dense", "dense_1")
        >>> editor.add_object("layers/dense", {"0": [[1.0] * 3] * 3, "1": [0.0] * 3})
        >>> editor.summary()
        layers/dense_1/0  (3, 2)  float32
        layers/dense_1/1  (2,)  float32
        layers/dense/0  (3, 3)  float32
        layers/dense/1  (3,)  float32
        >>> wider = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(3), unidl.layers.Dense(2)])
        >>> editor.compare(wider)["status"]
        'success'
        >>> editor.save(path)
        >>> wider.load_weights(path)
    """

    def __init__(self, filepath: Any) -> None:
        path = Path(filepath)
        self.filepath = filepath
        self.config: Any = None
        self.metadata: Any = None
        self.model = None
        self.object_metadata: dict[str, dict[str, Any]] = {}
        if path.suffix == ".keras":
            with container(path) as archive:
                self.config, self.metadata = archive.json(CONFIG), archive.json(METADATA)
                source = archive.weights()
        elif path.name.endswith(_SUFFIX):
            source = path
        else:
            raise ValueError(f"Files that end in .keras or {_SUFFIX} can be edited, not {path.name!r}.")
        with hdf5.opened(source, path) as file:
            self.weights_dict = self._read(file, "", set())

    def _read(self, group: _h5.Group, path: str, above: set[int]) -> dict[str, Any]:
        if group.address in above:
            raise _h5.DamagedFile(f"the group {path!r} is inside of itself")
        above = above | {group.address}
        if group.attrs:
            self.object_metadata[path] = dict(group.attrs)
        found: dict[str, Any] = {}
        for name in group:
            item = group[name]
            if isinstance(item, _h5.Dataset):
                found[name] = item[()]
            elif name == "vars":
                found.update(self._read(item, path, above))
            elif below := self._read(item, f"{path}/{name}", above):
                found[name] = below
        return found

    # -- looking ----------------------------------------------------------------------------

    def summary(self) -> None:
        """Print all weights with their paths, shapes and dtypes."""
        for path, value in _flat(self.weights_dict):
            print(f"{path}  {value.shape}  {value.dtype}")

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Say how the file differs from what the weights of a model would be.

        Returns:
            ``{"status": "success" or "error", "error_count": …, "match_count": …}``; what differs is printed.
        """
        want: dict[str, tuple[int, ...]] = {}
        for path, part in hdf5.all_parts(reference_model):
            store: dict[str, Any] = {}
            part.save_own_variables(store)
            want.update({f"{path}/{name}".lstrip("/"): tuple(np.shape(v)) for name, v in store.items()})
        have = {path: tuple(value.shape) for path, value in _flat(self.weights_dict)}
        problems = [f"{p}: the model has it, the file does not" for p in want if p not in have]
        problems += [f"{p}: the file has it, the model does not" for p in have if p not in want]
        problems += [
            f"{p}: shape {have[p]} in the file, {want[p]} in the model" for p in want if have.get(p, want[p]) != want[p]
        ]
        for problem in problems:
            print(problem)
        matches = sum(have.get(p) == shape for p, shape in want.items())
        return {
            "status": "error" if problems else "success", "error_count": len(problems), "match_count": matches,
        }  # fmt: skip

    # -- changing ---------------------------------------------------------------------------

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object another name; it stays where it is, so the new name is no path."""
        if "/" in new_name:
            raise ValueError(f"The new name {new_name!r} must be a name, without '/'.")
        level, name = self._find(object_name)
        level[new_name] = level.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Remove an object with all that is in it."""
        level, name = self._find(object_name)
        del level[name]

    def add_object(self, object_path: str, weights: dict[str, Any]) -> None:
        """Put in an object at a path, the objects around which must be there.

        Args:
            weights: names, usually "0", "1" and so on, to arrays.
        """
        *above, name = object_path.split("/")
        level = self.weights_dict
        for part in above:
            if not isinstance(level.get(part), dict):
                raise ValueError(f"The file has no {'/'.join(above)!r} to put {name!r} into.")
            level = level[part]
        level[name] = _arrays(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Remove one weight of an object."""
        weights = self._object(object_name)
        if weight_name not in weights:
            raise ValueError(f"{object_name!r} has no weight {weight_name!r}; it has {sorted(weights)}.")
        del weights[weight_name]

    def add_weights(self, object_name: str, weights: dict[str, Any]) -> None:
        """Put weights into an object; those of the same names are replaced."""
        self._object(object_name).update(_arrays(weights))

    def save(self, filepath: Any) -> None:
        """Write the weights to a ``.weights.h5`` file.

        Raises:
            ValueError: if the name does not end so.
        """
        path = Path(filepath)
        if not path.name.endswith(_SUFFIX):
            raise ValueError(f"Weights are written to files that end in {_SUFFIX}, not {path.name!r}.")
        with replacing(path) as temporary, hdf5.library().File(temporary, "w") as file:
            for place, value in _flat(self.weights_dict):
                above, _, name = place.rpartition("/")
                hdf5.put(file.require_group(f"{above}/vars" if above else "vars"), name, value)

    resave_weights = save

    # -- finding ----------------------------------------------------------------------------

    def _object(self, name: str) -> dict[str, Any]:
        level, last = self._find(name)
        if not isinstance(level[last], dict):
            raise ValueError(f"{name!r} is a weight, not an object.")
        return level[last]

    def _find(self, name: str) -> tuple[dict[str, Any], str]:
        """The dict that holds an object, given by path or by a name that only one has, and its name there."""
        if "/" in name:
            *above, last = name.split("/")
            level: Any = self.weights_dict
            for part in above:
                level = level.get(part) if isinstance(level, dict) else None
            places = [level] if isinstance(level, dict) and last in level else []
        else:
            last = name
            places = [level for level in _levels(self.weights_dict) if name in level]
        if len(places) != 1:
            why = "is there more than once: give its path" if places else "is not there; summary() shows what is"
            raise ValueError(f"The object {name!r} {why}.")
        return places[0], last


def _levels(level: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield level
    for value in level.values():
        if isinstance(value, dict):
            yield from _levels(value)


def _flat(level: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in level.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value


def _arrays(weights: Any) -> dict[str, np.ndarray]:
    if not isinstance(weights, dict):
        raise ValueError(f"`weights` must be a dict of names to arrays, not {type(weights).__name__}.")
    made = {str(name): np.asarray(value) for name, value in weights.items()}
    return {name: value.astype("float32") if value.dtype == np.float64 else value for name, value in made.items()}
