"""Weights alone: in safetensors files by dotted names, the same for every backend, or in the files of Keras.

Nothing in any of these files can run code. Saving writes a temporary file beside the target and renames it, so that a
crash leaves the old file whole. Arrays are written and read one at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unidl.saving import _safetensors, hdf5
from unidl.saving._writing import replacing
from unidl.saving.checkpoints import resolved

_HDF5, _SHARDED, _LEGACY = ".weights.h5", ".weights.json", (".h5", ".hdf5")
_WRITTEN = (".safetensors", _HDF5, _SHARDED)
_TORCH = (".pt", ".pth")
_READ = (*_WRITTEN, ".keras", *_LEGACY, *_TORCH)
_METADATA = {"format": "unidl", "format_version": str(hdf5.FORMAT_VERSION)}


def weight_names(model: Any, stored: bool = False) -> dict[str, Any]:
    """Dotted structural name to variable: ``encoder.dense.kernel``.

    Automatic layer names count afresh inside each model, so that the names do not depend on what
    else was built in the process.

    Args:
        stored: leave out what weights files do not hold: LoRA's factors, which are merged into the weight.
    """
    names: dict[str, Any] = {}
    seen: set[int] = set()
    _walk(model, "", names, seen, stored)
    return names


def _walk(layer: Any, prefix: str, names: dict[str, Any], seen: set[int], stored: bool) -> None:
    from unidl.layers._base import snake_case

    own: dict[str, int] = {}
    for variable in layer._stored() if stored else layer._own_variables():
        if id(variable) not in seen:
            seen.add(id(variable))
            count = own[variable.name] = own.get(variable.name, -1) + 1
            names[f"{prefix}{variable.name}{f'_{count}' if count else ''}"] = variable
    used = {child.name for child in layer._sublayers() if not child._auto_named}
    counts: dict[str, int] = {}
    for child in layer._sublayers():
        name = child.name
        if child._auto_named:
            base = snake_case(type(child).__name__)
            while True:
                count = counts[base] = counts.get(base, -1) + 1
                name = f"{base}_{count}" if count else base
                if name not in used:
                    break
        if id(child) not in seen:
            seen.add(id(child))
            _walk(child, f"{prefix}{name}.", names, seen, stored)


def save_weights(
    model: Any, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None, **kwargs: Any
) -> None:
    """Write all weights of `model` to a ``.safetensors`` file, or to files in Keras's layout.

    Args:
        filepath: a name that ends in ``.safetensors``, in ``.weights.h5`` (one file of Keras), or, with
            `max_shard_size`, in ``.weights.json`` (several files of Keras, which are beside it).
        overwrite: replace a file that is there.
        max_shard_size: the most that one file may have, in GB.
        objects_to_skip: layers that are left out; for files of Keras.

    Raises:
        ValueError: if the name does not end so, the model is not built, has no weights, or a variable is larger than
            `max_shard_size`.
        FileExistsError: if the file is there and `overwrite` is False.

    Example:
        >>> import os, tempfile, unidl
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(2)])
        >>> path = os.path.join(tempfile.mkdtemp(), "w.weights.json")
        >>> model.save_weights(path, max_shard_size=1e-8)  # 10 bytes
        Traceback (most recent call last):
        ...
        ValueError: Variable 0 of 'layers/dense' has 24 bytes, more than max_shard_size allows (11 bytes): raise …
        >>> model.save_weights(path, max_shard_size=0.5)
        >>> sorted(os.listdir(os.path.dirname(path)))
        ['w.weights.json', 'w_00000.weights.h5']
    """
    skipped = kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise TypeError(f"save_weights() does not take {sorted(kwargs)}.")
    path = _checked_path(filepath, _WRITTEN)
    if max_shard_size is not None and not path.name.endswith((_HDF5, _SHARDED)):
        raise ValueError(f"With max_shard_size the name must end in {_SHARDED}, not {path.name!r}.")
    if max_shard_size is None and path.name.endswith(_SHARDED):
        raise ValueError(f"{path.name!r} means several files: say how large they may be with max_shard_size (in GB).")
    names = weight_names(model, stored=True)
    if not names:
        raise ValueError(f"Model {model.name!r} has no weights to save: build it (call it on data) first.")
    if max_shard_size is not None:
        from unidl.saving import shards

        path = shards.index_path(path)
        _check_free(path, overwrite)
        shards.write(path, model, max_shard_size, skipped)
        return
    _check_free(path, overwrite)
    if path.name.endswith(_HDF5):
        with replacing(path) as temporary, hdf5.library().File(temporary, "w") as file:
            hdf5.write(file, model, skipped=skipped)
        return
    from unidl.backend import active

    if skipped:
        raise TypeError(f"objects_to_skip is for files that end in {_HDF5}.")
    owners = {id(v): layer for layer in model._flatten_layers() for v in layer._stored()}
    specs = {name: (tuple(d or 0 for d in active.shape(v)), active.dtype(v)) for name, v in names.items()}
    with replacing(path) as temporary:
        value = lambda name: owners[id(names[name])]._stored_value(names[name], active.host_view)
        _safetensors.write(temporary, specs, value, _METADATA)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> Any:
    """Read weights that `save_weights` or Keras wrote, on any backend; those of a whole model's file, too.

    Nothing is changed unless the whole file fits. The weights of files of Keras 1 and 2, and of ``.h5`` files that
    Keras 3 writes, are given to the layers with weights in their order. A ``.pt`` or ``.pth`` file is a ``state_dict``
    of PyTorch, of a model of the same structure: layers are matched by their order, kinds and shapes, kernels and gates
    brought into unidl's layout. PyTorch is not needed, and nothing in the file is run.

    Args:
        filepath: a name that ends in ``.safetensors``, ``.weights.h5``, ``.weights.json``, ``.keras``, ``.h5`` or
            ``.hdf5``.
        skip_mismatch: load what fits, by name and shape, and leave the rest.
        by_name: for ``.h5`` and ``.hdf5``: give weights to the layers of the same names, and leave the others.
        objects_to_skip: layers that stay as they are; for ``.weights.h5`` and ``.weights.json``.

    Returns:
        For a ``state_dict`` a report of which tensor went where, which prints as tables; else None.

    Raises:
        ValueError: if the file is no such file, is damaged, or belongs to another architecture (the names and shapes
            that differ are listed).
        FileNotFoundError: if there is no such file.
    """
    by_name, skipped = kwargs.pop("by_name", None), kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise TypeError(f"load_weights() does not take {sorted(kwargs)}.")
    path = _checked_path(resolved(filepath), _READ)
    legacy = path.name.endswith(_LEGACY) and not path.name.endswith(_HDF5)
    if by_name is not None and not legacy:
        raise ValueError(f"by_name is for files that end in .h5 or .hdf5, not for {path.name!r}.")
    if skipped is not None and not path.name.endswith((_HDF5, _SHARDED)):
        raise ValueError(f"objects_to_skip is for files that end in {_HDF5}, not for {path.name!r}.")
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file {path}.")
    names = weight_names(model, stored=True)
    if not names:
        raise ValueError(f"Model {model.name!r} has no weights yet: build it (call it on data) before loading.")
    if path.suffix in _TORCH:
        from unidl.saving import torch_state

        return torch_state.load(model, path, names, skip_mismatch)
    if path.suffix == ".safetensors":
        _load_safetensors(model, path, names, skip_mismatch)
    elif legacy:
        from unidl.saving import legacy as old

        old.load_weights(model, path, skip_mismatch, bool(by_name))
    else:
        with weights_file(path) as file:
            hdf5.check_version(getattr(file, "attrs", {}).get("unidl_format_version", hdf5.FORMAT_VERSION), path)
            hdf5.read(file, model, skip_mismatch=skip_mismatch, source=str(path), skipped=skipped)
    return None


@contextlib.contextmanager
def weights_file(path: Path) -> Iterator[Any]:
    """The weights at `path` in Keras's layout, open: a file, several, or those in an archive.

    Raises:
        ValueError: if there are none, or they are damaged.
    """
    from unidl.saving import _containers, shards

    if path.name.endswith(_SHARDED):
        with shards.opened(path) as several:
            yield several
    elif path.suffix == ".keras":
        with (
            _containers.container(path) as archive,
            hdf5.opened(archive.weights(), f"model.weights.h5 in {path}") as one,
        ):
            yield one
    else:
        with hdf5.opened(path, path) as one:
            yield one


def _load_safetensors(model: Any, path: Path, names: dict[str, Any], skip_mismatch: bool) -> None:
    from unidl.backend import active

    try:
        file = _safetensors.Reader(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}. Nothing was loaded.") from None
    hdf5.check_version(file.metadata.get("format_version", hdf5.FORMAT_VERSION), path)
    problems = []
    if missing := [n for n in names if n not in file.specs]:
        problems.append(f"the file lacks {_listed(missing)}")
    if extra := sorted(n for n in file.specs if n not in names):
        problems.append(f"the model lacks {_listed(extra)}")
    fitting = [n for n in names if n in file.specs]
    for name in list(fitting):
        have, want = file.specs[name][0], tuple(active.shape(names[name]))
        if have != want:
            problems.append(f"{name} has shape {have} in the file and {want} in the model")
            fitting.remove(name)
    if problems and not skip_mismatch:
        raise ValueError(
            f"{path} holds weights of another architecture than model {model.name!r}: {'; '.join(problems)}. "
            "Nothing was loaded; pass skip_mismatch=True to load what fits."
        )
    for name in fitting:
        variable, array = names[name], file[name]
        if array.dtype.name == active.dtype(variable):
            active.fill(variable, array)
        else:
            variable.assign(array.copy())  # an engine may keep the array that it is given
    for layer in model._flatten_layers():
        layer._after_loading()


def _check_free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it.")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _checked_path(filepath: Any, suffixes: tuple[str, ...]) -> Path:
    path = Path(filepath)
    if not path.name.endswith(suffixes):
        raise ValueError(f"Weights are kept in files that end in {' or '.join(suffixes)}, not {path.name!r}.")
    return path
