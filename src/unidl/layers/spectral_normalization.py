"""Spectral normalization of another layer's weight."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.errors import OpError
from unidl.layers.wrappers import Wrapper

__all__ = ["SpectralNormalization"]


class SpectralNormalization(Wrapper):
    """`layer` with a weight whose largest singular value is kept near 1 (Miyato et al., arXiv:1802.05957).

    In training, each call divides the weight, seen as a matrix (everything, last dimension), by an estimate of that
    value, which steps of the power method improve. The gradient takes the new weight as it is.

    Args:
        layer: a layer with a `kernel` or `embeddings`.
        power_iterations: steps for each call.

    Weights: those of the layer, and vector_u (1, last dimension), the state of the power method.

    Example:
        >>> import numpy as np
        >>> from unidl import layers, ops
        >>> dense = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="ones"), power_iterations=5)
        >>> x = np.ones((1, 12), "float32")
        >>> print(ops.convert_to_numpy(ops.round(dense(x, training=True), 3)))
        [[2. 2. 2.]]
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if not isinstance(power_iterations, int) or power_iterations <= 0:
            raise ValueError(
                "SpectralNormalization: `power_iterations` should be greater than zero, an int, "
                f"not {power_iterations!r}."
            )
        self.power_iterations = power_iterations
        self.kernel: Any = None

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        from unidl.initializers import TruncatedNormal

        weight = self.kernel = self._weight()
        self.vector_u = self.add_weight(
            (1, active.shape(weight)[-1]),
            TruncatedNormal(stddev=0.02),
            active.dtype(weight),
            trainable=False,
            autocast=False,
            name="vector_u",
        )

    def _weight(self) -> Any:
        """The variable to normalize."""
        for name in ("kernel", "embeddings"):
            if (weight := getattr(self.layer, name, None)) is not None:
                if not isinstance(weight, active.Variable):
                    raise OpError(
                        f"the `{name}` of {self.layer.path!r} is computed (by LoRA?): only variables are normalized."
                    )
                return weight
        raise OpError(
            f"the {type(self.layer).__name__} object has no attribute 'kernel' nor 'embeddings' to normalize."
        )

    def _stored(self) -> list[Any]:
        return [self.kernel, self.vector_u]  # as in Keras, the weight is among the layer's own

    def call(self, inputs: Any, training: Any = False) -> Any:
        if training:
            vector, weight = self.normalized_weights()
            self.vector_u.assign(vector)
            self.kernel.assign(weight)
        return self.layer(inputs)

    def normalized_weights(self) -> tuple[Any, Any]:
        """The next `vector_u`, and the weight divided by its largest singular value."""
        weight = self.kernel
        shape = tuple(active.shape(weight))
        fixed = ops.stop_gradient(weight)
        matrix = ops.reshape(fixed, (-1, shape[-1]))
        old = vector = ops.stop_gradient(self.vector_u)
        for _ in range(self.power_iterations):
            other = _unit(ops.matmul(vector, ops.transpose(matrix)))
            vector = _unit(ops.matmul(other, matrix))
        value = ops.sum(ops.multiply(ops.matmul(other, matrix), vector))
        # A weight of zeros has no direction: it stays as it is.
        nothing = ops.all(ops.equal(fixed, 0.0))
        change = ops.subtract(ops.divide(fixed, ops.where(nothing, 1.0, value)), fixed)
        return ops.where(nothing, old, vector), ops.add(weight, change)


def _unit(x: Any) -> Any:
    return ops.multiply(x, ops.rsqrt(ops.maximum(ops.sum(ops.square(x)), 1e-12)))
