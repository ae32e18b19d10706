"""Convolution and pooling, written so that autograd follows: sums over the places of the window."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from autograd import numpy as np

from unidl.backend.attributes import Geometry, geometry, same_padding, sized, transpose_padding


def _places(x: Any, window: tuple[int, ...], g: Geometry, fill: float = 0) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Each place of the window, and the elements of the channels-last `x` that it meets."""
    if g.padding == "same":
        dimensions = zip(x.shape[1:-1], window, g.strides, g.dilation)
        pairs = [(0, 0), *(same_padding(*dimension) for dimension in dimensions), (0, 0)]
        x = np.pad(x, pairs, "constant", constant_values=fill)
    ends = [n - (w - 1) * d for n, w, d in zip(x.shape[1:-1], window, g.dilation)]
    for place in product(*map(range, window)):
        spatial = [slice(p * d, p * d + e, s) for p, d, e, s in zip(place, g.dilation, ends, g.strides)]
        cut = (slice(None), *spatial)
        yield place, x[cut]


def _padded(x: Any, axis: int, before: int, after: int) -> Any:
    return np.pad(x, [(before, after) if a == axis else (0, 0) for a in range(x.ndim)], "constant")


def conv(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: Any = None, dilation_rate: Any = 1
) -> Any:
    g = geometry(inputs.ndim - 2, strides, padding, dilation_rate, data_format)
    x = inputs if g.channels_last else np.moveaxis(inputs, 1, -1)
    per_group, filters = kernel.shape[-2:]
    groups = x.shape[-1] // per_group
    parts = []
    for place, seen in _places(x, kernel.shape[:-2], g):
        if groups == 1:
            parts.append(np.matmul(seen, kernel[place]))
        else:
            seen = np.reshape(seen, (*seen.shape[:-1], groups, 1, per_group))
            weights = np.moveaxis(np.reshape(kernel[place], (per_group, groups, filters // groups)), 0, 1)
            parts.append(np.reshape(np.matmul(seen, weights), (*seen.shape[:-3], filters)))
    out = sum(parts)
    return out if g.channels_last else np.moveaxis(out, -1, 1)


def depthwise_conv(inputs: Any, kernel: Any, *attributes: Any) -> Any:
    return conv(inputs, np.reshape(kernel, (*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1])), *attributes)


def conv_transpose(
    inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
    data_format: Any = None, dilation_rate: Any = 1,
) -> Any:  # fmt: skip
    """Zeros between the elements, zeros (or a cut) around them, then a convolution with the flipped kernel."""
    n = inputs.ndim - 2
    g = geometry(n, 1, padding, dilation_rate, data_format)
    x = inputs if g.channels_last else np.moveaxis(inputs, 1, -1)
    extra = output_padding if isinstance(output_padding, (tuple, list)) else (output_padding,) * n
    for axis, stride in enumerate(sized(strides, n, "strides"), 1):
        window, dilation = kernel.shape[axis - 1], g.dilation[axis - 1]
        cut = transpose_padding(window, stride, dilation, g.padding, extra[axis - 1])
        spread = _padded(np.expand_dims(x, axis + 1), axis + 1, 0, stride - 1)
        x = np.reshape(spread, (*x.shape[:axis], -1, *x.shape[axis + 1 :]))
        # The last element's zeros go, and there are `reach` of them on either side, less what is cropped.
        reach = (window - 1) * dilation
        before, after = reach - cut[0], reach - cut[1] - (stride - 1)
        x = _padded(x, axis, max(before, 0), max(after, 0))
        x = x[(slice(None),) * axis + (slice(max(-before, 0), x.shape[axis] - max(-after, 0)),)]
    flipped = np.swapaxes(kernel[(slice(None, None, -1),) * n], -1, -2)
    out = conv(x, flipped, 1, "valid", "channels_last", g.dilation)
    return out if g.channels_last else np.moveaxis(out, -1, 1)


def _pooled(inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: Any, fill: float) -> Any:
    """What the window meets, stacked along a new first axis; and a function that puts the channels back."""
    n = inputs.ndim - 2
    g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
    x = inputs if g.channels_last else np.moveaxis(inputs, 1, -1)
    seen = np.stack([part for _, part in _places(x, sized(pool_size, n, "pool_size"), g, fill)])
    return seen, (lambda out: out) if g.channels_last else (lambda out: np.moveaxis(out, -1, 1))


def max_pool(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: Any = None) -> Any:
    seen, back = _pooled(inputs, pool_size, strides, padding, data_format, -np.inf)
    return back(np.max(seen, 0))


def average_pool(
    inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: Any = None
) -> Any:
    seen, back = _pooled(inputs, pool_size, strides, padding, data_format, 0)
    inside, _ = _pooled(np.ones(inputs.shape, inputs.dtype), pool_size, strides, padding, data_format, 0)
    return back(np.sum(seen, 0) / np.sum(inside, 0))
