"""Plans: each node of a model with what computes it, resolved before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from unidl.interchange.onnx._reading import MOST_NODES
from unidl.interchange.onnx._structures import Function, Graph, Model, Node, OnnxError, Reference
from unidl.interchange.onnx.importing._table import Entry, find
from unidl.interchange.onnx.importing.differentiating import is_gradient, with_part

#: Functions that may be open at once, each called by the one before: each takes some of Python's stack.
MOST_NESTED = 100


@dataclass
class Step:
    """One node, ready to run.

    Attributes:
        version: the opset of its domain.
        entry: what computes it, or
        function: the plan of a function of the model, or
        expands: whether ONNX's own definition of it, in terms of other operators, is used.
        bodies: the plans of its graphs by their id.
        last: names that nothing reads after it.
    """

    node: Node
    version: int
    entry: Entry | None = None
    function: Plan | None = None
    expands: bool = False
    bodies: dict[int, Plan] = field(default_factory=dict)
    last: tuple[str, ...] = ()


@dataclass
class Plan:
    """The steps of a graph, or of a function's body.

    Attributes:
        constants: values that are there from the start.
        opsets: the versions that hold in it.
        size: how many nodes run if it does, those of functions included.
    """

    name: str
    steps: list[Step]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, Any]
    opsets: dict[str, int]
    size: int


#: The domain of operators that onnxruntime puts in when it lays out data for a processor.
_BLOCKED = "com.microsoft.nchwc"


class MissingOperatorError(OnnxError, NotImplementedError):
    """Operators of a model are not known: says which, where, and how to supply them."""


class Planner:
    """Makes the plans of a model.

    Attributes:
        missing: descriptions of the nodes that nothing computes.
    """

    def __init__(self, model: Model, constant: Callable[[Any], Any]) -> None:
        self.model = model
        self.constant = constant
        self.missing: list[str] = []
        self._functions: dict[tuple[Any, Any], Plan] = {}
        self._given: list[Any] = []  # keeps the identities in `_functions` valid
        self._open: list[tuple[str, str, str]] = []

    def plan(self) -> Plan:
        """The plan of the model's graph.

        Raises:
            MissingOperatorError: if operators are not known; all of them are named.
        """
        result = self._graph(self.model.graph, self.model.opsets)
        if self.missing:
            shown = "; ".join(self.missing[:8]) + ("; …" if len(self.missing) > 8 else "")
            remedy = (
                "Supply each with unidl.onnx.register_op(name, function, domain=…), a function of its inputs in terms "
                "of unidl.ops."
            )
            if any(node.domain == _BLOCKED for node in self.model.graph.nodes):
                remedy = (
                    "onnxruntime has saved it for one kind of processor, with data in blocks of channels. Save it with "
                    "the graph_optimization_level ORT_ENABLE_EXTENDED, or use the file that it was made of."
                )
            raise MissingOperatorError(
                f"{self.model.source} has {len(self.missing)} node(s) that unidl cannot compute: {shown}. {remedy}"
            )
        return result

    def _graph(self, graph: Graph, opsets: dict[str, int]) -> Plan:
        constants = {n: self.constant(v) for n, v in graph.constants.items()}
        return self.steps(
            graph.name,
            graph.nodes,
            tuple(v.name for v in graph.inputs),
            tuple(v.name for v in graph.outputs),
            constants,
            opsets,
        )

    def steps(
        self,
        name: str,
        nodes: list[Node],
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        constants: dict[str, Any],
        opsets: dict[str, int],
    ) -> Plan:
        nodes = list(nodes)
        for i, node in enumerate(nodes):
            if is_gradient(node):
                nodes[i] = with_part(node, nodes[:i])
        steps = [self._step(node, opsets) for node in nodes]
        _mark_last(steps, outputs)
        size = sum(1 + sum(b.size for b in s.bodies.values()) if s.function is None else s.function.size for s in steps)
        if size > MOST_NODES:
            raise OnnxError(f"{self.model.source}: its functions expand to more than {MOST_NODES} nodes.")
        return Plan(name, steps, inputs, outputs, constants, opsets, size)

    def _step(self, node: Node, opsets: dict[str, int]) -> Step:
        key = node.domain, node.op, node.overload
        if key in self.model.functions:
            return self._call(node, key)
        version = opsets.get(node.domain, 1)
        step = Step(node, version, find(node.op, node.domain, version))
        if step.entry is None:
            step.expands = has_definition(node, version)
            if not step.expands:
                where = f" of domain {node.domain!r}" if node.domain else ""
                if node.op == "ATen":  # what PyTorch's exporter had no operator for
                    where = f" (PyTorch's own {node.attributes.get('operator')!r}){where}"
                self.missing.append(f"{node}: operator {node.op!r}{where}, opset {version}")
        elif wrong := _misfit(step.entry, node):
            raise OnnxError(f"{node} of opset {version} {wrong}.")
        step.bodies = {id(body): self._graph(body, opsets) for body in node.bodies()}
        return step

    def _call(self, node: Node, key: tuple[str, str, str]) -> Step:
        """A call of one of the model's functions: its nodes with the attributes of the call put in."""
        if key in self._open:
            raise OnnxError(f"{node} calls function {node.op!r} from inside itself.")
        if len(self._open) == MOST_NESTED:
            raise OnnxError(f"{node}: functions call each other more than {MOST_NESTED} deep.")
        function = self.model.functions[key]
        attributes = {**function.attributes, **node.attributes}
        known = key, tuple(sorted((name, _identity(value)) for name, value in attributes.items()))
        if known in self._functions:
            return Step(node, 1, function=self._functions[known])
        self._open.append(key)
        try:
            plan = self.function(function, attributes)
        finally:
            self._open.pop()
        self._functions[known] = plan
        self._given.append(attributes)
        return Step(node, 1, function=plan)

    def function(self, function: Function, attributes: dict[str, Any]) -> Plan:
        nodes = [_bound(n, attributes) for n in function.nodes]
        return self.steps(
            function.name, nodes, function.inputs, function.outputs, {}, {**self.model.opsets, **function.opsets}
        )


