"""Attention without projections."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers._base import Layer
from unidl.layers._common import require_known
from unidl.layers.regularization import checked_rate, drop

__all__ = ["AdditiveAttention", "Attention"]

_HIDDEN = -3e4  # the score of what a mask hides: its weight is 0, and a target that sees nothing weighs all alike


class Attention(Layer):
    """Attention by dot products (Luong et al., arXiv:1508.04025).

    ``layer([query, value])`` or ``layer([query, value, key])``: query (batch, …, targets, features), value
    (batch, …, sources, value features), key (batch, …, sources, features), by default the value; to
    (batch, …, targets, value features).

    Args:
        use_scale: whether scores are multiplied by a learned number (in "concat": the sums before tanh).
        score_mode: "dot": ``query · key``; "concat": a learned number times ``sum(tanh(query + key))``.
        dropout: share of the attention weights dropped in training.
        seed: of the dropout.

    In the call: `mask` is ``[query_mask, value_mask]`` (batch, …, targets) and (batch, …, sources), True where
    something is; `use_causal_mask` hides sources after the target; with `return_attention_scores` the weights
    (batch, …, targets, sources) come as well.

    Example:
        >>> import unidl
        >>> query, value = unidl.ops.ones((2, 3, 4)), unidl.ops.ones((2, 5, 4))
        >>> tuple(unidl.layers.Attention()([query, value]).shape)
        (2, 3, 4)
    """

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"{type(self).__name__}: `score_mode` must be 'dot' or 'concat', not {score_mode!r}.")
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = checked_rate(type(self).__name__, dropout, "dropout")
        self.seed = seed
        if self.dropout:
            from unidl.random import SeedGenerator

            self.seed_generator = SeedGenerator(seed)
        self.scale: Any = None
        self.concat_score_weight: Any = None
        self.supports_masking = True
        self.makes_mask = False

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: Any = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs, mask)
        query, value = inputs[0], inputs[1]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (mask[0], mask[1]) if mask is not None else (None, None)
        dropping = bool(training) and self.dropout > 0
        if self._native(query, key, value) and not (return_attention_scores or dropping):
            output, weights = self._fused(query, key, value, value_mask, use_causal_mask), None
        else:
            scores = self._calculate_scores(query, key)
            seen = self._calculate_score_mask(scores, value_mask, use_causal_mask)
            if seen is not None:
                scores = ops.where(seen, scores, _HIDDEN)
            weights = ops.softmax(scores, -1)
            if dropping:
                weights = drop(weights, self.dropout, self.seed_generator)
            output = ops.matmul(weights, value)
        if query_mask is not None:
            output = ops.where(ops.expand_dims(ops.cast(query_mask, "bool"), -1), output, ops.zeros_like(output))
        return (output, weights) if return_attention_scores else output

    def _native(self, query: Any, key: Any, value: Any) -> bool:
        """Whether the engine's kernel for attention can do it."""
        return self.score_mode == "dot" and len(query.shape) == len(key.shape) == len(value.shape) in (3, 4)

    def _fused(self, query: Any, key: Any, value: Any, value_mask: Any, use_causal_mask: bool) -> Any:
        flat = len(query.shape) == 3  # one head
        if self.scale is not None:
            query = ops.multiply(query, self.scale)
        if value_mask is not None:
            value_mask = ops.expand_dims(ops.cast(value_mask, "bool"), (1, 2) if flat else 2)
        if flat:
            query, key, value = (ops.expand_dims(x, 1) for x in (query, key, value))
        output = ops.scaled_dot_product_attention(query, key, value, value_mask, 1.0, bool(use_causal_mask))
        return ops.squeeze(output, 1) if flat else output

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        """(batch, …, targets, sources)."""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        both = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        if self.scale is not None:
            both = ops.multiply(both, self.scale)
        return ops.multiply(ops.sum(ops.tanh(both), -1), self.concat_score_weight)

    def _calculate_score_mask(self, scores: Any, v_mask: Any, use_causal_mask: bool) -> Any:
        """What targets see, broadcastable to the scores, or None for everything."""
        seen = None
        if v_mask is not None:
            seen = ops.expand_dims(ops.cast(v_mask, "bool"), -2)
        if use_causal_mask:
            targets, sources = ops.shape(scores)[-2:]
            rows, columns = ops.expand_dims(ops.arange(targets), 1), ops.expand_dims(ops.arange(sources), 0)
            causal = ops.expand_dims(ops.greater_equal(rows, columns), 0)
            seen = causal if seen is None else ops.logical_and(seen, causal)
        return seen

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The query's mask."""
        self._check(inputs, mask)
        return None if mask is None or mask[0] is None else ops.convert_to_tensor(mask[0])

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        return (*tuple(input_shape[0])[:-1], input_shape[1][-1])

    def _check(self, inputs: Any, mask: Any = None) -> None:
        """Refuse inputs and masks that are no lists of 2 or 3."""
        name = type(self).__name__
        what = "[query, value] or [query, value, key]"
        shape = isinstance(inputs, tuple) and all(d is None or isinstance(d, int) for d in inputs)
        if shape or not isinstance(inputs, (list, tuple)):
            raise ValueError(f"{name} must be called on a list, {what}, not on one input.")
        if len(inputs) not in (2, 3):
            raise ValueError(f"{name} takes a list of length 2 or 3, {what}; {len(inputs)} inputs came.")
        if mask is None:
            return
        if not isinstance(mask, (list, tuple)):
            raise ValueError(f"{name}: the layer mask must be a list, [query_mask, value_mask], not {type(mask)}.")
        if len(mask) not in (2, 3):
            raise ValueError(f"{name}: `mask` must be a list of length 2 or 3, {len(mask)} masks came.")


class AdditiveAttention(Attention):
    """Attention by sums (Bahdanau et al., arXiv:1409.0473): scores are ``sum(scale * tanh(query + key))``.

    Inputs, masks and the call as in `Attention`.

    Args:
        use_scale: whether `scale` is learned, one number for each feature; else 1.
        dropout: share of the attention weights dropped in training.

    Weights: scale (features,), if used.

    Example:
        >>> import unidl
        >>> query, value = unidl.ops.ones((2, 3, 4)), unidl.ops.ones((2, 5, 4))
        >>> output, weights = unidl.layers.AdditiveAttention()([query, value], return_attention_scores=True)
        >>> tuple(output.shape), tuple(weights.shape)
        ((2, 3, 4), (2, 3, 5))
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((require_known(input_shape[0], -1),), "glorot_uniform", name="scale")

    def _native(self, query: Any, key: Any, value: Any) -> bool:
        return False

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        both = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(both if self.scale is None else ops.multiply(both, self.scale), -1)
