"""From a recorded graph to ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.dtypes import COMPLEX
from unidl.errors import GraphError
from unidl.graph.graph import Graph
from unidl.graph.layout import first_axes
from unidl.graph.symbolic import Node, Shape, SymbolicTensor, TensorSpec, substitute, symbols
from unidl.interchange.onnx.exporting import text
from unidl.interchange.onnx.exporting._folding import folded
from unidl.interchange.onnx.exporting._tables import LACKING, TABLE
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.interchange.onnx.exporting.operators import written_back
from unidl.ops._structured import STRUCTURED

#: Constants computed from constants are put into the file in place of the nodes, up to so many bytes.
_FOLDED = 1 << 16


class Emitter(Writer):
    """A `Writer` that reads a graph.

    A composite is written by its emitter, or as its decomposition if it has none, if the opset is too old for it, or if
    the emitter declines these arguments (it returns NotImplemented).
    """

    def __init__(self, opset: int, name: str, fold: bool = False) -> None:
        super().__init__(opset)
        self.graph_name = name
        self.fold = fold
        self.uses: dict[int, int] = {}  # how often a tensor is read
        self.values: dict[int, Value] = {}
        self._kept: list[Any] = []  # keeps ids in `values` valid

    # -- values -----------------------------------------------------------------------------

    def bind(self, tensor: SymbolicTensor, value: Value) -> None:
        self.values[id(tensor)] = value
        self._kept.append(tensor)

    def read(self, tensor: SymbolicTensor) -> Value:
        """The value of a symbolic tensor: an input, something computed, a variable or a constant."""
        if id(tensor) not in self.values:
            if tensor.value is None:
                raise KeyError(f"{tensor!r} is neither an input of the graph nor computed in it")
            self.bind(tensor, self._leaf(tensor))
        return self.values[id(tensor)]

    def _leaf(self, tensor: SymbolicTensor) -> Value:
        held = tensor.value
        if not isinstance(held, active.Variable):
            array = held if isinstance(held, np.ndarray) else active.to_numpy(held)
            return self.constant(array, tensor.dtype)
        variable: Any = held

        def make() -> Value:
            shape = tuple(active.shape(variable))
            value = self.weight(lambda: active.to_numpy(variable), shape, tensor.dtype, variable.path)
            value.variable = variable
            return value

        return self.once(("variable", id(held)), make, everywhere=True)

    # -- graphs -----------------------------------------------------------------------------

    def run(self, graph: Graph) -> list[Value]:
        """Write the nodes that the outputs of `graph` need, whose inputs are bound; the outputs."""
        self._nodes(graph, graph.outputs)
        return [self.output(t) for t in graph.outputs if t is not None]

    def output(self, tensor: Any) -> Value:
        return self.read(tensor) if type(tensor) is SymbolicTensor else self.constant(tensor)

    def call(self, body: Graph, values: Sequence[Value]) -> list[Value]:
        """Write a body's nodes here, with `values` as its inputs."""
        for tensor, value in zip(body.inputs, values, strict=True):
            self.bind(tensor, value)
        return self.run(body)

    def _nodes(self, graph: Graph, ends: list[Any]) -> None:
        wanted = graph.needed(ends)
        nodes = [n for n in graph.nodes if id(n) in wanted]
        for tensor in [t for n in nodes for t in n.inputs()] + [t for t in ends if type(t) is SymbolicTensor]:
            self.uses[id(tensor)] = self.uses.get(id(tensor), 0) + 1
        for node in nodes:
            self.emit(node)

    def emit(self, node: Node) -> None:
        """Write one op of the graph."""
        previous = self.path, self.op, self.specs
        self.path, self.op = node.path or self.graph_name, node.op.name
        self.specs = [TensorSpec(o.shape, o.dtype) for o in node.outputs]
        try:
            if not self._folded(node) and not self._normalized(node) and not self._written(node):
                self._decomposed(node)
        finally:
            self.path, self.op, self.specs = previous

    def _written(self, node: Node) -> bool:
        """Whether the emitter of the op has written the node."""
        name = node.op.name
        emitter = TABLE.get(name)
        since = getattr(emitter, "since", 0)
        if emitter is None or since > self.opset:
            if node.op.origin is not None:
                values = written_back(self, node, self.read) or text.written(self, node, self.read)
                if values is not None:
                    self._bind_all(node, values)
                    return True
            if node.inner is None:
                self.need(since)
                raise self._lacking(node)
            return False
        if dtype := next((t.dtype for t in (*node.inputs(), *node.outputs) if t.dtype in COMPLEX), None):
            if node.inner is None:
                self.type(dtype)  # refuses it
            return False
        args = substitute(node.args, self.read)
        results = self.layout.call(name, lambda *a: emitter(self, *a), args)
        if results is NotImplemented:
            if node.inner is None:
                raise self._lacking(node, f" with the arguments {node.attributes()}")
            return False
        self._bind_all(node, results if node.multiple else [results])
        return True

    def _bind_all(self, node: Node, values: Sequence[Value]) -> None:
        for tensor, value, spec in zip(node.outputs, values, self.specs, strict=True):
            self._shaped(value, spec.shape)
            self.bind(tensor, value)

    def _normalized(self, node: Node) -> bool:
        """Whether a batch normalization has gone into the weights before it."""
        if not self.fold or node.op.name != "batch_normalization" or (new := folded(self, node)) is None:
            return False
        name, args = new
        emitter = TABLE[name]
        result = self.layout.call(name, lambda *a: emitter(self, *a), args)
        self._shaped(result, self.specs[0].shape)
        self.bind(node.outputs[0], result)
        return True

    def _shaped(self, value: Value, shape: Shape) -> None:
        """Say the recorded shape of what an emitter has made."""
        if value.shape is None:
            value.shape = shape
            if self.layout.lazy(value):
                self.layout.first(value).shape = tuple(shape[a] for a in first_axes(len(shape)))

    def _decomposed(self, node: Node) -> None:
        assert node.inner is not None
        for outer, inner in zip(node.inner.outer, node.inner.inputs, strict=True):
            self.bind(inner, self.read(outer))
        self._nodes(node.inner, node.inner.outputs)
        for tensor, inside in zip(node.outputs, node.inner.outputs, strict=True):
            self.bind(tensor, self.read(inside))

    def _lacking(self, node: Node, more: str = "") -> GraphError:
        where = f"op {node.op.name!r}{more} in {self.path or 'the graph'}"
        if node.op.kind == "opaque":
            why = (
                "it is native code (Python that works on values), of which there is no graph. Export a model without "
                "it, and do this step outside; or give the layer a `call` made of unidl.ops"
            )
        else:
            why = LACKING.get(node.op.name, "ONNX has nothing that computes it")
        return GraphError(f"ONNX opset {self.opset} lacks {where}: {why}.")

    # -- constants --------------------------------------------------------------------------

    def _folded(self, node: Node) -> bool:
        """Whether the node reads constants only and its outputs are small: then they are constants now."""
        if node.op.kind != "primitive" or "generator" in node.op.parameters or node.op.name in STRUCTURED:
            return False
        tensors = list(symbols(node.args))
        if any(self.read(t).host is None for t in tensors):
            return False
        elements = [math.prod(o.shape) if None not in o.shape else None for o in node.outputs]  # type: ignore[arg-type]
        if any(n is None or n * 8 > _FOLDED for n in elements):
            return False
        variables = {id(v): v for v in (self.read(t).variable for t in tensors) if v is not None}
        run = active.table.get(node.op.name)
        if run is None or any(math.prod(self.read(t).shape) * 8 > 4 * _FOLDED for t in tensors):
            return False

        def native(tensor: SymbolicTensor) -> Any:
            array = self.array(self.read(tensor))
            return active.to_tensor(array, tensor.dtype)

        try:
            results = run(*substitute(node.args, native))
            arrays = [active.to_numpy(r) for r in (results if node.multiple else [results])]
        except Exception:  # the engine has no kernel for it: the node stays
            return False
        for tensor, array in zip(node.outputs, arrays, strict=True):
            value = self.constant(array, tensor.dtype)
            if len(variables) == 1:
                (variable,) = variables.values()
                value = self.weight(lambda a=array: a, array.shape, tensor.dtype, variable.path)  # type: ignore[misc]
                value.variable = variable
            self.bind(tensor, value)
        return True
