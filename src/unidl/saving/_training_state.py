"""What the training of a model consists of, as a nested state; see `unidl.saving.Checkpoint`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from unidl import tree
from unidl.backend import active
from unidl.saving._random_state import random_state, set_random_state
from unidl.saving.weights import weight_names


def training_state(model: Any) -> dict[str, Any]:
    """Weights, optimizers, running metrics and all random numbers. Arrays may share memory with variables."""
    optimizers = {name: o for name, o in optimizers_of(model).items() if o.built}
    return {
        "model": {name: active.to_numpy(v) for name, v in weight_names(model).items()},
        "optimizers": {name: [type(o).__name__, _values(o.variables)] for name, o in optimizers.items()},
        "metrics": [[metric.name, _values(metric.variables)] for metric in model.metrics],
        "states": _values(_states(model)),
        "generators": [[g.seed, g.counter] for g in _generators(model)],
        "random": random_state(),
    }


def _values(variables: Iterable[Any]) -> list[np.ndarray]:
    return [active.to_numpy(v) for v in variables]


def _held(model: Any, kind: type) -> list[Any]:
    """Objects of `kind` that layers hold in attributes, each once, in the order of the layers."""
    from unidl.layers._contents import _members

    found: dict[int, Any] = {}
    for layer in model._flatten_layers():
        for value in vars(layer).values():
            found.update((id(item), item) for item in _members(value, kind))
    return list(found.values())


def _generators(model: Any) -> list[Any]:
    from unidl.random import SeedGenerator

    return _held(model, SeedGenerator)


def _states(model: Any) -> list[Any]:
    """Variables of layers that are no weights: the states of stateful recurrent layers."""
    weights = {id(v) for v in weight_names(model).values()}
    return [v for v in _held(model, active.Variable) if id(v) not in weights]


def optimizers_of(model: Any) -> dict[str, Any]:
    """The optimizers among a model's attributes, each once, by the attribute's name: "optimizer" first."""
    from unidl.optimizers import Optimizer

    found: dict[int, tuple[str, Any]] = {}
    for name, value in [("optimizer", getattr(model, "optimizer", None)), *vars(model).items()]:
        for i, item in enumerate(tree.flatten(value) if isinstance(value, (list, tuple, dict)) else [value]):
            if isinstance(item, Optimizer):
                found.setdefault(id(item), (f"{name}.{i}" if i else name, item))
    return dict(found.values())


def check_fit(model: Any, state: dict[str, Any], path: str) -> None:
    """See that weights and optimizers of `state` are those of `model`; optimizers get their variables.

    Raises:
        ValueError: naming what differs.
    """
    names = weight_names(model)
    if not names:
        raise ValueError(
            f"There is a checkpoint {path!r} to go on from, but model {model.name!r} is not built: begin it with an "
            "Input, or call it on a batch, before."
        )
    want = {name: _kind(active.to_numpy(v)) for name, v in names.items()}
    have = {name: _kind(array) for name, array in state["model"].items()}
    for what, held in (("states", _states(model)), ("generators", _generators(model))):
        want[what], have[what] = f"{len(held)} of them", f"{len(state[what])} of them"
    mine = optimizers_of(model)
    for name, (kind, values) in state["optimizers"].items():
        have[name] = kind
        optimizer = mine.get(name)
        if optimizer is None:
            continue
        want[name] = type(optimizer).__name__
        if not optimizer.built and not _steps_itself(model):
            optimizer.build(model.trainable_variables)
        if optimizer.built:  # others take what they are given when they are
            have |= {f"{name}.{i}": _kind(array) for i, array in enumerate(values)}
            want |= {f"{name}.{i}": _kind(array) for i, array in enumerate(_values(optimizer.variables))}
    differ = sorted(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
    if differ:
        told = [f"{n} ({have.get(n, 'not there')} in the file, {want.get(n, 'not there')} here)" for n in differ[:8]]
        more = f" and {len(differ) - 8} more" if len(differ) > 8 else ""
        raise ValueError(
            f"The checkpoint {path!r} is of another model or optimizer than {model.name!r}: {', '.join(told)}{more}. "
            "Nothing was changed. Restore the model that was saved, or take another folder to train from the beginning."
        )


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _steps_itself(model: Any) -> bool:
    """Whether the model's own train_step decides for which variables its optimizers are."""
    from unidl.training.trainer import Trainer

    return getattr(type(model), "train_step", None) is not Trainer.train_step


def set_training_state(model: Any, state: dict[str, Any], metrics: bool = True) -> None:
    """Have `model` stand where `state`, which `check_fit` has seen, was taken.

    Args:
        metrics: set the running metrics, too.
    """
    for name, variable in weight_names(model).items():
        variable.assign(state["model"][name])
    mine = optimizers_of(model)
    for name, (_, values) in state["optimizers"].items():
        mine[name].load_own_variables({str(i): value for i, value in enumerate(values)})
    if metrics:
        _set_metrics(model, state["metrics"])
    for variable, value in zip(_states(model), state["states"], strict=True):
        variable.assign(value)
    for generator, counted in zip(_generators(model), state["generators"], strict=True):
        generator.seed, generator.counter = counted
    set_random_state(state["random"])


def _set_metrics(model: Any, saved: list[Any]) -> None:
    """Give running metrics their values."""
    mine = model.metrics
    if [(m.name, len(m.variables)) for m in mine] != [(name, len(values)) for name, values in saved]:
        warnings.warn(
            f"Model {model.name!r} has the metrics {[m.name for m in mine]}, the checkpoint {[n for n, _ in saved]}: "
            "they begin anew in the middle of the epoch.",
            stacklevel=2,
        )
        return
    for metric, (_, values) in zip(mine, saved, strict=True):
        for variable, value in zip(metric.variables, values, strict=True):
            variable.assign(value)
