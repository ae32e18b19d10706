"""Convolutions, and what resizes images."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value
from unidl.interchange.mxnet.operators.products import bias_of


def _channels_last(c: Call) -> bool:
    return str(c.get("layout", "NCHW")).endswith("C")


def first(c: Call, x: Value, run: Callable[[Value], Value]) -> Value:
    """`run` on channels-first data, whatever the attribute `layout` says."""
    if not _channels_last(c):
        return run(x)
    n = c.rank(x)
    y = run(c.w.transpose(x, (0, n - 1, *range(1, n - 1))))
    return c.w.transpose(y, (0, *range(2, n), 1))


def _weights_first(c: Call, weight: Value) -> Value:
    """Kernels of a channels-last layout, (filters, *window, channels), as (filters, channels, *window)."""
    if not _channels_last(c):
        return weight
    rank = c.rank(weight)
    return c.w.transpose(weight, (0, rank - 1, *range(1, rank - 1)))


@operator("Convolution Convolution_v1 _npx_convolution")
def _convolution(c: Call, x: Value, weight: Value, bias: Value | None = None) -> Value:
    kernel = c.ints("kernel")
    n = len(kernel)
    weight, bias = _weights_first(c, weight), bias_of(c, bias, False)
    pads = c.ints("pad", (0,) * n, n) * 2

    def run(x: Value) -> Value:
        return c.w.node(
            "Conv", x, weight, bias, kernel_shape=kernel, strides=c.ints("stride", (1,) * n, n), pads=pads,
            dilations=c.ints("dilate", (1,) * n, n), group=c.integer("num_group", 1),
        )  # fmt: skip

    return first(c, x, run)


@operator("Deconvolution _npx_deconvolution")
def _deconvolution(c: Call, x: Value, weight: Value, bias: Value | None = None) -> Value:
    kernel = c.ints("kernel")
    n = len(kernel)
    bias = bias_of(c, bias, True)
    strides, dilations = c.ints("stride", (1,) * n, n), c.ints("dilate", (1,) * n, n)

    def run(x: Value) -> Value:
        pads, more = c.ints("pad", (0,) * n, n), c.ints("adj", (0,) * n, n)
        target = c.get("target_shape")
        if target and any(c.ints("target_shape")):
            pads, more = _to_reach(c, x, c.ints("target_shape", None, n), kernel, strides, dilations)
        return c.w.node(
            "ConvTranspose", x, weight, bias, kernel_shape=kernel, strides=strides, pads=pads * 2, dilations=dilations,
            output_padding=more, group=c.integer("num_group", 1),
        )  # fmt: skip

    if _channels_last(c):
        raise c.error("channels-last layouts of transposed convolutions are not read")
    return run(x)


def _to_reach(
    c: Call, x: Value, target: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], dilations:
    tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:  # fmt: skip
    """Pads and what is added at the end, so that the output has the sizes `target`."""
    pads, more = [], []
    for i, (want, k, s, d) in enumerate(zip(target, kernel, strides, dilations, strict=True)):
        full = s * (c.known(x, i + 2, "target_shape") - 1) + (k - 1) * d + 1
        if want > full:
            raise c.error(f"the target_shape {target} is larger than what {full} elements can give")
        pads.append((full - want + 1) // 2)
        more.append((full - want) % 2)
    return tuple(pads), tuple(more)


# -- sizes of images -------------------------------------------------------------------------------


@operator("UpSampling")
def _up_sampling(c: Call, x: Value, *more: Value) -> Value:
    scale = c.integer("scale")
    if c.choice("sample_type", "nearest", "nearest", "bilinear") == "bilinear":
        return _bilinear(c, x, more[0], scale) if more else _no_weight(c)
    xs = [_enlarged(c, x, scale)]
    for other in more:  # all become as large as the first
        height, want = c.known(other, 2, "UpSampling of several"), c.known(xs[0], 2, "UpSampling of several")
        xs.append(_enlarged(c, other, want // height))
    if len(xs) == 1:
        return xs[0]
    if c.choice("multi_input_mode", "concat", "concat", "sum") == "sum":
        return c.w.node("Sum", *xs)
    return c.w.node("Concat", *xs, axis=1)


def _no_weight(c: Call) -> Value:
    raise c.error("sample_type 'bilinear' needs its weight")


def _enlarged(c: Call, x: Value, scale: int) -> Value:
    scales = np.asarray([1, 1, scale, scale], "float32")
    return c.w.node(
        "Resize", x, None, scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )


def _bilinear(c: Call, x: Value, weight: Value, scale: int) -> Value:
    """A transposed convolution of each channel by itself."""
    size, pad = 2 * scale - scale % 2, math.ceil((scale - 1) / 2)
    return c.w.node(
        "ConvTranspose", x, weight, kernel_shape=(size, size), strides=(scale, scale), pads=(pad,) * 4,
        group=c.integer("num_filter"),
    )  # fmt: skip


@operator("_contrib_BilinearResize2D")
def _bilinear_resize(c: Call, x: Value, like: Value | None = None) -> Value:
    w = c.w
    if c.get("mode", "size") != "size" or like is not None:
        raise c.error(f"mode {c.get('mode')!r} is not read; 'size' is")
    heights, widths = c.get("scale_height"), c.get("scale_width")
    if heights is not None and widths is not None:
        sizes = [int(c.known(x, i + 2, "a scale") * s) for i, s in enumerate((heights, widths))]
    else:
        sizes = [c.integer("height"), c.integer("width")]
    target = w.vector([w.size(x, 0), w.size(x, 1), *sizes])
    mode = "align_corners" if c.flag("align_corners", True) else "half_pixel"
    y = w.node("Resize", x, None, None, target, mode="linear", coordinate_transformation_mode=mode)
    y.shape = (*c.shape(x)[:2], *sizes)
    return y
