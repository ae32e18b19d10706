"""Different optimizers for different variables of one model."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

from unidl.backend import active
from unidl.optimizers._base import Optimizer
from unidl.optimizers._loss_scale import LossScaleOptimizer
from unidl.optimizers._state import path_of
from unidl.optimizers._updating import Apply, Gradients
from unidl.saving.objects import plain


class OptimizerMap(MutableMapping[str, Any]):
    """Which optimizer a variable gets, by its path: for `MultiOptimizer`.

    A key is a path, or a regular expression that matches whole paths, such as ``"encoder/.*"``. A path that is itself a
    key wins over expressions.

    Args:
        default_optimizer: for paths that no key matches.
        optimizer_map: first entries, a dict.
    """

    def __init__(self, default_optimizer: Any, optimizer_map: dict[str, Any] | None = None) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: `default_optimizer` must be an optimizer, not {default_optimizer!r}.")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: `optimizer_map` must be a dictionary, not {optimizer_map!r}.")
        self._default = default_optimizer
        self._entries: dict[str, Any] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    @property
    def default_optimizer(self) -> Any:
        """The optimizer for paths that no key matches."""
        return self._default

    def __getitem__(self, key: str) -> Any:
        if key in self._entries:
            return self._entries[key]
        matching = [pattern for pattern in self._entries if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"OptimizerMap: multiple keys match the variable {key!r}: {matching}. Narrow them down.")
        return self._entries[matching[0]] if matching else self._default

    def __setitem__(self, key: str, optimizer: Any) -> None:
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: a key must be a string, not {key!r}.")
        if key in self._entries:
            raise ValueError(f"OptimizerMap: {key!r} already exists, with {self._entries[key]!r}. Delete it first.")
        _check_inner(optimizer, f"OptimizerMap: for {key!r} an optimizer")
        self._entries[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __call__(self, variable: Any) -> Any:
        """The optimizer for `variable`."""
        return self[path_of(variable)]

    def get_config(self) -> dict[str, Any]:
        """The optimizers' configurations, by key."""
        return {
            "default_optimizer": plain(self._default),
            "optimizer_map": {key: plain(optimizer) for key, optimizer in self._entries.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The map that `get_config` described."""
        from unidl.optimizers import deserialize

        entries = {key: deserialize(c, custom_objects) for key, c in config["optimizer_map"].items()}
        return cls(deserialize(config["default_optimizer"], custom_objects), entries)


class MultiOptimizer(Optimizer):
    """Several optimizers, each for some variables.

    Args:
        optimizer_map: an `OptimizerMap`, or a function that returns the optimizer for a variable.
        loss_scale_factor: for all of them: their own is replaced.

    Attributes:
        optimizers: the optimizers. Read and set their learning rates: there is none of the whole.

    Example:
        >>> import unidl
        >>> from unidl import optimizers
        >>> slow, fast = optimizers.SGD(0.1), optimizers.SGD(0.5)
        >>> kernel, bias = unidl.Variable([1.0], name="kernel"), unidl.Variable([1.0], name="bias")
        >>> both = optimizers.MultiOptimizer(optimizers.OptimizerMap(slow, {".*bias": fast}))
        >>> both.apply([unidl.ops.array([1.0]), unidl.ops.array([1.0])], [kernel, bias])
        >>> [round(float(v[0]), 3) for v in (kernel, bias)]
        [0.9, 0.5]
    """

    def __init__(self, optimizer_map: Any, loss_scale_factor: float | None = None, name: str | None = None) -> None:
        self._inner: list[Any] = []
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._map = optimizer_map
        self._owner: dict[int, Any] = {}
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._take(optimizer)

    def _take(self, optimizer: Any) -> None:
        if all(o is not optimizer for o in self._inner):
            optimizer.loss_scale_factor = self.loss_scale_factor
            self._inner.append(optimizer)

    @property
    def optimizers(self) -> list[Any]:
        """The optimizers, in the order of the map; those that a function returned as they came."""
        return list(self._inner)

    def build(self, variables: Sequence[Any]) -> None:
        """Find the optimizer of each variable, and build them."""
        if not callable(self._map):
            raise TypeError(
                f"MultiOptimizer: `optimizer_map` must be an OptimizerMap or a function, not {self._map!r}."
            )
        for variable in variables:
            if id(variable) not in self._owner:
                optimizer = self._map(variable)
                _check_inner(optimizer, f"MultiOptimizer: the optimizer for variable {path_of(variable)!r}")
                self._take(optimizer)
                self._owner[id(variable)] = optimizer
        for optimizer in self._inner:
            if own := [v for v in variables if self._owner[id(v)] is optimizer]:
                optimizer._ensure_built(own)
        super().build(variables)

    @property
    def variables(self) -> list[Any]:
        """The optimizer's own, and those of all its optimizers."""
        return super().variables + [v for optimizer in self._inner for v in optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """There is none: it is an AttributeError."""
        raise AttributeError("A MultiOptimizer has no learning rate of its own: use those of its `optimizers`.")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError("A MultiOptimizer has no learning rate of its own: set those of its `optimizers`.")

    @property
    def loss_scale_factor(self) -> float | None:  # type: ignore[override]
        """The factor of all optimizers."""
        return self._factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._factor = value
        for optimizer in self._inner:
            optimizer.loss_scale_factor = value

    def _resolved(self, variables: list[Any]) -> Apply:
        parts: list[tuple[Any, list[int], list[Any]]] = []
        for optimizer in self._inner:
            if places := [i for i, v in enumerate(variables) if self._owner[id(v)] is optimizer]:
                parts.append((optimizer, places, [variables[i] for i in places]))

        def apply(gradients: Gradients) -> None:
            for optimizer, places, own in parts:
                optimizer._run([gradients[i] for i in places], own)
            active.increment(self._iterations)

        return apply

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """As each optimizer does it."""
        for optimizer in self._inner:
            optimizer.finalize_variable_values([v for v in var_list if self._owner.get(id(v)) is optimizer])

    def exclude_from_weight_decay(
        self, var_list: Sequence[Any] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """As each optimizer does it."""
        for optimizer in self._inner:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        """The map with its optimizers' configurations."""
        return {
            "optimizer_map": plain(self._map, "optimizer_map"),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The optimizer that `get_config` described, without its state."""
        rest = dict(config)
        given = rest.pop("optimizer_map")
        if isinstance(given, dict) and given.get("class_name") == "OptimizerMap":
            given = OptimizerMap.from_config(given["config"], custom_objects)
        return cls(given, **rest)


def _check_inner(optimizer: Any, what: str) -> None:
    """Raise ValueError if `optimizer` cannot be one of several."""
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"{what} must be an Optimizer, not {optimizer!r}.")
    if isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        kind = type(optimizer).__name__
        raise ValueError(
            f"{what} cannot be {kind}. {kind} cannot be used inside another optimizer of several: "
            "put LossScaleOptimizer around the MultiOptimizer, and name simple optimizers in one map."
        )
