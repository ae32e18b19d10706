"""Outputs, targets and what `compile` was given for them: one walk through nested structures."""

from __future__ import annotations

from typing import Any

from unidl import tree

Path = tuple[Any, ...]


def is_nested(value: Any) -> bool:
    return isinstance(value, (list, tuple, dict))


def keys_of(outputs: dict[str, Any], names: list[str]) -> list[str]:
    """The keys of a dict of outputs in the model's order, if it names them so; else sorted."""
    return list(names) if set(names) == set(outputs) else sorted(outputs)


def aligned(value: Any, outputs: Any, names: list[str]) -> Any:
    """Targets (or sample weights) in the outermost structure of the outputs: dicts by name, lists by place.

    Raises:
        ValueError: if their numbers differ.
    """
    if not is_nested(outputs):
        while is_nested(value) and len(value) == 1:
            value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        return value
    if value is None:
        return None
    if isinstance(outputs, dict):
        keys = keys_of(outputs, names)
        if isinstance(value, dict):
            return value
        values = list(value) if is_nested(value) else [value]
        if len(values) != len(keys):
            raise _counts_differ(len(keys), len(values))
        return dict(zip(keys, values, strict=True))
    if isinstance(value, dict):
        known = names if len(names) == len(outputs) else [str(i) for i in range(len(outputs))]
        return [value.get(name) for name in known]
    values = value if is_nested(value) else [value]
    if len(values) != len(outputs):
        raise _counts_differ(len(tree.flatten(outputs)), len(tree.flatten(value)))
    return values


def _counts_differ(outputs: int, targets: int) -> ValueError:
    return ValueError(f"The model has {outputs} outputs, but the data has {targets} targets.")


def at(value: Any, path: Path) -> Any:
    """The part of a structure at a path of keys and places; None where it ends before."""
    for step in path:
        if value is None:
            return None
        value = value.get(step) if isinstance(value, dict) else value[step]
    return value


def leaves(outputs: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Each tensor of the outputs with its path."""
    if not is_nested(outputs):
        return [(path, outputs)]
    items = ((k, outputs[k]) for k in sorted(outputs)) if isinstance(outputs, dict) else enumerate(outputs)
    return [found for key, item in items for found in leaves(item, (*path, key))]


class Names:
    """What outputs are called, by path.

    Args:
        outputs: the model's outputs.
        names: those of the layers that make them, in the order of `tree.flatten`; they may be missing.
    """

    def __init__(self, outputs: Any, names: list[str]) -> None:
        paths = [path for path, _ in leaves(outputs)]
        self.known = len(names) == len(paths)
        self.of_leaf = {p: names[i] if self.known else f"output_{i}" for i, p in enumerate(paths)}
        self.outputs = outputs

    def name(self, path: Path) -> str:
        """``a/b`` for keys; places are called by the output there; a part of several outputs by all of them."""
        parts = []
        for depth, step in enumerate(path, 1):
            parts.append(step if isinstance(step, str) else self.of_leaf.get(path[:depth], str(step)))
        if parts:
            return "/".join(parts)
        if isinstance(self.outputs, dict):
            return "_".join(sorted(self.outputs))
        return "_".join(dict.fromkeys(self.of_leaf.values()))
