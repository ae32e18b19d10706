"""Batch normalization folded into the weights before it, for graphs of which nobody asks gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unidl import ops
from unidl.graph.graph import Graph
from unidl.graph.passes import Copy, followers
from unidl.graph.symbolic import Node, TensorSpec
from unidl.graph.trace import trace

#: What can take the factor and the shift of a normalization, and whether a bias is its third argument.
_FOLDING = {"conv": False, "conv_bias": True, "depthwise_conv": False, "linear": True}
#: Elements of an output from which on a pass over it costs more than the operations that change the weights.
_WORTH = 2**18
#: How many times larger than the kernel an output must be, so that scaling the kernel costs little beside.
_TIMES = 4
_DTYPES = ("float32", "float64")


def normalization_folded(graph: Graph, rows: int) -> Graph:
    """`graph` with ``normalization(convolution(x))`` as one convolution whose weights have been scaled.

    Nodes of the graph scale the weights, so that variables stay what they are, and each run takes their values of then.
    Results are equal but for rounding.

    Args:
        graph: as recorded for inference.
        rows: the size that unknown dimensions will have about: where outputs are small, nothing is folded.
    """
    behind = followers(graph, "batch_normalization", *_FOLDING)
    found = {id(n): behind[id(n)] for n in graph.nodes if id(n) in behind and _foldable(n, behind[id(n)], rows)}
    if not found:
        return graph
    folded = {id(before) for before in found.values()}
    copy = Copy(graph)
    for node in graph.nodes:
        if id(node) in found:
            _fold(copy, node, found[id(node)])
        elif id(node) not in folded:
            copy.keep(node)
    return copy.finish()


def _foldable(node: Node, before: Node, rows: int) -> bool:
    out, kernel = before.outputs[0], before.args[1]
    if any(t.dtype != out.dtype for t in (*before.inputs(), *node.inputs())) or out.dtype not in _DTYPES:
        return False
    if node.args[3] % len(out.shape) != _channels(before) or None in kernel.shape:
        return False  # the channels of an unknown layout are on no axis
    size = math.prod(rows if d is None else d for d in out.shape)
    return size >= max(_WORTH, _TIMES * math.prod(kernel.shape))


def _channels(node: Node) -> int | None:
    """The axis of the channels in the output of a node; None if its arguments do not say."""
    last = len(node.outputs[0].shape) - 1
    if node.op.name == "linear":
        return last
    texts = [arg for arg in node.args if isinstance(arg, str)]
    return 1 if "channels_first" in texts else last if "channels_last" in texts else None


def _fold(copy: Copy, node: Node, before: Node) -> None:
    """Put nodes into the copy that compute what `node` makes of the output of `before`."""
    x, kernel, *rest = before.args
    bias = rest.pop(0) if _FOLDING[before.op.name] else None
    _, mean, variance, axis, offset, scale, epsilon = node.args
    vectors = {"bias": bias, "mean": mean, "variance": variance, "offset": offset, "scale": scale}
    given = {name: vector for name, vector in vectors.items() if vector is not None}

    def combined(x: Any, kernel: Any, *values: Any) -> Any:
        factor, shift = _factor_and_shift(epsilon, **dict(zip(given, values, strict=True)))
        return _applied(before.op.name, x, kernel, factor, shift, axis, rest)

    tensors = [x, kernel, *given.values()]
    copy.insert(trace(combined, tuple(TensorSpec(t.shape, t.dtype) for t in tensors)), tensors, node.outputs)


def _factor_and_shift(
    epsilon: float, mean: Any, variance: Any, bias: Any = None, offset: Any = None, scale: Any = None
) -> tuple[Any, Any]:
    """By what a normalization multiplies what had no bias yet, and what it adds then."""
    factor = ops.rsqrt(ops.add(variance, epsilon))
    if scale is not None:
        factor = ops.multiply(factor, scale)
    shift = ops.multiply(ops.negative(mean) if bias is None else ops.subtract(bias, mean), factor)
    return factor, shift if offset is None else ops.add(shift, offset)


def _applied(name: str, x: Any, kernel: Any, factor: Any, shift: Any, axis: int, rest: Sequence[Any]) -> Any:
    if name == "linear":
        return ops.linear(x, ops.multiply(kernel, factor), shift)
    if name != "depthwise_conv":
        return ops.conv_bias(x, ops.multiply(kernel, factor), shift, *rest)
    out = ops.depthwise_conv(x, ops.multiply(kernel, ops.reshape(factor, tuple(kernel.shape[-2:]))), *rest)
    shape = [1] * len(out.shape)
    shape[axis] = -1
    return ops.add(out, ops.reshape(shift, tuple(shape)))
