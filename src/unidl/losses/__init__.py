"""Losses, as objects and as functions."""

from __future__ import annotations

from typing import Any

from unidl._objects import Registry
from unidl.losses._base import Loss, LossFunctionWrapper
from unidl.losses._crossentropy import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from unidl.losses._crossentropy_classes import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    SparseCategoricalCrossentropy,
)
from unidl.losses._regression import (
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    squared_hinge,
)
from unidl.losses._regression_classes import (
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
)
from unidl.losses._structured import circle, ctc, dice, tversky
from unidl.losses._structured_classes import CTC, Circle, Dice, Tversky

#: Each function, and the class of loss that it makes.
_CLASSES: dict[Any, type[Loss]] = {
    binary_crossentropy: BinaryCrossentropy,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    categorical_generalized_cross_entropy: CategoricalGeneralizedCrossEntropy,
    categorical_hinge: CategoricalHinge,
    circle: Circle,
    cosine_similarity: CosineSimilarity,
    ctc: CTC,
    dice: Dice,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    poisson: Poisson,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    squared_hinge: SquaredHinge,
    tversky: Tversky,
}
_SHORT: dict[str, Any] = {
    "bce": binary_crossentropy,
    "kld": kl_divergence,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "mse": mean_squared_error,
    "msle": mean_squared_logarithmic_error,
}
_aliases = {**_SHORT, **{name.upper(): fn for name, fn in _SHORT.items()}}
_aliases |= {"logcosh": log_cosh, "kullback_leibler_divergence": kl_divergence}
# Functions first: a name in lower case is that of a function.
_registry = Registry("loss", [*_CLASSES, *_CLASSES.values(), LossFunctionWrapper], _aliases, Loss)


def get(identifier: Any) -> Any:
    """A loss for a name, configuration, class, object or function.

    Names in lower case ("mse", "mean_squared_error") are those of functions ``(y_true, y_pred)``,
    which give one number for each sample; those of classes ("MeanSquaredError") make objects.
    """
    return _registry.get(identifier)


def loss_object(identifier: Any) -> Loss | None:
    """As `get`, but always a `Loss`: functions are reduced to the mean over what they return."""
    found = _registry.get(identifier)
    if found is None or isinstance(found, Loss):
        return found
    cls = _CLASSES.get(found) if getattr(found, "__hash__", None) else None
    if cls is CategoricalGeneralizedCrossEntropy or cls is None:  # the former needs an argument as a function
        return LossFunctionWrapper(found)
    return cls()


def resolve(identifier: Any, target_shape: Any, output_shape: Any) -> Loss | None:
    """A loss as `compile` takes it, for targets and outputs of these shapes.

    "crossentropy" ("ce") means binary crossentropy for outputs of one unit, the sparse one if the targets lack the
    class dimension (or have size 1 there), and the categorical one otherwise.
    """
    if not isinstance(identifier, str) or identifier.lower() not in ("crossentropy", "ce"):
        return loss_object(identifier)
    if not output_shape or output_shape[-1] == 1:
        return BinaryCrossentropy()
    if len(target_shape) < len(output_shape) or target_shape[-1] == 1:
        return SparseCategoricalCrossentropy()
    return CategoricalCrossentropy()


def serialize(loss: Any) -> Any:
    """A loss as plain data."""
    return _registry.serialize(loss)


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """The loss that `serialize` described."""
    return _registry.deserialize(name, custom_objects)


__all__ = [
    "CTC", "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy", "CategoricalHinge", "Circle", "CosineSimilarity", "Dice", "Hinge", "Huber",
    "KLDivergence", "LogCosh", "Loss", "LossFunctionWrapper", "MeanAbsoluteError", "MeanAbsolutePercentageError",
    "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge",
    "Tversky", "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "categorical_generalized_cross_entropy", "categorical_hinge", "circle",
    "cosine_similarity", "ctc", "deserialize", "dice", "get", "hinge", "huber", "kl_divergence", "log_cosh",
    "loss_object", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "poisson", "resolve", "serialize", "sparse_categorical_crossentropy",
    "squared_hinge", "tversky",
]  # fmt: skip
