"""Shapes and dtypes of a symbol's inputs: files seldom say them, but weights often do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unidl.interchange.mxnet._attributes import parse
from unidl.interchange.mxnet._errors import MxnetError
from unidl.interchange.mxnet._params import DTYPES
from unidl.interchange.mxnet._symbol import MxNode, Symbol
from unidl.interchange.mxnet._table import KEEPS_SHAPE

Shape = tuple[int | None, ...]

_CONVOLUTIONS = {"Convolution", "Convolution_v1", "_npx_convolution", "Deconvolution", "_npx_deconvolution"}
_DENSE = {"FullyConnected", "_npx_fully_connected"}
_FLAT = {"Flatten", "flatten", "_npx_batch_flatten"}
_EMBEDDINGS = {"Embedding", "_npx_embedding", "_contrib_SparseEmbedding"}
_RECURRENT = {"RNN", "_npx_rnn"}

#: Operators with weights, and the places of these among their inputs.
WEIGHTS = {
    **dict.fromkeys(_CONVOLUTIONS | _DENSE, (1, 2)), **dict.fromkeys(_EMBEDDINGS | _RECURRENT, (1,)),
    **dict.fromkeys(("BatchNorm", "BatchNorm_v1", "_npx_batch_norm", "_contrib_SyncBatchNorm"), (1, 2, 3, 4)),
    **dict.fromkeys(("LayerNorm", "_npx_layer_norm", "GroupNorm", "InstanceNorm"), (1, 2)),
}  # fmt: skip
_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


#: How many nodes behind an input are looked at.
_FAR = 200


class Inputs:
    """Finds out what the inputs of a symbol are.

    Args:
        symbol: the graph.
        arrays: those of the file, by the variables' names.
        shapes: what the caller says.
    """

    def __init__(self, symbol: Symbol, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, Any]) -> None:
        self.symbol, self.arrays, self.shapes = symbol, arrays, shapes
        self.inputs = [n for n in symbol.variables() if n.name not in arrays]
        self._check()

    def _check(self) -> None:
        names = [n.name for n in self.inputs]
        if unknown := [n for n in self.shapes if n not in names]:
            raise MxnetError(f"{self.symbol.where} has no input {unknown[0]!r}; its inputs are {', '.join(names)}.")
        weights = [
            n.name
            for n in self.inputs
            if n.name not in self.shapes
            and all(place in WEIGHTS.get(reader.op, ()) for reader, place in self.symbol.readers.get(n.name, []))
            and self.symbol.readers.get(n.name)
        ]
        if weights:
            raise MxnetError(
                f"{self.symbol.where} needs arrays that the file of arrays lacks: {', '.join(weights[:8])}"
                f"{', …' if len(weights) > 8 else ''}. Does `params` belong to this symbol?"
            )

    def shape(self, node: MxNode) -> Shape:
        """The shape of an input; None for sizes that may vary.

        Raises:
            MxnetError: if nothing says its rank.
        """
        found = self.shapes.get(node.name)
        found = getattr(found, "shape", found)
        if found is None:
            found = _stated(node)
        if found is None:
            found = self._derived(node, {})
        if found is None:
            raise MxnetError(
                f"Nothing in {self.symbol.where} says which shape the input {node.name!r} has: give "
                f"shapes={{{node.name!r}: (None, …)}} with None for sizes that may vary (on the command line "
                f"--shapes {node.name}=None,…)."
            )
        return tuple([None if d is None else int(d) for d in found])

    def dtype(self, node: MxNode) -> str:
        """That which the file says; int32 for what is only an index; else float32."""
        said = getattr(self.shapes.get(node.name), "dtype", None)
        if said is not None:
            return str(said)
        flag = parse(node.attributes.get("__dtype__"))
        if isinstance(flag, int) and flag in DTYPES:
            return DTYPES[flag]
        readers = self.symbol.readers.get(node.name, [])
        indices = [(r.op in _EMBEDDINGS and p == 0) or (r.op in ("take", "_npi_take") and p == 1) for r, p in readers]
        return "int32" if indices and all(indices) else "float32"

    def _derived(self, node: MxNode, seen: dict[int, Any]) -> Shape | None:
        """The shape that the readers of a node's first output ask for."""
        if id(node) in seen or len(seen) > _FAR:
            return None
        seen[id(node)] = True
        key = node.name if node.op == "null" else f"{id(node)}"
        for reader, place in self.symbol.readers.get(key, []):
            found = self._asked(reader, place, seen)
            if found is not None:
                return found
        return None

    def _asked(self, reader: MxNode, place: int, seen: dict[int, Any]) -> Shape | None:
        """The shape that a reader asks for at one place among its inputs."""
        weight = self._array(reader, 1)
        if reader.op in _RECURRENT:
            return self._recurrent(reader, place, weight)
        if place != 0:
            return None
        if reader.op in KEEPS_SHAPE:
            return self._derived(reader, seen)
        if reader.op in _CONVOLUTIONS and weight is not None and weight.ndim > 2:
            return _image(reader, weight)
        if reader.op in _DENSE and weight is not None and weight.ndim == 2 and _flag(reader, "flatten", True):
            return (None, weight.shape[1])
        if reader.op in _FLAT:
            return self._derived(reader, seen)
        if reader.op in _EMBEDDINGS:
            around = self._derived(reader, seen)
            return None if around is None else (None,) * (len(around) - 1)
        return None

    def _array(self, node: MxNode, place: int) -> np.ndarray | None:
        if place >= len(node.inputs):
            return None
        return self.arrays.get(node.inputs[place][0].name)

    def _recurrent(self, node: MxNode, place: int, packed: np.ndarray | None) -> Shape | None:
        """Data (time, batch, features) or states (layers * directions, batch, units) of the fused operator."""
        units, layers = parse(node.attributes.get("state_size")), parse(node.attributes.get("num_layers"))
        gates = _GATES.get(str(node.attributes.get("mode")))
        if not isinstance(units, int) or not isinstance(layers, int) or gates is None or min(units, layers) < 1:
            return None
        directions = 2 if _flag(node, "bidirectional", False) else 1
        if place in (2, 3):
            return (layers * directions, None, units)
        if place != 0 or packed is None:
            return (None, None, None) if place == 0 else None
        each = gates * units
        rest = packed.size // directions - each * (units + 2) - (layers - 1) * each * ((directions + 1) * units + 2)
        return (None, None, rest // each if rest > 0 and rest % each == 0 else None)


def _stated(node: MxNode) -> Shape | None:
    """The shape that the file says; 0 and -1 stand for unknown sizes."""
    shape = parse(node.attributes.get("__shape__"))
    if not isinstance(shape, tuple) or not shape or not all(isinstance(d, int) for d in shape):
        return None
    return tuple([int(d) if d > 0 else None for d in shape])


def _image(node: MxNode, weight: np.ndarray) -> Shape:
    groups = parse(node.attributes.get("num_group", "1"))
    layout = str(node.attributes.get("layout", ""))
    spatial = (None,) * (weight.ndim - 2)
    if layout.endswith("C"):
        return (None, *spatial, weight.shape[-1] * (groups if isinstance(groups, int) else 1))
    if "Deconvolution" in node.op or "deconvolution" in node.op:
        return (None, weight.shape[0], *spatial)
    return (None, weight.shape[1] * (groups if isinstance(groups, int) else 1), *spatial)


def _flag(node: MxNode, name: str, default: bool) -> bool:
    return bool(parse(node.attributes.get(name, default)))
