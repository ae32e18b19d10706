"""Convolutions over one to three spatial dimensions."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import require, sized
from unidl.config import checked_data_format
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import activation_of, require_known, require_rank, resolve, weight_settings
from unidl.layers._lora import LowRank

__all__ = ["Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D"]


class _Convolution(Layer):
    """The attributes, checks and bias that all convolutions over `spatial` dimensions share."""

    spatial = 1
    paddings: tuple[str, ...] = ("valid", "same")

    def _settings(
        self,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        arguments: dict[str, Any],
    ) -> None:
        n = self.spatial
        self.kernel_size = sized(kernel_size, n, "kernel_size")
        self.strides = sized(strides, n, "strides")
        self.dilation_rate = sized(dilation_rate, n, "dilation_rate")
        self.padding = str(padding).lower()
        if self.padding not in self.paddings:
            raise ValueError(f"{type(self).__name__}: `padding` must be one of {self.paddings}, not {padding!r}.")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{type(self).__name__}: strides {self.strides} and dilation {self.dilation_rate} cannot both exceed 1."
            )
        self.data_format = checked_data_format(data_format)
        self.activation = activation_of(activation)
        self.use_bias = use_bias
        self.bias: Any = None
        resolve(self, **arguments)
        self.input_spec = InputSpec(ndim=n + 2)

    def _channels(self, input_shape: Any) -> int:
        n = self.spatial
        last = self.data_format == "channels_last"
        require_rank(
            input_shape, n + 2, f"(batch, {n} spatial, channels)" if last else f"(batch, channels, {n} spatial)"
        )
        axis = -1 if last else 1
        channels = require_known(input_shape, axis, "channels")
        self.input_spec = InputSpec(ndim=n + 2, axes={axis: channels})
        return channels

    def _make_bias(self, filters: int) -> None:
        if self.use_bias:
            self.bias = self.add_weight(
                (filters,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
            vector = [1] * (self.spatial + 2)
            vector[-1 if self.data_format == "channels_last" else 1] = filters
            self._bias_shape = tuple(vector)

    def _finished(self, x: Any) -> Any:
        """`x` with the bias and the activation."""
        if self.bias is not None:
            x = ops.add(x, ops.reshape(self.bias, self._bias_shape))
        return self._activated(self.activation, x)


def _checked_filters(layer: Any, filters: Any, groups: Any = 1) -> None:
    if not isinstance(filters, int) or filters <= 0 or not isinstance(groups, int) or groups <= 0 or filters % groups:
        raise ValueError(
            f"{type(layer).__name__}: `filters` must be a positive int that `groups` divides, "
            f"not {filters!r} and {groups!r}."
        )


class _Conv(_Convolution, LowRank):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        _checked_filters(self, filters, groups)
        self.filters = filters
        self.groups = groups
        weights = weight_settings(locals())
        self._settings(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, weights)
        self._set_lora(lora_rank, lora_alpha)
        # Bias and convolution are one op, unless a subclass has its own convolution.
        usual = (_Conv.convolution_op, Conv1D.convolution_op)
        self._own_op = self.padding == "causal" or type(self).convolution_op not in usual

    @property
    def kernel(self) -> Any:
        """The weight of the windows, with LoRA's product; None before `build`."""
        return self._effective()

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        require(
            channels % self.groups == 0,
            f"{self.groups} groups do not divide the {channels} channels of an input of shape {tuple(input_shape)}.",
        )
        self._add_main(
            (*self.kernel_size, channels // self.groups, self.filters),
            self.kernel_initializer,
            self.kernel_regularizer,
            self.kernel_constraint,
        )
        self._make_bias(self.filters)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution with `kernel`, without bias and activation; for subclasses to change."""
        return ops.conv(inputs, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)

    def call(self, inputs: Any) -> Any:
        kernel = self._kernel if self._factors is None else self.kernel
        if self.bias is None or self._own_op:
            return self._finished(self.convolution_op(inputs, kernel))
        x = ops.conv_bias(inputs, kernel, self.bias, self.strides, self.padding, self.data_format, self.dilation_rate)
        return self._activated(self.activation, x)


class Conv1D(_Conv):
    """Convolution along time: (batch, time, channels) to (batch, time', filters).

    Args:
        filters: number of output channels.
        kernel_size: window, in steps.
        strides, dilation_rate: distances of windows and of their elements; only one may exceed 1.
        padding: "valid", "same" (time' is ``ceil(time / strides)``), or "causal" (an output sees no later input).
        data_format: "channels_last" or "channels_first" ((batch, channels, time)).
        groups: channels are split into so many groups, convolved apart.
        activation: function or name; None: none.

    Weights: kernel (kernel_size, channels / groups, filters), bias (filters,).
    """

    paddings = ("valid", "same", "causal")

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution with `kernel`, without bias and activation; for subclasses to change."""
        if self.padding != "causal":
            return super().convolution_op(inputs, kernel)
        before = ((self.kernel_size[0] - 1) * self.dilation_rate[0], 0)
        pairs = ((0, 0), before, (0, 0)) if self.data_format == "channels_last" else ((0, 0), (0, 0), before)
        return ops.conv(ops.pad(inputs, pairs), kernel, self.strides, "valid", self.data_format, self.dilation_rate)


class Conv2D(_Conv):
    """Convolution of images: (batch, height, width, channels) to (batch, height', width', filters).

    Arguments as in `Conv1D` without "causal", for two dimensions.

    Weights: kernel (*kernel_size, channels / groups, filters), bias (filters,).
    """

    spatial = 2

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
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
            filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


class Conv3D(_Conv):
    """Convolution of volumes: (batch, depth, height, width, channels) to (batch, …, filters).

    Arguments and weights as in `Conv2D`, for three dimensions.
    """

    spatial = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1, 1),
        groups: int = 1,
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
            filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs,
        )  # fmt: skip


# Keras's other names for the same layers.
Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
