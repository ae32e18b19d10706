"""Convolution and pooling; the layout has brought the inputs into channels-first form."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.backend.attributes import Geometry, geometry, output_paddings, same_padding, sized, transpose_padding
from unidl.errors import GraphError
from unidl.interchange.onnx.exporting._emit import Emit
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.interchange.onnx.exporting.integers import convolution


def _places(x: Value, window: tuple[int, ...], g: Geometry) -> dict[str, Any]:
    """The attributes of padding: widths where they are known, else ONNX's rule for them, which is unidl's."""
    if g.padding == "valid":
        return {}
    sizes = x.shape[2:]
    if _open(x, g):
        return {"auto_pad": "SAME_UPPER"}
    # With stride 1 the width does not depend on the size.
    pairs = [
        same_padding(n or 1, size, s, d) for n, size, s, d in zip(sizes, window, g.strides, g.dilation, strict=True)
    ]
    return {"pads": [a for a, _ in pairs] + [b for _, b in pairs]}


def _open(x: Value, g: Geometry) -> bool:
    """Whether the width of the padding depends on sizes that are unknown."""
    return any(n is None and s != 1 for n, s in zip(x.shape[2:], g.strides, strict=True))


def _dilated(w: Writer, x: Value, window: tuple[int, ...], g: Geometry) -> tuple[Value, Geometry]:
    """`x` with the padding of "same", where onnxruntime lacks ONNX's rule for it: with dilation, for unknown sizes."""
    if g.padding == "valid" or not _open(x, g) or set(g.dilation) == {1}:
        return x, g
    before, after = [], []
    zero, two = w.constant([0]), w.constant([2])
    for axis, size, s, d in zip(g.spatial, window, g.strides, g.dilation, strict=True):
        n, stride = w.dim(x, axis), w.constant([s])
        last = w.node(
            "Mul", w.node("Div", w.node("Sub", n, w.constant([1])), stride), stride
        )  # the last window's start
        total = w.node("Sub", w.node("Add", last, w.constant([(size - 1) * d + 1])), n)
        total = w.node("Max", total, zero)
        before.append(w.node("Div", total, two))
        after.append(w.node("Sub", total, before[-1]))
    none = w.constant([0, 0])
    padded = w.node("Pad", x, w.node("Concat", none, *before, none, *after, axis=0), w.constant(0, x.dtype))
    padded.shape = (*x.shape[:2], *(None for _ in window))
    return padded, g._replace(padding="valid")


def _weight(w: Writer, kernel: Value) -> Value:
    """(*window, in, out) as (out, in, *window)."""
    n = len(kernel.shape) - 2
    return w.transpose(kernel, (n + 1, n, *range(n)))


def _window(kernel: Value) -> tuple[int, ...]:
    return tuple(d or 0 for d in kernel.shape[:-2])


def conv(
    w: Writer,
    inputs: Value,
    kernel: Value,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    bias: Value | None = None,
) -> Value:
    window, shape = _window(kernel), inputs.shape
    g = geometry(len(window), strides, padding, dilation_rate, data_format)
    channels, per_group = shape[1], kernel.shape[-2]
    if channels is None or not per_group:
        raise GraphError(f"ONNX: {w.op} in {w.path}: the number of channels must be known.")
    inputs, g = _dilated(w, inputs, window, g)
    weight = _weight(w, kernel)
    attributes = {
        "kernel_shape": window, "strides": g.strides, "dilations": g.dilation, "group": channels // per_group,
        **_places(inputs, window, g),
    }  # fmt: skip
    if bias is None and (whole := convolution(w, inputs, weight, attributes)):
        return whole
    return w.node("Conv", inputs, weight, bias, **attributes)


def conv_bias(
    w: Writer, inputs: Value, kernel: Value, bias: Value, strides: Any = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = 1,
) -> Value:  # fmt: skip
    return conv(w, inputs, kernel, strides, padding, data_format, dilation_rate, bias)


def depthwise_conv(
    w: Writer, inputs: Value, kernel: Value, strides: Any = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Any = 1, bias: Value | None = None,
) -> Value:  # fmt: skip
    """A convolution in as many groups as there are channels."""
    window, (channels, multiplier) = _window(kernel), kernel.shape[-2:]
    g = geometry(len(window), strides, padding, dilation_rate, data_format)
    inputs, g = _dilated(w, inputs, window, g)
    grouped = (*window, 1, (channels or 0) * (multiplier or 0))
    if kernel.host is not None:
        weight = w.derived(kernel, lambda array: _depthwise(array.reshape(grouped)), "depthwise")
    else:
        flat = w.node("Reshape", kernel, np.asarray(grouped, "int64"))
        flat.shape = grouped
        weight = _weight(w, flat)
    return w.node(
        "Conv", inputs, weight, bias, kernel_shape=window, strides=g.strides, dilations=g.dilation, group=channels,
        **_places(inputs, window, g),
    )  # fmt: skip


def _depthwise(array: np.ndarray) -> np.ndarray:
    n = array.ndim - 2
    return np.transpose(array, (n + 1, n, *range(n)))


def conv_transpose(
    w: Writer, inputs: Value, kernel: Value, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
    data_format: str | None = None, dilation_rate: Any = 1, bias: Value | None = None,
) -> Value:  # fmt: skip
    window = _window(kernel)
    n = len(window)
    g = geometry(n, 1, padding, dilation_rate, data_format)._replace(strides=sized(strides, n, "strides"))
    crops = [
        transpose_padding(size, s, d, g.padding, extra)
        for size, s, d, extra in zip(window, g.strides, g.dilation, output_paddings(output_padding, n), strict=True)
    ]
    return w.node(
        "ConvTranspose", inputs, _weight(w, kernel), bias, kernel_shape=window, strides=g.strides, dilations=g.dilation,
        pads=[a for a, _ in crops] + [max(b, 0) for _, b in crops], output_padding=[max(-b, 0) for _, b in crops],
    )  # fmt: skip


def _pool(op_type: str, **attributes: Any) -> Emit:
    def emit(
        w: Writer, inputs: Value, pool_size: Any, strides: Any = None, padding: str = "valid",
        data_format: str | None = None,
    ) -> Value:  # fmt: skip
        n = len(inputs.shape) - 2
        window = sized(pool_size, n, "pool_size")
        g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
        places = _places(inputs, window, g)
        wide = inputs if w.is_float(inputs) else w.cast(inputs, "float64")
        pooled = w.node(op_type, wide, kernel_shape=window, strides=g.strides, **places, **attributes)
        return w.cast(pooled, inputs.dtype)

    return emit


TABLE: dict[str, Emit] = {
    "conv": conv,
    "conv_bias": conv_bias,
    "depthwise_conv": depthwise_conv,
    "conv_transpose": conv_transpose,
    "max_pool": _pool("MaxPool"),
    "average_pool": _pool("AveragePool", count_include_pad=0),
}
