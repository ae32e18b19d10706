"""Weights in one safetensors file, by dotted names, the same for every backend.

Format: https://github.com/huggingface/safetensors. Nothing in such a file can run code. Saving
writes a temporary file beside the target and renames it, so that a crash leaves the old file whole.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from unidl.backend import active

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


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write all weights of `model` to a ``.safetensors`` file.

    Raises:
        ValueError: if the name does not end so, the model is not built, or has no weights.
        FileExistsError: if the file is there and `overwrite` is False.
    """
    path = _checked_path(filepath)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it.")
    names = weight_names(model, stored=True)
    if not names:
        raise ValueError(f"Model {model.name!r} has no weights to save: build it (call it on data) first.")
    from safetensors.numpy import save_file

    owners = {id(v): layer for layer in model._flatten_layers() for v in layer._stored()}
    arrays = {name: np.ascontiguousarray(owners[id(v)]._stored_value(v)) for name, v in names.items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        save_file(arrays, temporary, metadata=_METADATA)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Read weights that `save_weights` wrote, on any backend.

    Nothing is changed unless the whole file fits.

    Args:
        skip_mismatch: load what fits, by name and shape, and leave the rest.

    Raises:
        ValueError: if the file is no safetensors file, is damaged, or belongs to another architecture
            (the names and shapes that differ are listed).
    """
    path = _checked_path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file {path}.")
    from safetensors import SafetensorError, safe_open

    names = weight_names(model, stored=True)
    if not names:
        raise ValueError(f"Model {model.name!r} has no weights yet: build it (call it on data) before loading.")
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


def _checked_path(filepath: Any) -> Path:
    path = Path(filepath)
    if path.suffix != ".safetensors":
        raise ValueError(f"Weights are kept in files that end in .safetensors, not {path.name!r}.")
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