def _identity(value: Any) -> str:
    """What tells the values of attributes apart: calls that give the same ones share a plan."""
    if isinstance(value, list):
        return f"[{', '.join(map(_identity, value))}]"
    return repr(value) if value is None or isinstance(value, (int, float, str)) else f"object {id(value)}"


def _bound(node: Node, attributes: dict[str, Any]) -> Node:
    """`node` with its references to attributes replaced; one without a value is left out."""

    def value(v: Any) -> Any:
        if isinstance(v, Graph):
            return replace(v, nodes=[_bound(n, attributes) for n in v.nodes])
        return v

    bound = {}
    for name, given in node.attributes.items():
        if isinstance(given, Reference):
            if (found := attributes.get(given.name)) is not None:
                bound[name] = found
        else:
            bound[name] = [value(v) for v in given] if isinstance(given, list) else value(given)
    return replace(node, attributes=bound)


def _misfit(entry: Entry, node: Node) -> str | None:
    """What is wrong with the number of inputs, if anything."""
    try:
        inspect.signature(entry.function).bind(None, *node.inputs)
    except TypeError:
        return f"has {len(node.inputs)} input(s), which does not fit"
    return None


def _mark_last(steps: list[Step], outputs: tuple[str, ...]) -> None:
    """Say after which step each value can be forgotten."""
    seen = set(outputs)
    for step in reversed(steps):
        names = step.node.reads() | {n for n in step.node.outputs if n}
        step.last = tuple(names - seen)
        seen |= names


# -- ONNX's own definitions of operators in terms of others ----------------------------------------


def _schema(node: Node, version: int) -> Any:
    import onnx

    try:
        return onnx.defs.get_schema(node.op, version, node.domain)
    except onnx.defs.SchemaError:
        return None


def has_definition(node: Node, version: int) -> bool:
    """Whether the onnx package defines the operator by other operators."""
    schema = _schema(node, version)
    return schema is not None and (schema.has_function or schema.has_context_dependent_function)


def definition(node: Node, version: int, types: list[tuple[str, Any]]) -> Any:
    """The `FunctionProto` of an operator for inputs of these dtypes and shapes ("": left out)."""
    import onnx

    schema = _schema(node, version)
    if schema.has_function:
        versions = [v for v in schema.function_opset_versions if v <= version]
        return schema.get_function_with_opset_version(max(versions or schema.function_opset_versions)), versions
    attributes = {k: v for k, v in node.attributes.items() if not isinstance(v, (Graph, Reference))}
    proto = onnx.helper.make_node(node.op, node.inputs, node.outputs, domain=node.domain, **attributes)
    given = []
    for dtype, shape in types:
        kind = onnx.TypeProto()
        if dtype:
            from unidl.interchange.onnx.importing._host import np_dtype

            elem = (
                onnx.helper.np_dtype_to_tensor_dtype(np_dtype(dtype)) if dtype != "string" else onnx.TensorProto.STRING
            )
            kind = onnx.helper.make_tensor_type_proto(elem, shape)
        given.append(kind.SerializeToString())
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= version]
    chosen = max(versions or schema.context_dependent_function_opset_versions)
    data = schema.get_context_dependent_function_with_opset_version(chosen, proto.SerializeToString(), given)
    function = onnx.FunctionProto()
    function.ParseFromString(data)
    return function, versions
