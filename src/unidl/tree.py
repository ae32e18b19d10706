"""Nested structures: lists, tuples, named tuples and dicts of leaves. None is a leaf.

Dicts are walked in the order of their sorted keys, so that two equal dicts flatten alike.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a container (a list, tuple or dict)."""
    return isinstance(structure, (list, tuple, dict))


def _keys(structure: dict) -> list:
    if isinstance(structure, OrderedDict):
        return list(structure)
    try:
        return sorted(structure)
    except TypeError:  # keys of mixed types have no order but their own
        return list(structure)


def _walk(structure: Any) -> Iterator[Any]:
    if isinstance(structure, dict):
        for key in _keys(structure):
            yield from _walk(structure[key])
    elif isinstance(structure, (list, tuple)):
        for item in structure:
            yield from _walk(item)
    else:
        yield structure


def flatten(structure: Any) -> list[Any]:
    """The leaves in order."""
    return list(_walk(structure))


def _rebuild(structure: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(structure, dict):
        values = {key: _rebuild(structure[key], leaves) for key in _keys(structure)}
        ordered = {key: values[key] for key in structure}
        if isinstance(structure, defaultdict):
            return defaultdict(structure.default_factory, ordered)
        return OrderedDict(ordered) if isinstance(structure, OrderedDict) else ordered
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[_rebuild(item, leaves) for item in structure])
    if isinstance(structure, (list, tuple)):
        items = [_rebuild(item, leaves) for item in structure]
        return tuple(items) if isinstance(structure, tuple) else items
    return next(leaves)


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """`flat_sequence` in the shape of `structure`.

    Raises:
        ValueError: if the number of leaves differs.
    """
    flat = list(flat_sequence)
    count = len(flatten(structure))
    if count != len(flat):
        raise ValueError(f"The structure has {count} leaves, the flat sequence {len(flat)}.")
    return _rebuild(structure, iter(flat))


def map_structure(func: Callable[..., Any], *structures: Any) -> Any:
    """Apply `func` to the leaves of equally nested structures; the result has the first one's shape."""
    if not structures:
        raise ValueError("map_structure needs at least one structure.")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    columns = zip(*(flatten(s) for s in structures), strict=True)
    return _rebuild(structures[0], iter([func(*leaves) for leaves in columns]))


def assert_same_structure(a: Any, b: Any) -> None:
    """Raise ValueError unless `a` and `b` are nested alike (lists and tuples are told apart)."""
    if is_nested(a) != is_nested(b):
        raise ValueError(f"Structures differ: {type(a).__name__} against {type(b).__name__}.")
    if not is_nested(a):
        return
    if isinstance(a, dict) != isinstance(b, dict) or isinstance(a, tuple) != isinstance(b, tuple):
        raise ValueError(f"Structures differ: {type(a).__name__} against {type(b).__name__}.")
    if isinstance(a, dict):
        if set(a) != set(b):
            raise ValueError(f"Structures differ: keys {sorted(map(str, a))} against {sorted(map(str, b))}.")
        for key in a:
            assert_same_structure(a[key], b[key])
        return
    if len(a) != len(b):
        raise ValueError(f"Structures differ: {len(a)} items against {len(b)}.")
    for x, y in zip(a, b, strict=True):
        assert_same_structure(x, y)
