"""The two layers that only imported models have: a weight by itself, and a node that must run as a whole."""

from __future__ import annotations

from collections import ChainMap
from typing import Any

import numpy as np

from unidl import ops, tree
from unidl._state import state
from unidl.backend import active
from unidl.dtypes import is_float
from unidl.errors import UntraceableError
from unidl.graph.symbolic import TensorSpec
from unidl.interchange.onnx._plain import read_node, read_value
from unidl.interchange.onnx._plans import Planner
from unidl.interchange.onnx._structures import Graph, Model, OnnxError
from unidl.interchange.onnx.importing._values import dtype_of, enter
from unidl.layers import Layer
from unidl.ops._opaque import opaque


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

    def _converted(self, value: Any) -> Any:
        """`value` as it is: it may be text, of which there is no tensor."""
        return value

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

    keeps_batch = False  # the first size of a result may be any

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
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        if state.trace is None:
            return self._run_node(values)
        mark = state.trace.mark()
        try:
            return self._run_node(values)
        except (OnnxError, UntraceableError):  # if the node itself is wrong, running it will say so
            state.trace.rewind(mark)
        results = opaque(f"layer {self.name}", self._at_once, values, self._specs(values), traceable=False, origin=self)
        return list(results) if len(results) > 1 else results[0]

    def _at_once(self, *values: Any) -> list[Any]:
        """The outputs for values, while the rest of the model is being recorded."""
        previous, state.trace = state.trace, None
        try:
            return tree.flatten(self._run_node(list(values)))
        finally:
            state.trace = previous

    def _specs(self, values: list[Any]) -> list[TensorSpec]:
        """Ranks and dtypes of the outputs, found by running the node; sizes depend on values, so they are unknown."""
        if (shaped := self._shaped(values)) is not None:
            return [shaped]
        for fill in (0, 1):
            given = [active.to_tensor(np.full([2 if d is None else d for d in v.shape], fill), v.dtype) for v in values]
            try:
                results = self._at_once(*given)
            except OnnxError:
                if fill:
                    raise
                continue
            return [TensorSpec((None,) * len(active.shape(r)), active.dtype(r)) for r in results]
        raise AssertionError

    def _shaped(self, values: list[Any]) -> TensorSpec | None:
        """The output if its shape follows from those of its inputs, or one of `values` has as many elements as axes."""
        plan, _ = self._steps
        entry = plan.steps[0].entry
        if entry is not None and entry.result is not None:
            known = {**self.constants, **dict(zip(self.reads, values, strict=True))}
            given = [tuple(known[n].shape) if n else None for n in self.node.inputs]
            return TensorSpec(entry.result(self.node, given), dtype_of(known[self.node.inputs[0]]))
        name = None if entry is None or entry.shape_from is None else self.node.inputs[entry.shape_from]
        if name not in self.reads:
            return None
        (rank,) = values[self.reads.index(name)].shape
        if rank is None:
            return None
        known = {**self.constants, **dict(zip(self.reads, values, strict=True))}
        return TensorSpec((None,) * rank, dtype_of(known[self.node.inputs[0]]))

    def _run_node(self, values: list[Any]) -> Any:
        plan, runner = self._steps
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
