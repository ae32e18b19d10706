"""Activation functions as layers."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import activation_of, require_known, resolve, weight_settings

__all__ = ["Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class _Activation(Layer):
    """A layer whose call is an activation function."""

    supports_masking = True
    _is_activation = True


class Activation(_Activation):
    """A function applied to each element, or along the last axis (softmax).

    Args:
        activation: a name such as "relu", or a function of a tensor.
    """

    _stateless = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation_of(activation)

    def call(self, inputs: Any) -> Any:
        return inputs if self.activation is None else self.activation(inputs)


class ReLU(_Activation):
    """`max_value` from there on, `inputs` from `threshold` on, ``negative_slope * (inputs - threshold)`` below.

    Args:
        max_value: the largest output; None: unlimited.
        negative_slope: at least 0.
        threshold: at least 0.
    """

    _stateless = True

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("negative_slope", negative_slope), ("threshold", threshold), ("max_value", max_value)):
            if (value is None and name != "max_value") or (value is not None and value < 0):
                raise ValueError(f"ReLU: `{name}` must be a number of at least 0, not {value!r}.")
        self.max_value = None if max_value is None else float(max_value)
        self.negative_slope = float(negative_slope)
        self.threshold = float(threshold)

    def call(self, inputs: Any) -> Any:
        if self.threshold == 0 and self.negative_slope == 0:
            x = ops.relu(inputs)
        else:
            below = ops.multiply(ops.subtract(inputs, self.threshold), self.negative_slope)
            x = ops.where(ops.greater_equal(inputs, self.threshold), inputs, below)
        return x if self.max_value is None else ops.minimum(x, self.max_value)


class LeakyReLU(_Activation):
    """`inputs` where positive, ``negative_slope * inputs`` elsewhere."""

    _stateless = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"LeakyReLU: `negative_slope` must be a number of at least 0, not {negative_slope!r}.")
        self.negative_slope = float(negative_slope)

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, self.negative_slope)


class PReLU(_Activation):
    """`inputs` where positive, ``alpha * inputs`` elsewhere, `alpha` learned (He et al., arXiv:1502.01852).

    Args:
        shared_axes: axes along which one `alpha` serves all, e.g. [1, 2] for images.

    Weights: alpha, of the input's shape without the batch, 1 along the shared axes.
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha: Any = None
        axes = () if shared_axes is None else shared_axes if isinstance(shared_axes, (list, tuple)) else (shared_axes,)
        self.shared_axes = tuple(axes) or None
        resolve(self, **weight_settings(locals()))

    def build(self, input_shape: Any) -> None:
        shared = {a % len(input_shape) for a in self.shared_axes or ()}
        own = [i for i in range(1, len(input_shape)) if i not in shared]
        sizes = {i: require_known(input_shape, i, "elements") for i in own}
        self.alpha = self.add_weight(
            tuple(sizes.get(i, 1) for i in range(1, len(input_shape))),
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes=sizes)

    def call(self, inputs: Any) -> Any:
        return ops.subtract(ops.relu(inputs), ops.multiply(self.alpha, ops.relu(ops.negative(inputs))))


class ELU(_Activation):
    """`inputs` where positive, ``alpha * (exp(inputs) - 1)`` elsewhere (Clevert et al., arXiv:1511.07289)."""

    _stateless = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, self.alpha)


class Softmax(_Activation):
    """Exponentials divided by their sum along `axis`.

    Args:
        axis: an int, or several.

    A mask, whose shape broadcasts to that of the inputs, excludes elements: they become 0, and the others sum to 1.
    Where all are excluded all are 0.
    """

    _stateless = True

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return ops.softmax(inputs, self.axis)
        mask = ops.cast(mask, "bool")
        shape, given = tuple(inputs.shape), tuple(mask.shape)
        require(
            len(given) <= len(shape),
            f"the mask of shape {given} must not have more dimensions than the inputs of shape {shape}.",
        )
        require(
            all(m in (1, None, n) or n is None for n, m in zip(reversed(shape), reversed(given), strict=False)),
            f"the mask of shape {given} is not broadcastable to the inputs of shape {shape}.",
        )
        # A finite number: a row without any element that counts has no infinite differences.
        least = -3e4 if self.compute_dtype == "float16" else -1e9
        return ops.where(mask, ops.softmax(ops.where(mask, inputs, least), self.axis), 0.0)
