"""Penalties on weights, added to the loss."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl._objects import Configurable, Registry


class Regularizer(Configurable):
    """A function of a weight that returns a scalar."""

    def __call__(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __call__.")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.get_config()}>"


def _factor(value: Any, what: str) -> float:
    value = 0.0 if value is None else float(value)
    if not 0 <= value < float("inf"):
        raise ValueError(f"A regularizer's `{what}` must be a finite number of at least 0, not {value}.")
    return value


class L1L2(Regularizer):
    """``l1 * sum(abs(x)) + l2 * sum(x * x)``."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor(l1, "l1"), _factor(l2, "l2")

    def __call__(self, x: Any) -> Any:
        terms = []
        if self.l1:
            terms.append(ops.multiply(ops.sum(ops.absolute(x)), self.l1))
        if self.l2:
            terms.append(ops.multiply(ops.sum(ops.square(x)), self.l2))
        if not terms:
            return ops.multiply(ops.sum(x), 0.0)
        return terms[0] if len(terms) == 1 else ops.add(*terms)


class L1(Regularizer):
    """``l1 * sum(abs(x))``."""

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor(0.01 if l1 is None else l1, "l1")

    def __call__(self, x: Any) -> Any:
        return ops.multiply(ops.sum(ops.absolute(x)), self.l1)


class L2(Regularizer):
    """``l2 * sum(x * x)``."""

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor(0.01 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> Any:
        return ops.multiply(ops.sum(ops.square(x)), self.l2)


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean absolute cosine between different rows (or columns) of a matrix.

    Args:
        factor: at least 0.
        mode: "rows" or "columns".
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(f"OrthogonalRegularizer: `mode` must be 'rows' or 'columns', not {mode!r}.")
        self.factor, self.mode = _factor(factor, "factor"), mode

    def __call__(self, x: Any) -> Any:
        shape = tuple(ops.shape(x))
        if len(shape) != 2:
            raise ValueError(f"OrthogonalRegularizer takes matrices, not a weight of shape {shape}.")
        rows = x if self.mode == "rows" else ops.transpose(x)
        n = shape[0] if self.mode == "rows" else shape[1]
        lengths = ops.sqrt(ops.maximum(ops.sum(ops.square(rows), 1, True), 1e-12))
        rows = ops.divide(rows, lengths)
        cosines = ops.absolute(ops.matmul(rows, ops.transpose(rows)))
        between = ops.subtract(ops.sum(cosines), ops.sum(ops.square(rows)))  # the diagonal left out
        return ops.multiply(between, self.factor / max(n * (n - 1), 1))


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
_registry = Registry(
    "regularizer",
    [L1, L2, L1L2, OrthogonalRegularizer],
    {"l1_l2": L1L2, "orthogonal": OrthogonalRegularizer},
    base=Regularizer,
)


def get(identifier: Any) -> Any:
    """The regularizer for a name ("l2"), class, object, configuration or function; None for None."""
    return _registry.get(identifier)


def serialize(regularizer: Any) -> Any:
    """`regularizer` as plain data."""
    return _registry.serialize(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer that `serialize` described."""
    return _registry.deserialize(config, custom_objects)


__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]  # fmt: skip
