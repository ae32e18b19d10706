"""Nested structures: lists, tuples, named tuples, deques and dicts of leaves. None is a leaf.

Dicts are walked in the order of their sorted keys, so that two equal dicts flatten alike; an `OrderedDict` in its own.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_CONTAINERS = (list, tuple, dict, deque)


class MAP_TO_NONE:
    """What the function given to `traverse` returns to put None in the place of a part."""


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a container (a list, tuple, deque or dict).

    Example:
        >>> from unidl import tree
        >>> tree.is_nested({"a": 1}), tree.is_nested(1)
        (True, False)
    """
    return isinstance(structure, _CONTAINERS)


def _keys(structure: Any) -> list[Any]:
    """What the children of a container are found by, in order."""
    if not isinstance(structure, dict):
        return list(range(len(structure)))
    if isinstance(structure, OrderedDict):
        return list(structure)
    try:
        return sorted(structure)
    except TypeError:  # keys of mixed types have no order but their own
        return list(structure)


def _rebuilt(structure: Any, children: Sequence[Any]) -> Any:
    """A container like `structure` that holds `children`, which are in the order of `_keys`."""
    if isinstance(structure, dict):
        values = dict(zip(_keys(structure), children, strict=True))
        ordered = {key: values[key] for key in structure}
        if isinstance(structure, defaultdict):
            return defaultdict(structure.default_factory, ordered)
        return OrderedDict(ordered) if isinstance(structure, OrderedDict) else ordered
    if isinstance(structure, tuple):
        return type(structure)(*children) if hasattr(structure, "_fields") else tuple(children)
    return deque(children, structure.maxlen) if isinstance(structure, deque) else list(children)


def _walk(structure: Any) -> Iterator[Any]:
    if isinstance(structure, dict):
        for key in _keys(structure):
            yield from _walk(structure[key])
    elif isinstance(structure, _CONTAINERS):
        for item in structure:
            yield from _walk(item)
    else:
        yield structure


def flatten(structure: Any) -> list[Any]:
    """The leaves in order.

    Example:
        >>> from unidl import tree
        >>> tree.flatten({"b": [1, 2], "a": (3, None)})
        [3, None, 1, 2]
    """
    return list(_walk(structure))


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves in order, each with the keys and indices that lead to it.

    Example:
        >>> from unidl import tree
        >>> tree.flatten_with_path([{"a": 42}, 7])
        [((0, 'a'), 42), ((1,), 7)]
    """

    def walk(part: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        if not is_nested(part):
            yield path, part
            return
        for key in _keys(part):
            yield from walk(part[key], (*path, key))

    return list(walk(structure, ()))


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """`flat_sequence` in the shape of `structure`.

    Raises:
        TypeError: if `flat_sequence` cannot be iterated over.
        ValueError: if the number of leaves differs.

    Example:
        >>> from unidl import tree
        >>> tree.pack_sequence_as({"b": [0, 0], "a": 0}, [1, 2, 3])
        {'b': [2, 3], 'a': 1}
    """
    flat = list(flat_sequence)
    count = len(flatten(structure))
    if count != len(flat):
        raise ValueError(f"The structure has {count} leaves, the flat sequence {len(flat)}.")
    leaves = iter(flat)
    return _mapped(structure, lambda _: next(leaves))


def _mapped(structure: Any, func: Callable[[Any], Any]) -> Any:
    if not is_nested(structure):
        return func(structure)
    return _rebuilt(structure, [_mapped(structure[key], func) for key in _keys(structure)])


def _check_call(func: Any, structures: tuple[Any, ...], name: str) -> None:
    if not callable(func):
        raise TypeError(f"{name}: `func` must be callable, not {func!r}.")
    if not structures:
        raise TypeError(f"{name} needs at least one structure.")


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Apply `func` to the leaves of equally nested structures; the result has the first one's shape.

    Args:
        none_is_leaf: whether `func` is called for None. If not, None stays, and must be in all structures.

    Raises:
        TypeError: if there is no structure, or `func` cannot be called.
        ValueError: if the structures differ, as `assert_same_structure` says.

    Example:
        >>> from unidl import tree
        >>> tree.map_structure(lambda a, b: a + b, {"x": [1, 2]}, {"x": [10, 20]})
        {'x': [11, 22]}
    """
    _check_call(func, structures, "map_structure")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    columns = zip(*(flatten(s) for s in structures), strict=True)
    results = []
    for leaves in columns:
        if none_is_leaf or None not in [leaf if leaf is None else 0 for leaf in leaves]:
            results.append(func(*leaves))
        elif any(leaf is not None for leaf in leaves):
            raise ValueError("Structures differ: None against a leaf.")
        else:
            results.append(None)
    given = iter(results)
    return _mapped(structures[0], lambda _: next(given))


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Apply `func` to the parts of `structures` that are where the leaves of `shallow_structure` are.

    Raises:
        TypeError: if there is no structure, or `func` cannot be called.
        ValueError: if a structure is not nested as `shallow_structure` is, as far as that goes.

    Example:
        >>> from unidl import tree
        >>> tree.map_structure_up_to([None, None], len, [[1, 2], [3]])
        [2, 1]
    """
    _check_call(func, structures, "map_structure_up_to")

    def walk(shallow: Any, parts: tuple[Any, ...]) -> Any:
        if not is_nested(shallow):
            return func(*parts)
        for part in parts:
            _assert_same_container(shallow, part)
        return _rebuilt(shallow, [walk(shallow[key], tuple(p[key] for p in parts)) for key in _keys(shallow)])

    return walk(shallow_structure, structures)


def map_shape_structure(func: Callable[..., Any], structure: Any) -> Any:
    """`map_structure` for shapes: a tuple or list of ints and Nones is a leaf.

    Example:
        >>> from unidl import tree
        >>> tree.map_shape_structure(len, {"a": (2, None), "b": [(3, 4, 5)]})
        {'a': 2, 'b': [3]}
    """
    _check_call(func, (structure,), "map_shape_structure")

    def walk(part: Any) -> Any:
        shape = isinstance(part, (tuple, list)) and all(d is None or isinstance(d, int) for d in part)
        if shape or not is_nested(part):
            return func(part)
        return _rebuilt(part, [walk(part[key]) for key in _keys(part)])

    return walk(structure)


def lists_to_tuples(structure: Any) -> Any:
    """`structure` with tuples in place of its lists.

    Example:
        >>> from unidl import tree
        >>> tree.lists_to_tuples({"a": [1, [2]]})
        {'a': (1, (2,))}
    """
    return traverse(lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False)


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Call `func` for `structure` and each part of it, down to the leaves, and put what it returns in their places.

    Where `func` returns None the part stays; `MAP_TO_NONE` stands for None.

    Args:
        top_down: call it for a container first, and for what is inside only if that returned None. Otherwise last,
            for the container as its parts made it.

    Raises:
        TypeError: if `func` cannot be called.

    Example:
        >>> from unidl import tree
        >>> tree.traverse(lambda part: 10 * part if isinstance(part, int) else None, [1, (2, "a")])
        [10, (20, 'a')]
    """
    _check_call(func, (structure,), "traverse")

    def walk(part: Any) -> Any:
        if top_down and (found := func(part)) is not None:
            return None if found is MAP_TO_NONE else found
        if is_nested(part):
            part = _rebuilt(part, [walk(part[key]) for key in _keys(part)])
        if not top_down and (found := func(part)) is not None:
            return None if found is MAP_TO_NONE else found
        return part

    return walk(structure)


