"""Losses, as objects and as functions."""

from __future__ import annotations

from typing import Any

from unidl._objects import Registry
from unidl.losses._classes import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    Loss,
    LossFunctionWrapper,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from unidl.losses._functions import (
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)

_registry = Registry(
    "loss",
    [
        BinaryCrossentropy, CategoricalCrossentropy, Huber, MeanAbsoluteError, MeanSquaredError,
        SparseCategoricalCrossentropy,
    ],
    {
        "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
        "bce": BinaryCrossentropy,
    },
    Loss,
)  # fmt: skip


def get(identifier: Any) -> Any:
    """A loss for a name, configuration, class, object or function ``(y_true, y_pred)``.

    A function is reduced as `Loss` says: the mean over what it returns.
    """
    found = _registry.get(identifier)
    if found is None or isinstance(found, Loss):
        return found
    return LossFunctionWrapper(found)


def serialize(loss: Any) -> Any:
    """A loss as plain data."""
    return _registry.serialize(loss)


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """The loss that `serialize` described."""
    return _registry.deserialize(name, custom_objects)


__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "Huber", "Loss", "LossFunctionWrapper", "MeanAbsoluteError",
    "MeanSquaredError", "SparseCategoricalCrossentropy", "binary_crossentropy", "categorical_crossentropy",
    "deserialize", "get", "huber", "mean_absolute_error", "mean_squared_error", "serialize",
    "sparse_categorical_crossentropy",
]  # fmt: skip
