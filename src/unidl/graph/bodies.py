"""Functions as parts of a graph: what control flow runs, recorded with all that it reads as explicit inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from unidl import tree
from unidl._state import state
from unidl.errors import GraphError, OpError
from unidl.graph.graph import Graph
from unidl.graph.symbolic import Shape, SymbolicTensor, TensorSpec
from unidl.graph.trace import Trace, recording


class Body:
    """One recorded function.

    Attributes:
        arguments: the symbolic tensors that it was called with.
        outputs: the symbolic tensors that it returned.
        structure: what it returned, each tensor's place held by that tensor.
        trace: the recording: its nodes, and the variables that were assigned.
    """

    def __init__(self, function: Callable[..., Any], structure: Any, arguments: Sequence[SymbolicTensor]) -> None:
        parent = state.trace
        self.name = getattr(function, "__name__", "body")
        self.trace = Trace(parent, trusted=parent is None or parent.trusted)
        self.trace.updates = dict(self.trace.updates)
        self.trace.losses = []
        self.arguments = list(arguments)
        self._before = dict(self.trace.updates)
        self._function, self._given = function, structure
        self.outputs: list[SymbolicTensor] = []
        self.structure: Any = None

    def run(self) -> Body:
        """Record the function."""
        from unidl.ops._bind import as_symbol

        with recording(self.trace):
            self.structure = self._function(*self._given)
            self.outputs = [as_symbol(v) for v in tree.flatten(self.structure) if v is not None]
        if self.trace.losses:
            raise GraphError(f"{self.name}: a layer called add_loss inside control flow; return the loss instead.")
        return self

    def assigned(self) -> dict[int, Any]:
        """The variables that the function assigned, by id."""
        return {
            key: variable
            for key, (variable, value) in self.trace.updates.items()
            if key not in self._before or self._before[key][1] is not value
        }

    def value_of(self, variable: Any) -> SymbolicTensor:
        """What `variable` holds at the end of the function."""
        return self.trace.leaf(variable)

    def captured(self) -> list[SymbolicTensor]:
        """What the function reads and was not given, variables included and constants not, in order of first use."""
        from unidl.backend import active

        known = {id(t) for n in self.trace.nodes for t in n.outputs} | {id(t) for t in self.arguments}
        found: dict[int, SymbolicTensor] = {}
        for tensor in [t for n in self.trace.nodes for t in n.inputs()] + self.outputs:
            constant = tensor.value is not None and not isinstance(tensor.value, active.Variable)
            if id(tensor) not in known and not constant:
                found.setdefault(id(tensor), tensor)
        return list(found.values())

    def graph(self, captured: Sequence[SymbolicTensor]) -> Graph:
        """A graph of the arguments followed by `captured`."""
        outputs: list[Any] = list(self.outputs)
        return Graph([*self.arguments, *captured], outputs, tuple(outputs), self.trace.nodes, [], self.name)

    def pack(self, values: Sequence[Any]) -> Any:
        """`values` in the structure that the function returned."""
        given = iter(values)
        return tree.map_structure(lambda leaf: None if leaf is None else next(given), self.structure)


def all_captured(bodies: Iterable[Body]) -> list[SymbolicTensor]:
    """What any of `bodies` captures, each tensor once."""
    return list({id(t): t for body in bodies for t in body.captured()}.values())


def placeholders(specs: Iterable[Any]) -> list[SymbolicTensor]:
    """A fresh symbolic tensor for each spec (or tensor)."""
    return [SymbolicTensor(s.shape, s.dtype) for s in specs]


def merged(a: Shape, b: Shape, what: str) -> Shape:
    """The shape that tensors of both shapes have: dimensions that differ are unknown."""
    if len(a) != len(b):
        raise OpError(f"{what} has {len(a)} dimensions in one place and {len(b)} in another: {list(a)} and {list(b)}.")
    return tuple(x if x == y else None for x, y in zip(a, b, strict=True))


def merged_specs(one: Sequence[Any], other: Sequence[Any], what: str) -> list[TensorSpec]:
    """The specs of what is either of two lists of tensors.

    Raises:
        OpError: if their numbers, ranks or dtypes differ.
    """
    if len(one) != len(other):
        raise OpError(f"{what}: {len(one)} tensors in one place, {len(other)} in another.")
    specs = []
    for i, (a, b) in enumerate(zip(one, other, strict=True)):
        if a.dtype != b.dtype:
            raise OpError(f"{what}: tensor {i} is {a.dtype} in one place and {b.dtype} in another; cast one of them.")
        specs.append(TensorSpec(merged(a.shape, b.shape, f"{what}: tensor {i}"), a.dtype))
    return specs
