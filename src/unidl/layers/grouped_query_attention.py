"""Attention in which several query heads share keys and values."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.errors import OpError
from unidl.layers._base import InputSpec
from unidl.layers._common import positive, require_known, require_rank, weight_settings
from unidl.layers._heads import Heads

__all__ = ["GroupQueryAttention", "GroupedQueryAttention"]


class GroupQueryAttention(Heads):
    """Multi-head attention with fewer heads of keys and values than of queries (Ainslie et al., arXiv:2305.13245).

    ``layer(query, value, key=None)``: query (batch, targets, features), value (batch, sources, features),
    key like value (None: the value) to (batch, targets, query features).

    Args:
        head_dim: size of each head.
        num_query_heads: number of heads of the query.
        num_key_value_heads: number of heads of key and value, which divides the other number: as many as that makes
            `MultiHeadAttention`, 1 makes multi-query attention.
        dropout, use_bias, sliding_window, flash_attention, use_gate, seed: as in `MultiHeadAttention`.

    Masks and flags in the call are those of `MultiHeadAttention`; the weights that `return_attention_scores` gives are
    (batch, query heads, targets, sources).

    Weights: query, key, value and gate: kernel (features, heads, head_dim), bias (heads, head_dim);
    attention_output: kernel (query heads, head_dim, features), bias (features,).

    Example:
        >>> import unidl
        >>> layer = unidl.layers.GroupQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=2)
        >>> x = unidl.ops.ones((1, 3, 5))
        >>> tuple(layer(x, x, use_causal_mask=True).shape), tuple(layer.key_dense.kernel.shape)
        ((1, 3, 5), (5, 2, 4))
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: Any = None,
        flash_attention: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.head_dim = positive(self, "head_dim", head_dim)
        self.num_query_heads = positive(self, "num_query_heads", num_query_heads)
        self.num_key_value_heads = positive(self, "num_key_value_heads", num_key_value_heads)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"GroupQueryAttention: `num_key_value_heads` {num_key_value_heads} must divide "
                f"`num_query_heads` {num_query_heads}."
            )
        settings = weight_settings(locals())
        self._set_heads(dropout, use_bias, sliding_window, flash_attention, use_gate, seed, settings)

    num_repeats = property(
        lambda self: self.num_query_heads // self.num_key_value_heads, doc="How many query heads share a key head."
    )
    use_gate = property(lambda self: self._use_gate, doc="Whether heads are multiplied by a gate.")
    sliding_window = property(lambda self: self._sliding_window, doc="How far targets see, or None.")

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        _agree(query_shape, value_shape, key_shape)
        for shape in (query_shape, value_shape, key_shape):
            require_rank(shape, 3, "(batch, time, features)")
        d, q, kv = self.head_dim, self.num_query_heads, self.num_key_value_heads
        features = [require_known(s, -1) for s in (query_shape, key_shape, value_shape)]
        self._query_dense = self._dense("query", 3, features[:1], (q, d))
        parts = {"query": query_shape, "key": key_shape, "value": value_shape}
        self._key_dense = self._dense("key", 3, features[1:2], (kv, d))
        if self._use_gate:
            self._gate_dense = self._dense("gate", 3, features[:1], (q, d), "sigmoid")
            parts["gate"] = query_shape
        self._value_dense = self._dense("value", 3, features[2:], (kv, d))
        self._output_dense = self._dense("attention_output", 4, (q, d), features[:1])
        parts["output"] = (*tuple(query_shape)[:-1], q, d)
        self._build_parts(parts)
        self.input_spec = InputSpec(ndim=3, axes={2: features[0]})

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        self._refuse_scores(return_attention_scores)
        key = value if key is None else key
        heads, keys, values = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        if self.num_repeats > 1:
            keys, values = (ops.repeat(x, self.num_repeats, 2) for x in (keys, values))
        masks = (query_mask, value_mask, key_mask, attention_mask)
        output, weights = self._masked(
            query, value, (heads, keys, values), masks, training, return_attention_scores, use_causal_mask
        )
        if self._use_gate:
            output = ops.multiply(output, self._gate_dense(query))
        output = self._output_dense(output)
        return (output, weights) if return_attention_scores else output

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        _agree(query_shape, value_shape, value_shape if key_shape is None else key_shape)
        return tuple(query_shape)


def _agree(query_shape: Any, value_shape: Any, key_shape: Any) -> None:
    """Refuse shapes that differ where they have to be alike."""
    if query_shape[-1] != value_shape[-1]:
        raise OpError(
            f"the features of query {tuple(query_shape)} and value {tuple(value_shape)} must be equal: "
            "project one of them first."
        )
    if tuple(value_shape)[1:-1] != tuple(key_shape)[1:-1]:
        raise OpError(
            f"the dimensions of value {tuple(value_shape)} and key {tuple(key_shape)} must be equal, "
            "those of batch and features excepted."
        )


GroupedQueryAttention = GroupQueryAttention
