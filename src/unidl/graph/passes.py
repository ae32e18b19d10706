"""Passes over a lowered graph: what comes out is cheaper to run and means the same.

Each pass is exact: results and gradients are those of the graph it was given.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from copy import copy as shallow_copy
from typing import Any, TypeGuard

from unidl.dtypes import is_float
from unidl.graph.graph import Graph
from unidl.graph.symbolic import Dim, Node, SymbolicTensor, TensorSpec, substitute


def optimized(graph: Graph, *, numbers: bool) -> Graph:
    """`graph`, which has been lowered, after all passes.

    Args:
        numbers: whether the size of a dimension is a Python number where the graph runs.
    """
    graph = relu_after_max_pool(graph)
    return counted_on_host(graph) if numbers else graph


class Copy:
    """A copy of a graph that is made node by node, so that a pass can put something else in a node's place."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.replaced: dict[int, SymbolicTensor] = {}

    def current(self, tensor: SymbolicTensor) -> SymbolicTensor:
        return self.replaced.get(id(tensor), tensor)

    def replace(self, tensor: SymbolicTensor, other: SymbolicTensor) -> None:
        """Have `other`, a tensor of the copy, stand for `tensor` of the graph."""
        self.replaced[id(tensor)] = other

    def add(self, node: Node, args: tuple[Any, ...], like: Node | None = None) -> None:
        """Copy `node` with other arguments, tensors of the graph.

        Args:
            like: the node whose outputs the results stand for, and have the shapes of; `node` itself by default.
        """
        outputs = (like or node).outputs
        specs = [TensorSpec(o.shape, o.dtype) for o in outputs]
        inner = shallow_copy(node.inner)
        if inner is not None:
            inner.outer = [self.current(t) for t in inner.outer]
        made = Node(node.op, substitute(args, self.current), specs if node.multiple else specs[0], node.path, inner)
        self.nodes.append(made)
        for old, new in zip(outputs, made.outputs, strict=True):
            self.replaced[id(old)] = new

    def keep(self, node: Node) -> None:
        self.add(node, node.args)

    def insert(self, part: Graph, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> None:
        """Put the nodes of another graph in the place of `outputs`, its inputs being `inputs`, tensors of the graph."""
        for own, given in zip(part.inputs, inputs, strict=True):
            self.replace(own, self.current(given))
        for node in part.nodes:
            self.keep(node)
        for old, new in zip(outputs, part.outputs, strict=True):
            self.replace(old, self.current(new))

    def finish(self) -> Graph:
        """The copy, without the nodes that nothing needs any more."""
        graph = self.graph
        outputs = [self.current(t) if type(t) is SymbolicTensor else t for t in graph.outputs]
        updates = [(v, self.current(t)) for v, t in graph.updates]
        copy = Graph(graph.inputs, outputs, graph.structure, self.nodes, updates, graph.name)
        needed = copy.needed([*outputs, *(v for _, v in updates)])
        copy.nodes = [n for n in self.nodes if id(n) in needed]
        return copy


def named(node: Any, *names: str) -> TypeGuard[Node]:
    """Whether a node is one of these ops (and no layer of that name)."""
    return isinstance(node, Node) and node.op.kind != "opaque" and node.op.name in names


def uses(graph: Graph) -> Counter[int]:
    """How often each tensor, by its id, is read."""
    ends = [t for t in (*graph.outputs, *(v for _, v in graph.updates)) if type(t) is SymbolicTensor]
    return Counter([id(t) for node in graph.nodes for t in node.inputs()] + [id(t) for t in ends])


def followers(graph: Graph, name: str, *before: str) -> dict[int, Node]:
    """Nodes of the op `name`, by id, with the node of an op in `before` whose only output they alone read first."""
    read = uses(graph)
    found: dict[int, Node] = {}
    for node in graph.nodes:
        if named(node, name) and named(made := node.args[0].node, *before) and read[id(made.outputs[0])] == 1:
            found[id(node)] = made
    return found


def relu_after_max_pool(graph: Graph) -> Graph:
    """``max_pool(relu(x))`` as ``relu(max_pool(x))``, which has a fraction of the elements to go over.

    Rectifying keeps the order, so the largest element stays the largest. The gradient is the same too: where the
    largest is above 0 it goes to the same element, elsewhere it is 0.
    """
    moved = followers(graph, "max_pool", "relu")
    if not moved:
        return graph
    rectified = {id(relu) for relu in moved.values()}
    copy = Copy(graph)
    for node in graph.nodes:
        if id(node) in moved:
            relu = moved[id(node)]
            copy.add(node, (relu.args[0], *node.args[1:]))
            copy.add(relu, (node.outputs[0],), like=node)
        elif id(node) not in rectified:
            copy.keep(node)
    return copy.finish()


def counted_on_host(graph: Graph) -> Graph:
    """Sums of ones, by which metrics count samples, as numbers computed from shapes.

    Products and sums with them take the number itself, so that no tensor is made, filled and summed for it.
    """
    ones: set[int] = set()
    known: dict[int, Any] = {}
    copy = Copy(graph)
    for node in graph.nodes:
        out = node.outputs[0]
        if node.multiple or not is_float(out.dtype):
            copy.keep(node)
        elif named(node, "ones_like"):
            ones.add(id(out))
            if out.shape == ():
                known[id(out)] = 1
            copy.keep(node)
        elif named(node, "sum") and node.args[1] is None and not node.args[2]:
            _summed(node, ones, known, copy)
        elif named(node, "multiply", "add") and any(id(a) in known for a in node.args):
            _combined(node, known, copy)
        else:
            copy.keep(node)
    return copy.finish() if known else graph


def _summed(node: Node, ones: set[int], known: dict[int, Any], copy: Copy) -> None:
    x, out = node.args[0], node.outputs[0]
    if x.shape == () and x.dtype == out.dtype:
        copy.replace(out, copy.current(x))
        if id(x) in known:
            known[id(out)] = known[id(x)]
        return
    if id(x) in ones:
        known[id(out)] = _size(x.node.args[0], copy)
    copy.keep(node)


def _combined(node: Node, known: dict[int, Any], copy: Copy) -> None:
    """A product or sum of which at least one operand is a known number."""
    out = node.outputs[0]
    values = [known.get(id(a)) for a in node.args]
    if None not in values:
        known[id(out)] = (_product if node.op.name == "multiply" else operator.add)(*values)
        copy.keep(node)
        return
    number, other = (values[0], node.args[1]) if values[1] is None else (values[1], node.args[0])
    if not isinstance(other, SymbolicTensor) or (other.dtype, other.shape) != (out.dtype, out.shape):
        copy.keep(node)
    elif node.op.name == "multiply" and type(number) is int and number == 1:
        copy.replace(out, copy.current(other))
    else:
        copy.add(node, (other, number))


def _size(tensor: SymbolicTensor, copy: Copy) -> Any:
    """The number of elements of `tensor`, a tensor of the graph, from shapes in its copy."""
    total: Any = 1
    for axis, size in enumerate(tensor.shape):
        total = _product(total, Dim("size", *_origin(tensor, axis, copy)) if size is None else size)
    return total


def _product(a: Any, b: Any) -> Any:
    return b if type(a) is int and a == 1 else a if type(b) is int and b == 1 else a * b


def _origin(tensor: SymbolicTensor, axis: int, copy: Copy) -> tuple[SymbolicTensor, int]:
    """The tensor from which this one has its size along `axis`, so that picking from it need not run for the size."""
    node = tensor.node
    if axis == 0 and named(node, "getitem"):
        key = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        if key and key[0] == slice(None):
            return _origin(node.args[0], 0, copy)
    return copy.current(tensor), axis
