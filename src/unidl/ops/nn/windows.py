"""Convolution over 1 to 3 spatial dimensions."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import Geometry, check_window, geometry, output_paddings, sized, transpose_padding
from unidl.ops._declare import Tensor, TensorSpec, composite, need_dtype, need_rank, primitive, require, same_dim


def window_output(size: int | None, window: int, stride: int, dilation: int, padding: str) -> int | None:
    """The output size of a convolution or pooling along one dimension."""
    check_window((size,), (window,), Geometry((stride,), padding, (dilation,), True))
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    return (size - (window - 1) * dilation - 1) // stride + 1


def windows_spec(inputs: Any, window: tuple[int, ...], channels: int | None, g: Geometry) -> TensorSpec:
    """The spec of windows that slide over `inputs`."""
    dims = list(inputs.shape)
    for axis, w, s, d in zip(g.spatial, window, g.strides, g.dilation, strict=True):
        dims[axis] = window_output(dims[axis], w, s, d, g.padding)
    dims[g.channel] = channels
    return TensorSpec(tuple(dims), inputs.dtype)


def _checked(inputs: Any, kernel: Any, what: str = "kernel") -> int:
    """The number of spatial dimensions of a convolution's inputs and kernel."""
    need_rank(inputs, "inputs", 3, 5)
    n = len(inputs.shape) - 2
    need_rank(kernel, what, n + 2, n + 2)
    need_dtype(inputs, "inputs", "floating")
    require(
        0 not in kernel.shape and None not in kernel.shape,
        f"`{what}` has shape {list(kernel.shape)}: every size must be known and positive.",
    )
    return n


@primitive(promote="inputs kernel", floating=True, checked=True)
def conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Convolution (cross-correlation) over 1 to 3 spatial dimensions, with groups.

    Args:
        inputs: (batch, *spatial, channels), or (batch, channels, *spatial) for "channels_first".
        kernel: (*window, channels / groups, filters); the number of groups follows from the shapes.
        strides, dilation_rate: an int or one for each spatial dimension.
        padding: "valid", or "same" (output size ``ceil(size / stride)``, the odd element after).
        data_format: "channels_last" or "channels_first"; None: the configured default.

    Raises:
        OpError: if the channels do not fit, or a "valid" window is larger than the input.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([1.0, 2.0, 4.0, 8.0], (1, 4, 1))
        >>> print(ops.convert_to_numpy(ops.ravel(ops.conv(x, ops.ones((2, 1, 1))))))
        [ 3.  6. 12.]
    """
    n = _checked(inputs, kernel)
    g = geometry(n, strides, padding, dilation_rate, data_format)
    channels, per_group, filters = inputs.shape[g.channel], kernel.shape[-2], kernel.shape[-1]
    if channels is not None:
        require(
            channels > 0 and channels % per_group == 0 and filters % (channels // per_group) == 0,
            f"`inputs` have {channels} channels, but `kernel` {list(kernel.shape)} takes {per_group} "
            f"and makes {filters}.",
        )
    return windows_spec(inputs, tuple(kernel.shape[:-2]), filters, g)


@primitive(promote="inputs kernel", floating=True, checked=True)
def depthwise_conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Convolution of each channel by itself with `multiplier` filters.

    Args:
        kernel: (*window, channels, multiplier). Output channel ``c * multiplier + m`` is filter m
            of channel c. The rest is as in `conv`.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([1.0, 2.0, 4.0, 8.0], (1, 2, 2))
        >>> kernel = ops.reshape([1.0, 10.0], (1, 2, 1))
        >>> print(ops.convert_to_numpy(ops.depthwise_conv(x, kernel)[0]))
        [[ 1. 20.]
         [ 4. 80.]]
    """
    n = _checked(inputs, kernel)
    g = geometry(n, strides, padding, dilation_rate, data_format)
    same_dim(inputs.shape[g.channel], kernel.shape[-2], "channels of `inputs` and `kernel`")
    return windows_spec(inputs, tuple(kernel.shape[:-2]), kernel.shape[-2] * kernel.shape[-1], g)


