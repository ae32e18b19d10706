"""Reading ``-symbol.json``: MXNet's graph as plain checked Python."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unidl.interchange.mxnet._errors import MxnetError

#: Largest file, and nodes that one may have. The largest networks have some ten thousand nodes of 300 bytes.
_MOST_BYTES = 2**28
_MOST_NODES = 500_000

#: Where a node says its attributes: MXNet 1.x, 0.9-1.1, and before; all that are there count.
_ATTRIBUTES = ("param", "attr", "attrs")

#: Operators that run graphs of their own, or code that is not in the file.
_CONTROL = {"_foreach", "_while_loop", "_cond"}

#: In inference these leave their first input as it is, or what an activation makes of it; the label is for training.
LOSSES = {
    "SoftmaxOutput", "Softmax", "LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput",
    "SVMOutput",
    "_sparse_LinearRegressionOutput", "_sparse_LogisticRegressionOutput", "_sparse_MAERegressionOutput",
}  # fmt: skip


@dataclass
class MxNode:
    """One node: an operator, or a variable (operator "null").

    Attributes:
        attributes: text by name, as in the file.
        inputs: (node, which of its outputs).
        outputs: how many of its outputs are read, at least 1.
    """

    op: str
    name: str
    attributes: dict[str, str]
    inputs: list[tuple[MxNode, int]]
    outputs: int = 1

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.op})"


@dataclass
class Symbol:
    """A graph.

    Attributes:
        nodes: those that the outputs need, each after those that it reads.
        outputs: (node, which of its outputs).
        numpy: whether it was made with NumPy's shapes, where sums over everything have no dimension.
        where: the file, for messages.
    """

    nodes: list[MxNode]
    outputs: list[tuple[MxNode, int]]
    numpy: bool
    where: str
    readers: dict[str, list[tuple[MxNode, int]]] = field(default_factory=dict)

    def variables(self) -> list[MxNode]:
        return [n for n in self.nodes if n.op == "null"]


def read_symbol(source: Any) -> Symbol:
    """The graph in a file, or in the text of one (a `str` that begins with ``{``).

    Raises:
        FileNotFoundError: if there is no such file.
        MxnetError: if it is no symbol, or a damaged one.
    """
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return _symbol(_parsed(source, "the symbol"), "the symbol")
    path = Path(source)
    if path.stat().st_size > _MOST_BYTES:
        raise MxnetError(f"{path} is larger than {_MOST_BYTES} bytes: that is no symbol.")
    try:
        return _symbol(_parsed(path.read_text("utf-8"), str(path)), str(path))
    except UnicodeDecodeError:
        raise MxnetError(f"{path} is no UTF-8 text: it is no symbol, or a damaged one.") from None


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MxnetError(f"{where} is no JSON, or is truncated: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("nodes"), list):
        raise MxnetError(f"{where} has no list of nodes: it is no symbol of MXNet.")
    return content


def _symbol(content: dict[str, Any], where: str) -> Symbol:
    listed = content["nodes"]
    if len(listed) > _MOST_NODES:
        raise MxnetError(f"{where} has {len(listed)} nodes; {_MOST_NODES} are the most that are read.")
    nodes: list[MxNode] = []
    for index, entry in enumerate(listed):
        nodes.append(_node(entry, index, nodes, where))
    heads = content.get("heads")
    if not isinstance(heads, list) or not heads:
        raise MxnetError(f"{where} has no outputs ('heads').")
    outputs = [_entry(h, nodes, f"{where}: an output") for h in heads]
    return _needed(Symbol(nodes, outputs, _is_numpy(content), where))


def _is_numpy(content: dict[str, Any]) -> bool:
    attributes = content.get("attrs")
    said = attributes.get("is_np_shape") if isinstance(attributes, dict) else None
    return isinstance(said, list) and len(said) == 2 and bool(said[1])


def _node(entry: Any, index: int, before: list[MxNode], where: str) -> MxNode:
    if not isinstance(entry, dict) or not isinstance(entry.get("op"), str) or not isinstance(entry.get("name"), str):
        raise MxnetError(f"{where}: node {index} has no operator or no name.")
    attributes: dict[str, str] = {}
    for key in _ATTRIBUTES:
        said = entry.get(key) or {}
        if not isinstance(said, dict):
            raise MxnetError(f"{where}: the attributes of node {index} ({entry['name']!r}) are no object.")
        attributes |= {str(k): str(v) for k, v in said.items()}
    node = MxNode(entry["op"], entry["name"] or f"{entry['op']}{index}", attributes, [])
    if entry.get("subgraphs") or node.op in _CONTROL:
        raise MxnetError(
            f"{where}: {node} is control flow with a graph of its own, which is not read. Write the steps out (loops "
            "of a known length in Python), and save it again."
        )
    inputs = entry.get("inputs", [])
    if not isinstance(inputs, list):
        raise MxnetError(f"{where}: the inputs of {node} are no list.")
    node.inputs = [_entry(i, before, f"{where}: {node}") for i in inputs]
    return node


def _entry(entry: Any, nodes: list[MxNode], reader: str) -> tuple[MxNode, int]:
    """What ``[node, output, version]`` points at; nodes come after those that they read, so there are no cycles."""
    numbers = entry if isinstance(entry, list) else [entry, 0]
    if len(numbers) < 2 or not all(type(n) is int and n >= 0 for n in numbers[:2]):
        raise MxnetError(f"{reader} reads {str(entry)[:80]}, which is no pair of a node and one of its outputs.")
    index, output = numbers[:2]
    if index >= len(nodes):
        raise MxnetError(
            f"{reader} reads node {index}, which does not come before it: the graph has a cycle, or the file is "
            "damaged."
        )
    if output > 4096:
        raise MxnetError(f"{reader} reads output {output} of {nodes[index]}.")
    return nodes[index], output


def _needed(symbol: Symbol) -> Symbol:
    """The symbol with only those nodes that its outputs need, and without the labels of losses."""
    for node in symbol.nodes:
        if node.op in LOSSES:
            del node.inputs[1:]
    todo, seen = [n for n, _ in symbol.outputs], set()
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            seen.add(id(node))
            todo += [n for n, _ in node.inputs]
    symbol.nodes = [n for n in symbol.nodes if id(n) in seen]
    names: dict[str, MxNode] = {}
    for node in symbol.nodes:
        if node.op == "null" and names.setdefault(node.name, node) is not node:
            raise MxnetError(f"{symbol.where}: there are two variables named {node.name!r}.")
        for place, (read, output) in enumerate(node.inputs):
            read.outputs = max(read.outputs, output + 1)
            symbol.readers.setdefault(read.name if read.op == "null" else f"{id(read)}", []).append((node, place))
    for node, output in symbol.outputs:
        node.outputs = max(node.outputs, output + 1)
    return symbol
