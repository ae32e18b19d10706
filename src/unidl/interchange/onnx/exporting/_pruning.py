"""Nodes after they are written: new names, and none that nothing reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def bodies(node: Any) -> Iterator[Any]:
    """The graphs in the attributes of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g


def reads(node: Any) -> Iterator[str]:
    """The names that a node and the graphs in it read."""
    yield from node.input
    for body in bodies(node):
        for inner in body.node:
            yield from reads(inner)


def renamed(node: Any, names: Mapping[str, str]) -> None:
    """Give values other names, in the node and in the graphs inside, which read them too."""
    for side in (node.input, node.output):
        for i, name in enumerate(side):
            if name in names:
                side[i] = names[name]
    for body in bodies(node):
        for inner in body.node:
            renamed(inner, names)


def pruned(nodes: Iterable[Any], ends: Iterable[str]) -> list[Any]:
    """The nodes that `ends` depend on, the bodies of control flow cleared likewise."""
    wanted = set(ends)
    kept = []
    for node in reversed(list(nodes)):
        if not wanted.intersection(node.output):
            continue
        for body in bodies(node):
            inside = pruned(body.node, [o.name for o in body.output])
            del body.node[:]
            body.node.extend(inside)
        wanted.update(reads(node))
        kept.append(node)
    return kept[::-1]
