"""Convolutions of each channel by itself, alone or followed by a mixing of channels."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers._common import weight_settings
from unidl.layers.convolutional import _checked_filters, _Convolution

__all__ = [
    "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D",
    "SeparableConvolution2D",
]  # fmt: skip


def _checked_multiplier(layer: Any, value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"{type(layer).__name__}: `depth_multiplier` must be a positive int, not {value!r}.")
    return value


class _Depthwise(_Convolution):
    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = _checked_multiplier(self, depth_multiplier)
        self.kernel: Any = None
        weights = weight_settings(locals())
        self._settings(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, weights)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            name="kernel",
        )
        self._make_bias(channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        return self._finished(
            ops.depthwise_conv(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        )


class DepthwiseConv1D(_Depthwise):
    """Convolution of each channel along time by itself, with `depth_multiplier` filters for each.

    (batch, time, channels) to (batch, time', channels * depth_multiplier).
    Arguments as in `Conv1D`.

    Weights: kernel (kernel_size, channels, depth_multiplier), bias (channels * depth_multiplier,).
    """


class DepthwiseConv2D(_Depthwise):
    """Convolution of each channel of an image by itself; as `DepthwiseConv1D`, for two dimensions."""

    spatial = 2

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, depth_multiplier, data_format, dilation_rate, activation, use_bias,
            depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer, activity_regularizer,
            depthwise_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


class _Separable(_Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        _checked_filters(self, filters)
        self.filters = filters
        self.depth_multiplier = _checked_multiplier(self, depth_multiplier)
        self.depthwise_kernel: Any = None
        self.pointwise_kernel: Any = None
        weights = weight_settings(locals())
        self._settings(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, weights)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            name="depthwise_kernel",
        )
        self.pointwise_kernel = self.add_weight(
            (*(1,) * self.spatial, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
            name="pointwise_kernel",
        )
        self._make_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        x = ops.depthwise_conv(
            inputs, self.depthwise_kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )
        return self._finished(ops.conv(x, self.pointwise_kernel, 1, "valid", self.data_format))


class SeparableConv1D(_Separable):
    """A depthwise convolution along time, then one of window 1 that mixes the channels (Chollet, arXiv:1610.02357).

    Weights: depthwise_kernel (kernel_size, channels, depth_multiplier),
    pointwise_kernel (1, channels * depth_multiplier, filters), bias (filters,).
    """


class SeparableConv2D(_Separable):
    """As `SeparableConv1D`, for images."""

    spatial = 2

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier, activation, use_bias,
            depthwise_initializer, pointwise_initializer, bias_initializer, depthwise_regularizer,
            pointwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint, pointwise_constraint,
            bias_constraint, **kwargs,
        )  # fmt: skip


# Keras's other names for the same layers.
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
