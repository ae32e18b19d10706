"""What many layers need while they are constructed and built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend.attributes import require
from unidl.errors import OpError


def activation_of(activation: Any) -> Any:
    """The function for `activation` (a name, a function, or None), or None for one that changes nothing."""
    from unidl import activations

    function = activations.get(activation)
    return None if function is None or function is getattr(activations, "linear", None) else function


def resolve(layer: Any, **arguments: Any) -> None:
    """Set ``*_initializer``, ``*_regularizer`` and ``*_constraint`` attributes from names, configs or objects."""
    from unidl import constraints, initializers, regularizers

    getters = {"initializer": initializers.get, "regularizer": regularizers.get, "constraint": constraints.get}
    for name, value in arguments.items():
        setattr(layer, name, getters[name.rpartition("_")[2]](value))


def weight_settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of a constructor's `arguments` (its ``locals()``) that are for weights: what `resolve` takes."""
    ends = ("_initializer", "_regularizer", "_constraint")
    return {name: v for name, v in arguments.items() if name.endswith(ends) and name != "activity_regularizer"}


def positive(layer: Any, name: str, value: Any) -> int:
    """`value` as an int above 0.

    Raises:
        ValueError: naming the argument `name` of `layer`.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value <= 0:
        raise ValueError(f"{type(layer).__name__}: argument `{name}` must be a positive integer, not {value!r}.")
    return int(value)


def refuse(layer: str, **arguments: Any) -> None:
    """Refuse arguments that Keras has and unidl has not."""
    for name, value in arguments.items():
        if value:
            raise ValueError(f"{layer}({name}={value!r}): unidl has no such variant; leave `{name}` out.")


def require_rank(shape: Sequence[int | None], ndim: int, meaning: str) -> None:
    """Refuse an input shape that has not `ndim` dimensions."""
    require(
        len(shape) == ndim,
        f"takes inputs of {ndim} dimensions {meaning}, but an input of shape {tuple(shape)} came. Reshape the input.",
    )


def require_known(shape: Sequence[int | None], axis: int, what: str = "features") -> int:
    """The size of `axis`, which the layer's weights depend on."""
    require(bool(shape), f"takes inputs with at least the dimensions (batch, {what}), but a scalar came.")
    require(
        -len(shape) <= axis < len(shape), f"has no axis {axis} in an input of shape {tuple(shape)}. Reshape the input."
    )
    size = shape[axis]
    if size is None:
        raise OpError(
            f"needs to know the number of {what} (axis {axis}), which is unknown in an input of shape {tuple(shape)}. "
            "Give the Input a fixed size there."
        )
    return size


def leading(x: Any, axis: int = 0) -> Any:
    """The size of an axis, as an int if it is known, else as something ops accept."""
    size = x.shape[axis]
    return ops.shape(x)[axis] if size is None else size
