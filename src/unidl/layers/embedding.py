"""Embeddings: vectors for integers, and back."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.dtypes import INTEGERS
from unidl.layers._base import InputSpec
from unidl.layers._common import positive, resolve, weight_settings
from unidl.layers._lora import LowRank

__all__ = ["Embedding", "ReversibleEmbedding"]

# What `x.dtype` is for tensors of integers, native or symbolic.
_INTEGER_DTYPES = frozenset([*INTEGERS, *(active.dtypes[name] for name in INTEGERS if name in active.dtypes)])


class Embedding(LowRank):
    """A vector for each integer from 0 to ``input_dim - 1``: (batch, …) to (batch, …, output_dim).

    Args:
        input_dim: how many integers there are.
        output_dim: size of the vectors.
        mask_zero: whether 0 means padding, which later layers then leave out.
        weights: an array (input_dim, output_dim) to start from, or a list of it; the layer is built at once.
        lora_rank, lora_alpha: train a product of this rank beside frozen embeddings; see `enable_lora`.

    Weights: embeddings (input_dim, output_dim).

    Example:
        >>> import numpy as np, unidl
        >>> layer = unidl.layers.Embedding(3, 2, weights=np.array([[0, 0], [1, 2], [3, 4]]))
        >>> print(unidl.ops.convert_to_numpy(layer(np.array([[2, 1]]))))
        [[[3. 4.]
          [1. 2.]]]
    """

    _main_name = "embeddings"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        length = kwargs.pop("input_length", None)
        if length is not None and "input_shape" not in kwargs:
            kwargs["input_shape"] = (length,)
        super().__init__(**kwargs)
        self.input_dim = positive(self, "input_dim", input_dim)
        self.output_dim = positive(self, "output_dim", output_dim)
        self.mask_zero = mask_zero
        self.makes_mask = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False  # its inputs are integers, in whatever dtype they come
        resolve(self, **weight_settings(locals()))
        self._set_lora(lora_rank, lora_alpha, quantization_config)
        if weights is not None:
            self.build()
            value = weights[0] if isinstance(weights, (list, tuple)) and len(weights) == 1 else weights
            self._embeddings.assign(value)

    @property
    def embeddings(self) -> Any:
        """The vectors, with LoRA's product; None before `build`."""
        return self._effective()

    def build(self, input_shape: Any = None) -> None:
        self._add_main(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            self.embeddings_regularizer,
            self.embeddings_constraint,
        )

    def call(self, inputs: Any) -> Any:
        if inputs.dtype not in _INTEGER_DTYPES:
            inputs = ops.cast(inputs, "int32")
        vectors = ops.take(self._embeddings, inputs, 0)
        if self._factors is None:
            return vectors
        a, b = self._lora_factors(vectors)
        return ops.add(vectors, ops.multiply(ops.matmul(ops.take(a, inputs, 0), b), self._lora_scale))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*tuple(input_shape), self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": None}


class ReversibleEmbedding(Embedding):
    """An `Embedding` that also maps vectors back to scores of the integers.

    ``layer(tokens)`` is (batch, …) to (batch, …, output_dim); ``layer(vectors, reverse=True)`` is
    (batch, …, output_dim) to (batch, …, input_dim).

    Args:
        input_dim, output_dim, mask_zero: as in `Embedding`.
        tie_weights: whether the way back uses the embeddings (Press and Wolf, arXiv:1608.05859), or a weight of its
            own.
        reverse_dtype: dtype in which scores are computed; None: that of the layer.
        logit_soft_cap: scores s become ``cap * tanh(s / cap)``; None: as they are.

    Weights: embeddings (input_dim, output_dim), and reverse_embeddings (output_dim, input_dim) unless tied.

    Example:
        >>> import numpy as np, unidl
        >>> layer = unidl.layers.ReversibleEmbedding(5, 3)
        >>> vectors = layer(np.array([[1, 4]]))
        >>> tuple(vectors.shape), tuple(layer(vectors, reverse=True).shape)
        ((1, 2, 3), (1, 2, 5))
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        if logit_soft_cap is not None and not logit_soft_cap > 0:
            raise ValueError(f"ReversibleEmbedding: `logit_soft_cap` must be positive or None, not {logit_soft_cap!r}.")
        self.logit_soft_cap = logit_soft_cap
        self.reverse_embeddings: Any = None
        self.input_spec: InputSpec | None = None

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                (self.output_dim, self.input_dim), self.embeddings_initializer, name="reverse_embeddings"
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            return super().call(inputs)
        kernel = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        # Inputs are not cast on the way in, because they may be integers.
        dtype = self.compute_dtype if self.reverse_dtype is None else self.reverse_dtype
        inputs, kernel = ops.cast(inputs, dtype), ops.cast(kernel, dtype)
        scores = ops.matmul(inputs, kernel)
        cap = self.logit_soft_cap
        return scores if cap is None else ops.multiply(ops.tanh(ops.divide(scores, cap)), cap)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """A mask for integers only: scores have none."""
        return super().compute_mask(inputs) if inputs.dtype in _INTEGER_DTYPES else None

    def compute_output_shape(self, input_shape: Any, reverse: bool = False) -> Any:
        shape = tuple(input_shape)
        return (*shape[:-1], self.input_dim) if reverse else (*shape, self.output_dim)
