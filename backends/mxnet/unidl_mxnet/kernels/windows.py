"""Convolution and pooling. mxnet's kernels are channels-first, with the same padding on both sides."""

from __future__ import annotations

from typing import Any

from unidl_mxnet.kernels._common import FLOATS, cast_to, in_float32, noted
from unidl_mxnet.kernels.creation import zeros
from unidl_mxnet.kernels.shape import getitem, pad


def _first(F: Any, x: Any, channels_last: bool) -> Any:
    """`x` with its channels on axis 1."""
    if not channels_last:
        return x
    shape = F.shape(x)
    order = (0, len(shape) - 1, *range(1, len(shape) - 1))
    return noted(F, F._np_transpose(x, axes=order), tuple(shape[i] for i in order), F.dtype(x))


def _last(F: Any, x: Any, rank: int, channels_last: bool) -> Any:
    """The inverse of `_first`."""
    return F._np_transpose(x, axes=(0, *range(2, rank), 1)) if channels_last else x


def _kernel_first(F: Any, kernel: Any) -> Any:
    """(*window, in, out) as (out, in, *window)."""
    shape = F.shape(kernel)
    n = len(shape) - 2
    order = (n + 1, n, *range(n))
    return noted(F, F._np_transpose(kernel, axes=order), tuple(shape[i] for i in order), F.dtype(kernel))


def _padded(F: Any, x: Any, window: tuple[int, ...], g: Any, value: float = 0.0) -> tuple[Any, tuple[int, ...]]:
    """Channels-first `x` and the padding left for the kernel itself, which is symmetric."""
    from unidl.ops.windows import same_padding

    n = len(window)
    if g.padding == "valid":
        return x, (0,) * n
    sizes = F.shape(x)[2:]
    pairs = [same_padding(*p) for p in zip(sizes, window, g.strides, g.dilation, strict=True)]
    if all(a == b for a, b in pairs):
        return x, tuple(a for a, _ in pairs)
    return pad(F, x, [(0, 0), (0, 0), *pairs], "constant", value), (0,) * n


def _geometry(x: Any, F: Any, strides: Any, padding: str, dilation: Any, data_format: str | None) -> Any:
    from unidl.ops.windows import geometry

    return geometry(len(F.shape(x)) - 2, strides, padding, dilation, data_format)


def _convolve(F: Any, inputs: Any, kernel: Any, bias: Any, g: Any, groups: int) -> Any:
    """A convolution of channels-first `inputs` with a channels-first `kernel`."""
    shape, filters = F.shape(inputs), F.shape(kernel)[0]
    window = F.shape(kernel)[2:]
    if 0 in shape:
        from unidl.ops.windows import window_output

        sizes = [window_output(*p, g.padding) for p in zip(shape[2:], window, g.strides, g.dilation, strict=True)]
        return zeros(F, (shape[0], filters, *sizes), F.dtype(inputs))
    x, padding = _padded(F, inputs, window, g)
    tensors = (x, kernel) if bias is None else (x, kernel, bias)
    return F.Convolution(
        *tensors, kernel=window, stride=g.strides, dilate=g.dilation, pad=padding, num_filter=filters,
        num_group=groups, no_bias=bias is None,
    )  # fmt: skip


def _conv(F: Any, inputs: Any, kernel: Any, bias: Any, g: Any, groups: int) -> Any:
    x = _first(F, inputs, g.channels_last)
    return _last(F, _convolve(F, x, kernel, bias, g, groups), len(F.shape(inputs)), g.channels_last)


