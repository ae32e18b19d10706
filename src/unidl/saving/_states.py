"""Where the state of each part of a model is kept in an archive: paths in the layout of Keras 3.

A part is anything with `save_own_variables`: layers, optimizers, metrics. Its path follows attributes; in lists and
dicts a part is called after its class: ``layers/dense_1``, ``encoder/attention``. The list `layers` of a model is among
its attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: Classes whose public name in Keras is not that of the class.
_CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}
#: Attributes that hold what is found by other ways, or belongs to training.
_SKIPPED = frozenset({"_nodes", "_weights", "_net_layers", "_stack", "_input_layer", "optimizer", "loss", "_loss_mean"})


def parts_of(root: Any) -> Iterator[tuple[str, Any]]:
    """Each part once, with its path: the root's is ""; the layers of a functional model are below ``layers/``."""
    seen: set[int] = set()
    todo: list[tuple[str, Any]] = [("", root)]
    while todo:
        path, part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield path, part
        todo += reversed(list(_children(part, f"{path}/" if path else "")))


def _children(part: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    tracked = dict(getattr(part, "_tracked", {}))
    if hasattr(part, "_net"):  # what comes before it in the alphabet is found by its own name
        tracked["layers"] = list(part.layers)
    for name in sorted(tracked, key=lambda n: (n.startswith("_"), n)):
        value = tracked[name]
        if name in _SKIPPED:
            continue
        # Keras looks through public names first, properties among them.
        public = getattr(type(part), name[1:], None) if name.startswith("_") else None
        if isinstance(public, property) and type(part).__name__ not in _CLASSES:
            name = name[1:]
        if _is_part(value):
            yield f"{prefix}{name}", value
        elif isinstance(value, (list, tuple, dict)):
            yield from _members(value.values() if isinstance(value, dict) else value, f"{prefix}{name}/")


def _members(items: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    from unidl.layers._base import snake_case

    used: dict[str, int] = {}
    for item in items:
        if _is_part(item):
            base = snake_case(_class_name(item))
            count = used[base] = used.get(base, -1) + 1
            yield f"{prefix}{base}{f'_{count}' if count else ''}", item
        elif isinstance(item, (list, tuple)):
            yield from _members(item, prefix)


def _class_name(part: Any) -> str:
    """What Keras calls the class."""
    name = type(part).__name__
    return "Functional" if name == "Model" and part._net is not None else _CLASSES.get(name, name)


def _is_part(value: Any) -> bool:
    return hasattr(value, "save_own_variables") and hasattr(value, "load_own_variables")
