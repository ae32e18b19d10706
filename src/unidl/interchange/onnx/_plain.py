"""Nodes and graphs as plain data, for configurations, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.interchange.onnx._structures import Graph, Node, OnnxError, ValueType
from unidl.interchange.onnx.importing._host import np_dtype


def written(value: Any) -> Any:
    """An attribute, node or graph as plain data."""
    if isinstance(value, np.ndarray):
        dtype = "string" if value.dtype == object else value.dtype.name
        exact = value if dtype == "string" or value.dtype.type.__module__ == "numpy" else value.astype(np.float32)
        return {"kind": "array", "dtype": dtype, "shape": list(value.shape), "values": exact.reshape(-1).tolist()}
    if isinstance(value, Graph):
        return {
            "kind": "graph", "name": value.name, "nodes": [written(n) for n in value.nodes],
            "inputs": [_written_type(v) for v in value.inputs], "outputs": [_written_type(v) for v in value.outputs],
            "constants": {n: written(v) for n, v in value.constants.items()}, "outer": sorted(value.outer),
        }  # fmt: skip
    if isinstance(value, Node):
        return {
            "op": value.op, "domain": value.domain, "name": value.name, "inputs": list(value.inputs),
            "outputs": list(value.outputs), "attributes": {n: written(v) for n, v in value.attributes.items()},
            "overload": value.overload,
        }  # fmt: skip
    if isinstance(value, list):
        return [written(v) for v in value]
    if value is None or isinstance(value, (int, float, str)):
        return value
    raise OnnxError(
        f"A {type(value).__name__} has no plain form, so it is nothing for a model: prepare() runs such a graph."
    )


def _written_type(value: ValueType) -> dict[str, Any]:
    shape = None if value.shape is None else list(value.shape)
    return {"name": value.name, "kind": value.kind, "dtype": value.dtype, "shape": shape}


def read_value(value: Any) -> Any:
    """What `written` wrote of an attribute."""
    if isinstance(value, dict):
        if value.get("kind") == "array":
            return _array(value)
        return read_graph(value)
    return [read_value(v) for v in value] if isinstance(value, (list, tuple)) else value


def _array(value: dict[str, Any]) -> np.ndarray:
    shape = tuple(value["shape"])
    if value["dtype"] == "string":
        result = np.empty(len(value["values"]), object)
        result[:] = value["values"]
        return result.reshape(shape)
    dtype = np_dtype(value["dtype"])
    kind = dtype if dtype.type.__module__ == "numpy" else np.float32
    return np.array(value["values"], kind).astype(dtype).reshape(shape)


def read_graph(value: dict[str, Any]) -> Graph:
    return Graph(
        value["name"],
        [read_node(n) for n in value["nodes"]],
        [_read_type(v) for v in value["inputs"]],
        [_read_type(v) for v in value["outputs"]],
        {n: read_value(v) for n, v in value["constants"].items()},
        frozenset(value["outer"]),
    )


def _read_type(value: dict[str, Any]) -> ValueType:
    shape = None if value["shape"] is None else tuple(value["shape"])
    return ValueType(value["name"], value["kind"], value["dtype"], shape)


def read_node(value: dict[str, Any]) -> Node:
    """What `written` wrote of a node."""
    attributes = {n: read_value(v) for n, v in value["attributes"].items()}
    return Node(
        value["op"],
        value["domain"],
        value["name"],
        tuple(value["inputs"]),
        tuple(value["outputs"]),
        attributes,
        value["overload"],
    )
