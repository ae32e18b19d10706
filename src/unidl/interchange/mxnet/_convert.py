"""A symbol and its arrays as an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unidl.interchange.mxnet import operators  # noqa: F401  fills the table
from unidl.interchange.mxnet._attributes import parse
from unidl.interchange.mxnet._errors import MissingOperatorError, MxnetError
from unidl.interchange.mxnet._shapes import Inputs
from unidl.interchange.mxnet._symbol import MxNode, Symbol
from unidl.interchange.mxnet._table import ADDED, TABLE, Call
from unidl.interchange.mxnet._writer import IR_VERSION, OPSET, Value, Writer


class _Converter:
    """Writes the nodes of a symbol, in order.

    Args:
        symbol: the graph.
        arrays: those of the file, by the variables' names.
        shapes: of inputs, by name.
    """

    def __init__(self, symbol: Symbol, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, Any]) -> None:
        self.symbol, self.arrays = symbol, arrays
        self.w = Writer()
        self.known = Inputs(symbol, arrays, shapes)
        self.values: dict[int, list[Value]] = {}

    def model(self, name: str) -> Any:
        self._refuse_missing()
        inputs = [self._input(node) for node in self.known.inputs]
        for node in self.symbol.nodes:
            if id(node) not in self.values:
                self.values[id(node)] = self._variable(node) if node.op == "null" else self._written(node)
        outputs = self._outputs()
        w = self.w
        weights = [w.onnx.numpy_helper.from_array(np.asarray(a, order="C"), n) for n, a in w.weights.items()]
        infos = [[self._info(v) for v in side] for side in (inputs, outputs)]
        graph = w.helper.make_graph(w.proto, name, *infos, weights)
        opsets = [w.helper.make_opsetid(d, OPSET if not d else 1) for d in sorted(w.domains)]
        return w.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="mxnet")

    def _refuse_missing(self) -> None:
        missing = [n for n in self.symbol.nodes if n.op != "null" and self._entry(n) is None]
        if missing:
            shown = "; ".join(map(str, missing[:8])) + ("; …" if len(missing) > 8 else "")
            raise MissingOperatorError(
                f"{self.symbol.where} has {len(missing)} node(s) whose operators unidl does not know: {shown}. Supply "
                "each with unidl.mxnet.register_op(name, function), a function of its inputs in terms of unidl.ops."
            )

    def _entry(self, node: MxNode) -> Any:
        name = node.attributes.get("op_type", "") if node.op == "Custom" else node.op
        if name in ADDED:
            return lambda call, *inputs: self._custom(call, name, inputs)
        return TABLE.get(node.op)

    @staticmethod
    def _custom(call: Call, name: str, inputs: tuple[Value, ...]) -> list[Value]:
        """An operator that the user has supplied."""
        attributes = {k: parse(v) for k, v in call.node.attributes.items() if not k.startswith("__")}
        plain = {
            k: int(v) if isinstance(v, bool) else v
            for k, v in attributes.items()
            if isinstance(v, (int, float, str)) or (v and isinstance(v, tuple) and all(isinstance(i, int) for i in v))
        }
        return call.w.custom(name, inputs, call.node.outputs, plain)

    # -- values -----------------------------------------------------------------------------

    def _input(self, node: MxNode) -> Value:
        value = Value(self.w.unique(node.name), self.known.dtype(node), self.known.shape(node))
        self.values[id(node)] = [value]
        return value

    def _variable(self, node: MxNode) -> list[Value]:
        single = len(self.symbol.readers.get(node.name, [])) <= 1
        return [self.w.weight(node.name, self.arrays[node.name], single)]

    def _array(self, name: str) -> Value | None:
        return self.w.weight(name, self.arrays[name], True) if name in self.arrays else None

    def _written(self, node: MxNode) -> list[Value]:
        self.w.path = node.name
        call = Call(node, self.w, self.symbol.numpy, self._array)
        inputs = []
        for read, output in node.inputs:
            given = self.values[id(read)]
            if output >= len(given):
                raise MxnetError(f"{node} reads output {output} of {read}, which has {len(given)}.")
            inputs.append(given[output])
        try:
            found = self._entry(node)(call, *inputs)
        except MxnetError:
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise MxnetError(
                f"{node} with {len(inputs)} input(s) and the attributes {node.attributes} cannot be read: {error}"
            ) from error
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def _outputs(self) -> list[Value]:
        """The outputs under the names that MXNet gives them."""
        outputs = []
        for node, output in self.symbol.outputs:
            given = self.values[id(node)]
            if output >= len(given):
                raise MxnetError(
                    f"An output of {self.symbol.where} is output {output} of {node}, which has {len(given)}."
                )
            self.w.path = f"{node.name}_output{output if len(given) > 1 else ''}"
            outputs.append(self.w.output(given[output], self.w.path))
        return outputs

    def _info(self, value: Value) -> Any:
        return self.w.helper.make_tensor_value_info(value.name, self.w.type(value.dtype), value.shape)


def convert(symbol: Symbol, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, Any], name: str) -> Any:
    """The `onnx.ModelProto` of a symbol.

    Raises:
        MissingOperatorError: if operators are not known; all of them are named.
        MxnetError: if shapes are missing, or attributes or arrays do not fit.
    """
    return _Converter(symbol, arrays, shapes).model(name)
