"""Normalization of each example by itself: over features, over groups of channels."""

from __future__ import annotations

import warnings
from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import require_known, resolve, weight_settings
from unidl.ops._declare import axis_index

__all__ = ["GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"]


class _Normalization(Layer):
    """What makes `gamma` and `beta`.

    They stay in their own dtype: under a mixed policy inputs are normalized in float32.
    """

    gamma: Any
    beta: Any
    _short = False

    def _settings(self, center: bool, scale: bool, arguments: dict[str, Any]) -> None:
        self.center = center
        self.scale = scale
        self.gamma = None
        self.beta = None
        self.supports_masking = True
        self._short = self.compute_dtype in ("float16", "bfloat16") and self.variable_dtype != self.compute_dtype
        # What float16 cannot hold may come out of moderate size: inputs are taken as they are.
        self.autocast = self.autocast and not self._short
        resolve(self, **arguments)

    def _affine(self, shape: tuple[int, ...]) -> None:
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
                name="gamma",
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
                name="beta",
            )


class LayerNormalization(_Normalization):
    """Mean 0 and variance 1 of each example over `axis`, times `gamma` plus `beta` (Ba et al., arXiv:1607.06450).

    Args:
        axis: an int, or several.
        epsilon: added to the variance.
        rms_scaling: deprecated; only divide by the standard deviation, without a `beta`. `RMSNormalization` does
            what the name says.

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
        self.rms_scaling = bool(kwargs.pop("rms_scaling", False))
        super().__init__(**kwargs)
        self.axis = _checked_axis("LayerNormalization", axis)
        self.epsilon = float(epsilon)
        if self.rms_scaling:
            warnings.warn(
                "LayerNormalization(rms_scaling=True) divides by the standard deviation, and not by the root of the "
                "mean square: it is deprecated. Use RMSNormalization.",
                DeprecationWarning,
                stacklevel=2,
            )
        self._settings(center and not self.rms_scaling, scale or self.rms_scaling, weight_settings(locals()))

    def build(self, input_shape: Any) -> None:
        self._axes, sizes, self.input_spec = _features(self.axis, input_shape)
        self._affine(sizes)

    def call(self, inputs: Any) -> Any:
        if self.rms_scaling:
            return self._scaled(inputs)
        result = ops.layer_normalization(inputs, self.gamma, self.beta, self._axes, self.epsilon)
        return ops.cast(result, self.compute_dtype) if self._short else result

    def _scaled(self, x: Any) -> Any:
        x = ops.cast(x, "float32") if self._short else x
        result = ops.multiply(x, ops.rsqrt(ops.add(ops.var(x, self._axes, True), self.epsilon)))
        axes = [axis_index(a, len(x.shape)) for a in self._axes]
        sizes = iter(tuple(self.gamma.shape))
        result = ops.multiply(
            result, ops.reshape(self.gamma, [next(sizes) if i in axes else 1 for i in range(len(x.shape))])
        )
        return ops.cast(result, self.compute_dtype) if self._short else result


def _checked_axis(layer: str, axis: Any) -> Any:
    """`axis` as an int or a list of ints."""
    if isinstance(axis, (list, tuple)) and all(isinstance(a, int) for a in axis):
        return list(axis)
    if not isinstance(axis, int):
        raise TypeError(f"{layer}: `axis` must be an int or several (a list or tuple), not {axis!r}.")
    return axis


def _features(axis: Any, shape: Any) -> tuple[tuple[int, ...], tuple[int, ...], InputSpec]:
    """The axes in rising order, their sizes, and what an input must then be like."""
    rank = len(shape)
    axes = tuple(sorted(axis_index(a, rank) for a in (axis if isinstance(axis, list) else [axis])))
    sizes = {a: require_known(shape, a) for a in axes}
    if axes == (rank - 1,):  # the usual case stays valid for inputs of any rank
        return (-1,), tuple(sizes.values()), InputSpec(min_ndim=2, axes={-1: shape[-1]})
    return axes, tuple(sizes.values()), InputSpec(ndim=rank, axes=sizes)


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
        if not isinstance(groups, int) or isinstance(groups, bool) or (groups <= 0 and groups != -1):
            raise ValueError(
                "GroupNormalization: argument `groups` must be a positive int, or -1 for one channel each, "
                f"not {groups!r}."
            )
        self.groups = groups
        self.axis = axis
        self.epsilon = float(epsilon)
        self._settings(center, scale, weight_settings(locals()))

    def build(self, input_shape: Any) -> None:
        channels = require_known(input_shape, self.axis, "channels")
        self._groups = channels if self.groups == -1 else self.groups
        what = f"an input of shape {tuple(input_shape)}"
        require(
            self._groups <= channels,
            f"{self.groups} groups are more than the number of channels, {channels}, of {what}.",
        )
        require(channels % self._groups == 0, f"{self.groups} groups do not divide the {channels} channels of {what}.")
        self._affine((channels,))
        self.input_spec = InputSpec(min_ndim=2, axes={self.axis: channels})

    def call(self, inputs: Any) -> Any:
        result = ops.group_normalization(inputs, self._groups, self.gamma, self.beta, self.axis, self.epsilon)
        return ops.cast(result, self.compute_dtype) if self._short else result


class RMSNormalization(Layer):
    """``x / sqrt(mean(x ** 2) + epsilon) * scale``, the mean over `axis` (Zhang & Sennrich, arXiv:1910.07467).

    Args:
        axis: an int, or several.
        epsilon: added to the mean square.

    Weights: scale, of the shape of the normalized dimensions.
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _checked_axis("RMSNormalization", axis)
        self.epsilon = epsilon
        self.scale: Any = None

    def build(self, input_shape: Any) -> None:
        self._axes, sizes, self.input_spec = _features(self.axis, input_shape)
        self.scale = self.add_weight(sizes, "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        return ops.rms_normalization(inputs, self.scale, self._axes, self.epsilon)


class UnitNormalization(Layer):
    """Each example divided by its Euclidean length over `axis`, so that this becomes 1.

    Args:
        axis: an int, or several.

    A length of 0 stays 0.
    """

    _stateless = True

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _checked_axis("UnitNormalization", axis)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return ops.normalize(inputs, self.axis, 2, 1e-12)
