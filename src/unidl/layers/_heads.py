"""What layers with attention heads share: projections, masks, and the attention itself over any axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.config import is_flash_attention_enabled
from unidl.layers._base import Layer
from unidl.layers._common import positive, resolve
from unidl.layers.einsum_dense import EinsumDense
from unidl.layers.regularization import checked_rate, drop

_HIDDEN = -3e4  # the score of what a mask hides: its weight is 0, and a target that sees nothing weighs all alike
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Heads(Layer):
    """Projections to heads, attention inside each, and a projection back."""

    _axes: tuple[int, ...] = (1,)

    dropout = property(lambda self: self._dropout, doc="The share of weights dropped in training.")
    use_bias = property(lambda self: self._use_bias, doc="Whether the projections have biases.")
    query_dense = property(lambda self: self._query_dense, doc="The projection of the query.")
    key_dense = property(lambda self: self._key_dense, doc="The projection of the key.")
    value_dense = property(lambda self: self._value_dense, doc="The projection of the value.")
    output_dense = property(lambda self: self._output_dense, doc="The projection of the heads to the output.")

    def _set_heads(
        self,
        dropout: float,
        use_bias: bool,
        sliding_window: Any,
        flash_attention: Any,
        use_gate: bool,
        seed: Any,
        settings: dict[str, Any],
    ) -> None:
        name = type(self).__name__
        self._dropout = checked_rate(name, dropout, "dropout")
        self._use_bias = use_bias
        self._use_gate = use_gate
        self._sliding_window = None if sliding_window is None else positive(self, "sliding_window", sliding_window)
        self._flash_attention = flash_attention
        if flash_attention and self._dropout > 0:
            raise ValueError(
                f"{name}: flash attention drops no weights; give `dropout=0` or leave `flash_attention` out."
            )
        self.seed = seed
        if self._dropout > 0:
            from unidl.random import SeedGenerator

            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True
        resolve(self, **settings)
        self._settings = tuple(settings)

    def _dense(
        self, name: str, rank: int, summed: Sequence[int], new: Sequence[int], activation: Any = None
    ) -> EinsumDense:
        """A projection of an input of `rank` dimensions: the last ones, of sizes `summed`, to the sizes `new`."""
        kept = _LETTERS[: rank - len(summed)]
        old = _LETTERS[len(kept) : rank]
        fresh = _LETTERS[rank : rank + len(new)]
        return EinsumDense(
            f"{kept}{old},{old}{fresh}->{kept}{fresh}",
            (*(None,) * (len(kept) - 1), *new),
            activation=activation,
            bias_axes=fresh if self._use_bias else None,
            name=name,
            dtype=self._policy,
            **{key: getattr(self, key) for key in self._settings},
        )

    def _build_parts(self, shapes: dict[str, Any]) -> None:
        """Build the projections, attributes ``_<name>_dense``, for these input shapes."""
        wanted = self._flash_attention
        self._kernel_allowed = is_flash_attention_enabled() if wanted is None else bool(wanted)
        for name, shape in shapes.items():
            part = getattr(self, f"_{name}_dense")
            part._path = f"{self._path}/{part.name}"
            part.dtype_policy = self._policy  # a map of policies goes by paths
            part.build(tuple(shape))
            part.trainable = self.trainable

    # -- masks ------------------------------------------------------------------------------

    def _compute_attention_mask(
        self,
        query: Any,
        value: Any,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """All masks as one, broadcastable to the scores with one axis of targets and one of sources, or None.

        Masks of query, value and key have one dimension less than these.
        """
        axes, n = self._axes, len(query.shape) - len(self._axes)
        masks = []
        if attention_mask is not None:
            require(
                len(attention_mask.shape) >= 2,
                f"`attention_mask` must be (batch, targets, sources), not {tuple(attention_mask.shape)}.",
            )
            masks.append(_flat(ops.cast(attention_mask, "bool"), len(axes)))
        for mask, axis in ((query_mask, -1), (value_mask, -2), (key_mask, -2)):
            if mask is not None:
                masks.append(ops.expand_dims(_per_step(ops.cast(mask, "bool"), axes), axis))
        if use_causal_mask or self._sliding_window is not None:
            targets, sources = (_product([ops.shape(x)[a] for a in axes]) for x in (query, value))
            if use_causal_mask:
                masks.append(_steps(targets, sources, None))
            if self._sliding_window is not None:
                masks.append(_steps(targets, sources, self._sliding_window))
        merged = None
        for mask in masks:
            mask = _spread(mask, n)
            merged = mask if merged is None else ops.logical_and(merged, mask)
        return merged

    # -- attention --------------------------------------------------------------------------

    def _masked(
        self,
        query: Any,
        value: Any,
        projected: tuple[Any, Any, Any],
        masks: tuple[Any, Any, Any, Any],
        training: Any,
        scores: bool,
        causal: bool,
    ) -> tuple[Any, Any]:
        """Attention of projected tensors under the masks of a call: of query, value and key, and the explicit one."""
        # Kernels know how to hide what comes later, by itself: beside other masks it becomes one more of them.
        own = type(self)._compute_attention is Heads._compute_attention
        alone = bool(causal) and own and self._sliding_window is None and all(m is None for m in masks)
        mask = self._compute_attention_mask(query, value, *masks, bool(causal) and not alone)
        asked = {"return_attention_scores": bool(scores), "use_causal_mask": alone}
        return self._compute_attention(*projected, mask, training, **{k: True for k, v in asked.items() if v})

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """Attention of projected tensors (batch, …, heads, depth), and weights if wanted; for subclasses to change."""
        return self._attend(query, key, value, attention_mask, training, return_attention_scores, bool(use_causal_mask))

    def _attend(
        self, query: Any, key: Any, value: Any, mask: Any, training: Any, scores: bool, causal: bool
    ) -> tuple[Any, Any]:
        """Attention of (batch, …, heads, depth) tensors along `_axes`: outputs like the query, and weights or None.

        The weights are (batch, other axes …, heads, target axes …, source axes …).
        """
        axes, rank = self._axes, len(query.shape)
        others = tuple(i for i in range(rank - 2) if i not in axes)
        order = (*others, rank - 2, *axes, rank - 1)
        n, m = len(others) + 1, len(axes)
        query, key, value = (ops.transpose(x, order) for x in (query, key, value))
        before, targets, sources = (ops.shape(query)[:n], ops.shape(query)[n:-1], ops.shape(key)[n:-1])
        if m > 1:
            query, key, value = (_joined(x, n, m) for x in (query, key, value))
        if mask is not None:
            mask = _spread(mask, n)
        dropping = bool(training) and self._dropout > 0
        weights = None
        if n == 2 and self._kernel_allowed and not scores and not dropping:
            output = ops.scaled_dot_product_attention(query, key, value, mask, None, causal)
        else:
            depth = int(query.shape[-1] or 1)
            logits = ops.matmul(ops.multiply(query, 1.0 / math.sqrt(depth)), ops.swapaxes(key, -2, -1))
            if causal:
                sizes = ops.shape(logits)
                seen = _steps(sizes[-2], sizes[-1], None)
                mask = seen if mask is None else ops.logical_and(mask, seen)
            if mask is not None:
                logits = ops.where(mask, logits, _HIDDEN)
            weights = ops.softmax(logits, -1)
            dropped = drop(weights, self._dropout, self.seed_generator) if dropping else weights
            output = ops.matmul(dropped, value)
            weights = ops.reshape(weights, (*before, *targets, *sources)) if scores and m > 1 else weights
        if m > 1:
            output = ops.reshape(output, (*before, *targets, output.shape[-1]))
        back = [0] * rank
        for place, axis in enumerate(order):
            back[axis] = place
        return ops.transpose(output, tuple(back)), weights if scores else None

    def _refuse_scores(self, return_attention_scores: bool) -> None:
        if return_attention_scores and self._flash_attention:
            raise ValueError(
                f"Layer {self.path!r}: flash attention has no scores to return; "
                "make the layer without `flash_attention=True`."
            )


def _steps(targets: Any, sources: Any, band: int | None) -> Any:
    """(1, targets, sources): sources up to the target, or those less than `band` steps away."""
    rows, columns = ops.expand_dims(ops.arange(targets), 1), ops.expand_dims(ops.arange(sources), 0)
    if band is None:
        return ops.expand_dims(ops.greater_equal(rows, columns), 0)
    return ops.expand_dims(ops.less(ops.abs(ops.subtract(rows, columns)), band), 0)


def _joined(x: Any, n: int, m: int) -> Any:
    """`x` with the `m` axes from `n` on as one."""
    sizes = ops.shape(x)
    return ops.reshape(x, (*sizes[:n], _product(sizes[n : n + m]), *sizes[n + m :]))


def _product(sizes: Sequence[Any]) -> Any:
    product = sizes[0]
    for size in sizes[1:]:
        product = product * size
    return product


def _flat(mask: Any, m: int) -> Any:
    """A mask (…, `m` target axes, `m` source axes) as (…, targets, sources); one that is so already is kept."""
    rank = len(mask.shape)
    if m == 1 or rank < 2 * m:
        return mask
    return _joined(_joined(mask, rank - m, m), rank - 2 * m, m)


def _per_step(mask: Any, axes: tuple[int, ...]) -> Any:
    """A mask of the query's or value's axes as (other axes …, steps along `axes`)."""
    rank = len(mask.shape)
    if max(axes) >= rank:
        return mask
    others = [i for i in range(rank) if i not in axes]
    if (*others, *axes) != tuple(range(rank)):
        mask = ops.transpose(mask, (*others, *axes))
    return mask if len(axes) == 1 else _joined(mask, len(others), len(axes))


def _spread(mask: Any, n: int) -> Any:
    """A mask (batch, …, targets, sources) for scores with `n` axes before these two, the last of them for heads."""
    rank = len(mask.shape)
    missing = n + 2 - rank
    return ops.expand_dims(mask, tuple(range(rank - 2, rank - 2 + missing))) if missing > 0 and rank > 2 else mask
