"""Optimizers: each update rule is written once in ops, and runs on the engine's fused kernel where there is one."""

from __future__ import annotations

from typing import Any

from unidl._objects import Registry
from unidl.optimizers import legacy, schedules
from unidl.optimizers._adafactor import Adafactor
from unidl.optimizers._adagrad import Adadelta, Adagrad
from unidl.optimizers._adam import Adam, AdamW
from unidl.optimizers._adam_variants import Adamax, Lamb, Nadam
from unidl.optimizers._base import Optimizer
from unidl.optimizers._ftrl import Ftrl
from unidl.optimizers._lion import Lion
from unidl.optimizers._loss_scale import LossScaleOptimizer
from unidl.optimizers._multi import MultiOptimizer, OptimizerMap
from unidl.optimizers._muon import Muon
from unidl.optimizers._rmsprop import RMSprop
from unidl.optimizers._schedule_free import ScheduleFreeAdamW
from unidl.optimizers._sgd import SGD

_members = [
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, LossScaleOptimizer, MultiOptimizer, Muon,
    Nadam, OptimizerMap, RMSprop, SGD, ScheduleFreeAdamW,
]  # fmt: skip
_registry = Registry("optimizer", _members, {cls.__name__.lower(): cls for cls in _members}, base=Optimizer)


def get(identifier: Any) -> Any:
    """The optimizer for a name ("adam"), class, object or configuration.

    Raises:
        ValueError: for anything else, listing the names there are.
    """
    found = _registry.get(identifier)
    if found is not None and not isinstance(found, Optimizer):
        raise ValueError(f"Not an optimizer: {identifier!r}. Give a name, or an object of a class in unidl.optimizers.")
    return found


def serialize(optimizer: Any) -> Any:
    """`optimizer` as plain data (its hyperparameters; `save_own_variables` writes its state)."""
    return _registry.serialize(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer that `serialize` described."""
    return _registry.deserialize(config, custom_objects)


__all__ = [
    "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "LossScaleOptimizer",
    "MultiOptimizer", "Muon", "Nadam", "Optimizer", "OptimizerMap", "RMSprop", "ScheduleFreeAdamW", "deserialize",
    "get", "legacy", "schedules", "serialize",
]  # fmt: skip
