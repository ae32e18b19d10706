"""What one node costs: floating-point operations of each op, from shapes alone.

A multiply-add counts as 2. Elementwise ops count 1 for each element of the result, reductions 1 for each element of
the input; ops that only move, pick or convert elements count 0. A composite without a formula costs what its
decomposition costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from unidl.backend.attributes import sized

Arguments = dict[str, Any]

#: Ops of other families that compute nothing.
_FREE = {"cast", "copy", "stop_gradient", "view_as_complex", "view_as_real"}
#: Modules whose primitives only make, move or pick elements.
_MOVING = ("creation", "indexing", "joining", "padding", "random", "repeating", "scatter", "shape")
#: Comparison sorts take n log2(n) comparisons along the last (or sorted) axis.
_SORTS = {"sort", "argsort", "top_k"}


def size(tensor: Any) -> int:
    """The number of elements of a symbolic tensor whose dimensions are all known."""
    return math.prod(tensor.shape)


def _matmul(a: Arguments, outputs: list[Any]) -> int:
    return 2 * size(outputs[0]) * a["x1"].shape[-1]


def _einsum(a: Arguments, outputs: list[Any]) -> int:
    """One pass over all combinations of indices: k - 1 products, and an addition if any index is summed."""
    operands = a["operands"]
    terms = a["subscripts"].replace(" ", "").partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    broadcast = 1
    for term, operand in zip(terms, operands, strict=True):
        before, dots, after = term.partition("...")
        extra = operand.shape[len(before) : len(operand.shape) - len(after)] if dots else ()
        broadcast = max(broadcast, math.prod(extra))
        letters = operand.shape[: len(before)] + operand.shape[len(operand.shape) - len(after) :]
        for letter, n in zip(before + after, letters, strict=True):
            sizes[letter] = max(sizes.get(letter, 1), n)
    combinations = math.prod(sizes.values()) * broadcast
    return combinations * (len(operands) - 1 + (combinations > size(outputs[0])))


def _conv(a: Arguments, outputs: list[Any]) -> int:
    return 2 * size(outputs[0]) * math.prod(a["kernel"].shape[:-1])


def _depthwise_conv(a: Arguments, outputs: list[Any]) -> int:
    return 2 * size(outputs[0]) * math.prod(a["kernel"].shape[:-2])


def _conv_transpose(a: Arguments, outputs: list[Any]) -> int:
    return 2 * size(a["inputs"]) * math.prod(a["kernel"].shape[:-1])


def _pool(a: Arguments, outputs: list[Any]) -> int:
    dimensions = len(a["inputs"].shape) - 2
    return size(outputs[0]) * math.prod(sized(a["pool_size"], dimensions, "pool_size"))


def _recurrent(gates: int, pointwise: int) -> Callable[[Arguments, list[Any]], int]:
    """Two products for each step, their sum, the biases, and `pointwise` more operations for each unit."""

    def formula(a: Arguments, outputs: list[Any]) -> int:
        batch, time, features = a["x"].shape
        units = a["recurrent_kernel"].shape[0]
        bias = 0 if a["bias"] is None else size(a["bias"])
        products = 2 * gates * units * (features + units)
        return batch * time * (products + gates * units + bias + pointwise * units)

    return formula


FORMULAS: dict[str, Callable[[Arguments, list[Any]], int]] = {
    "matmul": _matmul,
    "einsum": _einsum,
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _pool,
    "average_pool": _pool,
    "lstm": _recurrent(4, 9),  # 4 gates, 3 for c, tanh(c), times o
    "gru": _recurrent(3, 8),  # 3 gates, r times the candidate, 4 for h
    "simple_rnn": _recurrent(1, 1),
}


def primitive_flops(op: Any, args: tuple[Any, ...], outputs: list[Any]) -> int:
    """The cost of a primitive whose tensors have known shapes."""
    arguments = dict(zip(op.parameters, args, strict=True))
    if op.name in FORMULAS:
        return FORMULAS[op.name](arguments, outputs)
    if op.name in _SORTS:
        n = arguments["x"].shape[arguments.get("axis", -1)] if arguments["x"].shape else 1
        return size(arguments["x"]) * max(n - 1, 0).bit_length()
    family = op.module.rpartition(".")[2]
    if family == "reduce":
        return size(arguments["x"])
    if family in _MOVING or op.name in _FREE:
        return 0
    return size(outputs[0])
