"""Running a graph one op at a time, to look at what happens inside."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unidl import dtypes
from unidl.errors import GraphError
from unidl.graph.graph import Graph
from unidl.graph.replay import write
from unidl.graph.symbolic import Dim, Node, SymbolicTensor


class Run:
    """One run of a graph in progress.

    Attributes:
        graph: the lowered graph: composites that the backend has no kernel for appear as their parts.
        values: id of a symbolic tensor to its native value; everything computed so far is kept.
    """

    def __init__(self, graph: Graph, backend: Any, inputs: Sequence[Any]) -> None:
        if len(inputs) != len(graph.inputs):
            raise GraphError(f"{graph!r} takes {len(graph.inputs)} inputs, {len(inputs)} were given.")
        self.backend = backend
        self.graph = graph.lower(lambda op: op.kind == "opaque" or op.name in backend.table)
        self.values: dict[int, Any] = {id(t): v for t, v in zip(graph.inputs, inputs, strict=True)}

    def __iter__(self) -> Iterator[tuple[Node, tuple[Any, ...]]]:
        for node in self.graph.nodes:
            function = node.op.rule if node.op.kind == "opaque" else self.backend.table[node.op.name]
            result = function(*(self.resolve(a) for a in node.args))
            outputs = tuple(result) if node.multiple else (result,)
            self.values.update((id(t), v) for t, v in zip(node.outputs, outputs, strict=True))
            yield node, outputs

    def value(self, tensor: SymbolicTensor) -> Any:
        """The native value of an input, a variable, a constant, or something computed already."""
        if id(tensor) not in self.values:
            if tensor.value is None:
                raise GraphError(f"{tensor!r} is neither an input of the graph nor computed in it.")
            variable = isinstance(tensor.value, self.backend.Variable)
            self.values[id(tensor)] = tensor.value if variable else self.backend.to_tensor(tensor.value, tensor.dtype)
        return self.values[id(tensor)]

    def resolve(self, argument: Any) -> Any:
        """An op's argument with symbolic tensors and sizes replaced by values."""
        kind = type(argument)
        if kind is SymbolicTensor:
            return self.value(argument)
        if kind is Dim:
            if argument.kind == "size":
                return self.backend.dim(self.value(argument.args[0]), argument.args[1])
            return getattr(operator, argument.kind)(*(self.resolve(a) for a in argument.args))
        if kind is tuple or kind is list:
            return kind(self.resolve(v) for v in argument)
        if kind is slice:
            return slice(self.resolve(argument.start), self.resolve(argument.stop), self.resolve(argument.step))
        if kind is Graph:
            return write(argument, self.backend)
        return argument


def run_nodes(graph: Graph, backend: Any, inputs: Sequence[Any]) -> Iterator[tuple[Node, tuple[Any, ...]]]:
    """Run `graph` on `backend` and yield each op of the lowered graph with the native tensors it put out.

    State updates are computed and not applied, so that looking changes nothing.

    Args:
        inputs: one native tensor for each input of the graph.

    Raises:
        GraphError: if their number differs, or the backend lacks a primitive.
    """
    yield from Run(graph, backend, inputs)


def first_nonfinite(graph: Graph, inputs: Sequence[Any]) -> str:
    """Where NaN or infinity first appears when the active backend runs `graph` on `inputs`, in words.

    Inputs and weights are looked at first, then each op in order.
    """
    from unidl.backend import active

    for position, (tensor, value) in enumerate(zip(graph.inputs, inputs, strict=False)):
        if found := _nonfinite(active, value):
            return f"Input {tensor.name or position!r} itself holds {found}. Clean the data."
    for variable in graph.variables():
        if found := _nonfinite(active, variable):
            return (
                f"Weight {variable.path!r} holds {found}: an earlier update broke it. Start again from finite weights "
                "with callbacks.TerminateOnNaN(diagnose=True), which looks before the update is made; a lower learning "
                "rate or clipped gradients (clipnorm=1.0 in the optimizer) may be all it takes."
            )
    with active.no_grad():
        run = Run(graph, active, inputs)
        for node, outputs in run:
            for output in outputs:
                if found := _nonfinite(active, output):
                    where = f"Layer {node.path!r}" if node.path else f"Model {graph.name!r}"
                    given = ", ".join(_range(active, run.value(t)) for t in node.inputs())
                    return (
                        f"{where}: the output of op {node.op.name!r} holds "
                        f"{found}. All that came before is finite; the op was given {given or 'no tensors'}."
                    )
    return (
        f"The outputs of {len(run.graph.nodes)} ops and {len(graph.variables())} variables are finite for this input: "
        "what is not finite comes from the loss, or appears in training only."
    )


def _nonfinite(backend: Any, value: Any) -> str:
    """``"3 NaN and 1 infinite of 320 elements, float32[32, 10]"``, or nothing if all are finite."""
    if not backend.is_tensor(value) or backend.dtype(value) not in dtypes.FLOATS:
        return ""
    array = _host(backend, value)
    nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    if not nan + infinite:
        return ""
    parts = [f"{nan} NaN"] * bool(nan) + [f"{infinite} infinite"] * bool(infinite)
    return f"{' and '.join(parts)} of {array.size} elements, {backend.dtype(value)}{list(array.shape)}"


def _range(backend: Any, value: Any) -> str:
    """``"float32[32, 10] from -1.2 to 3"``."""
    array = _host(backend, value)
    extent = f" from {array.min():.4g} to {array.max():.4g}" if array.size else ""
    return f"{backend.dtype(value)}{list(array.shape)}{extent}"


def _host(backend: Any, value: Any) -> np.ndarray:
    return np.asarray(backend.to_numpy(value)).astype("float64")
