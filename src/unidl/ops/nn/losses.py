"""Losses of one example, and the distance of two signals."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.config import epsilon
from unidl.ops._declare import (
    Tensor,
    axis_index,
    composite,
    need_dtype,
    need_rank,
    require,
    same_dim,
)
from unidl.ops._precision import widened


def _same_shape(x1: Any, x2: Any, first: str, second: str) -> None:
    a, b = tuple(x1.shape), tuple(x2.shape)
    fits = len(a) == len(b) and all(None in pair or pair[0] == pair[1] for pair in zip(a, b, strict=True))
    require(fits, f"`{first}` has shape {list(a)} and `{second}` {list(b)}; they must have the same shape.")


def _logs(output: Any, from_logits: bool, axis: int) -> Any:
    """Logarithms of the probabilities `output`, or of the softmax of these logits."""
    if from_logits:
        return ops.log_softmax(output, axis)
    small = epsilon()
    return ops.log(ops.clip(ops.divide(output, ops.sum(output, axis, True)), small, 1.0 - small))


@composite(promote="target output", floating=True)
def categorical_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1) -> Tensor:
    """``-sum(target * log(p))`` over `axis`, p the probabilities `output` (or their logits).

    Probabilities are first made to sum to 1 and kept at least epsilon (1e-7) away from 0 and 1.

    Args:
        target, output: of the same shape.

    Example:
        >>> from unidl import ops
        >>> loss = ops.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        >>> print(ops.convert_to_numpy(ops.exp(ops.negative(loss))))
        [0.5]
    """
    need_rank(output, "output", 1)
    need_dtype(output, "output", "floating")
    _same_shape(target, output, "target", "output")
    a = axis_index(axis, len(output.shape))
    kind, (target, output) = widened(target, output)
    return ops.cast(ops.negative(ops.sum(ops.multiply(target, _logs(output, from_logits, a)), a)), kind)


@composite(promote="output", floating=True, checked=True)
def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`categorical_crossentropy` with the numbers of the classes in place of `target`'s ones.

    Args:
        target: whole numbers, of the shape of `output` without `axis` (or with size 1 there).

    Example:
        >>> from unidl import ops
        >>> loss = ops.sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [0.25, 0.75]])
        >>> print(ops.convert_to_numpy(ops.exp(ops.negative(loss))))
        [0.5  0.25]
    """
    need_rank(output, "output", 1)
    need_dtype(output, "output", "floating")
    need_dtype(target, "target", "real")
    a = axis_index(axis, len(output.shape))
    if len(target.shape) != len(output.shape):
        need_rank(target, "target", len(output.shape) - 1, len(output.shape))
        target = ops.expand_dims(target, a)
    for i, (have, want) in enumerate(zip(target.shape, output.shape, strict=True)):
        same_dim(have, 1 if i == a else want, f"dimension {i} of `target` and what `output` leaves for it")
    kind, (output,) = widened(output)
    logs = _logs(output, from_logits, a)
    return ops.cast(ops.negative(ops.squeeze(ops.take_along_axis(logs, ops.cast(target, "int32"), a), a)), kind)


@composite(promote="target output", floating=True, checked=True)
def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Tensor:
    """``-(t * log(p) + (1 - t) * log(1 - p))``, elementwise; p as in `categorical_crossentropy`.

    Example:
        >>> from unidl import ops
        >>> loss = ops.binary_crossentropy([1.0, 0.0], [0.5, 0.75])
        >>> print(ops.convert_to_numpy(ops.exp(ops.negative(loss))))
        [0.5  0.25]
    """
    need_dtype(output, "output", "floating")
    _same_shape(target, output, "target", "output")
    kind, (target, output) = widened(target, output)
    if from_logits:
        size = ops.absolute(output)
        # max(x, 0) - x * t + log(1 + exp(-|x|)); written so that the maximum's gradient at 0 is a half.
        positive = ops.add(ops.multiply(output, 0.5), ops.multiply(size, 0.5))
        loss = ops.add(ops.subtract(positive, ops.multiply(target, output)), ops.log1p(ops.exp(ops.negative(size))))
        return ops.cast(loss, kind)
    p = ops.clip(output, epsilon(), 1.0 - epsilon())
    right = ops.multiply(target, ops.log(p))
    wrong = ops.multiply(ops.subtract(1.0, target), ops.log(ops.subtract(1.0, p)))
    return ops.cast(ops.negative(ops.add(right, wrong)), kind)


@composite(promote="x1 x2", floating=True)
def psnr(x1: Tensor, x2: Tensor, max_val: float) -> Tensor:
    """The peak signal-to-noise ratio in decibels, ``10 * log10(max_val ** 2 / mean((x1 - x2) ** 2))``: a number.

    Args:
        x1, x2: of the same shape.
        max_val: the largest value that a signal can have.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.round(ops.psnr([0.0, 1.0], [1.0, 2.0], 10.0), 3)))
        20.0
    """
    need_dtype(x1, "x1", "floating")
    _same_shape(x1, x2, "x1", "x2")
    require(max_val > 0, f"`max_val` must be positive, not {max_val}.")
    kind, (x1, x2) = widened(x1, x2)
    noise = ops.log(ops.mean(ops.square(ops.subtract(x1, x2))))
    ratio = ops.multiply(ops.subtract(2.0 * math.log(max_val), noise), 10.0 / math.log(10.0))
    return ops.cast(ratio, kind)


__all__ = ["categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy", "psnr"]
