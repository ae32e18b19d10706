"""The two layers that only imported models have: a weight by itself, and a node that must run as a whole."""

from __future__ import annotations

from collections import ChainMap
from typing import Any

from unidl import ops
from unidl.dtypes import is_float
from unidl.interchange.onnx._plain import read_node, read_value
from unidl.interchange.onnx._plans import Planner
from unidl.interchange.onnx._structures import Graph, Model, OnnxError
from unidl.interchange.onnx.importing._values import enter
from unidl.layers import Layer


class Weight(Layer):
    """A weight of an imported model that belongs to no other layer: its output is its value.

    Args:
        shape: of the weight.
        dtype: of the weight; only floats are trained.

    Called with any tensor of the model, which only says where in the model it is.
    """

    def __init__(self, shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.value: Any = None

    def build(self, input_shape: Any) -> None:
        dtype = self.variable_dtype
        self.value = self.add_weight(
            self.shape, "zeros", dtype, trainable=is_float(dtype), autocast=False, name="value"
        )

    def call(self, inputs: Any) -> Any:
        return ops.convert_to_tensor(self.value)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.shape


class Operator(Layer):
    """A node of an ONNX graph that runs as a whole: control flow, random numbers, sizes that depend on values.

    Args:
        node: the node as plain data.
        opsets: the versions of the domains.
        reads: names of the values that `call` is given, in order: inputs of the node, and what its graphs read.
        constants: other values that it reads, as plain data.
    """

    def __init__(self, node: Any, opsets: Any, reads: Any, constants: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.node = read_node(node)
        self.opsets = {str(k): int(v) for k, v in opsets.items()}
        self.reads = list(reads)
        self.constants = {n: read_value(v) for n, v in constants.items()}
        self._steps: Any = None
        self.autocast = False

    def call(self, inputs: Any) -> Any:
        from unidl.interchange.onnx._running import Runner

        if self._steps is None:
            empty = Graph(self.name, [self.node], [], [])
            model = Model(empty, self.opsets, {}, "", f"layer {self.name!r}")
            self._steps = Planner(model, lambda v: v).plan(), Runner(model)
        plan, runner = self._steps
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        scope: ChainMap[str, Any] = ChainMap(dict(zip(self.reads, values, strict=True)), self.constants)
        given = [scope[n] if n else None for n in self.node.inputs]
        results = runner.step(plan.steps[0], given, scope)
        kept = [_checked(self, enter(r)) for n, r in zip(self.node.outputs, results, strict=False) if n]
        return kept if len(kept) > 1 else kept[0]


def _checked(layer: Layer, value: Any) -> Any:
    if value is None or isinstance(value, list):
        raise OnnxError(
            f"Layer {layer.name!r} gives a sequence or an optional, which models do not have: use prepare()."
        )
    return ops.convert_to_tensor(value)


for _class in (Weight, Operator):
    _class.__module__ = "unidl.onnx"  # where it is public, and where configurations say it is
