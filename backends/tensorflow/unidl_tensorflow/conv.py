"""Convolution and pooling.

TensorFlow's CPU kernels take channels last only; channels first goes through two transposes. On a CPU
there are also no gradients for dilated and for grouped convolutions: dilation becomes zeros in the
kernel, and groups are cut apart. Sequences are images of height 1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from unidl.backend.attributes import (
    Geometry,
    check_window,
    geometry,
    output_paddings,
    same_padding,
    sized,
    transpose_padding,
)
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any

_CONV: tuple[Any, ...] = (None, None, tf.nn.conv2d, tf.nn.conv3d)
_CONV_TRANSPOSE: tuple[Any, ...] = (None, None, tf.nn.conv2d_transpose, tf.nn.conv3d_transpose)


@functools.cache
def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def _last(x: Tensor, g: Geometry) -> Tensor:
    """`x` with its channels last."""
    rank = len(g.strides) + 2
    return x if g.channels_last else tf.transpose(x, [0, *range(2, rank), 1])


def _back(x: Tensor, g: Geometry) -> Tensor:
    rank = len(g.strides) + 2
    return x if g.channels_last else tf.transpose(x, [0, rank - 1, *range(1, rank - 1)])


def _padded(x: Tensor, window: Sequence[int], g: Geometry) -> Tensor:
    """Channels-last `x` with the zeros that "same" means; "valid" does the rest."""
    if g.padding == "valid":
        return x
    pairs = []
    for axis, (w, s, d) in enumerate(zip(window, g.strides, g.dilation, strict=True), 1):
        size = x.shape[axis]
        if size is not None:
            pairs.append(same_padding(size, w, s, d))
            continue
        size = tf.shape(x)[axis]
        total = tf.maximum((-(-size // s) - 1) * s + (w - 1) * d + 1 - size, 0)
        pairs.append((total // 2, total - total // 2))
    return tf.pad(x, [(0, 0), *pairs, (0, 0)])


def _skips(window: Sequence[int], g: Geometry) -> bool:
    """Whether strides skip elements where TensorFlow's 3D "same" kernels then start at the wrong one."""
    return len(g.strides) == 3 and g.padding == "same" and any(s > w for s, w in zip(g.strides, window, strict=True))


