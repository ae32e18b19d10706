"""Attention."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._declare import Tensor, composite, need_dtype, need_rank, require, same_dim


def _check(query: Any, key: Any, value: Any, mask: Any, heads: int, times: int) -> None:
    """Raise OpError unless the shapes fit; `heads` and `times` are the axes of these."""
    for name, x in (("query", query), ("key", key), ("value", value)):
        need_rank(x, name, 4, 4)
        need_dtype(x, name, "floating")
        same_dim(query.shape[0], x.shape[0], f"batch sizes of `query` and `{name}`")
    same_dim(query.shape[3], key.shape[3], "depths of `query` and `key`")
    same_dim(key.shape[times], value.shape[times], "sources of `key` and `value`")
    same_dim(key.shape[heads], value.shape[heads], "heads of `key` and `value`")
    scores = (query.shape[0], query.shape[heads], query.shape[times], key.shape[times])
    if mask is not None:
        _fits(mask, "mask", scores)


def _fits(x: Any, what: str, scores: tuple[int | None, ...]) -> None:
    pairs = zip(reversed(tuple(x.shape)), reversed(scores), strict=False)
    require(
        len(x.shape) <= 4 and all(d in (1, None, n) or n is None for d, n in pairs),
        f"`{what}` of shape {list(x.shape)} does not broadcast to (batch, heads, targets, sources), {list(scores)}.",
    )


def _weights(
    query: Any, key: Any, bias: Any, mask: Any, scale: float | None, is_causal: bool, cap: float | None = None
) -> Any:
    """The softmax of the scores of (batch, heads, times, depth) tensors, in at least float32."""
    from unidl.ops._bind import dtype_of

    depth = ops.shape(query)[-1]
    require(scale is not None or isinstance(depth, int), "the depth of `query` must be known, or `scale` given.")
    factor = scale if scale is not None else 1.0 / math.sqrt(depth or 1)
    if dtype_of(query) in ("float16", "bfloat16"):
        query, key = ops.cast(query, "float32"), ops.cast(key, "float32")
    scores = ops.matmul(ops.multiply(query, factor), ops.swapaxes(key, -1, -2))
    if cap is not None:
        scores = ops.multiply(ops.tanh(ops.divide(scores, cap)), cap)
    if bias is not None:
        scores = ops.add(scores, ops.cast(bias, dtype_of(scores)))
    if is_causal:
        sizes = ops.shape(scores)
        visible = ops.greater_equal(
            ops.expand_dims(ops.arange(sizes[-2]), 1), ops.expand_dims(ops.arange(sizes[-1]), 0)
        )
        mask = visible if mask is None else ops.logical_and(mask, visible)
    if mask is not None:
        # A finite number, so that a target that sees nothing weighs all sources alike.
        scores = ops.where(mask, scores, -1e38)
    return ops.softmax(scores, -1)


@composite(promote="query key value", floating=True, checked=True)
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

    Example:
        >>> from unidl import ops
        >>> x, values = ops.zeros((1, 1, 2, 3)), ops.reshape([1.0, 3.0], (1, 1, 2, 1))
        >>> out = ops.scaled_dot_product_attention(x, x, values, is_causal=True)
        >>> print(ops.convert_to_numpy(ops.ravel(out)))
        [1. 2.]
    """
    from unidl.ops._bind import dtype_of

    _check(query, key, value, mask, 1, 2)
    same_dim(query.shape[1], key.shape[1], "heads of `query` and `key`")
    if mask is not None:
        need_dtype(mask, "mask", "bool")
    weights = _weights(query, key, None, mask, scale, is_causal)
    return ops.cast(ops.matmul(weights, ops.cast(value, dtype_of(weights))), dtype_of(value))


@composite(promote="query key value", floating=True)
def dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """Attention for each head, with heads on axis 2: `scaled_dot_product_attention` for Keras's layout.

    Args:
        query: (batch, targets, heads, depth).
        key, value: (batch, sources, key heads, depth); the number of key heads divides that of heads,
            and consecutive heads share one (Ainslie et al., arXiv:2305.13245).
        bias: added to the scores; broadcastable to (batch, heads, targets, sources).
        mask: boolean, broadcastable likewise; False hides a source. A target that sees nothing gets
            the mean of all values.
        scale: of the scores; None: ``1 / sqrt(depth)``.
        is_causal: hide sources after the target.
        flash_attention: accepted; the engine chooses its kernel.
        attn_logits_soft_cap: scores s become ``cap * tanh(s / cap)``, before `bias` is added.

    Returns:
        (batch, targets, heads, depth of the values).

    Example:
        >>> from unidl import ops
        >>> x, values = ops.zeros((1, 2, 1, 3)), ops.reshape([1.0, 3.0], (1, 2, 1, 1))
        >>> out = ops.dot_product_attention(x, x, values, is_causal=True)
        >>> print(ops.convert_to_numpy(ops.ravel(out)))
        [1. 2.]
    """
    from unidl.ops._bind import dtype_of

    _check(query, key, value, mask, 2, 1)
    heads, shared = ops.shape(query)[2], ops.shape(key)[2]
    if bias is not None:
        need_dtype(bias, "bias", "real")
        _fits(bias, "bias", (query.shape[0], query.shape[2], query.shape[1], key.shape[1]))
    if mask is not None and dtype_of(mask) != "bool":
        mask = ops.cast(mask, "bool")
    require(isinstance(heads, int) and isinstance(shared, int), "the numbers of heads must be known.")
    if heads != shared:
        require(shared > 0 and heads % shared == 0, f"{shared} heads of `key` do not divide {heads} of `query`.")
        key, value = ops.repeat(key, heads // shared, 2), ops.repeat(value, heads // shared, 2)
    query, key, value = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
    if bias is None and attn_logits_soft_cap is None:
        out = ops.scaled_dot_product_attention(query, key, value, mask, scale, is_causal)
    else:
        weights = _weights(query, key, bias, mask, scale, is_causal, attn_logits_soft_cap)
        out = ops.cast(ops.matmul(weights, ops.cast(value, dtype_of(weights))), dtype_of(value))
    return ops.transpose(out, (0, 2, 1, 3))


__all__ = ["scaled_dot_product_attention", "dot_product_attention"]
