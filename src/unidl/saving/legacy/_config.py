"""Configurations of Keras 1 and 2 in the words of Keras 3."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from unidl.saving.legacy import _branches
from unidl.saving.legacy._names import CLASSES, INITIALIZERS, MERGES, OBSOLETE, renamed
from unidl.saving.legacy._nets import current_net

#: Arguments that each layer takes.
_COMMON = frozenset({"name", "trainable", "dtype", "activity_regularizer"})


def current_config(config: Any) -> Any:
    """The configuration of a model or layer that Keras 1, Keras 2 or tf.keras wrote, as Keras 3 would write it.

    Raises:
        ValueError: for what neither has a place today nor can be left out.

    Example:
        >>> from unidl.saving.legacy import current_config
        >>> current_config({"class_name": "Convolution1D", "config": {"nb_filter": 3, "filter_length": 2}})
        {'class_name': 'Conv1D', 'config': {'filters': 3, 'kernel_size': 2}, 'module': 'keras.layers'}
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError(f"It is no configuration of a model or layer: {str(config)[:200]!r}.")
    kind, inner = str(config["class_name"]), config.get("config")
    if kind == "Sequential" and (joined := _branches.functional(config.get("name"), _layers_of(inner))):
        kind, inner = "Model", joined
    if kind == "Sequential":
        inner = _sequential(inner, config.get("name"))
    elif isinstance(inner, dict) and "layers" in inner and "output_layers" in inner:
        inner = current_net({**inner, "layers": [_entry(entry) for entry in _list(inner["layers"])]})
        kind = CLASSES.get(kind, kind)
    else:
        kind, inner = _layer(kind, dict(inner or {}))
    module = "keras" if kind in ("Sequential", "Functional") else "keras.layers"
    return {**config, "class_name": kind, "config": inner, "module": config.get("module", module)}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"It lists layers as {str(value)[:100]!r}, which is no list.")
    return value


def _layers_of(inner: Any) -> list[Any]:
    """The layers of a Sequential, whose configuration may be the list of them."""
    return _list(inner.get("layers") if isinstance(inner, dict) else inner)


def _entry(entry: Any) -> dict[str, Any]:
    """A layer of a functional model, with the calls made of it."""
    changed = current_config(entry)
    name = entry.get("name") or changed["config"].get("name")
    changed["config"].setdefault("name", name)
    return {**changed, "name": name, "inbound_nodes": entry.get("inbound_nodes") or []}


def _sequential(inner: Any, name: Any) -> dict[str, Any]:
    """Keras 1 and 2 before 2.2.3 have a list of layers here; the input's shape is in the first of them."""
    config = {"name": name, "layers": inner} if isinstance(inner, list) else dict(inner or {})
    layers = _layers_of(inner)
    found = [current_config(layer) for layer in layers]
    if layers and layers[0]["class_name"] not in ("InputLayer", "Sequential", "Model", "Functional"):
        first = layers[0].get("config") or {}
        shape = first.get("batch_input_shape") if isinstance(first, dict) else None
        if shape is None and isinstance(first, dict) and isinstance(first.get("layer"), dict):  # in a wrapper
            shape = (first["layer"].get("config") or {}).get("batch_input_shape")
        if shape is not None:
            embedding = layers[0]["class_name"] == "Embedding"
            dtype = "int32" if embedding else first.get("input_dtype") or first.get("dtype")
            given = {"batch_shape": shape, "dtype": dtype if isinstance(dtype, str) else "float32"}
            given["name"] = f"{first.get('name') or 'sequential'}_input"
            found.insert(0, {"class_name": "InputLayer", "config": given, "module": "keras.layers"})
    return {**config, "layers": found}


