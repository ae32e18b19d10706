"""Multi-head attention."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import leading, require_known, require_rank, resolve
from unidl.layers.dense import refuse
from unidl.layers.regularization import checked_rate, drop

__all__ = ["MultiHeadAttention"]


class Heads(Layer):
    """(batch, time, features) to (batch, heads, time, depth), or back: the projections inside attention.

    Args:
        heads, depth: of the split side.
        features: of the joined output; None: the layer splits.

    Weights: kernel (features, heads, depth) and bias (heads, depth), or (heads, depth, features) and (features,).
    """

    def __init__(
        self, heads: int, depth: int, features: int | None, use_bias: bool, settings: dict[str, Any], name: str
    ) -> None:
        super().__init__(name=name, dtype=settings["dtype"])
        self.heads, self.depth, self.features = heads, depth, features
        self.use_bias = use_bias
        self.bias: Any = None
        self._settings = settings

    def build(self, input_shape: Any) -> None:
        s, features = self._settings, self.features
        split = (self.heads, self.depth)
        shape = (require_known(input_shape, -1), *split) if features is None else (*split, features)
        self.kernel = self.add_weight(
            shape,
            s["kernel_initializer"],
            regularizer=s["kernel_regularizer"],
            constraint=s["kernel_constraint"],
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                split if features is None else (features,),
                s["bias_initializer"],
                regularizer=s["bias_regularizer"],
                constraint=s["bias_constraint"],
                name="bias",
            )
        self._matrix = (shape[0], self.heads * self.depth) if features is None else (self.heads * self.depth, features)

    def call(self, inputs: Any) -> Any:
        kernel, width = ops.reshape(self.kernel, self._matrix), self.heads * self.depth
        if self.features is not None:
            joined = ops.reshape(ops.transpose(inputs, (0, 2, 1, 3)), (leading(inputs), leading(inputs, 2), width))
            return ops.linear(joined, kernel, self.bias)
        bias = None if self.bias is None else ops.reshape(self.bias, (width,))
        wide = ops.linear(inputs, kernel, bias)
        split = ops.reshape(wide, (leading(inputs), leading(inputs, 1), self.heads, self.depth))
        return ops.transpose(split, (0, 2, 1, 3))

    def get_config(self) -> dict[str, Any]:
        raise TypeError(f"Layer {self.path!r} is part of a MultiHeadAttention, which has the configuration.")


class MultiHeadAttention(Layer):
    """Attention of several heads (Vaswani et al., arXiv:1706.03762).

    ``layer(query, value, key=None)``: query (batch, targets, features), value (batch, sources, features),
    key like value (None: the value) to (batch, targets, query features).

    Args:
        num_heads: number of heads.
        key_dim: size of each head of query and key.
        value_dim: size of each head of value; None: `key_dim`.
        dropout: share of the attention weights dropped in training.
        use_bias: whether the projections have biases.
        output_shape: size of the output; None: that of the query.
        attention_axes: None or 1; attention over several axes is not offered.
        flash_attention: accepted for compatibility: the engine picks its kernel.

    Masks, in the call: `query_mask` (batch, targets), `value_mask` and `key_mask` (batch, sources),
    `attention_mask` (batch, targets, sources), all True where attention is allowed, and
    `use_causal_mask`, which hides what comes later. Masks that come with the tensors fill the first
    three. With `return_attention_scores` the weights (batch, heads, targets, sources) come as well.

    Weights: query, key, value: kernel (features, heads, dim), bias (heads, dim); attention_output:
    kernel (heads, value_dim, output), bias (output,).
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
        from unidl.random import SeedGenerator

        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse("MultiHeadAttention", sliding_window=sliding_window, use_gate=use_gate)
        if attention_axes not in (None, 1, (1,), [1]):
            raise ValueError(f"MultiHeadAttention: `attention_axes` must be None or 1, not {attention_axes!r}.")
        for name, value in (("num_heads", num_heads), ("key_dim", key_dim), ("value_dim", value_dim or key_dim)):
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"MultiHeadAttention: `{name}` must be a positive int, not {value!r}.")
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.dropout = checked_rate("MultiHeadAttention", dropout, "dropout")
        self.use_bias = use_bias
        size = output_shape[-1] if isinstance(output_shape, (tuple, list)) else output_shape
        self.output_size: int | None = size
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True
        resolve(
            self,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        for shape in (query_shape, value_shape, key_shape):
            require_rank(shape, 3, "(batch, time, features)")
        settings = {
            "dtype": self.dtype,
            "kernel_initializer": self.kernel_initializer,
            "bias_initializer": self.bias_initializer,
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
        }
        size = self.output_size or require_known(query_shape, -1)
        h, bias = self.num_heads, self.use_bias
        self._query = Heads(h, self.key_dim, None, bias, settings, "query")
        self._key = Heads(h, self.key_dim, None, bias, settings, "key")
        self._value = Heads(h, self.value_dim, None, bias, settings, "value")
        self._output = Heads(h, self.value_dim, size, bias, settings, "attention_output")
        self._query.build(query_shape)
        self._key.build(key_shape)
        self._value.build(value_shape)
        self._output.build((None, h, None, self.value_dim))
        for part in (self._query, self._key, self._value, self._output):
            part.trainable = self.trainable
        self.input_spec = InputSpec(ndim=3, axes={2: query_shape[-1]})

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
        mask = self._mask(query_mask, value_mask, key_mask, attention_mask)
        q, k, v = self._query(query), self._key(value if key is None else key), self._value(value)
        if not return_attention_scores and not (training and self.dropout):
            return self._output(ops.scaled_dot_product_attention(q, k, v, mask, None, use_causal_mask))
        scores = ops.matmul(ops.multiply(q, 1.0 / math.sqrt(self.key_dim)), ops.transpose(k, (0, 1, 3, 2)))
        if use_causal_mask:
            rows, columns = ops.arange(leading(scores, 2)), ops.arange(leading(scores, 3))
            seen = ops.greater_equal(ops.expand_dims(rows, 1), ops.expand_dims(columns, 0))
            mask = seen if mask is None else ops.logical_and(mask, seen)
        if mask is not None:
            scores = ops.where(mask, scores, -3e4)
        weights = ops.softmax(scores, -1)
        dropped = drop(weights, self.dropout, self.seed_generator) if training else weights
        output = self._output(ops.matmul(dropped, v))
        return (output, weights) if return_attention_scores else output

    def _mask(self, query_mask: Any, value_mask: Any, key_mask: Any, attention_mask: Any) -> Any:
        """All masks as one that broadcasts to (batch, heads, targets, sources), or None."""
        merged = None
        for mask, axes in ((query_mask, (1, 3)), (value_mask, (1, 2)), (key_mask, (1, 2)), (attention_mask, None)):
            if mask is None:
                continue
            mask = ops.convert_to_tensor(mask, "bool")
            if axes is not None:
                mask = ops.expand_dims(mask, axes)
            elif len(mask.shape) == 3:
                mask = ops.expand_dims(mask, 1)
            else:
                require(
                    len(mask.shape) in (2, 4),
                    f"`attention_mask` must be (batch, targets, sources), not {tuple(mask.shape)}.",
                )
            merged = mask if merged is None else ops.logical_and(merged, mask)
        return merged
