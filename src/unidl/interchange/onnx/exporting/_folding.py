"""Batch normalization put into the weights of the convolution or dense layer before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from unidl.graph.symbolic import Node, SymbolicTensor, substitute
from unidl.interchange.onnx.exporting._writer import Value

if TYPE_CHECKING:
    from unidl.interchange.onnx.exporting._graph import Emitter

Weights = dict[str, np.ndarray]


def _last(kernel: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return kernel * factor


def _multiplied(kernel: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """A depthwise kernel (*window, channels, multiplier), whose output channels are both of the last axes."""
    return kernel * factor.reshape(kernel.shape[-2:])


def _transposed(kernel: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return kernel * factor[:, None]


#: Ops before a normalization: the op whose emitter takes a bias at the end, and how its kernel takes a factor for each
#: output channel.
_BEFORE: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "conv": ("conv", _last),
    "conv_bias": ("conv", _last),
    "linear": ("linear", _last),
    "depthwise_conv": ("depthwise_conv", _multiplied),
    "conv_transpose": ("conv_transpose", _transposed),
}


def folded(w: Emitter, node: Node) -> tuple[str, tuple[Any, ...]] | None:
    """What computes a batch normalization and the op before it: an op, and arguments that end with the bias.

    None unless the op before is one that this works for, nothing else reads its result, and all weights are constants.
    """
    x, mean, variance, axis, offset, scale, epsilon = node.args
    before, bias = _before(w, x)
    if before is None or w.uses.get(id(before.outputs[0])) != 1 or w.uses.get(id(x)) != 1:
        return None
    name, scaled = _BEFORE[before.op.name]
    channel = 1 if "channels_first" in before.args else len(x.shape) - 1
    args = list(substitute(before.args, w.read))
    if before.op.name in ("conv_bias", "linear"):
        bias = args.pop(2)
    kernel = args[1]
    given = {"mean": mean, "variance": variance, "offset": offset, "scale": scale}
    vectors = {k: w.read(t) for k, t in given.items() if t is not None}
    if bias is not None:
        vectors["bias"] = bias
    if axis % len(x.shape) != channel or any(v.host is None for v in (kernel, *vectors.values())):
        return None

    def arrays() -> Weights:
        found = {k: np.asarray(w.array(v), "float64").reshape(-1) for k, v in vectors.items()}
        found["factor"] = found.get("scale", np.float64(1)) / np.sqrt(found["variance"] + epsilon)
        return found

    def new_kernel() -> np.ndarray:
        array = w.array(kernel)
        assert array is not None
        return scaled(array.astype("float64"), arrays()["factor"]).astype(array.dtype)

    def new_bias() -> np.ndarray:
        a = arrays()
        shift = (a.get("bias", 0) - a["mean"]) * a["factor"] + a.get("offset", 0)
        return shift.astype(np.asarray(w.array(vectors["mean"])).dtype)

    args[1] = w.weight(new_kernel, kernel.shape, kernel.dtype, kernel.hint)
    extra = w.weight(new_bias, vectors["mean"].shape, kernel.dtype, f"{w.path}/bias" if bias is None else bias.hint)
    return name, (*args, extra)


def _before(w: Emitter, x: SymbolicTensor) -> tuple[Node | None, Value | None]:
    """The op with weights that makes `x`, and the bias that was added to its result apart."""
    node = x.node
    if isinstance(node, Node) and node.op.name == "add" and all(type(a) is SymbolicTensor for a in node.args):
        product, bias = node.args
        vector = w.read(bias)
        sizes = [d for d in vector.shape if d != 1]
        if vector.host is not None and len(sizes) <= 1 and _is_weighted(product.node):
            return product.node, vector
    return (node, None) if _is_weighted(node) else (None, None)


def _is_weighted(node: Any) -> TypeGuard[Node]:
    return isinstance(node, Node) and node.op.name in _BEFORE
