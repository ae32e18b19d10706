"""How a model was compiled, and the state of its optimizer, in the HDF5 files of Keras."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.saving.legacy._weights import legacy_order

_OLD_ARGUMENTS = frozenset({"decay", "is_legacy_optimizer", "jit_compile", "schedule_decay", "lr"})
#: The letters of Keras 2's loss reductions that have other names.
_REDUCTIONS = {"auto": "sum_over_batch_size", "none": None}


def compile_arguments(training: Any, version: int) -> dict[str, Any]:
    """The arguments of `Model.compile` that a ``training_config`` means.

    Raises:
        ValueError, TypeError: for losses, metrics and optimizers that are not known.
    """
    from unidl import losses, metrics, optimizers

    if not isinstance(training, dict) or "optimizer_config" not in training:
        raise ValueError(f"training_config is {str(training)[:200]!r}, which says nothing of an optimizer.")
    optimizer = optimizers.deserialize(_optimizer(training["optimizer_config"]))
    return {
        "optimizer": optimizer,
        "loss": _each(training.get("loss"), lambda v: _loss(losses, v)),
        "loss_weights": training.get("loss_weights"),
        "metrics": _each(training.get("metrics"), lambda v: _metric(metrics, v)),
        "weighted_metrics": _each(training.get("weighted_metrics"), lambda v: _metric(metrics, v)),
    }


def _optimizer(config: Any) -> dict[str, Any]:
    """``lr`` is ``learning_rate`` by now, and ``decay`` a schedule."""
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError(f"The optimizer is described as {str(config)[:200]!r}.")
    old = config["config"]
    kind = str(config.get("class_name"))
    made = {k: v for k, v in old.items() if k not in _OLD_ARGUMENTS and not (k == "epsilon" and v is None)}
    if made.get("weight_decay") == 0:
        made["weight_decay"] = None
    rate = old.get("learning_rate", old.get("lr"))
    if rate is not None:
        made["learning_rate"] = rate
    if old.get("decay") and isinstance(rate, (int, float)):
        schedule = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": old["decay"]}
        made["learning_rate"] = {"class_name": "InverseTimeDecay", "config": schedule}
    kind = kind.removeprefix("Custom>").partition(">")[2] or kind
    return {**config, "class_name": kind, "config": made}


def _each(value: Any, read: Any) -> Any:
    if value is None or isinstance(value, str) or (isinstance(value, dict) and "class_name" in value):
        return None if value is None else read(value)
    if isinstance(value, dict):
        return {k: _each(v, read) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(v, read) for v in value]
    raise ValueError(f"A loss or metric is described as {str(value)[:200]!r}.")


def _loss(losses: Any, value: Any) -> Any:
    if isinstance(value, str):
        return losses.get(value)
    config = dict(value.get("config") or {}) if isinstance(value.get("config"), dict) else value.get("config")
    if isinstance(config, dict):
        config.pop("fn", None)
        if "reduction" in config:
            config["reduction"] = _REDUCTIONS.get(config["reduction"], config["reduction"])
    return losses.deserialize({**value, "config": config})


def _metric(metrics: Any, value: Any) -> Any:
    """Names such as "accuracy" mean what fits the output, so they stay names."""
    if isinstance(value, str):
        return value
    config = value.get("config")
    if value.get("class_name") in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper") and isinstance(config, dict):
        return config.get("name")
    return metrics.deserialize(value)


def restore_optimizer(model: Any, arrays: list[np.ndarray], layer_names: list[str], path: Path) -> None:
    """Give the optimizer the state in a file; a warning says if it does not fit."""
    optimizer = model.optimizer
    trainable = _trained(model, layer_names)
    optimizer.build(model.trainable_variables)
    slots = _slots(optimizer, model.trainable_variables)
    own = list(optimizer.variables)
    shapes = [tuple(active.shape(v)) for v in own]
    values: list[tuple[Any, Any]] | None = None
    if [a.shape for a in arrays] == shapes:  # Keras 3, and tf.keras since 2.11
        values = list(zip(own, arrays, strict=True))
    elif arrays and slots is not None:
        first = arrays[0]
        number = [(optimizer.iterations, first)] if first.shape == () else []
        values = _by_slot(slots, trainable, arrays[len(number) :], number)
    if values is None:
        warnings.warn(
            f"The optimizer starts afresh: its state in {path} has the shapes {[a.shape for a in arrays][:8]}, and "
            f"{type(optimizer).__name__} has {shapes[:8]}.",
            stacklevel=4,
        )
        return
    for variable, value in values:
        variable.assign(value)


def _trained(model: Any, layer_names: list[str]) -> list[Any]:
    """The trainable variables in the order of the layers in the file, which is that of Keras's optimizer."""
    layers = {layer.name: layer for layer in model.layers}
    found = [v for name in layer_names if name in layers for v in legacy_order(layers[name]) if v.trainable]
    return found if len(found) == len(model.trainable_variables) else list(model.trainable_variables)


def _slots(optimizer: Any, variables: list[Any]) -> dict[int, list[Any]] | None:
    """For each variable, by its id, what the optimizer keeps of it."""
    rest = [v for v in optimizer.variables if tuple(active.shape(v)) != ()]
    sized = [v for v in variables if tuple(active.shape(v)) != ()]
    if len(sized) != len(variables) or len(rest) % max(len(variables), 1):
        return None
    each = len(rest) // max(len(variables), 1)
    return {id(v): rest[i * each : (i + 1) * each] for i, v in enumerate(variables)}


def _by_slot(
    slots: dict[int, list[Any]], variables: list[Any], arrays: list[np.ndarray], found: list[tuple[Any, Any]]
) -> list[tuple[Any, Any]] | None:
    """Keras 2 wrote one slot of all variables, then the next; those that today's optimizers lack come last."""
    each = len(slots[id(variables[0])]) if variables else 0
    if len(arrays) < each * len(variables):
        return None
    for slot in range(each):
        for i, variable in enumerate(variables):
            mine, array = slots[id(variable)][slot], arrays[slot * len(variables) + i]
            if tuple(active.shape(mine)) != array.shape:
                return None
            found.append((mine, array))
    return found
