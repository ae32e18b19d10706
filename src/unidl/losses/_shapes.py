"""How targets, predictions, weights and masks of slightly different shapes meet, and how values are reduced."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import to_float
from unidl.ops._bind import dtype_of


def plain_shape(shape: Any) -> tuple[Any, ...]:
    """`shape` for a message: None for what is not known."""
    return tuple(d if isinstance(d, int) else None for d in shape)


def rank(value: Any) -> int:
    return len(ops.shape(value))


def same_rank(a: Any, b: Any) -> tuple[Any, Any]:
    """Two tensors, of one rank if a last dimension of size 1 is all that one of them has more.

    Vectors get that dimension, others lose it.
    """
    have, want = ops.shape(a), ops.shape(b)
    if len(have) == len(want) + 1 and have[-1] == 1:
        return (a, ops.expand_dims(b, -1)) if len(want) == 1 else (ops.squeeze(a, -1), b)
    if len(want) == len(have) + 1 and want[-1] == 1:
        return (ops.expand_dims(a, -1), b) if len(have) == 1 else (a, ops.squeeze(b, -1))
    return a, b


def pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets and predictions of one shape, as they are compared with each other.

    Raises:
        ValueError: if ranks or known sizes differ: broadcasting one against the other would hide a mistake.
    """
    y_true, y_pred = same_rank(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred))
    a, b = ops.shape(y_true), ops.shape(y_pred)
    known = [(m, n) for m, n in zip(a, b, strict=False) if isinstance(m, int) and isinstance(n, int)]
    if len(a) != len(b) or any(m != n for m, n in known):
        raise ValueError(
            f"Targets of shape {plain_shape(a)} and predictions of shape {plain_shape(b)} must have the same shape."
        )
    return y_true, y_pred


def float_pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """`pair`, both in the float dtype of the predictions."""
    y_true, y_pred = pair(y_true, y_pred)
    dtype = to_float(dtype_of(y_pred))
    return cast(y_true, dtype), cast(y_pred, dtype)


def cast(value: Any, dtype: str) -> Any:
    """`value` as a tensor of this dtype; itself if it is one."""
    value = ops.convert_to_tensor(value)
    return value if dtype_of(value) == dtype else ops.cast(value, dtype)


def aligned(values: Any, weight: Any, what: str = "Weights") -> tuple[Any, Any]:
    """Values and weights of one rank: `weight` has the leading dimensions of `values`, or is a number.

    Raises:
        ValueError: if `weight` has more dimensions than there are to be weighed.
    """
    values, weight = same_rank(values, weight)
    have, want = rank(weight), rank(values)
    if have > want > 0:
        raise ValueError(
            f"{what} of shape {plain_shape(ops.shape(weight))} do not fit a loss with values of shape "
            f"{plain_shape(ops.shape(values))}."
        )
    for _ in range(want - have if have else 0):
        weight = ops.expand_dims(weight, -1)
    return values, weight


def masked_weight(weight: Any, mask: Any, dtype: str, scaled: bool = False) -> Any:
    """`weight` (None for ones) with zeros where `mask` (None for nothing) is False.

    With `scaled` the rest weighs as much more as is hidden, so that a mean is over what is visible.
    """
    if mask is None:
        return weight
    visible = ops.cast(mask, dtype)
    if scaled:
        visible = ops.multiply(visible, ops.divide_no_nan(1.0, ops.mean(visible)))
    if weight is None:
        return visible
    weight = cast(weight, dtype)
    visible, weight = same_rank(visible, weight) if rank(weight) else (visible, weight)
    for _ in range(rank(visible) - rank(weight) if rank(weight) else 0):
        weight = ops.expand_dims(weight, -1)
    for _ in range(rank(weight) - rank(visible)):
        visible = ops.expand_dims(visible, -1)
    return ops.multiply(visible, weight)


def reduced(values: Any, sample_weight: Any, mask: Any, reduction: str | None) -> Any:
    """`values` times weights, zero where the mask is False, reduced as `Loss` says."""
    dtype = dtype_of(values)
    weight = None if sample_weight is None else cast(sample_weight, dtype)
    weight = masked_weight(weight, mask, dtype, reduction in ("sum_over_batch_size", "mean"))
    if weight is not None:
        values, weight = same_rank(values, weight)
        spread = 0 < rank(weight) < rank(values)  # weights of samples, for several values each
        values, weight = aligned(values, weight, "Weights or mask")
        values = ops.multiply(values, weight)
    shape = ops.shape(values)
    empty = any(isinstance(d, int) and d == 0 for d in shape)  # inside a `tf.function` sizes may be tensors
    if reduction in ("none", None) or len(shape) == 0 or (empty and len(shape) == 1):
        return values
    if reduction == "sum" or empty:
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weight is not None:
        if spread:
            weight = ops.multiply(weight, ops.ones_like(values))
        return ops.divide_no_nan(ops.sum(values), ops.sum(weight))
    return ops.mean(values)
