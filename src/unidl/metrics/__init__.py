"""Metrics: running values over batches, kept on the device."""

from __future__ import annotations

from typing import Any

from unidl._objects import Registry
from unidl.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
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
from unidl.metrics._confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from unidl.metrics._correlation import (
    ConcordanceCorrelation,
    PearsonCorrelation,
    R2Score,
    concordance_correlation,
    pearson_correlation,
)
from unidl.metrics._curves import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from unidl.metrics._errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from unidl.metrics._fscore import F1Score, FBetaScore
from unidl.metrics._iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from unidl.metrics._means import Mean, MeanMetricWrapper, Sum

_SHORT: dict[str, Any] = {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
}
_registry = Registry(
    "metric",
    [
        AUC, Accuracy, BinaryAccuracy, BinaryCrossentropy, BinaryIoU, CategoricalAccuracy, CategoricalCrossentropy,
        CategoricalHinge, ConcordanceCorrelation, CosineSimilarity, F1Score, FBetaScore, FalseNegatives,
        FalsePositives, Hinge, IoU, KLDivergence, LogCoshError, Mean, MeanAbsoluteError, MeanAbsolutePercentageError,
        MeanIoU, MeanMetricWrapper, MeanSquaredError, MeanSquaredLogarithmicError, OneHotIoU, OneHotMeanIoU,
        PearsonCorrelation, Poisson, Precision, PrecisionAtRecall, R2Score, Recall, RecallAtPrecision,
        RootMeanSquaredError, SensitivityAtSpecificity, SparseCategoricalAccuracy, SparseCategoricalCrossentropy,
        SparseTopKCategoricalAccuracy, SpecificityAtSensitivity, SquaredHinge, Sum, TopKCategoricalAccuracy,
        TrueNegatives, TruePositives,
    ],
    {**_SHORT, **{name.upper(): cls for name, cls in _SHORT.items()}, "auc": AUC, "logcosh": LogCoshError},
    Metric,
)  # fmt: skip


def get(identifier: Any) -> Any:
    """A metric for a name, configuration, class, object or function; functions are returned as they are."""
    return _registry.get(identifier)


def serialize(metric: Any) -> Any:
    """A metric as plain data."""
    return _registry.serialize(metric)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The metric that `serialize` described."""
    return _registry.deserialize(config, custom_objects)


def function_of(name: Any, custom_objects: Any = None) -> Any:
    """The function or loss of which a `MeanMetricWrapper` is the mean, from its plain form."""
    from unidl import losses

    found = globals().get(name) if isinstance(name, str) and name.islower() and name in __all__ else None
    return found or losses.deserialize(name, custom_objects)


def resolve(item: Any, target_shape: Any, output_shape: Any, loss: Any = None) -> Metric:
    """A metric as `compile` takes it, for targets and outputs of these shapes.

    "accuracy" ("acc") means binary accuracy for outputs of one unit, accuracy against integers if the
    targets lack the class dimension (or have size 1 there), and against one-hot vectors otherwise;
    "crossentropy" ("ce") likewise. A metric or loss given by name is shown under that name.
    """
    if isinstance(item, Metric):
        return item
    if not isinstance(item, str):
        found = item() if isinstance(item, type) else _registry.get(item) if isinstance(item, dict) else item
        return found if isinstance(found, Metric) else _mean_of(found, display_name(found))
    if item.lower() in ("accuracy", "acc", "crossentropy", "ce"):
        return _by_shapes(item, target_shape, output_shape)
    from unidl import losses

    try:
        found = get(item)
    except ValueError:
        found = losses.loss_object(item)  # a loss may be watched as a metric
    if not isinstance(found, Metric):
        return _mean_of(found, item)
    found.name = item
    return found


def _by_shapes(name: str, target_shape: Any, output_shape: Any) -> Metric:
    """What "accuracy" or "crossentropy" means for targets and outputs of these shapes."""
    kinds: tuple[type[Metric], type[Metric]]
    if not output_shape or output_shape[-1] == 1:
        kinds = BinaryAccuracy, BinaryCrossentropy
    elif len(target_shape) < len(output_shape) or target_shape[-1] == 1:
        kinds = SparseCategoricalAccuracy, SparseCategoricalCrossentropy
    else:
        kinds = CategoricalAccuracy, CategoricalCrossentropy
    return kinds[0 if name.lower() in ("accuracy", "acc") else 1](name=name)


def _mean_of(fn: Any, name: str) -> MeanMetricWrapper:
    """The mean of a function or a loss over samples: of a loss its values before they are reduced."""
    from unidl import losses

    if isinstance(fn, losses.LossFunctionWrapper):
        return MeanMetricWrapper(fn.fn, name, **fn._fn_kwargs)
    return MeanMetricWrapper(fn.call if isinstance(fn, losses.Loss) else fn, name)


__all__ = [
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU", "CategoricalAccuracy",
    "CategoricalCrossentropy", "CategoricalHinge", "ConcordanceCorrelation", "CosineSimilarity", "F1Score",
    "FBetaScore", "FalseNegatives", "FalsePositives", "Hinge", "IoU", "KLDivergence", "LogCoshError", "Mean",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanIoU", "MeanMetricWrapper", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Metric", "OneHotIoU", "OneHotMeanIoU", "PearsonCorrelation", "Poisson",
    "Precision", "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision", "RootMeanSquaredError",
    "SensitivityAtSpecificity", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TopKCategoricalAccuracy",
    "TrueNegatives", "TruePositives", "binary_accuracy", "binary_crossentropy", "binary_focal_crossentropy",
    "categorical_accuracy", "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge",
    "concordance_correlation", "deserialize", "get", "hinge", "huber", "kl_divergence", "log_cosh",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error",
    "pearson_correlation", "poisson", "resolve", "serialize", "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy", "sparse_top_k_categorical_accuracy", "squared_hinge",
    "top_k_categorical_accuracy",
]  # fmt: skip
