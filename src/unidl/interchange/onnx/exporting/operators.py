"""Nodes that a model has kept from the ONNX file it was read from (`unidl.onnx.Operator`), written as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unidl.graph.symbolic import Node as GraphNode
from unidl.interchange.onnx._layers import Operator
from unidl.interchange.onnx._structures import Graph, Node, ValueType
from unidl.interchange.onnx.exporting._library import library
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.interchange.onnx.importing._table import find
from unidl.interchange.onnx.importing.differentiating import is_gradient


def written_back(w: Writer, node: GraphNode, read: Callable[[Any], Value]) -> list[Value] | None:
    """The outputs of the operator that `node` runs; None if it is none, or means something else in the file's opset."""
    layer = node.op.origin
    if not isinstance(layer, Operator):
        return None
    holds = all(_holds(w, layer, n) for n in _inside(layer.node))
    if not holds and (layer.node.domain or any(layer.node.bodies())):
        return None
    if any(array.dtype == object for array in layer.constants.values()):
        return None
    for name in {n.domain for n in _inside(layer.node)} - {""}:
        w.domains[name] = layer.opsets.get(name, 1)
    inputs = [read(tensor) for tensor in node.args[0]]
    values = {name: w.constant(array) for name, array in layer.constants.items()}
    values |= {name: value for name, value in zip(layer.reads, inputs, strict=True) if name}
    names = {name: w.name(value) for name, value in values.items()}
    made = {n: Value(w.unique(f"{w.path}:{n}"), None, "") for n in layer.node.outputs if n}
    for value, spec in zip(made.values(), w.specs, strict=True):
        value.dtype = spec.dtype
    protos = [_node(w, layer.node, names | {n: str(v.name) for n, v in made.items()})]
    if not holds:
        given = [values[n] for n in dict.fromkeys(layer.node.inputs) if n]
        protos = _converted(w, protos[0], layer.opsets.get("", 1), given, list(made.values()))
    w.scopes[-1].nodes.extend(protos)
    return list(made.values()) if protos else None


def _inside(node: Node) -> Iterator[Node]:
    """The node and those of its graphs."""
    yield node
    for body in node.bodies():
        for inner in body.nodes:
            yield from _inside(inner)


def _holds(w: Writer, layer: Operator, node: Node) -> bool:
    """Whether the operator means the same in the file that is written."""
    if is_gradient(node):  # it names values of the graph around it, which is another one there
        return False
    if node.domain:
        return w.domains.get(node.domain, layer.opsets.get(node.domain, 1)) == layer.opsets.get(node.domain, 1)
    then = layer.opsets.get("", 1)
    if find(node.op, "", then) is not find(node.op, "", w.opset):
        return False
    # What unidl reads in the same way may still be written otherwise: with inputs in the place of attributes.
    try:
        old, schema = (library().defs.get_schema(node.op, opset, "") for opset in (then, w.opset))
    except library().defs.SchemaError:  # one of the experiments of the first opsets
        return False
    if not _same_defaults(node, old, schema):
        return False
    fits = schema.min_input <= len(node.inputs) <= schema.max_input and len(node.outputs) <= schema.max_output
    return fits and not schema.deprecated and set(node.attributes) <= set(schema.attributes)


def _same_defaults(node: Node, then: Any, now: Any) -> bool:
    """Whether the attributes that the node leaves out mean the same by two versions of the operator."""
    shared = set(then.attributes) & set(now.attributes) - set(node.attributes)
    return all(then.attributes[n].default_value == now.attributes[n].default_value for n in shared)


def _converted(w: Writer, proto: Any, version: int, given: list[Value], made: list[Value]) -> list[Any]:
    """The node in terms of the opset that is written, by onnx's own converter; empty if that cannot."""
    from onnx import version_converter

    def info(value: Value, shape: Any) -> Any:
        return w.helper.make_tensor_value_info(w.name(value), w.type(value.dtype), shape)

    inputs = [info(v, v.shape) for v in {w.name(v): v for v in given}.values()]
    outputs = [info(v, spec.shape) for v, spec in zip(made, w.specs, strict=True)]
    graph = w.helper.make_graph([proto], "node", inputs, outputs)
    model = w.helper.make_model(graph, opset_imports=[w.helper.make_opsetid("", version)])
    try:
        found = version_converter.convert_version(model, w.opset).graph
    except Exception:  # its C++ code raises anything
        return []
    kept = {v.name for v in (*inputs, *outputs)}
    constants = [w.helper.make_node("Constant", [], [t.name], value=t) for t in found.initializer if t.name not in kept]
    nodes = [*constants, *found.node]
    names = {n: n for n in kept} | {n: w.unique(f"{w.path}:{n}") for m in nodes for n in m.output if n not in kept}
    for i, part in enumerate(nodes):
        part.name = f"{proto.name}_{i}" if len(nodes) > 1 else proto.name
        part.input[:], part.output[:] = [names.get(n, n) for n in part.input], [names.get(n, n) for n in part.output]
    return nodes


def _node(w: Writer, node: Node, names: dict[str, str]) -> Any:
    """The node, with other names for what it reads and makes."""
    inputs, outputs = ([names[n] if n else "" for n in side] for side in (node.inputs, node.outputs))
    helper = library().helper
    made = helper.make_node(node.op, inputs, outputs, name=f"{w.path}/{node.name}", domain=node.domain or None)
    for name, value in node.attributes.items():
        if not (isinstance(value, list) and not value):  # an empty list is what is meant by none
            made.attribute.append(helper.make_attribute(name, _attribute(w, value, names)))
    return made


def _attribute(w: Writer, value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, Graph):
        return _graph(w, value, names)
    if isinstance(value, np.ndarray):
        return library().numpy_helper.from_array(value)
    return [_attribute(w, v, names) for v in value] if isinstance(value, list) else value


def _graph(w: Writer, graph: Graph, outer: dict[str, str]) -> Any:
    """A body; its own values get names that nothing in the file has."""
    own = [v.name for v in graph.inputs] + list(graph.constants) + [n for node in graph.nodes for n in node.outputs]
    names = outer | {n: w.unique(f"{w.path}:{n}") for n in own if n}
    onnx = library()
    constants = [onnx.numpy_helper.from_array(array, names[n]) for n, array in graph.constants.items()]
    inputs, outputs = ([_info(v, names[v.name]) for v in side] for side in (graph.inputs, graph.outputs))
    nodes = [_node(w, node, names) for node in graph.nodes]
    return onnx.helper.make_graph(nodes, graph.name or "body", inputs, outputs, constants)


def _info(value: ValueType, name: str) -> Any:
    helper = library().helper
    if value.kind != "tensor" or not value.dtype:
        return helper.make_empty_tensor_value_info(name)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype)) if value.dtype != "string" else None
    return helper.make_tensor_value_info(name, kind or library().TensorProto.STRING, value.shape)
