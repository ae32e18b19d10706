"""Replay: a graph as generated straight-line Python that calls native functions directly.

For a two-layer net on PyTorch the generated code reads::

    def replay(a0):
        t0 = linear(a0, v0, v1)
        t0 = relu(t0)
        t0 = linear(t0, v2, v3)
        return (t0,)

Names are reused once their tensor is dead, so that memory is freed as early as in hand-written code.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from unidl.backend.detours import guarded
from unidl.graph.graph import Graph
from unidl.graph.passes import named, optimized, uses
from unidl.graph.symbolic import Dim, Node, SymbolicTensor, TensorSpec, symbols

_INLINE = (int, float, bool, str, type(None))


@functools.lru_cache(maxsize=1024)
def _code(source: str) -> types.CodeType:
    """The compiled text: one object for models built alike, as TensorFlow keeps each that it has seen."""
    return compile(source, "<replay>", "exec")


class _Writer:
    """The text of one function and the namespace it runs in."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.namespace: dict[str, Any] = {
            "dim": backend.dim, "no_grad": backend.no_grad, "assign": backend.assign, "assign_add": backend.assign_add,
        }  # fmt: skip
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        self.kept: list[Any] = []  # keeps ids in `names` valid
        self.free: list[str] = []
        self.count = 0

    def bind(self, prefix: str, value: Any) -> str:
        name = f"{prefix}{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def function(self, node: Node) -> str:
        if node.op.kind == "opaque":
            return self.bind("native", node.op.rule)
        name = node.op.name
        native = self.backend.table[name]
        if any(t.dtype in self.backend.detours for t in node.inputs()):
            return self.bind(f"{name}_", guarded(self.backend, native, [o.dtype for o in node.outputs]))
        if self.namespace.setdefault(name, native) is not native:
            return self.bind(f"{name}_", native)
        return name

    def new_name(self) -> str:
        if self.free:
            return self.free.pop()
        self.count += 1
        return f"t{self.count - 1}"

    def name(self, tensor: SymbolicTensor) -> str:
        key = id(tensor)
        if key not in self.names:
            value = tensor.value
            if isinstance(value, self.backend.Variable):
                self.names[key] = self.bind("v", value)
            elif value is not None:
                self.names[key] = self.bind("c", self.backend.to_tensor(value, tensor.dtype))
            else:
                raise KeyError(f"{tensor!r} is neither an input of the graph nor computed in it")
            self.kept.append(tensor)
        return self.names[key]

    def expression(self, value: Any) -> str:
        kind = type(value)
        if kind is SymbolicTensor:
            return self.name(value)
        if kind is Dim:
            if value.kind == "size":
                return f"dim({self.name(value.args[0])}, {value.args[1]})"
            symbol = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%"}[value.kind]
            return f"({self.expression(value.args[0])} {symbol} {self.expression(value.args[1])})"
        if kind is Graph:
            return self.bind("body", write(value, self.backend))
        if kind in _INLINE and value == value and value not in (float("inf"), float("-inf")):
            return repr(value)
        if kind in (tuple, list) and (
            next(symbols(value), None) is not None or all(type(v) in _INLINE or type(v) is Graph for v in value)
        ):
            inner = ", ".join(self.expression(v) for v in value)
            return f"[{inner}]" if kind is list else f"({inner}{',' if len(value) == 1 else ''})"
        if kind is slice and next(symbols(value), None) is not None:
            return f"slice({', '.join(self.expression(v) for v in (value.start, value.stop, value.step))})"
        return self.bind("k", value)

    def emit(self, node: Node, indent: str, last_use: dict[int, int], position: int) -> None:
        arguments = ", ".join(self.expression(a) for a in node.args)
        call = f"{self.function(node)}({arguments})"
        # Inputs that die here give their names to the outputs.
        for tensor in {id(t): t for t in node.inputs()}.values():
            if tensor.node is not None and last_use.get(id(tensor)) == position:
                self.free.append(self.names[id(tensor)])
        targets = []
        for tensor in node.outputs:
            name = self.new_name()
            self.names[id(tensor)] = name
            self.kept.append(tensor)
            targets.append(name)
        for tensor, name in zip(node.outputs, targets, strict=True):
            if id(tensor) not in last_use:
                self.free.append(name)
        star = "," if node.multiple and len(targets) == 1 else ""
        self.lines.append(f"{indent}{', '.join(targets)}{star} = {call}")

    def assignments(self, updates: list[tuple[Any, SymbolicTensor]], increases: set[int]) -> None:
        """The state updates, which come last: until then variables have their old values."""
        written = {id(variable) for variable, _ in updates}
        lines = []
        for variable, value in updates:
            if value.node is not None and id(value.node) in increases:
                name, what = self.expression(value.node.args[1]), "assign_add"
            else:
                name, what = self.name(value), "assign"
                if id(value.value) in written:  # another variable's old value: keep it past that one's update
                    self.lines.append(f"        {name}_old = {self.bind('f', self.backend.table['copy'])}({name})")
                    name += "_old"
            lines.append(f"        {what}({self.bind('v', variable)}, {name})")
        self.lines += lines


