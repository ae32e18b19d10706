"""Weights in one safetensors file, by dotted names, the same for every backend.

Format: https://github.com/huggingface/safetensors. Nothing in such a file can run code. Saving
writes a temporary file beside the target and renames it, so that a crash leaves the old file whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.saving._writing import replacing
from unidl.saving.checkpoints import resolved

_HDF5 = ".weights.h5"
_SUFFIXES = (".safetensors", _HDF5)
_METADATA = {"format": "unidl", "format_version": "1"}


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
    """Write all weights of `model` to a ``.safetensors`` file, or to a ``.weights.h5`` file in Keras's layout.

    Raises:
        ValueError: if the name does not end so, the model is not built, or has no weights.
        FileExistsError: if the file is there and `overwrite` is False.
    """
    if kwargs or max_shard_size is not None:
        raise TypeError(f"save_weights() does not take {sorted(kwargs) or 'max_shard_size'}: weights are one file.")
    path = _checked_path(filepath)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it.")
    names = weight_names(model, stored=True)
    if not names:
        raise ValueError(f"Model {model.name!r} has no weights to save: build it (call it on data) first.")
    if path.name.endswith(_HDF5):
        from unidl.saving import hdf5

        with replacing(path) as temporary, hdf5.library().File(temporary, "w") as file:
            hdf5.write(file, model)
        return
    from safetensors.numpy import save_file

    owners = {id(v): layer for layer in model._flatten_layers() for v in layer._stored()}
    arrays = {name: np.ascontiguousarray(owners[id(v)]._stored_value(v)) for name, v in names.items()}
    with replacing(path) as temporary:
        save_file(arrays, temporary, metadata=_METADATA)


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Read weights that `save_weights` wrote, on any backend; those of a ``.keras`` archive, too.

    Nothing is changed unless the whole file fits.

    Args:
        skip_mismatch: load what fits, by name and shape, and leave the rest.

    Raises:
        ValueError: if the file is no safetensors file, is damaged, or belongs to another architecture
            (the names and shapes that differ are listed).
    """
    if kwargs:
        raise TypeError(f"load_weights() does not take {sorted(kwargs)}.")
    path = _checked_path(resolved(filepath), (*_SUFFIXES, ".keras"))
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file {path}.")
    names = weight_names(model, stored=True)
    if not names:
        raise ValueError(f"Model {model.name!r} has no weights yet: build it (call it on data) before loading.")
    if path.suffix != ".safetensors":
        from unidl.saving import archive, hdf5

        with archive.weights_file(path) as opened:
            hdf5.read(opened, model, skip_mismatch=skip_mismatch, source=str(path))
        return
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            stored = set(file.keys())
            arrays = {name: file.get_tensor(name) for name in names if name in stored}
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}. Nothing was loaded.") from None
    problems = []
    if missing := [n for n in names if n not in stored]:
        problems.append(f"the file lacks {_listed(missing)}")
    if extra := sorted(n for n in stored if n not in names):
        problems.append(f"the model lacks {_listed(extra)}")
    for name, array in list(arrays.items()):
        want = tuple(active.shape(names[name]))
        if array.shape != want:
            problems.append(f"{name} has shape {array.shape} in the file and {want} in the model")
            del arrays[name]
    if problems and not skip_mismatch:
        raise ValueError(
            f"{path} holds weights of another architecture than model {model.name!r}: {'; '.join(problems)}. "
            "Nothing was loaded; pass skip_mismatch=True to load what fits."
        )
    for name, array in arrays.items():
        names[name].assign(array)
    for layer in model._flatten_layers():
        layer._after_loading()


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _checked_path(filepath: Any, suffixes: tuple[str, ...] = _SUFFIXES) -> Path:
    path = Path(filepath)
    if not path.name.endswith(suffixes):
        raise ValueError(f"Weights are kept in files that end in {' or '.join(suffixes)}, not {path.name!r}.")
    return path
