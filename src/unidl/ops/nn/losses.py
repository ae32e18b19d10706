"""Losses of one example."""

from __future__ import annotations

from unidl import ops
from unidl.ops._declare import Tensor, axis_index, composite, require


@composite(promote="target output", floating=True)
def categorical_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1) -> Tensor:
    """``-sum(target * log(p))`` over `axis`, p the probabilities `output` (or their logits).

    Probabilities are first made to sum to 1 and kept at least epsilon (1e-7) away from 0 and 1.
    """
    from unidl.config import epsilon

    require(len(target.shape) == len(output.shape), f"ranks differ: {list(target.shape)} and {list(output.shape)}.")
    if from_logits:
        logs = ops.log_softmax(output, axis)
    else:
        logs = ops.log(ops.clip(ops.divide(output, ops.sum(output, axis, True)), epsilon(), 1.0 - epsilon()))
    return ops.negative(ops.sum(ops.multiply(target, logs), axis))


@composite
def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """`categorical_crossentropy` with integer targets of one dimension less than `output` (or size 1 there)."""
    from unidl.config import epsilon

    a = axis_index(axis, len(output.shape))
    if len(target.shape) != len(output.shape):
        target = ops.expand_dims(target, a)
    require(
        len(target.shape) == len(output.shape), f"targets {list(target.shape)} do not fit output {list(output.shape)}."
    )
    if from_logits:
        logs = ops.log_softmax(output, a)
    else:
        logs = ops.log(ops.clip(ops.divide(output, ops.sum(output, a, True)), epsilon(), 1.0 - epsilon()))
    return ops.negative(ops.squeeze(ops.take_along_axis(logs, ops.cast(target, "int32"), a), a))


@composite(promote="target output", floating=True)
def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Tensor:
    """``-(t * log(p) + (1 - t) * log(1 - p))``, elementwise; p as in `categorical_crossentropy`."""
    from unidl.config import epsilon

    require(len(target.shape) == len(output.shape), f"ranks differ: {list(target.shape)} and {list(output.shape)}.")
    if from_logits:
        return ops.subtract(ops.softplus(output), ops.multiply(target, output))
    p = ops.clip(output, epsilon(), 1.0 - epsilon())
    return ops.negative(
        ops.add(
            ops.multiply(target, ops.log(p)), ops.multiply(ops.subtract(1.0, target), ops.log(ops.subtract(1.0, p)))
        )
    )


__all__ = ["categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"]
