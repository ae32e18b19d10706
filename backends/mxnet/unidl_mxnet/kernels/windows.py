"""Convolution and pooling. mxnet's kernels are channels-first, with the same padding on both sides."""

from __future__ import annotations

import math
from typing import Any

from unidl.backend.attributes import geometry, output_paddings, same_padding, sized, transpose_padding
from unidl_mxnet.kernels._common import FLOATS, cast_to, in_float32, noted, reshape_to
from unidl_mxnet.kernels._products import permuted
from unidl_mxnet.kernels.creation import zeros
from unidl_mxnet.kernels.shape import getitem, pad


def _first(F: Any, x: Any, channels_last: bool) -> Any:
    """`x` with its channels on axis 1."""
    if not channels_last:
        return x
    shape = F.shape(x)
    order = (0, len(shape) - 1, *range(1, len(shape) - 1))
    return permuted(F, x, order)


def _last(F: Any, x: Any, rank: int, channels_last: bool) -> Any:
    """The inverse of `_first`."""
    return F._np_transpose(x, axes=(0, *range(2, rank), 1)) if channels_last else x


def _kernel_first(F: Any, kernel: Any) -> Any:
    """(*window, in, out) as (out, in, *window)."""
    shape = F.shape(kernel)
    n = len(shape) - 2
    order = (n + 1, n, *range(n))
    return permuted(F, kernel, order)


def _padded(F: Any, x: Any, window: tuple[int, ...], g: Any, value: float = 0.0) -> tuple[Any, tuple[int, ...]]:
    """Channels-first `x` and the padding left for the kernel itself, which is symmetric."""
    n = len(window)
    if g.padding == "valid":
        return x, (0,) * n
    sizes = F.shape(x)[2:]
    pairs = [same_padding(*p) for p in zip(sizes, window, g.strides, g.dilation, strict=True)]
    if all(a == b for a, b in pairs):
        return x, tuple(a for a, _ in pairs)
    return pad(F, x, [(0, 0), (0, 0), *pairs], "constant", value), (0,) * n


def _geometry(F: Any, x: Any, strides: Any, padding: str, dilation: Any, data_format: str | None) -> Any:
    return geometry(len(F.shape(x)) - 2, strides, padding, dilation, data_format)


