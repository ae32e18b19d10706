"""Dense: one product along the last axis."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers._base import InputSpec
from unidl.layers._common import activation_of, positive, require_known, resolve, weight_settings
from unidl.layers._lora import LowRank

__all__ = ["Dense"]


class Dense(LowRank):
    """``activation(inputs @ kernel + bias)`` along the last axis: (batch, …, features) to (batch, …, units).

    Args:
        units: size of the output.
        activation: function or name; None: none.
        use_bias: whether to add a bias.
        lora_rank, lora_alpha: train a product of this rank beside a frozen kernel; see `enable_lora`.

    Weights: kernel (features, units), bias (units,).

    Example:
        >>> import unidl
        >>> layer = unidl.layers.Dense(3, activation="relu")
        >>> tuple(layer(unidl.ops.ones((2, 5))).shape), tuple(layer.kernel.shape)
        ((2, 3), (5, 3))
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
        self.units = positive(self, "units", units)
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.bias: Any = None
        self.supports_masking = True
        resolve(self, **weight_settings(locals()))
        self._set_lora(lora_rank, lora_alpha, quantization_config)

    @property
    def kernel(self) -> Any:
        """The weight that inputs are multiplied by, with LoRA's product; None before `build`."""
        return self._effective()

    def build(self, input_shape: Any) -> None:
        features = require_known(input_shape, -1)
        self._add_main((features, self.units), self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint)
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
        x = ops.linear(inputs, self._kernel, self.bias)
        if self._factors is not None:
            # The thin products are cheaper than the effective kernel, and so are their gradients.
            a, b = self._lora_factors(x)
            x = ops.add(x, ops.multiply(ops.matmul(ops.matmul(inputs, a), b), self._lora_scale))
        return self._activated(self.activation, x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*tuple(input_shape)[:-1], self.units)
