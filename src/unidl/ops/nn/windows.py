"""Convolution and pooling over 1 to 3 spatial dimensions."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import Geometry, check_window, geometry, sized, transpose_padding
from unidl.ops._declare import Tensor, TensorSpec, composite, primitive, require, same_dim


def window_output(size: int | None, window: int, stride: int, dilation: int, padding: str) -> int | None:
    """The output size of a convolution or pooling along one dimension."""
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    check_window((size,), (window,), Geometry((stride,), padding, (dilation,), True))
    return (size - (window - 1) * dilation - 1) // stride + 1


def _output(inputs: Any, window: tuple[int, ...], channels: int | None, g: Geometry) -> TensorSpec:
    dims = list(inputs.shape)
    for axis, w, s, d in zip(g.spatial, window, g.strides, g.dilation, strict=True):
        dims[axis] = window_output(dims[axis], w, s, d, g.padding)
    dims[g.channel] = channels
    return TensorSpec(tuple(dims), inputs.dtype)


@primitive(promote="inputs kernel")
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
        strides, dilation_rate: an int or one for each spatial dimension; only one of them over 1.
        padding: "valid", or "same" (output size ``ceil(size / stride)``, the odd element after).
        data_format: "channels_last" or "channels_first"; None: the configured default.
    """
    n = len(inputs.shape) - 2
    g = geometry(n, strides, padding, dilation_rate, data_format)
    require(
        len(kernel.shape) == n + 2, f"`kernel` needs {n + 2} dimensions for inputs of {n + 2}, not {len(kernel.shape)}."
    )
    channels, per_group, filters = inputs.shape[g.channel], kernel.shape[-2], kernel.shape[-1]
    if channels is not None and per_group and filters is not None:
        require(
            channels % per_group == 0 and filters % (channels // per_group) == 0,
            f"inputs have {channels} channels, but the kernel {list(kernel.shape)} takes {per_group} "
            f"and makes {filters}.",
        )
    return _output(inputs, tuple(kernel.shape[:-2]), filters, g)


@primitive(promote="inputs kernel")
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
    """
    n = len(inputs.shape) - 2
    g = geometry(n, strides, padding, dilation_rate, data_format)
    require(len(kernel.shape) == n + 2, f"`kernel` needs {n + 2} dimensions, not {len(kernel.shape)}.")
    same_dim(inputs.shape[g.channel], kernel.shape[-2], "channels of inputs and kernel")
    return _output(inputs, tuple(kernel.shape[:-2]), kernel.shape[-2] * kernel.shape[-1], g)


@primitive(promote="inputs kernel")
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
        output_padding: None, an int, or one for each spatial dimension: elements added at the end.

    Along a dimension of size n the output has ``n * stride`` elements under "same", and
    ``n * stride + max(reach - stride, 0)`` under "valid", with ``reach = (window - 1) * dilation + 1``.
    The output element o receives input i through window place k where ``o + before = i * stride + k * dilation``.
    """
    n = len(inputs.shape) - 2
    g = geometry(n, 1, padding, dilation_rate, data_format)._replace(strides=sized(strides, n, "strides"))
    require(len(kernel.shape) == n + 2, f"`kernel` needs {n + 2} dimensions, not {len(kernel.shape)}.")
    same_dim(inputs.shape[g.channel], kernel.shape[-1], "channels of inputs and kernel")
    dims = list(inputs.shape)
    extra = (
        (None,) * n
        if output_padding is None
        else (output_padding,) * n
        if isinstance(output_padding, int)
        else tuple(output_padding)
    )
    for axis, w, s, d, o in zip(g.spatial, kernel.shape[:-2], g.strides, g.dilation, extra, strict=True):
        size = dims[axis]
        if size is not None:
            dims[axis] = (size - 1) * s + (w - 1) * d + 1 - sum(transpose_padding(w, s, d, g.padding, o))
    dims[g.channel] = kernel.shape[-2]
    return TensorSpec(tuple(dims), inputs.dtype)


def _pooled(inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> TensorSpec:
    n = len(inputs.shape) - 2
    g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
    return _output(inputs, sized(pool_size, n, "pool_size"), inputs.shape[g.channel], g)


@primitive
def max_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The largest element of each window; padding never wins.

    Args:
        inputs: as in `conv`.
        pool_size: an int or one for each spatial dimension.
        strides: likewise; None: `pool_size`.
    """
    return _pooled(inputs, pool_size, strides, padding, data_format)


@primitive(floating=True)
def average_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """The mean of each window, over the elements that lie inside the input. Arguments as in `max_pool`."""
    return _pooled(inputs, pool_size, strides, padding, data_format)


@composite(promote="inputs kernel bias")
def conv_bias(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """`conv` plus a bias for each filter: one call of a native kernel where there is one."""
    g = geometry(len(inputs.shape) - 2, strides, padding, dilation_rate, data_format)
    shape = [1] * len(inputs.shape)
    shape[g.channel] = -1
    return ops.add(conv(inputs, kernel, strides, padding, data_format, dilation_rate), ops.reshape(bias, tuple(shape)))


__all__ = ["conv", "depthwise_conv", "conv_transpose", "max_pool", "average_pool", "conv_bias"]
