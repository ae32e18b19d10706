"""Layers whose work is one product: Dense and Embedding."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.dtypes import INTEGERS
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import activation_of, require_known, resolve

__all__ = ["Dense", "Embedding"]

# What `x.dtype` is for tensors of integers, native or symbolic.
_INTEGER_DTYPES = frozenset([*INTEGERS, *(active.dtypes[name] for name in INTEGERS if name in active.dtypes)])


def refuse(layer: str, **arguments: Any) -> None:
    """Refuse arguments that Keras has and unidl has not."""
    for name, value in arguments.items():
        if value:
            raise ValueError(f"{layer}({name}={value!r}): unidl has no such variant; leave `{name}` out.")


class Dense(Layer):
    """``activation(inputs @ kernel + bias)`` along the last axis: (batch, …, features) to (batch, …, units).

    Args:
        units: size of the output.
        activation: function or name; None: none.
        use_bias: whether to add a bias.

    Weights: kernel (features, units), bias (units,).
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse("Dense", lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(f"Dense: `units` must be a positive int, not {units!r}.")
        self.units = units
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.kernel: Any = None
        self.bias: Any = None
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

    def build(self, input_shape: Any) -> None:
        features = require_known(input_shape, -1)
        self.kernel = self.add_weight(
            (features, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs: Any) -> Any:
        x = ops.linear(inputs, self.kernel, self.bias)
        return x if self.activation is None else self.activation(x)


class Embedding(Layer):
    """A vector for each integer from 0 to ``input_dim - 1``: (batch, …) to (batch, …, output_dim).

    Args:
        input_dim: how many integers there are.
        output_dim: size of the vectors.
        mask_zero: whether 0 means padding, which later layers then leave out.
        weights: a list of one array (input_dim, output_dim) to start from.

    Weights: embeddings (input_dim, output_dim).
    """

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
        refuse("Embedding", lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.mask_zero = mask_zero
        self.makes_mask = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False  # its inputs are integers, in whatever dtype they come
        self.embeddings: Any = None
        self._start = weights
        resolve(
            self,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
        )

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )
        if self._start is not None:
            self.set_weights(list(self._start) if isinstance(self._start, (list, tuple)) else [self._start])
            self._start = None

    def call(self, inputs: Any) -> Any:
        if inputs.dtype not in _INTEGER_DTYPES:
            inputs = ops.cast(inputs, "int32")
        return ops.take(self.embeddings, inputs, 0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": None}
