"""What a functional model is made of: the layers and ops between its inputs and outputs."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np

from unidl import ops, tree
from unidl._state import state
from unidl.backend import active
from unidl.errors import GraphError, OpError, describe
from unidl.graph.graph import Graph
from unidl.graph.replay import replay
from unidl.graph.symbolic import Dim, LayerNode, SymbolicTensor, substitute
from unidl.layers._base import Layer
from unidl.layers._calling import mask_of, with_constants
from unidl.layers._input import InputLayer
from unidl.training._structures import leaves


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
        for what, flat in (("inputs", self.flat_inputs), ("outputs", self.flat_outputs)):
            for tensor in flat:
                if type(tensor) is not SymbolicTensor:
                    raise ValueError(
                        f"All `{what}` values must be KerasTensors, that is symbolic tensors (see Input), in model "
                        f"{name!r}; {tensor!r} is none."
                    )
        self._known = {id(t) for t in self.flat_inputs}
        met: dict[int, int] = {}
        order = self._sorted(met)
        self.nodes = [n for n in order if not _is_input(n)]
        self.layers = self._by_distance(order, met)

    def _sorted(self, met: dict[int, int]) -> list[Any]:
        """The nodes, those of inputs included, each after those that it needs.

        `met` gets the number at which the way back from the outputs first comes to each layer or op.
        """
        done: set[int] = set()
        order: list[Any] = []
        # Depth first without recursion: models may be thousands of layers deep.
        todo: list[tuple[Any, bool]] = [(n, False) for t in reversed(self.flat_outputs) if (n := self._maker(t))]
        while todo:
            node, ready = todo.pop()
            if id(node) in done:
                continue
            if ready:
                done.add(id(node))
                order.append(node)
                continue
            if _is_input(node) and not any(id(t) in self._known for t in node.outputs):
                raise self._unconnected(node.layer.name)
            met.setdefault(_operation(node), len(met))
            todo.append((node, True))
            needed = list(node.inputs())
            for tensor in needed:
                if tensor.node is None and tensor.value is None and id(tensor) not in self._known:
                    raise self._unconnected(tensor.name or repr(tensor))
            todo += [(n, False) for t in reversed(needed) if (n := self._maker(t)) and id(n) not in done]
        return order

    def _maker(self, tensor: SymbolicTensor) -> Any:
        """The node that computes `tensor` in this net, or stands for an input; None for other inputs and variables."""
        return tensor.node if id(tensor) not in self._known or _is_input(tensor.node) else None

    def _by_distance(self, order: list[Any], met: dict[int, int]) -> list[Any]:
        """Each layer once, those farthest from the outputs first, as Keras lists them: files depend on this order."""
        of_node: dict[int, int] = {}
        distances: dict[int, int] = {}
        for node in reversed(order):
            key = _operation(node)
            distance = max(of_node.get(id(node), 0), distances.get(key, 0))
            of_node[id(node)] = distances[key] = distance
            for tensor in node.inputs():
                if (maker := self._maker(tensor)) is not None:
                    of_node[id(maker)] = max(distance + 1, of_node.get(id(maker), 0))
        unused = [t.node for t in self.flat_inputs if _is_input(t.node) and _operation(t.node) not in met]
        found = [n.layer for n in (*unused, *order) if isinstance(n, LayerNode) and isinstance(n.layer, Layer)]
        layers = list({id(layer): layer for layer in found}.values())  # others are operations, without weights
        return sorted(layers, key=lambda layer: (-distances.get(id(layer), 0), met.get(id(layer), -1)))

    def _unconnected(self, name: str) -> GraphError:
        return GraphError(
            f"Output of model {self.name!r} is not connected to `inputs` alone: its outputs depend on input {name!r}, "
            f"which is not among its inputs ({[t.name for t in self.flat_inputs]})."
        )

    def names(self) -> list[str]:
        """The inputs' names."""
        return [t.name or f"input_{i}" for i, t in enumerate(self.flat_inputs)]

    def match(self, given: Any) -> list[Any]:
        """What was passed to the model as a flat list in the order of the inputs.

        Raises:
            ValueError: if the structure does not fit, naming what is missing.
        """
        names, count = self.names(), len(self.flat_inputs)
        if isinstance(given, dict):
            return self._match_dict(given, names)
        flat = _leaves(given)
        if len(flat) != count:
            if isinstance(self.inputs, dict):
                raise ValueError(
                    f"Model {self.name!r} expects {count} named input(s) with keys {sorted(self.inputs)}, "
                    f"but {len(flat)} came: {describe(given)}. Pass a dict."
                )
            plural = "" if count == 1 else "s"
            raise ValueError(
                f"Model {self.name!r} expects {count} input{plural} ({names}), but {len(flat)} came: {describe(given)}."
            )
        if isinstance(self.inputs, dict) and count > 1:
            warnings.warn(
                f"The structure of `inputs` is not that of model {self.name!r}: it takes a dict with keys "
                f"{sorted(self.inputs)}, and a {type(given).__name__} came. It is taken in that order.",
                stacklevel=4,
            )
        return flat

    def _match_dict(self, given: dict[str, Any], names: list[str]) -> list[Any]:
        keys = sorted(self.inputs) if isinstance(self.inputs, dict) else names
        nested = isinstance(self.inputs, dict) and any(isinstance(v, (dict, list, tuple)) for v in self.inputs.values())
        optional = [] if nested else [k for k, t in zip(keys, self.flat_inputs, strict=True) if _optional(t)]
        if missing := [k for k in keys if k not in given and k not in optional]:
            raise ValueError(f"Model {self.name!r} lacks inputs {missing}; the given dict has {sorted(given)}.")
        if extra := sorted(str(k) for k in given if k not in keys):
            warnings.warn(
                f"The structure of `inputs` is not that of model {self.name!r}: {extra} are not among {keys} and are "
                "left out.",
                stacklevel=5,
            )
        return [leaf for k in keys for leaf in _leaves(given.get(k))]

    def run(self, given: Any) -> Any:
        """Call every layer and op on what was given, native or symbolic."""
        values: dict[int, Any] = {}
        for tensor, value in zip(self.flat_inputs, self.match(given), strict=True):
            values[id(tensor)] = self._fitted(tensor, value)

        def current(tensor: SymbolicTensor) -> Any:
            if id(tensor) in values:
                return values[id(tensor)]
            if state.trace is not None and not isinstance(tensor.value, active.Variable):
                return tensor  # a constant of this model, which the graph being recorded takes as its own
            return tensor.value

        for node in self.nodes:
            if isinstance(node, LayerNode):
                given = substitute((node.args, node.kwargs), current)
                args, kwargs = given if state.trace is None else with_constants(given)
                result = node.layer(*args, **kwargs)
                results = tree.flatten(result)
            else:
                result = node.op.public(*resolved(node.args, current))
                results = list(result) if node.multiple else [result]
            for tensor, value in zip(node.outputs, results, strict=True):
                values[id(tensor)] = value
        outputs = self.outputs
        if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
            outputs = outputs[0]  # as in Keras, a list of one output is that output
        return tree.map_structure(lambda t: values[id(t)] if id(t) in values else current(t), outputs)

    def _fitted(self, tensor: SymbolicTensor, value: Any) -> Any:
        """`value` checked against the input's declared shape; a last axis of size 1 is added or dropped."""
        if value is None:
            if not _optional(tensor):
                raise ValueError(
                    f"Layer {self.name!r}: input {tensor.name!r} is not optional, but None came. Give it data, or "
                    "declare it with Input(…, optional=True)."
                )
            return None
        if isinstance(value, np.ndarray) and value.dtype.kind in "US":
            return self._fitted_text(tensor, value)
        if isinstance(value, np.ndarray):
            value = ops.convert_to_tensor(value)
        shape = value.shape if type(value) is SymbolicTensor else tuple(active.shape(value))
        want = tensor.shape
        if len(shape) == len(want) - 1 and want[-1] == 1:
            value, shape = ops.expand_dims(value, -1), (*shape, 1)
        elif len(shape) == len(want) + 1 and shape[-1] == 1:
            value, shape = ops.squeeze(value, -1), shape[:-1]
        self._check(tensor, shape)
        have = value.dtype if type(value) is SymbolicTensor else active.dtype(value)
        if have != tensor.dtype:
            if have == "string":
                raise self._no_strings(tensor)
            mask = mask_of(value)
            value = ops.cast(value, tensor.dtype)
            if mask is not None and type(value) is SymbolicTensor:
                value.mask = mask
        return value

    def _no_strings(self, tensor: SymbolicTensor) -> OpError:
        return OpError(
            f"Layer {self.name!r}: input {tensor.name!r} takes {tensor.dtype}, but strings came. Encode them, or "
            "declare the input with dtype='string' and let a layer such as StringLookup take it."
        )

    def _fitted_text(self, tensor: SymbolicTensor, value: np.ndarray) -> np.ndarray:
        """The same for strings on an engine that has no tensors of them."""
        if tensor.dtype != "string":
            raise self._no_strings(tensor)
        if value.ndim == len(tensor.shape) - 1 and tensor.shape[-1] == 1:
            value = value[..., None]
        self._check(tensor, value.shape)
        return value

    def check(self, shapes: list[Any]) -> None:
        """Compare the shapes of flat inputs with those declared, also in sizes that are recorded as unknown.

        Raises:
            OpError: naming the input.
        """
        for tensor, shape in zip(self.flat_inputs, shapes, strict=True):
            if len(shape) == len(tensor.shape):
                self._check(tensor, tuple(shape))

    def _check(self, tensor: SymbolicTensor, shape: tuple[Any, ...]) -> None:
        want = tensor.shape
        fits = len(shape) == len(want) and (
            # The batch may have another size than was declared.
            not self.declared or all(a is None or b is None or a == b for a, b in zip(shape[1:], want[1:], strict=True))
        )
        if fits:
            return
        path = next(path for path, leaf in leaves(self.inputs) if leaf is tensor)
        raise OpError(
            f"Layer {self.name!r}: the input with name {tensor.name!r} and path {'.'.join(map(str, path))!r} expected "
            f"shape={want}, found shape={shape}. Reshape the data, or declare the input so."
        )


