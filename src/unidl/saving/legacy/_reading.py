"""Reading whole models, and weights alone, from the HDF5 files of Keras 1 to 3."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from unidl._state import state
from unidl.saving import _h5, hdf5
from unidl.saving._allowance import Allowance
from unidl.saving._containers import parsed
from unidl.saving.legacy._config import current_config
from unidl.saving.legacy._nets import with_ops_marked
from unidl.saving.legacy._training import compile_arguments, restore_optimizer
from unidl.saving.legacy._weights import Pair, count, matched
from unidl.saving.objects import SafeModeScope, deserialize_keras_object, in_safe_mode
from unidl.saving.registration import CustomObjectScope


def load_model(path: Path, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model in an HDF5 file; see `unidl.saving.load_model`.

    Raises:
        ValueError: if there is no model in it, it is damaged, or its layers are not those of today.
        TypeError: for classes that are not known.
    """
    from unidl.models import Model
    from unidl.saving.archive import built_model

    with hdf5.opened(path, path) as file, Allowance(hdf5.size_of(path), path):
        config = _json(file, "model_config", path)
        if config is None or "model_weights" not in file:
            raise ValueError(
                f"{path} holds no whole model: it lacks 'model_config'. For weights: model.load_weights()."
            )
        version, _ = _origin(file)
        with CustomObjectScope(custom_objects), SafeModeScope(in_safe_mode(safe_mode)):
            model = built_model(
                lambda: deserialize_keras_object(
                    with_ops_marked(config) if version > 2 else current_config(config),
                    custom_objects,
                    in_safe_mode(safe_mode),
                ),
                path,
            )
            if not isinstance(model, Model):
                raise ValueError(f"{path} describes a {type(model).__name__}, not a model.")
            _give(file["model_weights"], model, path)
            training = _json(file, "training_config", path) if compile else None
            if training:
                built_model(lambda: model.compile(**compile_arguments(training, version)), path)
        if training and "optimizer_weights" in file and model.optimizer is not None:
            layers = _names(file["model_weights"], "layer_names")
            restore_optimizer(model, _arrays(file["optimizer_weights"])[0], layers, path)
    return model


def load_weights(model: Any, path: Path, skip_mismatch: bool, by_name: bool) -> None:
    """Give a model the weights in such a file: to its layers with weights in their order, or by name.

    Raises:
        ValueError: if the file is damaged or the weights do not fit. Nothing has changed then.
    """
    with hdf5.opened(path, path) as file:
        group = file
        if "layer_names" not in file.attrs and "model_weights" in file:
            group = file["model_weights"]
        _give(group, model, path, skip_mismatch, by_name)


def _json(file: _h5.File, name: str, path: Path) -> Any:
    text = file.attrs.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"{name} in {path} is no text.")
    return parsed(text, f"{name} in {path}")


def _origin(group: Any) -> tuple[int, str]:
    """The major version of Keras that wrote a file, and its backend. Keras before 1.2.2 said neither."""
    version, backend = str(group.attrs.get("keras_version", "1")), str(group.attrs.get("backend", ""))
    major = version.partition(".")[0]
    return int(major) if major.isdecimal() else 2, backend


def _names(group: Any, name: str) -> list[str]:
    """A list of names in the attributes of a group; long ones are in several: ``name0``, ``name1``, …"""
    found = group.attrs.get(name)
    if found is None:
        found, number = [], 0
        while (more := group.attrs.get(f"{name}{number}")) is not None:
            found, number = [*found, *more], number + 1
    found = list(found)
    if not all(isinstance(n, str) for n in found):
        raise _h5.DamagedFile(f"{name} of {group.name!r} are no names")
    return found


def _member(group: Any, name: str) -> Any:
    try:
        return group[name]
    except KeyError:
        raise _h5.DamagedFile(f"{group.name!r} lists {name!r} and does not hold it") from None


def _arrays(group: Any) -> tuple[list[Any], list[str]]:
    """The arrays of a group in the order of `weight_names`, and these names."""
    names = _names(group, "weight_names")
    datasets = [_member(group, name) for name in names]
    if not all(isinstance(d, _h5.Dataset) for d in datasets):
        raise _h5.DamagedFile(f"something in {group.name!r} is no data set")
    return [d[()] for d in datasets], names


def _give(group: Any, model: Any, path: Path, skip_mismatch: bool = False, by_name: bool = False) -> None:
    version, backend = _origin(group)
    stored: dict[str, tuple[list[Any], list[str]]] = {}
    for name in _names(group, "layer_names"):
        found = _arrays(_member(group, name))
        if found[0]:
            stored[name] = found
    layers = {layer.name: layer for layer in model.layers if count(layer)}
    pairs: list[Pair] = []
    problems: list[str] = []
    for name, layer in _assigned(list(stored), layers, by_name, problems):
        try:
            pairs += matched(layer, *stored[name], version, backend, skip_mismatch)
        except ValueError as error:
            problems.append(str(error))
    if "top_level_model_weights" in group:
        arrays, names = _arrays(group["top_level_model_weights"])
        own = sorted(model._stored(), key=lambda v: not v.trainable)
        if len(arrays) == len(own):
            pairs += zip(own, arrays, strict=True)
        elif arrays:
            problems.append(f"the model has {len(own)} weights of its own, the file {names}")
    for variable, array in pairs:
        if tuple(variable.shape) != array.shape:
            problems.append(f"{variable.path!r} has shape {tuple(variable.shape)}, in the file {array.shape}")
    if problems and not skip_mismatch:
        raise ValueError(
            f"{path} does not fit the model: {'; '.join(problems[:6])}. Nothing was loaded; pass skip_mismatch=True to "
            "load what fits."
        )
    if problems:
        warnings.warn(f"{path} does not fit everywhere. Left as it was: {'; '.join(problems)}.", stacklevel=3)
    for variable, array in pairs:
        if tuple(variable.shape) == array.shape:
            variable.assign(array)
            if state.allowance is not None:
                state.allowance.loaded([variable])
    for layer in model._flatten_layers():
        layer._after_loading()


def _assigned(names: list[str], layers: dict[str, Any], by_name: bool, problems: list[str]) -> list[tuple[str, Any]]:
    """Which layer gets what is stored under which name."""
    if by_name or set(names) == set(layers):
        return [(name, layers[name]) for name in names if name in layers]
    if len(names) != len(layers):
        problems.append(f"the model has {len(layers)} layers with weights ({list(layers)}), the file {names}")
        return []
    return list(zip(names, layers.values(), strict=True))