def _reached(x: Tensor, window: Sequence[int], g: Geometry) -> Tensor:
    """Channels-last `x` without the elements after the last window, where `_skips` says so."""
    if not _skips(window, g):
        return x
    cut = [slice(None)]
    for axis, (w, s) in enumerate(zip(window, g.strides, strict=True), 1):
        size = tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]
        cut.append(slice(None, ((size + s - 1) // s - 1) * s + w) if s > w else slice(None))
    return x[tuple(cut)]


def _dilated(kernel: Tensor, dilation: Sequence[int]) -> Tensor:
    """`kernel` with zeros between its elements."""
    for axis, (d, size) in enumerate(zip(dilation, kernel.shape, strict=False)):
        if d > 1 and size > 1:
            shape = kernel.shape.as_list()
            kernel = tf.expand_dims(kernel, axis + 1)
            kernel = tf.pad(kernel, [(0, d - 1 if a == axis + 1 else 0) for a in range(len(shape) + 1)])
            kernel = tf.reshape(kernel, [*shape[:axis], size * d, *shape[axis + 1 :]])
            kernel = kernel[(slice(None),) * axis + (slice(0, (size - 1) * d + 1),)]
    return kernel


def _convolved(x: Tensor, kernel: Tensor, g: Geometry) -> Tensor:
    """Convolution of channels-last `x` without groups."""
    strides: Any = g.strides
    if len(strides) == 1:
        x, kernel, strides = tf.expand_dims(x, 1), tf.expand_dims(kernel, 0), (1, *strides)
        out = tf.nn.conv2d(x, _dilated(kernel, (1, *g.dilation)), strides, g.padding.upper())
        return tf.squeeze(out, 1)
    kernel = _dilated(kernel, g.dilation)
    if len(strides) == 3:
        x, strides = _reached(x, kernel.shape[:3], g), (1, *strides, 1)
    return _CONV[len(g.strides)](x, kernel, strides, g.padding.upper())


def _one(x: Tensor) -> Tensor:
    """A batch of one example of zeros in place of an empty one."""
    return tf.pad(x, [(0, 1)] + [(0, 0)] * (x.shape.rank - 1))


def conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    return conv_bias(inputs, kernel, None, strides, padding, data_format, dilation_rate)


def conv_bias(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    if inputs.shape[0] == 0:  # the engine's kernels give the shape of the input then
        return conv_bias(_one(inputs), kernel, bias, strides, padding, data_format, dilation_rate)[:0]
    n = inputs.shape.rank - 2
    g = geometry(n, strides, padding, dilation_rate, data_format)
    x = _last(inputs, g)
    check_window(x.shape[1:-1], kernel.shape[:-2], g)
    channels, per_group, filters = x.shape[-1], kernel.shape[-2], kernel.shape[-1]
    groups = 1 if channels in (None, per_group) else channels // per_group
    if groups == 1 or (n == 2 and _has_gpu()):
        out = _convolved(x, kernel, g)
    elif per_group == 1:
        window = kernel.shape[:-2].as_list()
        out = _depthwise(x, tf.reshape(kernel, [*window, channels, filters // channels]), g)
    else:
        parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
        out = tf.concat([_convolved(part, weights, g) for part, weights in parts], -1)
    return _back(out if bias is None else tf.nn.bias_add(out, bias), g)


def depthwise_conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    if inputs.shape[0] == 0:
        return depthwise_conv(_one(inputs), kernel, strides, padding, data_format, dilation_rate)[:0]
    g = geometry(inputs.shape.rank - 2, strides, padding, dilation_rate, data_format)
    x = _last(inputs, g)
    check_window(x.shape[1:-1], kernel.shape[:-2], g)
    return _back(_depthwise(x, tf.convert_to_tensor(kernel), g), g)


def _depthwise(x: Tensor, kernel: Tensor, g: Geometry) -> Tensor:
    """Depthwise convolution of channels-last `x`; the engine's kernel is 2D with equal strides."""
    n = len(g.strides)
    if n == 1:
        flat = g._replace(strides=g.strides * 2, dilation=(1, *g.dilation))
        return tf.squeeze(_depthwise(tf.expand_dims(x, 1), tf.expand_dims(kernel, 0), flat), 1)
    if n == 3:
        return _depthwise_3d(x, kernel, g)
    if g.strides[0] == g.strides[1]:
        kernel = _dilated(kernel, g.dilation)
        return tf.nn.depthwise_conv2d(x, kernel, (1, *g.strides, 1), g.padding.upper())
    # With unequal strides every position is computed, and those in between are dropped.
    x = _padded(x, kernel.shape[:2].as_list(), g)
    dense = _depthwise(x, kernel, g._replace(strides=(1, 1), padding="valid"))
    return dense[:, :: g.strides[0], :: g.strides[1]]


def _depthwise_3d(x: Tensor, kernel: Tensor, g: Geometry) -> Tensor:
    """A sum of 2D convolutions, one for each place of the window along the first spatial dimension."""
    x = _padded(x, kernel.shape[:3].as_list(), g)
    plane = Geometry(g.strides[1:], "valid", g.dilation[1:], True)
    stride, dilation, reach = g.strides[0], g.dilation[0], (kernel.shape[0] - 1) * g.dilation[0] + 1
    length = tf.shape(x)[1] - reach  # places that the window can move by
    total: Any = 0.0
    for k in range(kernel.shape[0]):
        layer = x[:, k * dilation : k * dilation + length + 1 : stride]
        sizes = tf.shape(layer)
        flat = tf.reshape(layer, tf.concat([[-1], sizes[2:]], 0))
        flat.set_shape([None, *x.shape[2:]])
        out = _depthwise(flat, kernel[k], plane)
        total = total + tf.reshape(out, tf.concat([sizes[:2], tf.shape(out)[1:]], 0))
    return total


def conv_transpose(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    n = inputs.shape.rank - 2
    g = geometry(n, 1, padding, dilation_rate, data_format)._replace(strides=sized(strides, n, "strides"))
    x = _last(inputs, g)
    kernel = _dilated(tf.convert_to_tensor(kernel), g.dilation)
    window, steps = kernel.shape[:n].as_list(), g.strides
    extra = output_paddings(output_padding, n)
    crop = [transpose_padding(w, s, 1, g.padding, o) for w, s, o in zip(window, steps, extra, strict=True)]
    same = g.padding == "same" and output_padding is None and not _skips(window, g)
    dynamic = tf.shape(x)
    sizes: list[Any] = []
    for axis, (w, s, c) in enumerate(zip(window, steps, crop, strict=True), 1):
        size = dynamic[axis] if x.shape[axis] is None else x.shape[axis]
        # The engine crops as "same" asks. Otherwise it gives the full output, and more zeros where asked.
        sizes.append(size * s if same else (size - 1) * s + w + max(-sum(c), 0) * (output_padding is None))
    if n == 1:
        x, kernel, sizes, steps = tf.expand_dims(x, 1), tf.expand_dims(kernel, 0), [1, *sizes], (1, *steps)
    shape = [dynamic[0], *sizes, kernel.shape[-2]]
    out = _CONV_TRANSPOSE[max(n, 2)](x, kernel, tf.stack(shape), steps, "SAME" if same else "VALID")
    if n == 1:
        out = tf.squeeze(out, 1)
    if output_padding is not None:
        out = _cropped(out, crop)
    elif not same:  # zeros that are added are there already
        out = _cropped(out, [(max(before, 0), max(after, 0)) for before, after in crop])
    return _back(out, g)


def _cropped(x: Tensor, crop: list[tuple[int, int]]) -> Tensor:
    """Channels-last `x` without so many elements (before, after); negative numbers add zeros."""
    cut = [slice(None)] + [slice(max(a, 0), -b if b > 0 else None) for a, b in crop]
    x = x[tuple(cut)]
    zeros = [(max(-a, 0), max(-b, 0)) for a, b in crop]
    return tf.pad(x, [(0, 0), *zeros, (0, 0)]) if any(map(any, zeros)) else x


def _pool(fn2: Callable[..., Tensor], fn3: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(
        inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
    ) -> Tensor:
        n = inputs.shape.rank - 2
        g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
        window, x = sized(pool_size, n, "pool_size"), _last(inputs, g)
        check_window(x.shape[1:-1], window, g)
        how = g.padding.upper()
        if n == 1:
            return _back(tf.squeeze(fn2(tf.expand_dims(x, 1), (1, *window), (1, *g.strides), how), 1), g)
        if n == 2:
            return _back(fn2(x, window, g.strides, how), g)
        if x.dtype in (tf.float32, tf.bfloat16):
            return _back(fn3(_reached(x, window, g), window, g.strides, how), g)
        return _back(_pool_3d(fn2, x, window, g), g)

    return call


def _pool_3d(fn2: Callable[..., Tensor], x: Tensor, window: tuple[int, ...], g: Geometry) -> Tensor:
    """Pooling over planes and then over depth: 3D kernels exist for two dtypes only.

    A mean of means is the mean of all, because the elements inside the input form a box.
    """
    depth, height, width, channels = (x.shape[a] or tf.shape(x)[a] for a in range(1, 5))
    how = g.padding.upper()
    planes = tf.reshape(x, tf.stack([-1, height, width, channels]))
    planes = fn2(planes, window[1:], g.strides[1:], how)
    sizes = tf.shape(planes)
    columns = tf.reshape(planes, tf.stack([-1, depth, sizes[1] * sizes[2], channels]))
    columns = fn2(columns, (window[0], 1), (g.strides[0], 1), how)
    out = tf.reshape(columns, tf.stack([-1, tf.shape(columns)[1], sizes[1], sizes[2], channels]))
    out.set_shape([x.shape[0], columns.shape[1], *planes.shape[1:3], x.shape[4]])
    return out


TABLE: dict[str, Any] = {
    "conv": conv,
    "conv_bias": conv_bias,
    "depthwise_conv": depthwise_conv,
    "conv_transpose": conv_transpose,
    "max_pool": _pool(tf.nn.max_pool2d, tf.nn.max_pool3d),
    "average_pool": _pool(tf.nn.avg_pool2d, tf.nn.avg_pool3d),
}
