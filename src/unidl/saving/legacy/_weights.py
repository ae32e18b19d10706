"""The weights of a layer from a list of arrays, as Keras 1, 2 and 3 put them into HDF5 files.

A group has a layer's arrays in one list: of models and wrappers those of all layers inside, the trainable ones first.
Which of several orders it was is told by names and shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.saving.legacy._gates import converted

Pair = tuple[Any, np.ndarray]


def matched(
    layer: Any, arrays: list[np.ndarray], names: list[str], version: int, backend: str, ignore_shapes: bool = False
) -> list[Pair]:
    """The variables of `layer` with the arrays that belong to them.

    Args:
        names: of the arrays, such as ``dense_1/kernel:0``.
        version: the major version of Keras that wrote them.
        backend: its backend: Theano's convolutions are flipped.
        ignore_shapes: also give pairs whose shapes differ.

    Raises:
        ValueError: if they do not fit in any order; says what was expected.
    """
    fitting: list[list[Pair]] = []
    found: list[Pair] | None = None
    for order in _ORDERS:
        pairs = _paired(order(layer), arrays, version, backend)
        if pairs is None:
            continue
        found = found or pairs
        if all(tuple(active.shape(v)) == a.shape for v, a in pairs):
            if len(pairs) == len(names) and all(_fits(v, n) for (v, _), n in zip(pairs, names)):
                return pairs
            fitting.append(pairs)
    if fitting:
        return fitting[0]
    if found is not None and ignore_shapes:
        return found
    want = [tuple(active.shape(v)) for leaf in _leaves(layer) for v in leaf._stored()]
    raise ValueError(f"{layer.path!r} has weights of shapes {want}, the file {[a.shape for a in arrays]}")


def count(layer: Any) -> int:
    """How many variables with values in files there are in a layer, all inside included."""
    return sum(len(leaf._stored()) for leaf in _leaves(layer))


def legacy_order(layer: Any) -> list[Any]:
    """The variables of a layer in the order in which Keras 3 writes them: the trainable ones first."""
    return [v for _, variables in _by(lambda v: bool(v.trainable))(layer) for v in variables]


def _leaves(layer: Any) -> list[Any]:
    """The layers with variables of their own, in order."""
    return [leaf for leaf in layer._flatten_layers() if leaf._stored()]


Parts = list[tuple[Any, list[Any]]]


def _by(first: Callable[[Any], bool]) -> Callable[[Any], Parts]:
    def order(layer: Any) -> Parts:
        leaves = _leaves(layer)
        return [
            (leaf, own)
            for wanted in (True, False)
            for leaf in leaves
            if (own := [v for v in leaf._stored() if first(v) is wanted])
        ]

    return order


def _as_they_are(layer: Any) -> Parts:
    return [(leaf, [*leaf._stored()]) for leaf in _leaves(layer)]


_ORDERS = (
    _by(lambda v: bool(v.trainable)),
    _by(lambda v: bool(getattr(v, "_wants_training", v.trainable))),
    _as_they_are,
)


def _paired(parts: Parts, arrays: list[np.ndarray], version: int, backend: str) -> list[Pair] | None:
    pairs: list[Pair] = []
    rest = list(arrays)
    for leaf, variables in parts:
        shapes = [tuple(d or 0 for d in active.shape(v)) for v in variables]
        made, used = converted(leaf, shapes, rest, version, backend)
        if len(made) != len(variables):
            return None
        pairs += zip(variables, made, strict=True)
        rest = rest[used:]
    return None if rest else pairs


def _fits(variable: Any, name: str) -> bool:
    """Whether the last part of a name in the file is that of the variable."""
    last = name.rstrip("/").rpartition("/")[2].partition(":")[0]
    return last == variable.name or last.startswith(f"{variable.name}_")