@composite(promote="inputs depthwise_kernel pointwise_kernel", floating=True)
def separable_conv(
    inputs: Tensor,
    depthwise_kernel: Tensor,
    pointwise_kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """`depthwise_conv`, then a convolution with windows of one element that mixes the channels.

    Args:
        depthwise_kernel: (*window, channels, multiplier).
        pointwise_kernel: (*ones, channels * multiplier, filters). The rest is as in `conv`.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([1.0, 2.0, 4.0, 8.0], (1, 2, 2))
        >>> out = ops.separable_conv(x, ops.ones((1, 2, 1)), ops.ones((1, 2, 1)))
        >>> print(ops.convert_to_numpy(ops.ravel(out)))
        [ 3. 12.]
    """
    n = _checked(inputs, depthwise_kernel, "depthwise_kernel")
    need_rank(pointwise_kernel, "pointwise_kernel", n + 2, n + 2)
    *ones, channels, _ = pointwise_kernel.shape
    *_, single, multiplier = depthwise_kernel.shape
    require(
        all(d == 1 for d in ones) and channels == single * multiplier,
        f"`pointwise_kernel` has shape {list(pointwise_kernel.shape)}; windows of one element and "
        f"{single} * {multiplier} input channels are expected.",
    )
    apart = ops.depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return ops.conv(apart, pointwise_kernel, 1, "valid", data_format, 1)


@primitive(promote="inputs kernel", floating=True, checked=True)
def conv_transpose(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Transposed convolution: the gradient of `conv` with respect to its inputs.

    Args:
        kernel: (*window, filters, channels of the inputs).
        output_padding: None, an int, or one for each spatial dimension: elements added at the end,
            fewer than the stride.

    Along a dimension of size n the output has ``n * stride`` elements under "same", and
    ``n * stride + max(reach - stride, 0)`` under "valid", with ``reach = (window - 1) * dilation + 1``.
    The output element o receives input i through window place k where ``o + before = i * stride + k * dilation``.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([1.0, 2.0], (1, 2, 1))
        >>> kernel = ops.reshape([1.0, 10.0, 100.0], (3, 1, 1))
        >>> print(ops.convert_to_numpy(ops.ravel(ops.conv_transpose(x, kernel, strides=2))))
        [  1.  10. 102.  20. 200.]
    """
    n = _checked(inputs, kernel)
    g = geometry(n, 1, padding, dilation_rate, data_format)._replace(strides=sized(strides, n, "strides"))
    same_dim(inputs.shape[g.channel], kernel.shape[-1], "channels of `inputs` and `kernel`")
    dims = list(inputs.shape)
    extra = output_paddings(output_padding, n)
    for axis, w, s, d, o in zip(g.spatial, kernel.shape[:-2], g.strides, g.dilation, extra, strict=True):
        size = dims[axis]
        require(size != 0, f"`inputs` have no elements along dimension {axis}.")
        cut = sum(transpose_padding(w, s, d, g.padding, o))
        if size is not None:
            dims[axis] = (size - 1) * s + (w - 1) * d + 1 - cut
            require(dims[axis] > 0, f"the output would have {dims[axis]} elements along dimension {axis}.")
    dims[g.channel] = kernel.shape[-2]
    return TensorSpec(tuple(dims), inputs.dtype)


@composite(promote="inputs kernel bias", floating=True, checked=True)
def conv_bias(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """`conv` plus a bias for each filter: one call of a native kernel where there is one.

    Example:
        >>> from unidl import ops
        >>> x = ops.reshape([1.0, 2.0, 4.0], (1, 3, 1))
        >>> print(ops.convert_to_numpy(ops.ravel(ops.conv_bias(x, ops.ones((1, 1, 1)), ops.array([10.0])))))
        [11. 12. 14.]
    """
    g = geometry(_checked(inputs, kernel), strides, padding, dilation_rate, data_format)
    need_rank(bias, "bias", 1, 1)
    same_dim(bias.shape[0], kernel.shape[-1], "filters of `bias` and `kernel`")
    shape = [1] * len(inputs.shape)
    shape[g.channel] = -1
    return ops.add(conv(inputs, kernel, strides, padding, data_format, dilation_rate), ops.reshape(bias, tuple(shape)))


__all__ = ["conv", "depthwise_conv", "separable_conv", "conv_transpose", "conv_bias"]
