"""Metrics: running values over batches, kept on the device."""

from __future__ import annotations

from typing import Any

from unidl._objects import Registry
from unidl.metrics._accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from unidl.metrics._base import Metric, display_name
from unidl.metrics._confusion import AUC, Precision, Recall
from unidl.metrics._means import (
    Mean,
    MeanAbsoluteError,
    MeanMetricWrapper,
    MeanSquaredError,
    RootMeanSquaredError,
    Sum,
    mean_absolute_error,
    mean_squared_error,
)

_registry = Registry(
    "metric",
    [
        AUC, Accuracy, BinaryAccuracy, CategoricalAccuracy, Mean, MeanAbsoluteError, MeanSquaredError, Precision,
        Recall, RootMeanSquaredError, SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy, Sum,
        TopKCategoricalAccuracy,
    ],
    {"mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError, "auc": AUC},
    Metric,
)  # fmt: skip


def get(identifier: Any) -> Any:
    """A metric for a name, configuration, class or object; functions are wrapped in a mean."""
    found = _registry.get(identifier)
    if isinstance(identifier, str) and isinstance(found, Metric) and identifier in ("mse", "MSE", "mae", "MAE"):
        found._name = identifier
    return found


def serialize(metric: Any) -> Any:
    """A metric as plain data."""
    return _registry.serialize(metric)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The metric that `serialize` described."""
    return _registry.deserialize(config, custom_objects)


def resolve(item: Any, target_shape: Any, output_shape: Any, loss: Any = None) -> Metric:
    """A metric as `compile` takes it, for targets and outputs of these shapes.

    "accuracy" ("acc") means binary accuracy for outputs of one unit, accuracy against integers if the
    targets lack the class dimension (or have size 1 there), and against one-hot vectors otherwise;
    "crossentropy" ("ce") likewise.
    """
    if item in ("accuracy", "acc", "crossentropy", "ce"):
        return _by_shapes(item, target_shape, output_shape)
    if isinstance(item, Metric):
        return item
    if isinstance(item, str):
        from unidl import losses

        try:
            return get(item)
        except ValueError:
            item = losses.loss_object(item)  # a loss may be watched as a metric, under its own name
    found = item() if isinstance(item, type) else _registry.get(item) if isinstance(item, dict) else item
    return found if isinstance(found, Metric) else _mean_of(found, display_name(found))


def _by_shapes(name: str, target_shape: Any, output_shape: Any) -> Metric:
    """What "accuracy" or "crossentropy" means for targets and outputs of these shapes."""
    from unidl import losses

    kinds: tuple[Any, ...]
    if not output_shape or output_shape[-1] == 1:
        kinds = BinaryAccuracy, losses.BinaryCrossentropy
    elif len(target_shape) < len(output_shape) or target_shape[-1] == 1:
        kinds = SparseCategoricalAccuracy, losses.SparseCategoricalCrossentropy
    else:
        kinds = CategoricalAccuracy, losses.CategoricalCrossentropy
    return kinds[0](name=name) if name in ("accuracy", "acc") else _mean_of(kinds[1](), name)


def _mean_of(fn: Any, name: str) -> MeanMetricWrapper:
    """The mean of a function or a loss over samples: of a loss its values before they are reduced."""
    from unidl import losses

    if isinstance(fn, losses.LossFunctionWrapper):
        return MeanMetricWrapper(fn.fn, name, **fn._fn_kwargs)
    return MeanMetricWrapper(fn.call if isinstance(fn, losses.Loss) else fn, name)


__all__ = [
    "AUC", "Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "Mean", "MeanAbsoluteError", "MeanMetricWrapper",
    "MeanSquaredError", "Metric", "Precision", "Recall", "RootMeanSquaredError", "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy", "Sum", "TopKCategoricalAccuracy", "binary_accuracy", "categorical_accuracy",
    "deserialize", "get", "mean_absolute_error", "mean_squared_error", "resolve", "serialize",
    "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy", "top_k_categorical_accuracy",
]  # fmt: skip
