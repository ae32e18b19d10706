"""Normalization: over the batch, over features, over groups of channels."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.config import epsilon as fuzz
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import refuse, require_known, resolve
from unidl.ops._declare import axis_index

__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization"]


class _Normalization(Layer):
    """What makes `gamma` and `beta`."""

    gamma: Any
    beta: Any

    def _settings(self, center: bool, scale: bool, arguments: dict[str, Any]) -> None:
        self.center = center
        self.scale = scale
        self.gamma = None
        self.beta = None
        self.supports_masking = True
        resolve(self, **arguments)

    def _affine(self, shape: tuple[int, ...]) -> None:
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                name="gamma",
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                name="beta",
            )


class BatchNormalization(_Normalization):
    """Mean 0 and variance 1 of each feature over the batch, times `gamma` plus `beta`.

    (Ioffe & Szegedy, arXiv:1502.03167.) In training, while the layer is trainable, with the batch's
    own moments, which also move the averages ``moving = moving * momentum + batch * (1 - momentum)``;
    otherwise with those averages. Masked elements do not count towards the moments.

    Args:
        axis: the features' axis.
        momentum: of the moving averages.
        epsilon: added to the variance.
        center, scale: whether there is a `beta`, a `gamma`.

    Weights: gamma, beta, moving_mean, moving_variance, each (features,).
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse("BatchNormalization", renorm=renorm, renorm_clipping=renorm_clipping, synchronized=synchronized)
        self.axis = axis
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.moving_mean: Any = None
        self.moving_variance: Any = None
        self._settings(
            center,
            scale,
            dict(
                beta_initializer=beta_initializer,
                gamma_initializer=gamma_initializer,
                moving_mean_initializer=moving_mean_initializer,
                moving_variance_initializer=moving_variance_initializer,
                beta_regularizer=beta_regularizer,
                gamma_regularizer=gamma_regularizer,
                beta_constraint=beta_constraint,
                gamma_constraint=gamma_constraint,
            ),
        )

    def build(self, input_shape: Any) -> None:
        features = require_known(input_shape, self.axis)
        self._affine((features,))
        self.moving_mean = self.add_weight(
            (features,), self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            (features,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        self.input_spec = InputSpec(min_ndim=2, axes={self.axis: features})

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not training or not self._trainable:
            return ops.batch_normalization(
                inputs, self.moving_mean, self.moving_variance, self.axis, self.beta, self.gamma, self.epsilon
            )
        if mask is None:
            result, mean, variance = ops.batch_normalization_training(
                inputs, self.axis, self.beta, self.gamma, self.epsilon
            )
        else:
            mean, variance = self._masked_moments(inputs, mask)
            result = ops.batch_normalization(inputs, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)
            mean, variance = ops.stop_gradient(mean), ops.stop_gradient(variance)
        kept, new = self.momentum, 1.0 - self.momentum
        self.moving_mean.assign(ops.add(ops.multiply(self.moving_mean, kept), ops.multiply(mean, new)))
        self.moving_variance.assign(ops.add(ops.multiply(self.moving_variance, kept), ops.multiply(variance, new)))
        return result

    def _masked_moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance of the elements that count; the fuzz factor keeps a batch of none finite."""
        rank = len(x.shape)
        a = axis_index(self.axis, rank)
        require(
            a >= len(mask.shape),
            f"a mask of {len(mask.shape)} dimensions does not leave axis {a} of the features apart.",
        )
        over = tuple(i for i in range(rank) if i != a)
        weights = ops.cast(ops.expand_dims(mask, tuple(range(len(mask.shape), rank))), self.compute_dtype)
        weights = ops.multiply(ops.ones_like(x), weights)
        count = ops.add(ops.sum(weights, over, True), fuzz())
        mean = ops.divide(ops.sum(ops.multiply(x, weights), over, True), count)
        variance = ops.divide(ops.sum(ops.multiply(ops.square(ops.subtract(x, mean)), weights), over, True), count)
        return ops.squeeze(mean, over), ops.squeeze(variance, over)


class LayerNormalization(_Normalization):
    """Mean 0 and variance 1 of each example over `axis`, times `gamma` plus `beta` (Ba et al., arXiv:1607.06450).

    Args:
        axis: an int, or several.
        epsilon: added to the variance.

    Weights: gamma, beta, of the shape of the normalized dimensions.
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon = float(epsilon)
        self._settings(
            center,
            scale,
            dict(
                beta_initializer=beta_initializer,
                gamma_initializer=gamma_initializer,
                beta_regularizer=beta_regularizer,
                gamma_regularizer=gamma_regularizer,
                beta_constraint=beta_constraint,
                gamma_constraint=gamma_constraint,
            ),
        )

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        self._axes = tuple(sorted(axis_index(a, rank) for a in axes))
        sizes = {a: require_known(input_shape, a) for a in self._axes}
        self._affine(tuple(sizes.values()))
        self.input_spec = InputSpec(ndim=rank, axes=sizes)
        # The usual case stays valid for inputs of any rank.
        if self._axes == (rank - 1,):
            self._axes = (-1,)
            self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs: Any) -> Any:
        return ops.layer_normalization(inputs, self.gamma, self.beta, self._axes, self.epsilon)


class GroupNormalization(_Normalization):
    """Mean 0 and variance 1 over each group of channels of an example (Wu & He, arXiv:1803.08494).

    Args:
        groups: how many; it must divide the number of channels. -1: one for each channel.
        axis: the channels' axis.

    Weights: gamma, beta, each (channels,).
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.groups = groups
        self.axis = axis
        self.epsilon = float(epsilon)
        self._settings(
            center,
            scale,
            dict(
                beta_initializer=beta_initializer,
                gamma_initializer=gamma_initializer,
                beta_regularizer=beta_regularizer,
                gamma_regularizer=gamma_regularizer,
                beta_constraint=beta_constraint,
                gamma_constraint=gamma_constraint,
            ),
        )

    def build(self, input_shape: Any) -> None:
        channels = require_known(input_shape, self.axis, "channels")
        self._groups = channels if self.groups == -1 else self.groups
        require(
            self._groups > 0 and channels % self._groups == 0,
            f"{self.groups} groups do not divide the {channels} channels of an input of shape {tuple(input_shape)}.",
        )
        self._affine((channels,))
        self.input_spec = InputSpec(min_ndim=2, axes={self.axis: channels})

    def call(self, inputs: Any) -> Any:
        return ops.group_normalization(inputs, self._groups, self.gamma, self.beta, self.axis, self.epsilon)
