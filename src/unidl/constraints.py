"""What weights are made to satisfy after each update."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl._objects import Configurable, Registry
from unidl.config import epsilon


class Constraint(Configurable):
    """A function of a weight that returns an admissible one near it."""

    def __call__(self, w: Any) -> Any:
        """`w`, made admissible; subclasses override this, which leaves everything as it is."""
        return w

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.get_config()}>"


def _norms(w: Any, axis: Any) -> Any:
    """Euclidean norms along `axis`, with that axis kept."""
    return ops.sqrt(ops.sum(ops.square(w), axis, True))


class MaxNorm(Constraint):
    """Norms along `axis` of at most `max_value`: longer vectors are scaled down.

    For a Dense kernel axis 0 holds the weights into one unit; for a convolution's they are along
    all axes but the last.
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        wanted = ops.minimum(norms, float(self.max_value))
        return ops.multiply(w, ops.divide(wanted, ops.add(norms, epsilon())))


class NonNeg(Constraint):
    """No negative element: those become 0."""

    def __call__(self, w: Any) -> Any:
        return ops.maximum(w, 0.0)


class UnitNorm(Constraint):
    """Norms of 1 along `axis`."""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return ops.divide(w, ops.add(_norms(w, self.axis), epsilon()))


class MinMaxNorm(Constraint):
    """Norms along `axis` between `min_value` and `max_value`.

    Args:
        rate: how far to go: 1 satisfies the constraint at once, less moves towards it.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        inside = ops.minimum(ops.maximum(norms, float(self.min_value)), float(self.max_value))
        wanted = ops.add(ops.multiply(inside, self.rate), ops.multiply(norms, 1.0 - self.rate))
        return ops.multiply(w, ops.divide(wanted, ops.add(norms, epsilon())))


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm
_registry = Registry("constraint", [MaxNorm, MinMaxNorm, NonNeg, UnitNorm], base=Constraint)


def get(identifier: Any) -> Any:
    """The constraint for a name ("non_neg"), class, object, configuration or function; None for None."""
    return _registry.get(identifier)


def serialize(constraint: Any) -> Any:
    """`constraint` as plain data."""
    return _registry.serialize(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint that `serialize` described."""
    return _registry.deserialize(config, custom_objects)


__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm",
    "non_neg", "serialize", "unit_norm",
]  # fmt: skip
