"""The graph: what was recorded, and the form that targets read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from unidl import tree
from unidl.errors import GraphError
from unidl.graph.symbolic import Node, SymbolicTensor, TensorSpec, substitute


class Graph:
    """Nodes in order of execution, from inputs to outputs and state updates.

    Attributes:
        inputs: symbolic tensors, one for each tensor the graph takes.
        outputs: flat list; symbolic tensors, or plain values that do not depend on the inputs.
        structure: what the recorded function returned; its leaves correspond to `outputs`.
        nodes: in an order in which they can be run.
        updates: (variable, symbolic tensor that it holds afterwards) pairs.
        name: for messages.
        outer: for the inner graph of a composite: the tensors that `inputs` stand for.
    """

    def __init__(
        self,
        inputs: list[SymbolicTensor],
        outputs: list[Any],
        structure: Any,
        nodes: list[Node],
        updates: list[tuple[Any, SymbolicTensor]],
        name: str = "",
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.structure = structure
        self.nodes = nodes
        self.updates = updates
        self.name = name
        self.outer: list[SymbolicTensor] = []

    def pack(self, values: Any) -> Any:
        """Flat output values in the structure that the recorded function returned."""
        return tree.pack_sequence_as(self.structure, values)

    @property
    def opaque(self) -> bool:
        """Whether native code is part of the graph, so that only its own engine can run it."""
        return any(n.op.kind == "opaque" or any(g.opaque for g in subgraphs(n)) for n in self.nodes)

    @property
    def traceable(self) -> bool:
        """Whether an engine's own tracer may run the graph: no layer in it has Python code that asks for values."""
        return all(n.op.traceable and all(g.traceable for g in subgraphs(n)) for n in self.nodes)

    def variables(self) -> list[Any]:
        """The variables read or written, in order of first use."""
        found: dict[int, Any] = {}
        for tensor in self.leaves():
            if isinstance(tensor.value, _variable_type()):
                found.setdefault(id(tensor.value), tensor.value)
        for variable, _ in self.updates:
            found.setdefault(id(variable), variable)
        return list(found.values())

    def leaves(self) -> list[SymbolicTensor]:
        """Symbolic tensors that stand for variables and constants, in order of first use."""
        found: dict[int, SymbolicTensor] = {}
        ends = [t for t in (*self.outputs, *(v for _, v in self.updates)) if type(t) is SymbolicTensor]
        for tensor in [t for n in self.nodes for t in n.inputs()] + ends:
            if tensor.node is None and tensor.value is not None:
                found.setdefault(id(tensor), tensor)
        return list(found.values())

    def needed(self, ends: list[Any]) -> set[int]:
        """Ids of the nodes on which the symbolic tensors `ends` depend."""
        seen: set[int] = set()
        todo = [t.node for t in ends if type(t) is SymbolicTensor and t.node is not None]
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen.add(id(node))
                todo.extend(t.node for t in node.inputs() if t.node is not None)
        return seen

    def lower(self, supported: Callable[[Any], bool]) -> Graph:
        """A flat graph in which every composite that `supported(op)` denies is decomposed.

        Nodes that nothing needs are dropped. Every target starts from this.

        Raises:
            GraphError: naming op, layer and path, if a primitive is not supported.
        """
        mapping: dict[int, SymbolicTensor] = {}
        nodes: list[Node] = []
        wanted = self.needed([*self.outputs, *(v for _, v in self.updates)])

        def current(tensor: SymbolicTensor) -> SymbolicTensor:
            while id(tensor) in mapping:
                tensor = mapping[id(tensor)]
            return tensor

        def add(node: Node) -> None:
            if node.inner is not None and not supported(node.op):
                for outer, inner in zip(node.inner.outer, node.inner.inputs, strict=True):
                    mapping[id(inner)] = current(outer)
                inside = node.inner.needed(node.inner.outputs)
                for item in node.inner.nodes:
                    if id(item) in inside:
                        add(item)
                for ours, theirs in zip(node.outputs, node.inner.outputs, strict=True):
                    mapping[id(ours)] = current(theirs)
                return
            if node.op.kind == "primitive" and not supported(node.op):
                raise GraphError(
                    f"op {node.op.name!r} in {node.path or self.name or 'the graph'} is a primitive "
                    "that the target lacks."
                )
            specs = [TensorSpec(o.shape, o.dtype) for o in node.outputs]
            args = substitute(tuple(_lowered(a, supported) for a in node.args), current)
            copy = Node(node.op, args, specs if node.multiple else specs[0], node.path, node.inner)
            nodes.append(copy)
            for ours, theirs in zip(node.outputs, copy.outputs, strict=True):
                mapping[id(ours)] = theirs

        for node in self.nodes:
            if id(node) in wanted:
                add(node)
        outputs = [current(t) if type(t) is SymbolicTensor else t for t in self.outputs]
        updates = [(v, current(t)) for v, t in self.updates]
        lowered = Graph(self.inputs, outputs, self.structure, nodes, updates, self.name)
        return lowered

    def __repr__(self) -> str:
        return f"<Graph {self.name} of {len(self.nodes)} nodes, {len(self.updates)} updates>"

    def __str__(self) -> str:
        from unidl.graph.analysis import table

        return table(self)


def bodies(node: Node) -> Iterator[Graph]:
    """The graphs among the node's arguments: what control flow runs."""
    for argument in node.args:
        if isinstance(argument, Graph):
            yield argument
        elif isinstance(argument, tuple):
            yield from (a for a in argument if isinstance(a, Graph))


def subgraphs(node: Node) -> Iterator[Graph]:
    """The graphs in the node: its decomposition and its bodies."""
    if node.inner is not None:
        yield node.inner
    yield from bodies(node)


def _lowered(argument: Any, supported: Callable[[Any], bool]) -> Any:
    """A node's argument with the graphs in it lowered."""
    if isinstance(argument, Graph):
        return argument.lower(supported)
    if isinstance(argument, tuple) and any(isinstance(a, Graph) for a in argument):
        return tuple(_lowered(a, supported) for a in argument)
    return argument


def _variable_type() -> type:
    from unidl.backend import active

    return active.Variable
