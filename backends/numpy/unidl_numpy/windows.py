"""Products, convolution and pooling.

A window op is a loop over the places of its window: for each, the inputs that meet it are one
strided view, `_seen`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from unidl.backend.attributes import (
    Geometry,
    check_window,
    geometry,
    output_paddings,
    same_padding,
    sized,
    transpose_padding,
)
from unidl_numpy.dtypes import wide, wide_sum
from unidl_numpy.kernel import kernels


def matmul(x1: np.ndarray, x2: np.ndarray) -> Any:
    return np.asarray(np.matmul(wide(x1), wide(x2))).astype(x1.dtype, copy=False)


def einsum(subscripts: str, operands: Any) -> Any:
    from unidl.ops.einsum import plan

    plan(subscripts, [x.shape for x in operands])  # raises where NumPy reads nonsense in silence
    result = np.einsum(subscripts, *[wide(x) for x in operands], optimize=len(operands) > 1)
    return np.asarray(result).astype(operands[0].dtype, copy=False)


def _to_last(x: np.ndarray, g: Geometry) -> np.ndarray:
    return x if g.channels_last else np.moveaxis(x, 1, -1)


def _from_last(x: np.ndarray, g: Geometry) -> np.ndarray:
    return x if g.channels_last else np.moveaxis(x, -1, 1)


def _padded(x: np.ndarray, window: tuple[int, ...], g: Geometry, value: Any = 0) -> np.ndarray:
    """Channels-last `x` with what "same" adds."""
    if g.padding == "valid":
        return x
    spatial = zip(x.shape[1:-1], window, g.strides, g.dilation, strict=True)
    return np.pad(x, [(0, 0), *(same_padding(*dimension) for dimension in spatial), (0, 0)], constant_values=value)


def _seen(x: np.ndarray, window: tuple[int, ...], g: Geometry) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Each place of the window, and the (batch, *output, channels) elements of `x` that it meets."""
    check_window(x.shape[1:-1], window, g._replace(padding="valid"))
    sizes = []
    for size, places, stride, dilation in zip(x.shape[1:-1], window, g.strides, g.dilation, strict=True):
        sizes.append((size - (places - 1) * dilation - 1) // stride + 1)
    for place in product(*map(range, window)):
        starts = [p * d for p, d in zip(place, g.dilation, strict=True)]
        spatial = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, sizes, g.strides, strict=True)]
        cut = (slice(None), *spatial)
        yield place, x[cut]


def conv(
    inputs: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    g = geometry(inputs.ndim - 2, strides, padding, dilation_rate, data_format)
    window, (per_group, filters) = kernel.shape[:-2], kernel.shape[-2:]
    x, weights = wide(_padded(_to_last(inputs, g), window, g)), wide(kernel)
    groups = x.shape[-1] // per_group
    if groups * per_group != x.shape[-1] or groups == 0 or filters % groups or x.dtype.kind == "c":
        raise ValueError(f"{x.shape[-1]} channels do not fit a kernel of shape {kernel.shape}")
    out: Any = 0
    for place, seen in _seen(x, window, g):
        if groups == 1:
            out = out + seen @ weights[place]
        else:
            seen = seen.reshape(*seen.shape[:-1], groups, 1, per_group)
            part = seen @ np.moveaxis(weights[place].reshape(per_group, groups, filters // groups), 0, 1)
            out = out + part.reshape(*seen.shape[:-3], filters)
    return _from_last(out, g).astype(inputs.dtype, copy=False)


def depthwise_conv(
    inputs: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    grouped = kernel.reshape(*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1])
    return conv(inputs, grouped, strides, padding, data_format, dilation_rate)


def conv_transpose(
    inputs: np.ndarray,
    kernel: np.ndarray,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    n = inputs.ndim - 2
    g = geometry(n, 1, padding, dilation_rate, data_format)._replace(strides=sized(strides, n, "strides"))
    extra = output_paddings(output_padding, n)
    x, weights = wide(_to_last(inputs, g)), wide(kernel)
    window, sizes = kernel.shape[:-2], x.shape[1:-1]
    crops = [
        transpose_padding(w, s, d, g.padding, o)
        for w, s, d, o in zip(window, g.strides, g.dilation, extra, strict=True)
    ]
    full = [(i - 1) * s + (w - 1) * d + 1 for i, s, w, d in zip(sizes, g.strides, window, g.dilation, strict=True)]
    # Room for the zeros that a negative crop adds.
    room = [m + max(-a, 0) + max(-b, 0) for m, (a, b) in zip(full, crops, strict=True)]
    out = np.zeros((x.shape[0], *room, kernel.shape[-2]), x.dtype)
    for place in product(*map(range, window)):
        starts = [p * d + max(-a, 0) for p, d, (a, _) in zip(place, g.dilation, crops, strict=True)]
        spatial = [slice(a, a + (i - 1) * s + 1, s) for a, i, s in zip(starts, sizes, g.strides, strict=True)]
        cut = (slice(None), *spatial)
        out[cut] += x @ weights[place].T
    keep = (slice(None), *[slice(max(a, 0), m - max(b, 0)) for m, (a, b) in zip(room, crops, strict=True)])
    return _from_last(out[keep], g).astype(inputs.dtype, copy=False)


def max_pool(
    inputs: np.ndarray, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    n = inputs.ndim - 2
    g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
    window = sized(pool_size, n, "pool_size")
    lowest = np.iinfo(inputs.dtype).min if inputs.dtype.kind in "iu" else -np.inf
    views = [seen for _, seen in _seen(_padded(_to_last(inputs, g), window, g, lowest), window, g)]
    out = views[0].copy()
    for view in views[1:]:
        np.maximum(out, view, out=out)
    return _from_last(out, g)


def average_pool(
    inputs: np.ndarray, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Any:
    n = inputs.ndim - 2
    g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
    window = sized(pool_size, n, "pool_size")
    x = _to_last(inputs, g)
    inside = _padded(np.ones((1, *x.shape[1:-1], 1), wide_sum(x)), window, g)
    total: Any = 0
    count: Any = 0
    for (_, seen), (_, ones) in zip(_seen(_padded(x, window, g), window, g), _seen(inside, window, g), strict=True):
        total, count = total + seen.astype(wide_sum(x), copy=False), count + ones
    return _from_last(total / count, g).astype(inputs.dtype)


TABLE = kernels(
    {
        "matmul": matmul,
        "einsum": einsum,
        "conv": conv,
        "depthwise_conv": depthwise_conv,
        "conv_transpose": conv_transpose,
        "max_pool": max_pool,
        "average_pool": average_pool,
    }
)