def conv(
    F: Any, inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:  # fmt: skip
    return conv_bias(F, inputs, kernel, None, strides, padding, data_format, dilation_rate)


def conv_bias(
    F: Any, inputs: Any, kernel: Any, bias: Any, strides: Any = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = 1,
) -> Any:  # fmt: skip
    if F.dtype(inputs) not in ("float32", "float64"):
        rest = (strides, padding, data_format, dilation_rate)
        tensors = (inputs, kernel) if bias is None else (inputs, kernel, bias)
        return in_float32(F, lambda x, k, *b: conv_bias(F, x, k, b[0] if b else None, *rest), *tensors)
    g = _geometry(inputs, F, strides, padding, dilation_rate, data_format)
    groups = F.shape(inputs)[g.channel] // F.shape(kernel)[-2]
    return _conv(F, inputs, _kernel_first(F, kernel), bias, g, groups)


def depthwise_conv(
    F: Any, inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:  # fmt: skip
    if F.dtype(inputs) not in ("float32", "float64"):
        rest = (strides, padding, data_format, dilation_rate)
        return in_float32(F, lambda x, k: depthwise_conv(F, x, k, *rest), inputs, kernel)
    g = _geometry(inputs, F, strides, padding, dilation_rate, data_format)
    *window, channels, multiplier = F.shape(kernel)
    n = len(window)
    filters = F._np_transpose(kernel, axes=(n, n + 1, *range(n)))
    filters = F._np_reshape(filters, newshape=(channels * multiplier, 1, *window))
    noted(F, filters, (channels * multiplier, 1, *window), F.dtype(kernel))
    return _conv(F, inputs, filters, None, g, channels)


def conv_transpose(
    F: Any, inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
    data_format: str | None = None, dilation_rate: Any = 1,
) -> Any:  # fmt: skip
    from unidl.ops.windows import sized, transpose_padding

    if F.dtype(inputs) not in ("float32", "float64"):
        rest = (strides, padding, output_padding, data_format, dilation_rate)
        return in_float32(F, lambda x, k: conv_transpose(F, x, k, *rest), inputs, kernel)
    *window, filters, _ = F.shape(kernel)
    n, rank = len(window), len(F.shape(inputs))
    g = _geometry(inputs, F, 1, padding, dilation_rate, data_format)
    steps = sized(strides, n, "strides")
    extra = output_padding if isinstance(output_padding, (tuple, list)) else (output_padding,) * n
    cuts = [
        transpose_padding(w, s, d, g.padding, o)
        for w, s, d, o in zip(window, steps, g.dilation, extra, strict=True)
    ]
    x = _first(F, inputs, g.channels_last)
    batch, _, *sizes = F.shape(x)
    full = [(z - 1) * s + (w - 1) * d + 1 for z, s, w, d in zip(sizes, steps, window, g.dilation, strict=True)]
    dtype = F.dtype(inputs)
    if 0 in F.shape(x):
        result = zeros(F, (batch, filters, *(f - a - b for f, (a, b) in zip(full, cuts, strict=True))), dtype)
        return _last(F, result, rank, g.channels_last)
    result = F.Deconvolution(
        x, _kernel_first(F, kernel), kernel=tuple(window), stride=steps, dilate=g.dilation, pad=(0,) * n,
        num_filter=filters, no_bias=True,
    )  # fmt: skip
    noted(F, result, (batch, filters, *full), dtype)
    if any(b < 0 for _, b in cuts):
        result = pad(F, result, [(0, 0), (0, 0), *((0, max(-b, 0)) for _, b in cuts)])
        full = [f + max(-b, 0) for f, (_, b) in zip(full, cuts, strict=True)]
        noted(F, result, (batch, filters, *full), dtype)
    if any(a > 0 or b > 0 for a, b in cuts):
        window_key = tuple(slice(a, f - max(b, 0)) for f, (a, b) in zip(full, cuts, strict=True))
        result = getitem(F, result, (slice(None), slice(None), *window_key))
    return _last(F, result, rank, g.channels_last)


def _pool(F: Any, kind: str, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Any:
    from unidl.ops.windows import same_padding, sized, window_output

    dtype = F.dtype(inputs)
    if dtype not in FLOATS:
        wide = cast_to(F, inputs, "float64")
        return cast_to(F, _pool(F, kind, wide, pool_size, strides, padding, data_format), dtype)
    g = _geometry(inputs, F, pool_size if strides is None else strides, padding, 1, data_format)
    window = sized(pool_size, len(g.strides), "pool_size")
    x = _first(F, inputs, g.channels_last)
    shape = F.shape(x)
    if 0 in shape:
        sizes = [window_output(z, w, s, 1, g.padding) for z, w, s in zip(shape[2:], window, g.strides, strict=True)]
        return _last(F, zeros(F, (*shape[:2], *sizes), dtype), len(shape), g.channels_last)
    pairs = [(0, 0)] * len(window)
    if g.padding == "same":
        pairs = [same_padding(*p) for p in zip(shape[2:], window, g.strides, strict=True)]
    convention = "valid"
    if any(a != b for a, b in pairs):
        # One more at the end: rounding the number of windows up gives it, unless the stride is 1.
        convention = "full"
        if any(s == 1 for s in g.strides):
            return _last(F, _pool_odd(F, kind, x, window, g, pairs), len(shape), g.channels_last)
    result = F.Pooling(
        x, kernel=window, stride=g.strides, pad=tuple(a for a, _ in pairs), pool_type=kind,
        pooling_convention=convention, count_include_pad=False,
    )  # fmt: skip
    return _last(F, result, len(shape), g.channels_last)


def _pool_odd(F: Any, kind: str, x: Any, window: tuple[int, ...], g: Any, pairs: Any) -> Any:
    """Pooling of an explicitly padded input; means divide by the number of real elements."""
    widths = [(0, 0), (0, 0), *pairs]
    shape, dtype = F.shape(x), F.dtype(x)
    grown = (*shape[:2], *(d + a + b for d, (a, b) in zip(shape[2:], pairs, strict=True)))

    def pooled(y: Any, kind: str) -> Any:
        return F.Pooling(noted(F, y, grown, dtype), kernel=window, stride=g.strides, pool_type=kind)

    if kind == "max":
        return pooled(pad(F, x, widths, "constant", float("-inf")), kind)
    inside = noted(F, F._npi_ones(shape=shape, dtype=dtype), shape, dtype)
    return F._npi_true_divide(pooled(pad(F, x, widths), "sum"), pooled(pad(F, inside, widths), "sum"))


def max_pool(
    F: Any, inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    return _pool(F, "max", inputs, pool_size, strides, padding, data_format)


def average_pool(
    F: Any, inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    return _pool(F, "avg", inputs, pool_size, strides, padding, data_format)