def _is_input(node: Any) -> bool:
    return isinstance(node, LayerNode) and isinstance(node.layer, InputLayer)


def _operation(node: Any) -> int:
    """What tells the layer or op of a node from others: calls of one layer have the same."""
    return id(node.layer if isinstance(node, LayerNode) else node)


def _leaves(given: Any) -> list[Any]:
    """What was given, flat; None stays, since it stands for an optional input that is not there."""
    return [leaf for _, leaf in leaves(given)]


def _optional(tensor: SymbolicTensor) -> bool:
    return bool(getattr(getattr(tensor.node, "layer", None), "optional", False))


def resolved(args: tuple[Any, ...], current: Any) -> tuple[Any, ...]:
    """An op's `args` with symbolic tensors and sizes replaced by values; outside a trace, bodies by functions."""

    def resolve(value: Any) -> Any:
        if type(value) is SymbolicTensor:
            return current(value)
        if type(value) is Dim:
            if value.kind == "size":
                return ops.shape(current(value.args[0]))[value.args[1]]
            return getattr(operator, value.kind)(*(resolve(a) for a in value.args))
        if type(value) in (tuple, list):
            return type(value)(resolve(v) for v in value)
        if type(value) is Graph and state.trace is None:
            return replay(value, active)
        if type(value) is slice:
            return slice(resolve(value.start), resolve(value.stop), resolve(value.step))
        return value

    return tuple(resolve(a) for a in args)
