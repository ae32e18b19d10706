"""Multi-head attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.backend.attributes import require
from unidl.errors import OpError
from unidl.layers._base import InputSpec
from unidl.layers._common import positive, require_known, weight_settings
from unidl.layers._heads import Heads

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(Heads):
    """Attention of several heads (Vaswani et al., arXiv:1706.03762).

    ``layer(query, value, key=None)``: query (batch, targets, features), value (batch, sources, features),
    key like value (None: the value) to (batch, targets, query features). With more dimensions, those of
    `attention_axes` are attended over and the others are treated like the batch.

    Args:
        num_heads: number of heads.
        key_dim: features that query and key have in one head.
        value_dim: those that the value has; None: `key_dim`.
        dropout: share of the attention weights dropped in training.
        use_bias: whether the projections have biases.
        output_shape: size or sizes of the output; None: the features of the query.
        attention_axes: axes attended over; None: all but the first and the last.
        sliding_window: only sources less than so many steps away are seen; None: all.
        flash_attention: whether to use the engine's kernel for attention; None: as `unidl.config` says, which is yes.
            True refuses what such kernels cannot do: dropout and scores.
        use_gate: whether heads are multiplied by ``sigmoid`` of a projection of the query (arXiv:2505.06708).
        seed: of the dropout.

    Masks, in the call: `query_mask` (batch, targets), `value_mask` and `key_mask` (batch, sources),
    `attention_mask` (batch, targets, sources), all True where attention is allowed, and
    `use_causal_mask`, which hides what comes later. Masks that come with the tensors fill the first
    three. A target that sees nothing gets the mean of all values. With `return_attention_scores` the
    weights (batch, heads, targets, sources) come as well.

    Weights: query, key, value and gate: kernel (features, heads, dim), bias (heads, dim); attention_output:
    kernel (heads, value_dim, output), bias (output,).

    Example:
        >>> import unidl
        >>> layer = unidl.layers.MultiHeadAttention(num_heads=2, key_dim=4)
        >>> query, value = unidl.ops.ones((1, 3, 5)), unidl.ops.ones((1, 7, 6))
        >>> output, weights = layer(query, value, return_attention_scores=True)
        >>> tuple(output.shape), tuple(weights.shape)
        ((1, 3, 5), (1, 2, 3, 7))
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
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
        self._num_heads = positive(self, "num_heads", num_heads)
        self._key_dim = positive(self, "key_dim", key_dim)
        self._value_dim = self._key_dim if value_dim is None else positive(self, "value_dim", value_dim)
        sizes = output_shape if isinstance(output_shape, (tuple, list)) or output_shape is None else (output_shape,)
        if sizes is not None and not all(isinstance(s, (int, np.integer)) and s > 0 for s in sizes):
            raise ValueError(
                f"Invalid `output_shape` {output_shape!r} of MultiHeadAttention: it is a positive int or several."
            )
        self._output_sizes = None if sizes is None else tuple(int(s) for s in sizes)
        axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        if axes is not None and not (isinstance(axes, (tuple, list)) and all(isinstance(a, int) for a in axes)):
            raise ValueError(f"MultiHeadAttention: `attention_axes` must be an int or several, not {attention_axes!r}.")
        self._attention_axes = None if axes is None else tuple(axes)
        settings = weight_settings(locals())
        self._set_heads(dropout, use_bias, sliding_window, flash_attention, use_gate, seed, settings)

    num_heads = property(lambda self: self._num_heads, doc="The number of heads.")
    key_dim = property(lambda self: self._key_dim, doc="The size of each head of query and key.")
    value_dim = property(lambda self: self._value_dim, doc="The size of each head of value.")
    attention_axes = property(lambda self: self._attention_axes, doc="The axes attended over.")

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        _agree(value_shape, key_shape)
        rank = len(query_shape)
        require(
            rank >= 3,
            f"takes a query of at least 3 dimensions (batch, targets, features), but {tuple(query_shape)} came. "
            "Reshape the query.",
        )
        if self._attention_axes is None:
            self._attention_axes = tuple(range(1, rank - 1))
        axes = tuple(a + rank if a < 0 else a for a in self._attention_axes)
        if not all(0 < a < rank - 1 for a in axes) or len(set(axes)) != len(axes) or not axes:
            raise OpError(
                f"`attention_axes` {self._attention_axes} must be different axes between the first and the last of "
                f"the query, which is {tuple(query_shape)}."
            )
        self._axes = tuple(sorted(axes))
        h, features = self._num_heads, [require_known(s, -1) for s in (query_shape, key_shape, value_shape)]
        self._query_dense = self._dense("query", rank, features[:1], (h, self._key_dim))
        self._key_dense = self._dense("key", len(key_shape), features[1:2], (h, self._key_dim))
        parts = {"query": query_shape, "key": key_shape, "value": value_shape}
        if self._use_gate:
            self._gate_dense = self._dense("gate", rank, features[:1], (h, self._value_dim), "sigmoid")
            parts["gate"] = query_shape
        self._value_dense = self._dense("value", len(value_shape), features[2:], (h, self._value_dim))
        sizes = self._output_sizes or (features[0],)
        self._output_dense = self._dense("attention_output", rank + 1, (h, self._value_dim), sizes)
        parts["output"] = (*tuple(query_shape)[:-1], h, self._value_dim)
        self._build_parts(parts)
        self.input_spec = InputSpec(ndim=rank, axes={-1: features[0]})

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
        masks = (query_mask, value_mask, key_mask, attention_mask)
        projected = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        output, weights = self._masked(
            query, value, projected, masks, training, return_attention_scores, use_causal_mask
        )
        if self._use_gate:
            output = ops.multiply(output, self._gate_dense(query))
        output = self._output_dense(output)
        return (output, weights) if return_attention_scores else output

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        _agree(value_shape, value_shape if key_shape is None else key_shape)
        sizes = self._output_sizes or (query_shape[-1],)
        return (*tuple(query_shape)[:-1], *sizes)


def _agree(value_shape: Any, key_shape: Any) -> None:
    """Refuse values and keys with different dimensions between batch and features."""
    if tuple(value_shape)[1:-1] != tuple(key_shape)[1:-1]:
        raise OpError(
            f"the dimensions of value {tuple(value_shape)} and key {tuple(key_shape)} must be equal, "
            "those of batch and features excepted."
        )