def _increases(graph: Graph, main: set[int]) -> set[int]:
    """Ids of the nodes ``variable + something`` that only give the variable its next value: it is added in place."""
    read = uses(graph)
    written = {id(variable) for variable, _ in graph.updates}
    found = set()
    for variable, value in graph.updates:
        node = value.node
        if node is None or not named(node, "add") or id(node) in main or read[id(value)] > 1:
            continue
        base, more = node.args
        if not isinstance(base, SymbolicTensor) or base.value is not variable or base.dtype != value.dtype:
            continue
        if isinstance(more, SymbolicTensor) and (id(more.value) in written or more.dtype != value.dtype):
            continue
        found.add(id(node))
    return found


def replay(graph: Graph, backend: Any) -> Callable[..., tuple[Any, ...]]:
    """A Python function of the graph's inputs that returns the flat outputs and applies the updates.

    Nodes that only updates need (metrics, moving averages) run under `backend.no_grad`.
    The function's source is its attribute ``source``, the specs of its inputs and outputs are ``takes`` and ``specs``.
    """
    graph = graph.lower(lambda op: op.kind == "opaque" or op.name in backend.table)
    return write(optimized(graph, numbers=not backend.traces_python), backend)


def write(graph: Graph, backend: Any) -> Callable[..., tuple[Any, ...]]:
    """Generate the function of an already lowered graph."""
    writer = _Writer(backend)
    arguments = []
    for index, tensor in enumerate(graph.inputs):
        writer.names[id(tensor)] = f"a{index}"
        arguments.append(f"a{index}")
    main = graph.needed(graph.outputs)
    increases = _increases(graph, main)
    ordered = [n for n in graph.nodes if id(n) in main] + [n for n in graph.nodes if id(n) not in main]
    end = len(ordered)
    last_use: dict[int, int] = {}
    for position, node in enumerate(ordered):
        for tensor in node.inputs():
            last_use[id(tensor)] = end if id(node) in increases else position
    for tensor in (*graph.outputs, *(v for _, v in graph.updates)):
        if type(tensor) is SymbolicTensor:
            last_use[id(tensor)] = end
    for position, node in enumerate(ordered):
        if id(node) in main:
            writer.emit(node, "    ", last_use, position)
    rest = [(p, n) for p, n in enumerate(ordered) if id(n) not in main and id(n) not in increases]
    if rest or graph.updates:
        writer.lines.append("    with no_grad():")
        for position, node in rest:
            writer.emit(node, "        ", last_use, position)
        writer.assignments(graph.updates, increases)
    returned = [writer.expression(t) for t in graph.outputs]
    writer.lines.append(f"    return ({', '.join(returned)}{',' if len(returned) == 1 else ''})")
    source = "\n".join([f"def replay({', '.join(arguments)}):", *writer.lines])
    exec(_code(source), writer.namespace)
    function = writer.namespace["replay"]
    assert isinstance(function, types.FunctionType)
    function.source = source  # type: ignore[attr-defined]
    for attribute, tensors in (("takes", graph.inputs), ("specs", graph.outputs)):
        specs = [TensorSpec(t.shape, t.dtype) for t in tensors if type(t) is SymbolicTensor]
        setattr(function, attribute, specs)
    return function