def _output(size: int, window: int, stride: int, dilation: int, padding: str) -> int:
    """The size of the output along one dimension."""
    return -(-size // stride) if padding == "same" else (size - (window - 1) * dilation - 1) // stride + 1


def _convolve(F: Any, inputs: Any, kernel: Any, bias: Any, g: Any, groups: int) -> Any:
    """A convolution of channels-first `inputs` with a channels-first `kernel`."""
    shape, filters = F.shape(inputs), F.shape(kernel)[0]
    window = F.shape(kernel)[2:]
    if 0 in shape:
        sizes = [_output(*p, g.padding) for p in zip(shape[2:], window, g.strides, g.dilation, strict=True)]
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
    g = _geometry(F, inputs, strides, padding, dilation_rate, data_format)
    groups = F.shape(inputs)[g.channel] // F.shape(kernel)[-2]
    return _conv(F, inputs, _kernel_first(F, kernel), bias, g, groups)


def depthwise_conv(
    F: Any, inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:  # fmt: skip
    if F.dtype(inputs) not in ("float32", "float64"):
        rest = (strides, padding, data_format, dilation_rate)
        return in_float32(F, lambda x, k: depthwise_conv(F, x, k, *rest), inputs, kernel)
    g = _geometry(F, inputs, strides, padding, dilation_rate, data_format)
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
    if F.dtype(inputs) not in ("float32", "float64"):
        rest = (strides, padding, output_padding, data_format, dilation_rate)
        return in_float32(F, lambda x, k: conv_transpose(F, x, k, *rest), inputs, kernel)
    *window, filters, _ = F.shape(kernel)
    n, rank = len(window), len(F.shape(inputs))
    g = _geometry(F, inputs, 1, padding, dilation_rate, data_format)
    steps = sized(strides, n, "strides")
    extra = output_paddings(output_padding, n)
    cuts = [
        transpose_padding(w, s, d, g.padding, o) for w, s, d, o in zip(window, steps, g.dilation, extra, strict=True)
    ]
    x = _first(F, inputs, g.channels_last)
    batch, _, *sizes = F.shape(x)
    full = [(z - 1) * s + (w - 1) * d + 1 for z, s, w, d in zip(sizes, steps, window, g.dilation, strict=True)]
    dtype = F.dtype(inputs)
    if 0 in F.shape(x):
        result = zeros(F, (batch, filters, *(f - a - b for f, (a, b) in zip(full, cuts, strict=True))), dtype)
        return _last(F, result, rank, g.channels_last)
    result = _deconvolve(F, x, kernel, full, steps, g.dilation)
    if any(b < 0 for _, b in cuts):
        result = pad(F, result, [(0, 0), (0, 0), *((0, max(-b, 0)) for _, b in cuts)])
        full = [f + max(-b, 0) for f, (_, b) in zip(full, cuts, strict=True)]
        noted(F, result, (batch, filters, *full), dtype)
    if any(a > 0 or b > 0 for a, b in cuts):
        window_key = tuple(slice(a, f - max(b, 0)) for f, (a, b) in zip(full, cuts, strict=True))
        result = getitem(F, result, (slice(None), slice(None), *window_key))
    return _last(F, result, rank, g.channels_last)


def _deconvolve(F: Any, x: Any, kernel: Any, full: list[int], strides: Any, dilation: Any) -> Any:
    """The uncropped transposed convolution of channels-first `x`, as one convolution.

    Output place ``q * stride + p`` sums ``x[q - j] * kernel[j * stride + p]`` over j. So the phases p
    are output channels of a convolution of stride 1, which are then interleaved.
    (mxnet's own `Deconvolution` computes wrong gradients, or corrupts memory, unless its kernel is
    a variable itself, and has no dilation in three dimensions.)
    """
    *window, filters, channels = F.shape(kernel)
    n, dtype = len(window), F.dtype(x)
    for axis, d in enumerate(dilation):
        if d > 1:
            kernel = _spread(F, kernel, axis, d)
    counts = [-(-((w - 1) * d + 1) // s) for w, d, s in zip(window, dilation, strides, strict=True)]
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    rest = [(0, m * s - r) for m, s, r in zip(counts, strides, reach, strict=True)]
    if any(after for _, after in rest):
        kernel = pad(F, kernel, [*rest, (0, 0), (0, 0)])
    kernel = F._np_transpose(kernel, axes=(n, n + 1, *range(n)))
    outer, inner = filters, 1
    for i, (m, s) in enumerate(zip(counts, strides, strict=True)):  # one axis at a time: mxnet transposes up to 6
        after = math.prod(a * b for a, b in zip(counts[i + 1 :], strides[i + 1 :], strict=True))
        kernel = F._npi_flip(F._np_reshape(kernel, newshape=(outer, channels, inner, m, s, after)), axis=(3,))
        kernel = F._np_transpose(kernel, axes=(0, 4, 1, 2, 3, 5))
        outer, inner = outer * s, inner * m
    kernel = F._np_reshape(kernel, newshape=(outer, channels, *counts))
    result = F.Convolution(
        x, kernel, kernel=tuple(counts), stride=(1,) * n, pad=tuple(m - 1 for m in counts), num_filter=outer,
        no_bias=True,
    )  # fmt: skip
    batch, _, *sizes = F.shape(x)
    wide = [z + m - 1 for z, m in zip(sizes, counts, strict=True)]
    after = 1
    for i in reversed(range(n)):
        q, s = wide[i], strides[i]
        outer //= s
        result = F._np_reshape(result, newshape=(batch, outer, s, math.prod(wide[:i]), q, after))
        result = F._np_transpose(result, axes=(0, 1, 3, 4, 2, 5))
        after *= q * s
    grown = [q * s for q, s in zip(wide, strides, strict=True)]
    result = F._np_reshape(result, newshape=(batch, filters, *grown))
    noted(F, result, (batch, filters, *grown), dtype)
    return getitem(F, result, (slice(None), slice(None), *(slice(0, f) for f in full)))


def _spread(F: Any, kernel: Any, axis: int, dilation: int) -> Any:
    """`kernel` with zeros between its elements along `axis`."""
    shape, dtype = F.shape(kernel), F.dtype(kernel)
    apart = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    kernel = reshape_to(F, kernel, apart)
    kernel = pad(F, kernel, [(0, dilation - 1 if i == axis + 1 else 0) for i in range(len(apart))])
    noted(F, kernel, (*shape[: axis + 1], dilation, *shape[axis + 1 :]), dtype)
    kernel = reshape_to(F, kernel, (*shape[:axis], shape[axis] * dilation, *shape[axis + 1 :]))
    return getitem(F, kernel, (*(slice(None),) * axis, slice(0, (shape[axis] - 1) * dilation + 1)))


def _pool(F: Any, kind: str, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str | None) -> Any:
    dtype = F.dtype(inputs)
    if dtype not in FLOATS:
        wide = cast_to(F, inputs, "float64")
        return cast_to(F, _pool(F, kind, wide, pool_size, strides, padding, data_format), dtype)
    g = _geometry(F, inputs, pool_size if strides is None else strides, padding, 1, data_format)
    window = sized(pool_size, len(g.strides), "pool_size")
    x = _first(F, inputs, g.channels_last)
    shape = F.shape(x)
    if 0 in shape:
        sizes = [_output(z, w, s, 1, g.padding) for z, w, s in zip(shape[2:], window, g.strides, strict=True)]
        return _last(F, zeros(F, (*shape[:2], *sizes), dtype), len(shape), g.channels_last)
    pairs = [(0, 0)] * len(window)
    if g.padding == "same":
        pairs = [same_padding(*p) for p in zip(shape[2:], window, g.strides, strict=True)]
    convention = "valid"
    if any(a != b for a, b in pairs):
        # One more at the end: rounding the number of windows up usually gives it.
        convention = "full"
        for z, w, s, (a, _) in zip(shape[2:], window, g.strides, pairs, strict=True):
            if w > z + 2 * a or -(-(z + 2 * a - w) // s) + 1 != -(-z // s):
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
