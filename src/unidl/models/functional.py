"""What a functional model is made of: the layers and ops between its inputs and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import tree
from unidl.backend import active
from unidl.errors import GraphError, OpError
from unidl.graph.symbolic import LayerNode, SymbolicTensor, substitute
from unidl.layers._input import InputLayer


class Net:
    """The net between symbolic inputs and outputs.

    Attributes:
        inputs, outputs: structures of symbolic tensors.
        nodes: layer calls and ops, in an order in which they can run.
        layers: each layer once, in that order, input layers included.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str) -> None:
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.flat_inputs: list[SymbolicTensor] = tree.flatten(inputs)
        self.flat_outputs: list[SymbolicTensor] = tree.flatten(outputs)
        #: Whether somebody chose the inputs' sizes; those taken from the first data are no promise.
        self.declared = True
        for tensor in (*self.flat_inputs, *self.flat_outputs):
            if type(tensor) is not SymbolicTensor:
                raise ValueError(
                    f"Inputs and outputs of model {name!r} must be symbolic tensors (see Input), not {tensor!r}."
                )
        self.nodes = self._sorted()
        layers: dict[int, Any] = {}
        for tensor in self.flat_inputs:
            if isinstance(tensor.node, LayerNode) and isinstance(tensor.node.layer, InputLayer):
                layers[id(tensor.node.layer)] = tensor.node.layer
        for node in self.nodes:
            if isinstance(node, LayerNode):
                layers.setdefault(id(node.layer), node.layer)
        self.layers = list(layers.values())

    def _sorted(self) -> list[Any]:
        known = {id(t) for t in self.flat_inputs}
        done: set[int] = set()
        order: list[Any] = []
        # Depth first without recursion: models may be thousands of layers deep.
        todo: list[tuple[Any, bool]] = [
            (t.node, False) for t in reversed(self.flat_outputs) if id(t) not in known and t.node is not None
        ]
        open_nodes: set[int] = set()
        while todo:
            node, ready = todo.pop()
            if id(node) in done:
                continue
            if ready:
                done.add(id(node))
                order.append(node)
                continue
            if isinstance(node, LayerNode) and isinstance(node.layer, InputLayer):
                raise GraphError(
                    f"Model {self.name!r}: its outputs depend on input {node.layer.name!r}, which is not among "
                    f"its inputs "
                    f"({[t.name for t in self.flat_inputs]})."
                )
            open_nodes.add(id(node))
            todo.append((node, True))
            for tensor in node.inputs():
                if id(tensor) not in known and tensor.node is not None and id(tensor.node) not in done:
                    todo.append((tensor.node, False))
        return order

    def names(self) -> list[str]:
        """The inputs' names."""
        return [t.name or f"input_{i}" for i, t in enumerate(self.flat_inputs)]

    def match(self, given: Any) -> list[Any]:
        """What was passed to the model as a flat list in the order of the inputs.

        Raises:
            ValueError: if the structure does not fit, naming what is missing.
        """
        names = self.names()
        if isinstance(given, dict):
            keys = sorted(self.inputs) if isinstance(self.inputs, dict) else names
            if missing := [k for k in keys if k not in given]:
                raise ValueError(f"Model {self.name!r} lacks inputs {missing}; the given dict has {sorted(given)}.")
            return [given[k] for k in keys]
        flat = tree.flatten(given)
        if len(flat) != len(self.flat_inputs):
            raise ValueError(
                f"Model {self.name!r} takes {len(self.flat_inputs)} inputs ({names}), {len(flat)} were given."
            )
        return flat

    def run(self, given: Any) -> Any:
        """Call every layer and op on what was given, native or symbolic."""
        values: dict[int, Any] = {}
        for tensor, value in zip(self.flat_inputs, self.match(given), strict=True):
            values[id(tensor)] = self._fitted(tensor, value)

        def current(tensor: SymbolicTensor) -> Any:
            if id(tensor) in values:
                return values[id(tensor)]
            return tensor.value  # a variable or constant

        for node in self.nodes:
            if isinstance(node, LayerNode):
                result = node.layer(*substitute(node.args, current), **substitute(node.kwargs, current))
                results = tree.flatten(result)
            else:
                result = node.op.public(*_resolved(node.args, current))
                results = list(result) if node.multiple else [result]
            for tensor, value in zip(node.outputs, results, strict=True):
                values[id(tensor)] = value
        return tree.map_structure(lambda t: values[id(t)] if id(t) in values else current(t), self.outputs)

    def _fitted(self, tensor: SymbolicTensor, value: Any) -> Any:
        """`value` checked against the input's declared shape; a missing last axis of size 1 is added."""
        if isinstance(value, np.ndarray):
            value = active.to_tensor(value)
        symbolic = type(value) is SymbolicTensor
        shape = value.shape if symbolic else tuple(active.shape(value))
        want = tensor.shape
        if len(shape) == len(want) - 1 and want[-1] == 1:
            from unidl import ops

            value = ops.expand_dims(value, -1)
            shape = (*shape, 1)
        fits = len(shape) == len(want) and (
            not self.declared or all(a is None or b is None or a == b for a, b in zip(shape, want, strict=True))
        )
        if not fits:
            raise OpError(
                f"Layer {self.name!r}: input {tensor.name!r} was declared with shape {want}, but shape "
                f"{tuple(shape)} came. "
                "Reshape the data, or declare the input so."
            )
        return value


def _resolved(args: tuple[Any, ...], current: Any) -> tuple[Any, ...]:
    """`args` with symbolic tensors and sizes replaced by values."""
    from unidl.graph.symbolic import Dim
    from unidl.ops.shape import shape

    def resolve(value: Any) -> Any:
        if type(value) is SymbolicTensor:
            return current(value)
        if type(value) is Dim:
            import operator

            if value.kind == "size":
                return shape(current(value.args[0]))[value.args[1]]
            return getattr(operator, value.kind)(*(resolve(a) for a in value.args))
        if type(value) in (tuple, list):
            return type(value)(resolve(v) for v in value)
        if type(value) is slice:
            return slice(resolve(value.start), resolve(value.stop), resolve(value.step))
        return value

    return tuple(resolve(a) for a in args)
