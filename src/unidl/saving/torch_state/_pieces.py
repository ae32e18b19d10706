"""Both sides as lists of pieces that can be compared: a projection, a convolution, the cell of a recurrent layer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from unidl.saving.torch_state._reader import StoredTensor

Shape = tuple[int, ...]


class Stored(NamedTuple):
    """Parameters of a module of PyTorch that belong together.

    Attributes:
        kind: "rnn", "norm" (with moments), "linear" (a part of a projection), "plain".
        module: its name.
        parts: role to (name in the file, first row, number of rows; None: all).
    """

    kind: str
    module: str
    parts: dict[str, tuple[str, slice | None]]


class Wanted(NamedTuple):
    """Variables of a layer that belong together.

    Attributes:
        kind: how they are laid out: a key of `LAYOUTS`.
        path: the layer's path in the model, by dots.
        variables: role to variable.
    """

    kind: str
    path: str
    variables: dict[str, Any]


# -- PyTorch's side --------------------------------------------------------------------------------

_RNN = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh)(_l\d+(?:_reverse)?)?")


def stored_pieces(tensors: Mapping[str, StoredTensor]) -> list[Stored]:
    """The parameters, put together module by module in the file's order."""
    modules: dict[str, list[str]] = {}
    for name in tensors:
        module, _, last = name.rpartition(".")
        if last != "num_batches_tracked":
            modules.setdefault(module, []).append(last)
    pieces: list[Stored] = []
    for module, names in modules.items():
        pieces += _of_module(module, names, tensors)
    return pieces


def _of_module(module: str, names: list[str], tensors: Mapping[str, StoredTensor]) -> list[Stored]:
    def full(name: str) -> str:
        return f"{module}.{name}" if module else name

    if any(_RNN.fullmatch(n) for n in names):
        found: dict[str, dict[str, Any]] = {}
        for name in names:
            if (match := _RNN.fullmatch(name)) is not None:
                found.setdefault(match[2] or "", {})[match[1]] = (full(name), None)
        return [Stored("rnn", module + suffix, parts) for suffix, parts in found.items()]
    if "in_proj_weight" in names or "q_proj_weight" in names:
        return _attention(module, names, tensors, full)
    if "running_mean" in names:
        return [Stored("norm", module, {n: (full(n), None) for n in names})]
    if set(names) <= {"weight", "bias"}:
        return [Stored("plain", module, {n: (full(n), None) for n in names})]
    return [Stored("plain", full(n), {"weight": (full(n), None)}) for n in names]


def _attention(
    module: str, names: list[str], tensors: Mapping[str, StoredTensor], full: Callable[[str], str]
) -> list[Stored]:
    """Query, key and value, which PyTorch keeps as one matrix if they have the same size."""
    pieces = []
    features = tensors[full("in_proj_weight" if "in_proj_weight" in names else "q_proj_weight")].shape[0]
    features //= 3 if "in_proj_weight" in names else 1
    for i, part in enumerate(("q", "k", "v")):
        rows = slice(i * features, (i + 1) * features)
        parts: dict[str, Any] = {"weight": (full(f"{part}_proj_weight"), None)}
        if "in_proj_weight" in names:
            parts["weight"] = (full("in_proj_weight"), rows)
        if "in_proj_bias" in names:
            parts["bias"] = (full("in_proj_bias"), rows)
        pieces.append(Stored("plain", f"{module}.{part}_proj", parts))
    return pieces


# -- unidl's side ----------------------------------------------------------------------------------


def wanted_pieces(model: Any, names: dict[str, Any]) -> list[Wanted]:
    """The variables of a model, put together layer by layer in the model's order.

    Args:
        names: dotted name to variable, as `weight_names` gives them.
    """
    owners = {id(v): layer for layer in model._flatten_layers() for v in layer._stored()}
    grouped: dict[int, dict[str, Any]] = {}
    paths: dict[int, str] = {}
    for name, variable in names.items():
        path, _, last = name.rpartition(".")
        owner = owners[id(variable)]
        grouped.setdefault(id(owner), {})[last] = variable
        paths[id(owner)] = path
    pieces: list[Wanted] = []
    for layer in {id(o): o for o in owners.values()}.values():
        if (variables := grouped.get(id(layer))) is not None:
            pieces += _of_layer(layer, paths[id(layer)], variables)
    return pieces


def _of_layer(layer: Any, path: str, variables: dict[str, Any]) -> list[Wanted]:
    from unidl import layers as L

    if isinstance(layer, (L.SeparableConv1D, L.SeparableConv2D)):
        first = {"weight": variables.pop("depthwise_kernel")}
        rest = {"weight": variables.pop("pointwise_kernel"), **variables}
        return [Wanted("depthwise", path, first), Wanted("conv", path, rest)]
    for classes, kind, roles in (
        ((L.LSTMCell,), "lstm", _CELL), ((L.GRUCell,), "gru", _CELL), ((L.SimpleRNNCell,), "simple_rnn", _CELL),
        ((L.DepthwiseConv1D, L.DepthwiseConv2D), "depthwise", _KERNEL),
        ((L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose), "conv_transpose", _KERNEL),
        ((L.Conv1D, L.Conv2D, L.Conv3D), "conv", _KERNEL), ((L.Dense, L.EinsumDense), "linear", _KERNEL),
        ((L.BatchNormalization,), "norm", _NORM), ((L.LayerNormalization, L.GroupNormalization), "scale", _NORM),
        ((L.RMSNormalization,), "scale", {"scale": "weight"}), ((L.PReLU,), "scale", {"alpha": "weight"}),
        ((L.Embedding,), "plain", {"embeddings": "weight"}),
    ):  # fmt: skip
        if isinstance(layer, classes) and set(variables) <= set(roles):
            if kind == "gru" and not layer.reset_after:
                kind = "gru that resets before"
            return [Wanted(kind, path, {roles[n]: v for n, v in variables.items()})]
    return [Wanted("plain", f"{path}.{n}" if path else n, {"weight": v}) for n, v in variables.items()]


