"""What a layer holds: its own variables, the layers inside it, metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unidl import tree
from unidl._state import state
from unidl.backend import active


class Contents:
    """The part of `Layer` that finds variables and layers among the attributes, containers included.

    Attributes:
        _tracked: attributes that are, or may hold, variables, layers or metrics, in the order of assignment.
        _weights: variables made with `add_weight`.
    """

    path: Any
    _path: str
    built: bool
    _tracked: dict[str, Any]
    _weights: list[Any]

    def _own_variables(self) -> list[Any]:
        found = {id(v): v for v in self._weights}
        for value in list(self._tracked.values()):
            for item in _members(value, active.Variable):
                found.setdefault(id(item), item)
        return list(found.values())

    def _sublayers(self) -> list[Any]:
        found: dict[int, Any] = {}
        for name, value in list(self._tracked.items()):
            if name not in ("_nodes", "_weights"):
                for item in _members(value, Contents):
                    found.setdefault(id(item), item)
        found.pop(id(self), None)
        return list(found.values())

    def _assign_paths(self, path: str = "") -> None:
        """Give this layer, all layers inside and their variables their full paths."""
        todo: list[tuple[Any, str]] = [(self, path or self._path)]
        seen: set[int] = set()
        while todo:
            layer, path = todo.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            layer._path = path
            for variable in layer._own_variables():
                variable._path = f"{path}/{variable.name}"
            todo.extend((child, f"{path}/{child.name}") for child in layer._sublayers())

    def _place_parts(self, placed: set[int]) -> None:
        """Have the paths of the layers inside begin with this one's, except of those `placed` already, given by id."""
        for part in self._sublayers():
            if id(part) not in placed:
                part._assign_paths(f"{self._path}/{part.name}")

    def _flatten_layers(self) -> list[Any]:
        """This layer and all inside it, each once, depth first."""
        found: list[Any] = []
        seen: set[int] = set()
        todo: list[Any] = [self]
        while todo:
            layer = todo.pop()
            if id(layer) not in seen:
                seen.add(id(layer))
                found.append(layer)
                todo.extend(reversed(layer._sublayers()))
        return found

    @property
    def losses(self) -> list[Any]:
        """Losses added by the latest call, and the regularizers of all trainable weights.

        While a step is being recorded, as in a `compute_loss` of one's own, these are the losses of the recording.
        """
        layers = self._flatten_layers()
        if state.trace is None:
            added = [loss for layer in layers for loss in layer._losses]
        else:
            own = {id(layer) for layer in layers}
            added = [loss for layer, loss in state.trace.losses if id(layer) in own]
        return added + self._regularization()

    def _regularization(self) -> list[Any]:
        return [v.regularizer(v) for v in self.trainable_variables if v.regularizer is not None]

    @property
    def variables(self) -> list[Any]:
        """All variables: of each layer the trainable ones first, then of the layers inside it."""
        found: dict[int, Any] = {}
        for layer in self._flatten_layers():
            own = layer._own_variables()
            for v in sorted(own, key=_order):
                found.setdefault(id(v), v)
        return list(found.values())

    @property
    def weights(self) -> list[Any]:
        return self.variables

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables that training changes."""
        return [v for v in self.variables if v.trainable]

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The variables that training leaves alone."""
        return [v for v in self.variables if not v.trainable]

    non_trainable_weights = non_trainable_variables

    @property
    def metrics(self) -> list[Any]:
        """Metric objects that are attributes of this layer or of one inside it."""
        found: dict[int, Any] = {}
        for layer in self._flatten_layers():
            for value in layer._tracked.values():
                for item in tree.flatten(value):
                    if hasattr(item, "update_state") and hasattr(item, "result"):
                        found.setdefault(id(item), item)
        return list(found.values())

    @property
    def metrics_variables(self) -> list[Any]:
        """The variables of all metrics of this layer and those inside it."""
        return [v for metric in self.metrics for v in metric.variables]

    def _stored(self) -> list[Any]:
        """The own variables that files hold; LoRA leaves some out."""
        return self._own_variables()

    def _stored_value(self, variable: Any, read: Callable[[Any], np.ndarray] = active.to_numpy) -> np.ndarray:
        """What files hold for one of these; `read` gives the value of a tensor on the host."""
        return read(variable)

    def _after_loading(self) -> None:
        """Called when a file has filled the variables."""

    def save_own_variables(self, store: Any) -> None:
        """Put this layer's own variables into a dict of arrays, under "0", "1", …; layers inside do so themselves."""
        for i, variable in enumerate(self._stored()):
            store[str(i)] = self._stored_value(variable)

    def load_own_variables(self, store: Any) -> None:
        """Take what `save_own_variables` put there.

        Raises:
            ValueError: if the number of variables or a shape differs.
        """
        variables = self._stored()
        if len(store.keys()) != len(variables):
            hint = "" if self.built else " The layer is not built: call it on data, or build(shape), before."
            raise ValueError(
                f"Layer {self.path!r} has {len(variables)} variables of its own, but the store holds "
                f"{len(store.keys())}.{hint}"
            )
        for i, variable in enumerate(variables):
            variable.assign(np.asarray(store[str(i)]))
        self._after_loading()

    def count_params(self) -> int:
        """The number of elements of all weights."""
        self._require_built("count_params()")
        return sum(math.prod(d or 0 for d in active.shape(v)) for v in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """The weights' values, in the order of `weights`."""
        return [active.to_numpy(v).copy() for v in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Overwrite all weights.

        Raises:
            ValueError: if the number of arrays or a shape differs.
        """
        variables = self.weights
        if len(weights) != len(variables):
            raise ValueError(f"Layer {self.path!r} has {len(variables)} weights, {len(weights)} arrays were given.")
        for variable, value in zip(variables, weights, strict=True):
            if tuple(active.shape(variable)) != tuple(np.shape(value)):
                raise ValueError(
                    f"Weight {variable.path!r} has shape {tuple(active.shape(variable))}, "
                    f"the given array {tuple(np.shape(value))}."
                )
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def _require_built(self, what: str) -> None:
        if not self.built and not self._own_variables():
            raise ValueError(
                f"{what} needs the weights of layer {self.path!r}, which is not built yet: "
                "call it on data, or build(shape)."
            )


def _order(variable: Any) -> bool:
    """False for variables that are listed first: those that were made to be trained."""
    wanted = getattr(variable, "_wants_training", variable.trainable)
    return not getattr(variable, "_listed_first", wanted)


def _members(value: Any, kind: type) -> Iterator[Any]:
    """Objects of `kind` in nested lists, tuples and dicts."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, dict):
        for item in list(value.values()):
            yield from _members(item, kind)
    elif isinstance(value, (list, tuple)):
        for item in list(value):
            yield from _members(item, kind)
