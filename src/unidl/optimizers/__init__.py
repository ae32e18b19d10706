"""Optimizers: each update rule is written once in ops, and runs on the engine's fused kernel where there is one."""

from __future__ import annotations

from typing import Any

from unidl._objects import Registry
from unidl.optimizers import schedules
from unidl.optimizers._adam import Adam, AdamW
from unidl.optimizers._base import Optimizer
from unidl.optimizers._rmsprop import RMSprop
from unidl.optimizers._sgd import SGD

_registry = Registry("optimizer", [Adam, AdamW, RMSprop, SGD], {"adamw": AdamW, "rmsprop": RMSprop}, base=Optimizer)


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


__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "deserialize", "get", "schedules", "serialize"]
