"""Losses of whole regions, of embeddings and of sequences."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.config import epsilon
from unidl.dtypes import to_float
from unidl.losses._shapes import cast, float_pair, plain_shape, rank
from unidl.ops._bind import dtype_of


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """``1 - 2 * overlap / (size of targets + size of predictions)``, sums over `axis` (None: everything)."""
    y_true, y_pred = float_pair(y_true, y_pred)
    axis = _axes(axis)
    overlap = ops.sum(ops.multiply(y_true, y_pred), axis)
    sizes = ops.add(ops.add(ops.sum(y_true, axis), ops.sum(y_pred, axis)), epsilon())
    return ops.subtract(1.0, ops.divide(ops.multiply(overlap, 2.0), sizes))


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """``1 - overlap / (overlap + alpha * missed + beta * wrongly found)`` (Salehi et al., 2017).

    Sums are over `axis`, None for everything. With ``alpha = beta = 0.5`` this is `dice`.
    """
    y_true, y_pred = float_pair(y_true, y_pred)
    axis = _axes(axis)
    overlap = ops.sum(ops.multiply(y_true, y_pred), axis)
    missed = ops.sum(ops.multiply(y_true, ops.subtract(1.0, y_pred)), axis)
    extra = ops.sum(ops.multiply(y_pred, ops.subtract(1.0, y_true)), axis)
    faults = ops.add(ops.add(ops.multiply(missed, alpha), ops.multiply(extra, beta)), epsilon())
    return ops.subtract(1.0, ops.divide(overlap, ops.add(overlap, faults)))


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """Circle loss of embeddings (Sun et al., CVPR 2020): near those of the same class, far from the others.

    Args:
        y_true: integer classes, (batch,).
        y_pred: vectors of length 1, (batch, size).
        ref_labels, ref_embeddings: what to compare with; None: the batch itself.
        remove_diagonal: leave out the comparison of the i-th with the i-th.
        gamma: scale.
        margin: how far apart the classes should be.

    Returns:
        (batch,): 0 where there is nothing of the same class, or nothing of another.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_pred = cast(y_pred, to_float(dtype_of(y_pred)))
    labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
    others = labels if ref_labels is None else ops.reshape(ops.cast(ref_labels, "int32"), (-1,))
    compared = y_pred if ref_embeddings is None else cast(ref_embeddings, dtype_of(y_pred))
    distance = ops.relu(ops.subtract(1.0, ops.matmul(y_pred, ops.transpose(compared))))
    same = ops.equal(ops.expand_dims(labels, 1), ops.expand_dims(others, 0))
    near, far = same, ops.logical_not(same)
    if remove_diagonal:
        row, column = (ops.cumsum(ops.ones_like(v), 0) for v in (labels, others))
        near = ops.logical_and(near, ops.not_equal(ops.expand_dims(row, 1), ops.expand_dims(column, 0)))
    pull = ops.multiply(ops.multiply(ops.relu(ops.add(distance, margin)), ops.subtract(distance, margin)), gamma)
    push = ops.multiply(
        ops.multiply(ops.relu(ops.subtract(1.0 + margin, distance)), ops.subtract(1.0 - margin, distance)), gamma
    )
    # In place of -inf, whose gradients would be NaN: small enough for softplus to give 0.
    nothing = -3e4 if dtype_of(y_pred) == "float16" else -1e30
    totals = (ops.logsumexp(ops.where(m, v, nothing), 1) for m, v in ((near, pull), (far, push)))
    return ops.softplus(ops.add(*totals))


def ctc(y_true: Any, y_pred: Any) -> Any:
    """Connectionist temporal classification (Graves et al., ICML 2006), one number for each sequence.

    Args:
        y_true: integers (batch, labels), padded with 0, which is the blank.
        y_pred: logits (batch, steps, classes).
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    for name, value, want, shape in (
        ("y_true", y_true, 2, "(batch, labels)"), ("y_pred", y_pred, 3, "(batch, steps, classes)")
    ):  # fmt: skip
        if rank(value) != want:
            raise ValueError(f"ctc: `{name}` must have shape {shape}, not {plain_shape(ops.shape(value))}.")
    y_true = ops.cast(y_true, "int32")
    lengths = ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), -1)
    ones = ops.ones_like(ops.cast(ops.max(y_pred, -1), "int32"))
    return ops.ctc_loss(y_true, y_pred, lengths, ops.sum(ones, -1), mask_index=0)


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis
