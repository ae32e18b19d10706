"""Transposed convolutions."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers._common import weight_settings
from unidl.layers.convolutional import _checked_filters, _Convolution

__all__ = [
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Convolution1DTranspose", "Convolution2DTranspose",
    "Convolution3DTranspose",
]  # fmt: skip


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        _checked_filters(self, filters)
        self.filters = filters
        self.kernel: Any = None
        weights = weight_settings(locals())
        self._settings(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, weights)
        n = self.spatial
        self.output_padding = (output_padding,) * n if isinstance(output_padding, int) else output_padding
        if self.output_padding is not None:
            self.output_padding = tuple(self.output_padding)
            if len(self.output_padding) != n or any(
                o >= s for o, s in zip(self.output_padding, self.strides, strict=True)
            ):
                raise ValueError(
                    f"{type(self).__name__}: `output_padding` {output_padding!r} must be {n} ints, "
                    f"each below its stride {self.strides}."
                )

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, self.filters, channels),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self._make_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        return self._finished(
            ops.conv_transpose(
                inputs,
                self.kernel,
                self.strides,
                self.padding,
                self.output_padding,
                self.data_format,
                self.dilation_rate,
            )
        )


class Conv1DTranspose(_ConvTranspose):
    """The gradient of `Conv1D` as a layer: it makes sequences longer by `strides`.

    Args:
        output_padding: elements added at the end; None: as many as make ``time * strides`` under "same".

    Weights: kernel (kernel_size, filters, channels), bias (filters,).
    """


class Conv2DTranspose(_ConvTranspose):
    """The gradient of `Conv2D` as a layer: it makes images larger by `strides`.

    Args:
        output_padding: elements added at the end of each dimension; None: as many as make
            ``size * strides`` under "same", and ``size * strides + max(reach - strides, 0)`` under "valid".

    Weights: kernel (*kernel_size, filters, channels), bias (filters,).
    """

    spatial = 2

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


class Conv3DTranspose(_ConvTranspose):
    """The gradient of `Conv3D` as a layer; as `Conv2DTranspose`, for volumes."""

    spatial = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = (1, 1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


# Keras's other names for the same layers.
Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
