"""Attention."""

from __future__ import annotations

import math

from unidl import ops
from unidl.ops._declare import Tensor, composite, require


@composite(promote="query key value", floating=True)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> Tensor:
    """``softmax(query @ key.T * scale) @ value`` for each head (Vaswani et al., arXiv:1706.03762).

    Args:
        query: (batch, heads, targets, depth); key: (batch, heads, sources, depth);
            value: (batch, heads, sources, value depth).
        mask: boolean, broadcastable to (batch, heads, targets, sources); False hides a source. A
            target that sees nothing gets the mean of all values.
        scale: None: ``1 / sqrt(depth)``.
        is_causal: hide sources after the target.
    """
    require(scale is not None or query.shape[-1] is not None, "the depth of `query` is unknown: give `scale`.")
    factor = scale if scale is not None else 1.0 / math.sqrt(query.shape[-1])
    scores = ops.matmul(ops.multiply(query, factor), ops.swapaxes(key, -1, -2))
    if is_causal:
        sizes = ops.shape(scores)
        visible = ops.greater_equal(
            ops.expand_dims(ops.arange(sizes[-2]), 1), ops.expand_dims(ops.arange(sizes[-1]), 0)
        )
        mask = visible if mask is None else ops.logical_and(mask, visible)
    if mask is not None:
        scores = ops.where(mask, scores, -3e4)
    return ops.matmul(ops.softmax(scores, -1), value)


__all__ = ["scaled_dot_product_attention"]
