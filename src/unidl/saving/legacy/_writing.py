"""Writing whole models to HDF5 files in the way of Keras 3, for programs that read nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.saving import hdf5
from unidl.saving._writing import replacing
from unidl.saving.legacy._weights import legacy_order
from unidl.saving.objects import serialize_keras_object

#: The most that one attribute of an HDF5 file holds.
_MOST = 64512


def save_model(model: Any, path: Path, with_optimizer: bool = True) -> None:
    """Write `model` to an HDF5 file; see `unidl.saving.save_model`.

    Raises:
        TypeError: if the configuration of a layer has no plain form.
    """
    described = serialize_keras_object(model)
    how = described.pop("compile_config", None)
    attributes: dict[str, Any] = {
        "keras_version": "3.15.0",
        "backend": active.name if active.name in ("torch", "tensorflow") else "numpy",
        "model_config": json.dumps({"class_name": described["class_name"], "config": described["config"]}),
    }
    if how and with_optimizer and model.optimizer is not None:
        training = {k: _in_full(how.get(k)) for k in ("loss", "loss_weights", "metrics", "weighted_metrics")}
        attributes["training_config"] = json.dumps({**training, "optimizer_config": how["optimizer"]})
    with replacing(path) as temporary, hdf5.library().File(temporary, "w") as file:
        for name, value in attributes.items():
            file.attrs[name] = value.encode("utf-8")
        group = file.create_group("model_weights")
        _put_names(group, "layer_names", [layer.name for layer in model.layers])
        for name in ("backend", "keras_version"):
            group.attrs[name] = attributes[name].encode("utf-8")
        for layer in sorted(model.layers, key=lambda v: str(v.name)):
            _put_weights(group.create_group(layer.name), legacy_order(layer))
        own = sorted(model._stored(), key=lambda v: not v.trainable)
        _put_weights(group.create_group("top_level_model_weights"), own)
        if "training_config" in attributes and getattr(model.optimizer, "built", False):
            _put_weights(file.create_group("optimizer_weights"), list(model.optimizer.variables))


def _in_full(value: Any) -> Any:
    """Losses and metrics with "mse" as "mean_squared_error", and so on: Keras 3 does not find short names here."""
    from unidl import losses

    if isinstance(value, str):
        try:
            return getattr(losses.get(value), "__name__", value)
        except ValueError:  # of metrics alone, such as "accuracy"
            return value
    if isinstance(value, dict):
        return value if "class_name" in value else {k: _in_full(v) for k, v in value.items()}
    return [_in_full(v) for v in value] if isinstance(value, (list, tuple)) else value


def _put_weights(group: Any, variables: list[Any]) -> None:
    names: list[str] = []
    for variable in variables:
        name, count = variable.path, 0
        while name in names:
            count += 1
            name = f"{variable.path}_{count}"
        names.append(name)
        hdf5.put(group, name, np.asarray(active.to_numpy(variable)))
    _put_names(group, "weight_names", names)


def _put_names(group: Any, name: str, names: list[str]) -> None:
    """A list of names as an attribute, or, if it is long, as several with numbers."""
    array = np.array([n.encode("utf-8") for n in names], dtype=None if names else "S1")
    count = -(-array.nbytes // _MOST)
    if count <= 1:
        group.attrs[name] = array
        return
    rows = max(_MOST // array.itemsize, 1)
    for i, start in enumerate(range(0, len(array), rows)):
        group.attrs[f"{name}{i}"] = array[start : start + rows]
