"""All variables of a model as nested dicts, by path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from unidl.backend import active


def groups(model: Any) -> dict[str, list[Any]]:
    """The kinds of variables that a model and its training have."""
    return {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": [] if model.optimizer is None else model.optimizer.variables,
        "metrics_variables": model.metrics_variables,
    }


def _place(model: Any, variable: Any) -> str:
    return variable.path.removeprefix(f"{model.name}/")


def state_tree(model: Any, value_format: str = "backend_tensor") -> dict[str, Any]:
    """Kind of variable to nested dicts: ``tree["trainable_variables"]["dense"]["kernel"]``.

    Raises:
        ValueError: if two variables of one kind have the same path, or for another `value_format`.
    """
    if value_format not in ("backend_tensor", "numpy_array"):
        raise ValueError(f"`value_format` must be 'backend_tensor' or 'numpy_array', not {value_format!r}.")
    result: dict[str, Any] = {}
    for kind, variables in groups(model).items():
        nested = result[kind] = {}
        for variable in variables:
            *folders, name = _place(model, variable).split("/")
            folder = nested
            for part in folders:
                folder = folder.setdefault(part, {})
            if name in folder:
                raise ValueError(
                    f"Model {model.name!r}: the variable path {variable.path!r} is found twice. "
                    "Give the layers names of their own."
                )
            folder[name] = active.to_numpy(variable).copy() if value_format == "numpy_array" else variable.value
    return result


def set_state_tree(model: Any, tree: dict[str, Any]) -> None:
    """Assign the values of (a part of) such a tree.

    Raises:
        ValueError: for a kind or a path that the model lacks; nothing is assigned then.
    """
    known = groups(model)
    pairs = []
    for kind, nested in tree.items():
        if kind not in known:
            raise ValueError(f"A state tree holds {sorted(known)}, not {kind!r}.")
        by_place = {_place(model, v): v for v in known[kind]}
        for place, value in _flattened(nested):
            if place not in by_place:
                raise ValueError(f"Model {model.name!r} has no variable {place!r} among its {kind}.")
            pairs.append((by_place[place], value))
    for variable, value in pairs:
        variable.assign(value if active.is_tensor(value) else np.asarray(value))


def _flattened(nested: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
