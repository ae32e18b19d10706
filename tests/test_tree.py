"""Nested structures, by the examples and rules that Keras documents."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any

import pytest

from unidl import tree

pytestmark = pytest.mark.once

Point = namedtuple("Point", "x y")
Other = namedtuple("Other", "x y")

STRUCTURES: list[Any] = [
    1, None, [], (), {}, [1, None], (1, [2, (3,)]), {"b": 1, "a": [2, 3]}, OrderedDict([("b", 1), ("a", 2)]),
    Point(1, [2, 3]), deque([1, (2,)], 5), defaultdict(int, {"z": 1, "y": (2,)}), [{}, [], ()],
]  # fmt: skip


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_packing_what_was_flattened_gives_it_back(structure: Any) -> None:
    back = tree.pack_sequence_as(structure, tree.flatten(structure))
    assert back == structure and type(back) is type(structure)
    tree.assert_same_structure(structure, back)
    assert [leaf for _, leaf in tree.flatten_with_path(structure)] == tree.flatten(structure)


def test_order_of_keys() -> None:
    assert tree.flatten({"b": 1, "a": 2}) == [2, 1]
    assert tree.flatten(OrderedDict([("b", 1), ("a", 2)])) == [1, 2]
    assert tree.flatten_with_path(Point(1, {"k": 2})) == [((0,), 1), ((1, "k"), 2)]


def test_traverse() -> None:
    structure = [(1, 2), [3], {"a": 4}]
    seen: list[Any] = []
    assert tree.traverse(seen.append, structure) == structure
    assert seen == [structure, (1, 2), 1, 2, [3], 3, {"a": 4}, 4]
    seen = []
    assert tree.traverse(seen.append, structure, top_down=False) == structure
    assert seen == [1, 2, (1, 2), 3, [3], 4, {"a": 4}, structure]
    assert tree.traverse(lambda v: tree.MAP_TO_NONE if v == (1, 2) else None, structure) == [None, [3], {"a": 4}]
    assert tree.traverse(lambda v: "x" if v == [3] else None, structure) == [(1, 2), "x", {"a": 4}]
    with pytest.raises(TypeError, match="callable"):
        tree.traverse(3, structure)  # type: ignore[arg-type]


def test_map_structure() -> None:
    assert tree.map_structure(lambda a, b: a * b, Point(1, [2]), Point(3, [4])) == Point(3, [8])
    assert tree.map_structure(str, [1, None]) == ["1", "None"]
    assert tree.map_structure(str, [1, None], none_is_leaf=False) == ["1", None]
    assert tree.map_structure(str, None, none_is_leaf=False) is None
    with pytest.raises(TypeError, match="at least one"):
        tree.map_structure(str)
    with pytest.raises(TypeError, match="callable"):
        tree.map_structure(1, [1])  # type: ignore[arg-type]
    for other in ([1], (1, 2), [1, [2]], {"a": 1}):
        with pytest.raises(ValueError, match="differ"):
            tree.map_structure(max, [1, 2], other)


def test_map_structure_up_to() -> None:
    assert tree.map_structure_up_to([None, [None, None]], str, [[1, 1], [2, 2]]) == ["[1, 1]", ["2", "2"]]
    assert tree.map_structure_up_to({"a": 0}, lambda a, b: (a, b), {"a": [1]}, {"a": 2}) == {"a": ([1], 2)}
    for deeper in ([1], [1, 2, 3], (1, 2), 5):
        with pytest.raises(ValueError, match="differ"):
            tree.map_structure_up_to([None, None], str, deeper)


def test_shapes_and_tuples() -> None:
    assert tree.map_shape_structure(tuple, [(1, None), {"a": [2, 3]}]) == [(1, None), {"a": (2, 3)}]
    assert tree.lists_to_tuples([1, [2, {"a": [3]}], Point([4], 5)]) == (1, (2, {"a": (3,)}), Point((4,), 5))


def test_same_structure() -> None:
    tree.assert_same_structure({"a": 1, "b": [2]}, OrderedDict([("b", [0]), ("a", 0)]))
    different: list[Any] = [
        ([1], (1,)), ([1], 1), ([1], deque([1])), (Point(1, 2), Other(1, 2)), (Point(1, 2), (1, 2)),
        ({"a": 1}, {"b": 1}), ([1], [1, 2]),
    ]  # fmt: skip
    for a, b in different:
        with pytest.raises(ValueError, match="differ"):
            tree.assert_same_structure(a, b)
    for flag in (True, False):
        with pytest.warns(DeprecationWarning, match="no effect"):
            tree.assert_same_structure([1], [2], check_types=flag)


def test_same_paths() -> None:
    tree.assert_same_paths([0, 1], (2, 3))
    tree.assert_same_paths(Point(0, [1]), Other(2, deque([3])))
    with pytest.raises(ValueError, match="only the first"):
        tree.assert_same_paths([0, 1], [0])
    with pytest.raises(ValueError, match="only the second"):
        tree.assert_same_paths({"a": 1}, {"a": [1]})