def _layer(kind: str, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The class and the arguments of a layer by today's names."""
    if kind == "InputLayer":
        return kind, _input(config)
    if kind == "Lambda":
        return kind, _lambda(config)
    if kind == "Merge":
        kind, config = _merge(config)
    if kind == "TimeDistributedDense":
        inner = {**config, "name": f"{config.get('name', 'time_distributed')}_dense"}
        return _layer(
            "TimeDistributed", {"name": config.get("name"), "layer": {"class_name": "Dense", "config": inner}}
        )
    if kind in ("CuDNNLSTM", "CuDNNGRU"):
        config = {"activation": "tanh", "recurrent_activation": "sigmoid", **config}
        config.update({"reset_after": True} if kind == "CuDNNGRU" else {})
    today = CLASSES.get(kind, kind)
    if today == "GRU":
        config.setdefault("reset_after", False)  # what Keras 2 did before it had a choice
    if config.pop("time_major", False):
        raise ValueError(f"Layer {config.get('name')!r} has time_major=True, which no layer has today.")
    _sizes(today, config)
    if config.get("forget_bias_init") in ("one", "zero"):
        config["unit_forget_bias"] = config["forget_bias_init"] == "one"
    made: dict[str, Any] = {}
    takes = _parameters(today)
    for old, value in config.items():
        name = renamed(today, old)
        unknown = takes is not None and name not in takes and name not in _COMMON
        if (unknown and (name in OBSOLETE or value in (None, False))) or name in ("batch_input_shape", "input_dtype"):
            continue
        made[name] = _value(name, value)
    return today, made


def _parameters(kind: str) -> set[str] | None:
    """The arguments that a class of unidl's takes; None for others."""
    from unidl import layers
    from unidl.saving.legacy import _local

    cls = getattr(layers, kind, None) or getattr(_local, kind, None)
    return None if cls is None else set(inspect.signature(cls.__init__).parameters)


def _value(name: str, value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") == "ndarray":
        return value.get("value")
    if name == "dtype":
        return _dtype(value)
    if name == "axis" and isinstance(value, list) and len(value) == 1:
        return value[0]
    if name in ("activation", "recurrent_activation"):
        return _activation(value)
    if name == "padding" and value == "full":
        raise ValueError("A layer has border_mode='full', which no layer has today.")
    if name == "data_format":
        return {"th": "channels_first", "tf": "channels_last", "default": None}.get(value, value)
    for ending, change in _KINDS.items():
        if name.endswith(ending):
            return change(value)
    if name == "cells" and isinstance(value, list):
        return [current_config(cell) for cell in value]
    if name in ("layer", "backward_layer", "forward_layer", "cell") and isinstance(value, dict):
        return current_config(value)
    return value


def _dtype(value: Any) -> Any:
    """A name, or a policy, which tf.keras wrote under several class names."""
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        return value["config"].get("name", "float32")
    return value


def _activation(value: Any) -> Any:
    """Keras 2 computed hard_sigmoid as ``0.2 x + 0.5``; Keras 3 divides by 6."""
    if value == "hard_sigmoid":
        return "keras2_hard_sigmoid"
    return current_config(value) if isinstance(value, dict) and isinstance(value.get("config"), dict) else value


def _initializer(value: Any) -> Any:
    if isinstance(value, str):
        return INITIALIZERS.get(value, value)
    if not isinstance(value, dict):
        return value
    config = {k: v for k, v in (value.get("config") or {}).items() if k not in ("dtype", "partition_info")}
    if config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"
    return {"class_name": value.get("class_name"), "config": config, "module": "keras.initializers"}


def _regularizer(value: Any) -> Any:
    if not isinstance(value, dict) or "class_name" in value:
        return _whole(value, "keras.regularizers")
    weights = {k: value.get(k, 0.0) for k in ("l1", "l2")}
    return {"class_name": "L1L2", "config": weights, "module": "keras.regularizers"} if any(weights.values()) else None


def _constraint(value: Any) -> Any:
    if not isinstance(value, dict) or "class_name" in value:
        return _whole(value, "keras.constraints")
    name = {"maxnorm": "MaxNorm", "nonneg": "NonNeg", "unitnorm": "UnitNorm"}.get(str(value.get("name")).lower())
    if name is None:
        raise ValueError(f"There is a constraint {value!r}, which is not known.")
    config = {"max_value": value["m"]} if "m" in value else {}
    return {"class_name": name, "config": {**config, **({"axis": value["axis"]} if "axis" in value else {})}}


def _whole(value: Any, module: str) -> Any:
    return {"config": {}, "module": module, **value} if isinstance(value, dict) else value


_KINDS: dict[str, Callable[[Any], Any]] = {
    "_initializer": _initializer, "_regularizer": _regularizer, "_constraint": _constraint,
}  # fmt: skip


def _sizes(kind: str, config: dict[str, Any]) -> None:
    """Keras 1 had an argument for each side of a window."""
    for names in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if all(name in config for name in names):
            config["kernel_size"] = [config.pop(name) for name in names]
    if kind in ("Conv2DTranspose", "Conv3DTranspose") and "nb_filter" in config:
        config.pop("output_shape", None)  # it follows from the rest
    if kind == "Embedding":
        config.pop("dropout", None)
    if kind == "BatchNormalization" and config.get("mode") not in (None, 0):
        raise ValueError(
            f"Layer {config.get('name')!r}: BatchNormalization with mode={config['mode']} is of Keras 1 only."
        )


def _input(config: dict[str, Any]) -> dict[str, Any]:
    shape = config.pop("batch_input_shape", None)
    made = {k: v for k, v in config.items() if k not in ("ragged", "sparse", "input_dtype") or v is True}
    if shape is not None:
        made["batch_shape"] = shape
    made["dtype"] = _dtype(config.get("dtype") or config.get("input_dtype") or "float32")
    return made


def _merge(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    mode = config.get("mode")
    if mode not in MERGES or config.get("layers"):
        raise ValueError(
            f"Layer {config.get('name')!r}: Merge of Keras 1 is read with the modes {sorted(MERGES)}, in functional "
            f"models and at the beginning of Sequential ones, not with mode={mode!r}."
        )
    made = {"name": config.get("name")}
    if mode == "concat":
        made["axis"] = config.get("concat_axis", -1)
    elif mode in ("dot", "cos"):
        made.update(axes=config.get("dot_axes", -1), normalize=mode == "cos")
    return MERGES[mode], made


def _lambda(config: dict[str, Any]) -> dict[str, Any]:
    """Code is marked as such, so that it is refused unless the user trusts it."""
    made = {k: v for k, v in config.items() if k in ("name", "trainable", "dtype", "function", "mask", "arguments")}
    for name in ("function", "mask", "output_shape"):
        value = config.get(name)
        if isinstance(value, list) and value and isinstance(value[0], str):
            made[name] = {"class_name": "__lambda__", "config": {"value": value}}
    if "dtype" in made:
        made["dtype"] = _dtype(made["dtype"])
    return made