def _assert_same_container(a: Any, b: Any) -> None:
    """Raise ValueError unless `a` and `b` are containers of one kind with the same keys, or both are leaves."""
    kinds: list[Any] = []
    for x in (a, b):
        plain: Any = next((c for c in (dict, list, deque) if isinstance(x, c)), None)
        plain = tuple if plain is None and isinstance(x, tuple) else plain
        kinds.append(type(x) if plain is tuple and hasattr(x, "_fields") else plain)
    if kinds[0] is not kinds[1]:
        raise ValueError(f"Structures differ: expected {type(a).__name__}, found {type(b).__name__}.")
    if isinstance(a, dict) and set(a) != set(b):
        raise ValueError(f"Structures differ: keys {sorted(map(str, a))} against {sorted(map(str, b))}.")
    if is_nested(a) and len(a) != len(b):
        raise ValueError(f"Structures differ: {len(a)} items against {len(b)}.")


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raise ValueError unless `a` and `b` are nested alike.

    All dicts are of one kind; lists, tuples, deques and each class of named tuples are told apart.

    Args:
        check_types: without effect, as in Keras, where it is deprecated; `assert_same_paths` is less strict.

    Example:
        >>> from unidl import tree
        >>> tree.assert_same_structure([1, {"a": 2}], [3, {"a": 4}])
    """
    if check_types is not None:
        warnings.warn(
            "check_types has no effect; use assert_same_paths to compare without the types of containers.",
            DeprecationWarning,
            stacklevel=2,
        )
    _assert_same_container(a, b)
    if is_nested(a):
        for key in _keys(a):
            assert_same_structure(a[key], b[key])


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless the leaves of `a` and `b` have the same paths; the types of containers may differ.

    Example:
        >>> from unidl import tree
        >>> tree.assert_same_paths([0, 1], (2, 3))
    """
    first, second = ({path for path, _ in flatten_with_path(x)} for x in (a, b))
    if first != second:
        raise ValueError(
            f"Paths differ: only the first has {sorted(first - second, key=str)}, "
            f"only the second {sorted(second - first, key=str)}."
        )


__all__ = [
    "MAP_TO_NONE", "assert_same_paths", "assert_same_structure", "flatten", "flatten_with_path", "is_nested",
    "lists_to_tuples", "map_shape_structure", "map_structure", "map_structure_up_to", "pack_sequence_as", "traverse",
]  # fmt: skip
