"""HDF5 files as Keras 1.2, Keras 2.0 to 2.3 and tf.keras 2 wrote them, by the documented layout; and NumPy layers.

The configurations have the arguments that those releases wrote, and weights have the names and shapes that they gave.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

RNG = np.random.default_rng(11)
GLOROT = {"class_name": "VarianceScaling", "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform"}}
ZEROS: dict[str, Any] = {"class_name": "Zeros", "config": {}}


def array(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32") / 2


def write(
    path: Path,
    config: dict[str, Any],
    weights: dict[str, list[tuple[str, np.ndarray]]],
    version: str | None = "2.3.1",
    backend: str = "tensorflow",
    training: dict[str, Any] | None = None,
    optimizer: list[np.ndarray] | None = None,
    names_in: int = 1,
) -> Path:
    """A whole-model file. `names_in` is the number of attributes that the layers' names are spread over."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights")
        if version is not None:
            for place in (file, group):
                place.attrs["keras_version"] = version.encode()
                place.attrs["backend"] = backend.encode()
        file.attrs["model_config"] = json.dumps(config).encode()
        layers = np.array([name.encode() for name in weights])
        if names_in == 1:
            group.attrs["layer_names"] = layers
        else:
            for i, part in enumerate(np.array_split(layers, names_in)):
                group.attrs[f"layer_names{i}"] = part
        for name, arrays in weights.items():
            one = group.create_group(name)
            one.attrs["weight_names"] = np.array([n.encode() for n, _ in arrays], None if arrays else "S1")
            for weight, value in arrays:
                one.create_dataset(weight, data=value)
        if training is not None:
            file.attrs["training_config"] = json.dumps(training).encode()
        if optimizer is not None:
            states = file.create_group("optimizer_weights")
            names = ["Adam/iterations:0", *(f"training/Adam/Variable_{i}:0" for i in range(len(optimizer) - 1))]
            states.attrs["weight_names"] = np.array([n.encode() for n in names])
            for weight, value in zip(names, optimizer, strict=True):
                states.create_dataset(weight, data=value)
    return path


def named(layer: str, **arrays: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [(f"{layer}/{name}:0", value) for name, value in arrays.items()]


# -- layers as Keras 2.3 described them ------------------------------------------------------------------------


def dense(name: str, units: int, activation: str = "linear", **more: Any) -> dict[str, Any]:
    config = {
        "name": name, "trainable": True, "dtype": "float32", "units": units, "activation": activation,
        "use_bias": True, "kernel_initializer": GLOROT, "bias_initializer": ZEROS, "kernel_regularizer": None,
        "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
    }  # fmt: skip
    return {"class_name": "Dense", "config": {**config, **more}}


def recurrent(kind: str, name: str, units: int, **more: Any) -> dict[str, Any]:
    config = {
        "name": name, "trainable": True, "dtype": "float32", "return_sequences": False, "return_state": False,
        "go_backwards": False, "stateful": False, "unroll": False, "units": units, "activation": "tanh",
        "recurrent_activation": "hard_sigmoid", "use_bias": True, "kernel_initializer": GLOROT,
        "recurrent_initializer": {"class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}},
        "bias_initializer": ZEROS, "kernel_regularizer": None, "recurrent_regularizer": None, "bias_regularizer": None,
        "activity_regularizer": None, "kernel_constraint": None, "recurrent_constraint": None, "bias_constraint": None,
        "dropout": 0.0, "recurrent_dropout": 0.0, "implementation": 2,
    }  # fmt: skip
    config.update({"unit_forget_bias": True} if kind == "LSTM" else {"reset_after": False})
    return {"class_name": kind, "config": {**config, **more}}


def conv2d(name: str, filters: int, **more: Any) -> dict[str, Any]:
    config = {
        "name": name, "trainable": True, "filters": filters, "kernel_size": [3, 3], "strides": [1, 1],
        "padding": "valid", "data_format": "channels_last", "dilation_rate": [1, 1], "activation": "relu",
        "use_bias": True, "kernel_initializer": {"class_name": "GlorotUniform"}, "bias_initializer": ZEROS,
        "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.001}}, "bias_regularizer": None,
        "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
    }  # fmt: skip
    return {"class_name": "Conv2D", "config": {**config, **more}}


def input_layer(name: str, *shape: Any, dtype: str = "float32") -> dict[str, Any]:
    config = {"batch_input_shape": [None, *shape], "dtype": dtype, "sparse": False, "name": name}
    return {"class_name": "InputLayer", "config": config}


def called(layer: dict[str, Any], *calls: list[Any]) -> dict[str, Any]:
    """A layer as it is listed in a functional model; a call is a list of places ``[layer, call, output]``."""
    nodes = [[[*place, {}] if len(place) == 3 else place for place in call] for call in calls]
    return {"name": layer["config"]["name"], **layer, "inbound_nodes": nodes}


def functional(name: str, layers: list[Any], inputs: list[Any], outputs: list[Any], kind: str = "Model") -> Any:
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": kind, "config": config}


# -- what they compute ------------------------------------------------------------------------------------------


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(
    x: np.ndarray, w: Any, gate: Any = hard_sigmoid, start: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All outputs, and the last two states."""
    kernel, recurrent_kernel, bias = w
    units = recurrent_kernel.shape[0]
    h, c = (np.zeros((len(x), units)) for _ in range(2)) if start is None else start
    out = []
    for step in range(x.shape[1]):
        i, f, g, o = np.split(x[:, step] @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
        out.append(h)
    return np.stack(out, 1), h, c


def gru(x: np.ndarray, w: Any, gate: Any = hard_sigmoid) -> np.ndarray:
    """All outputs; the reset gate is applied before the recurrent product."""
    kernel, recurrent_kernel, bias = w
    units = recurrent_kernel.shape[0]
    h = np.zeros((len(x), units))
    out = []
    for step in range(x.shape[1]):
        a, b = x[:, step] @ kernel + bias, h @ recurrent_kernel[:, : 2 * units]
        z, r = gate(a[:, :units] + b[:, :units]), gate(a[:, units : 2 * units] + b[:, units:])
        new = np.tanh(a[:, 2 * units :] + (r * h) @ recurrent_kernel[:, 2 * units :])
        h = z * h + (1 - z) * new
        out.append(h)
    return np.stack(out, 1)


def correlate(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A convolution of images, channels last, without padding."""
    rows, columns = kernel.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    patches = [x[:, r : r + high, c : c + wide] @ kernel[r, c] for r in range(rows) for c in range(columns)]
    return sum(patches) + bias