_KERNEL = {"kernel": "weight", "bias": "bias"}
_CELL = {"kernel": "kernel", "recurrent_kernel": "recurrent_kernel", "bias": "bias"}
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


# -- from one to the other -------------------------------------------------------------------------

Arrays = dict[str, np.ndarray]


def _same(parts: Arrays, shapes: dict[str, Shape]) -> Arrays:
    return parts


def _moved(*ends: int) -> Callable[[Arrays, dict[str, Shape]], Arrays]:
    """Kernels with the window in front, then the axes `ends` of PyTorch's."""

    def layout(parts: Arrays, shapes: dict[str, Shape]) -> Arrays:
        weight = parts["weight"]
        return {**parts, "weight": weight.transpose(*range(2, weight.ndim), *ends)}

    return layout


def _depthwise(parts: Arrays, shapes: dict[str, Shape]) -> Arrays:
    channels, multiplier = shapes["weight"][-2:]
    weight = parts["weight"]  # (channels * multiplier, 1, *window)
    if weight.shape[:2] != (channels * multiplier, 1):
        return {}
    weight = weight.reshape(channels, multiplier, *weight.shape[2:])
    return {**parts, "weight": weight.transpose(*range(2, weight.ndim), 0, 1)}


def _linear(parts: Arrays, shapes: dict[str, Shape]) -> Arrays:
    """A matrix (out, in) as a kernel whose first axes are those of the input, and the bias in the shape wanted."""
    weight, wanted = parts["weight"], shapes["weight"]
    if weight.ndim != 2 or not any(math.prod(wanted[:i]) == weight.shape[1] for i in range(1, len(wanted))):
        return {}
    return _reshaped({**parts, "weight": weight.T}, shapes)


def _reshaped(parts: Arrays, shapes: dict[str, Shape]) -> Arrays:
    if any(math.prod(shapes[r]) != a.size for r, a in parts.items() if r in shapes):
        return {}
    return {role: a.reshape(shapes[role]) if role in shapes else a for role, a in parts.items()}


def _rnn(order: tuple[int, ...], apart: bool = False) -> Callable[[Arrays, dict[str, Shape]], Arrays]:
    """Gates in the order of Keras's cells: numbers of PyTorch's. `apart`: both biases are kept."""

    def layout(parts: Arrays, shapes: dict[str, Shape]) -> Arrays:
        if not {"weight_ih", "weight_hh"} <= parts.keys() or parts["weight_ih"].shape[0] % len(order):
            return {}

        def sorted_gates(array: np.ndarray) -> np.ndarray:
            gates = np.split(array, len(order))
            return np.concatenate([gates[i] for i in order])

        made = {
            "kernel": sorted_gates(parts["weight_ih"]).T, "recurrent_kernel": sorted_gates(parts["weight_hh"]).T,
        }  # fmt: skip
        if "bias_ih" in parts:
            biases = [sorted_gates(parts[name]) for name in ("bias_ih", "bias_hh")]
            made["bias"] = np.stack(biases) if apart else biases[0] + biases[1]
        return made

    return layout


#: How PyTorch's arrays become those of a kind of layer; an empty dict if they cannot.
LAYOUTS: dict[str, Callable[[Arrays, dict[str, Shape]], Arrays]] = {
    "plain": _same, "norm": _same, "scale": _reshaped, "linear": _linear, "conv": _moved(1, 0),
    "conv_transpose": _moved(1, 0), "depthwise": _depthwise, "lstm": _rnn((0, 1, 2, 3)),
    "gru": _rnn((1, 0, 2), apart=True), "simple_rnn": _rnn((0,)),
}  # fmt: skip


def converted(stored: Stored, wanted: Wanted, value: Callable[[str, slice | None], np.ndarray]) -> Arrays | None:
    """The arrays for the variables of `wanted` by role; None if the two do not fit.

    Args:
        value: gives the array of a name, or its rows. To see whether two fit, arrays without memory will do.
    """
    layout = LAYOUTS.get(wanted.kind)
    if layout is None:
        return None
    shapes: dict[str, Shape] = {role: tuple(v.shape) for role, v in wanted.variables.items()}
    parts = {role: value(name, rows) for role, (name, rows) in stored.parts.items()}
    if ("weight" not in parts or parts["weight"].ndim < 3) and wanted.kind in ("conv", "conv_transpose", "depthwise"):
        return None
    if "weight" not in parts and wanted.kind in ("linear", "plain"):
        return None
    made = layout(parts, shapes)
    return made if {role: a.shape for role, a in made.items()} == shapes else None


def shape_only(tensors: Mapping[str, StoredTensor]) -> Callable[[str, slice | None], np.ndarray]:
    """For `converted`: arrays of the right shape that take no memory."""

    def value(name: str, rows: slice | None) -> np.ndarray:
        shape = tensors[name].shape
        if rows is not None:
            shape = (rows.stop - rows.start, *shape[1:])
        return np.broadcast_to(np.zeros((), "i1"), shape)

    return value
