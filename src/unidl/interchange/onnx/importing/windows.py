"""Convolutions and pooling. Data stay channels-first, as ONNX has them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._structures import DataDependentError
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, is_host, rank_of, shape_of
from unidl.interchange.onnx.importing.stretching import pad_around

_FIRST = "channels_first"


@dataclass(frozen=True)
class Window:
    """How a window slides: one number for each spatial dimension, and pads as (before, after).

    Attributes:
        extra: elements after the pads that only the last window of `ceil_mode` reaches.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    extra: tuple[int, ...]
    same: bool = False

    @property
    def plain(self) -> bool:
        return not any(a or b for a, b in self.pads) and self.extra == (0,) * len(self.extra)

    def widths(self) -> tuple[tuple[int, int], ...]:
        """All that is added around the tensor, batch and channels included."""
        return ((0, 0), (0, 0), *((a, b + e) for (a, b), e in zip(self.pads, self.extra, strict=True)))


def window(call: Call, spatial: Sequence[Any], size: Sequence[int]) -> Window:
    """The window of a node's attributes over dimensions of sizes `spatial`."""
    n = len(spatial)
    strides = tuple(call.get("strides") or [1] * n)
    dilations = tuple(call.get("dilations") or [1] * n)
    if not len(size) == len(strides) == len(dilations) == n:
        raise call.error(f"window {list(size)}, strides {strides} and dilations {dilations} do not fit {n} dimensions")
    if min((*size, *strides, *dilations), default=1) < 1:
        raise call.error(f"window {list(size)}, strides {strides} and dilations {dilations} must be positive")
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilations, strict=True)]
    auto = call.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        unknown = any(isinstance(d, Dim) and s > 1 for d, s in zip(spatial, strides, strict=True))
        if unknown and auto == "SAME_LOWER":
            raise call.error("SAME_LOWER with strides needs sizes that are known; give shapes= to load")
        if unknown or (auto == "SAME_UPPER" and any(isinstance(d, Dim) for d in spatial)):
            return Window(tuple(size), strides, dilations, ((0, 0),) * n, (0,) * n, True)
        total = [
            r - 1 if s == 1 else max((-(-d // s) - 1) * s + r - d, 0)
            for d, s, r in zip(spatial, strides, reach, strict=True)
        ]
        pads = [(t // 2, t - t // 2) if auto == "SAME_UPPER" else (t - t // 2, t // 2) for t in total]
    else:
        given = call.get("pads") if auto != "VALID" else None
        flat = given or [0] * (2 * n)
        if len(flat) != 2 * n:
            raise call.error(f"there are {len(flat)} pads for {n} dimensions; two for each are expected")
        pads = list(zip(flat[:n], flat[n:], strict=True))
    extra = [0] * n
    if call.get("ceil_mode", 0):
        for i, (d, s, r, (a, b)) in enumerate(zip(spatial, strides, reach, pads, strict=True)):
            steps = (d + a + b - r + s - 1) // s
            if isinstance(d, Dim):
                if s + b > r:
                    raise call.error("ceil_mode with windows that leave gaps needs known sizes; give shapes= to load")
                extra[i] = 0 if s == 1 else steps * s + (r - a - b) - d
                continue
            if steps * s >= d + a:  # the last window would start after the data
                steps -= 1
            extra[i] = max(steps * s + r - (d + a + b), 0)
    call.room([d + max(a + b, 0) + e for d, (a, b), e in zip(spatial, pads, extra, strict=True)])
    return Window(tuple(size), strides, dilations, tuple(pads), tuple(extra))


def _is_same(w: Window, spatial: Sequence[Any]) -> bool:
    """Whether the pads are those of unidl's padding "same"."""
    if w.same:
        return True
    for d, k, s, dil, (a, b), e in zip(spatial, w.size, w.strides, w.dilations, w.pads, w.extra, strict=True):
        reach = (k - 1) * dil + 1
        if isinstance(d, Dim):
            if s != 1:
                return False
            total = reach - 1
        else:
            total = max((-(-d // s) - 1) * s + reach - d, 0)
        if e or (a, b) != (total // 2, total - total // 2):
            return False
    return True


def convolve(call: Call, x: Any, kernel: Any, bias: Any = None) -> Any:
    """The convolution of the node, with the kernel as ONNX has it: (filters, channels / groups, *window)."""
    n = rank_of(x) - 2
    shape = shape_of(kernel)
    if n < 1 or len(shape) != n + 2:
        raise call.error(f"input of shape {list(shape_of(x))} and weights of shape {list(shape)} do not fit")
    groups, channels = call.get("group", 1), shape_of(x)[1]
    if not isinstance(channels, Dim) and channels != shape[1] * groups:
        raise call.error(f"{channels} channels do not fit weights of shape {list(shape)} in {groups} group(s)")
    w = window(call, shape_of(x)[2:], shape[2:])
    padding = "valid"
    if not w.plain or w.same:
        if _is_same(w, shape_of(x)[2:]):
            padding = "same"
        else:
            x = ops.pad(x, w.widths())
    kernel = (np.transpose if is_host(kernel) else ops.transpose)(kernel, (*range(2, n + 2), 1, 0))
    dilations: Any = w.dilations
    if max(w.strides) > 1 and max(dilations) > 1:  # engines do not combine them: put zeros between the weights
        kernel, dilations = _spread(call, kernel, dilations), 1
    if bias is None:
        return ops.conv(x, kernel, w.strides, padding, _FIRST, dilations)
    return ops.conv_bias(x, kernel, bias, w.strides, padding, _FIRST, dilations)


def _spread(call: Call, kernel: Any, dilations: Sequence[int]) -> Any:
    for axis, d in enumerate(dilations):
        if d > 1:
            size = shape_of(kernel)[axis]
            call.room([*shape_of(kernel)[:axis], (size - 1) * d + 1, *shape_of(kernel)[axis + 1 :]])
            taps = np.zeros(((size - 1) * d + 1, size), dtype_of(kernel))
            taps[np.arange(size) * d, np.arange(size)] = 1
            kernel = ops.moveaxis(ops.tensordot(taps, kernel, [[1], [axis]]), 0, axis)
    return kernel


@operator("Conv")
def _conv(call: Call, x: Any, kernel: Any, bias: Any = None) -> Any:
    return convolve(call, x, kernel, bias)


@operator("FusedConv", domain=MICROSOFT)
def _fused_conv(call: Call, x: Any, kernel: Any, bias: Any = None, added: Any = None) -> Any:
    y = convolve(call, x, kernel, bias)
    if added is not None:
        y = ops.add(y, added)
    return _activated(call, y)


def _activated(call: Call, y: Any) -> Any:
    from unidl.interchange.onnx.importing.recurrent import activation

    name = call.get("activation")
    if not name:
        return y
    parameters = list(call.get("activation_params", []))
    if name == "Clip":
        return ops.clip(y, *parameters)
    return activation(call, name, *parameters[:2])(y)


@operator("ConvTranspose")
def conv_transpose(call: Call, x: Any, kernel: Any, bias: Any = None) -> Any:
    n = rank_of(x) - 2
    size = call.get("kernel_shape") or shape_of(kernel)[2:]
    strides = tuple(call.get("strides") or [1] * n)
    dilations = tuple(call.get("dilations") or [1] * n)
    more = call.get("output_padding") or [0] * n
    groups, spatial = call.get("group", 1), shape_of(x)[2:]
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilations, strict=True)]
    auto, want = call.get("auto_pad", "NOTSET"), call.get("output_shape")
    if auto in ("SAME_UPPER", "SAME_LOWER") and not want:
        want = [d * s for d, s in zip(spatial, strides, strict=True)]
    if want:
        want = want[-n:]
        total = [s * (d - 1) + m + r - o for s, d, m, r, o in zip(strides, spatial, more, reach, want, strict=True)]
        pads = [(t // 2, t - t // 2) if auto == "SAME_UPPER" else (t - t // 2, t // 2) for t in total]
    else:
        flat = call.get("pads") or [0] * (2 * n)
        pads = list(zip(flat[:n], flat[n:], strict=True))
    kernel = (np.transpose if is_host(kernel) else ops.transpose)(kernel, (*range(2, n + 2), 1, 0))
    if max(strides) > 1 and max(dilations) > 1:
        kernel, dilations = _spread(call, kernel, dilations), (1,) * n

    whole = [(d - 1) * s + max(r, s) + m for d, s, r, m in zip(spatial, strides, reach, more, strict=True)]
    call.room([*shape_of(x)[:1], shape_of(kernel)[-2], *whole])

    def one(part: Any, weights: Any) -> Any:
        return ops.conv_transpose(part, weights, strides, "valid", None, _FIRST, dilations)

    if groups == 1:
        y = one(x, kernel)
    else:
        parts = zip(ops.split(x, groups, 1), ops.split(kernel, groups, n + 1), strict=True)
        y = ops.concatenate([one(a, b) for a, b in parts], 1)
    y = _fitted(y, strides, reach, pads, more)
    return y if bias is None else ops.add(y, ops.reshape(bias, (-1, *[1] * n)))


def _fitted(y: Any, strides: Any, reach: Any, pads: Any, more: Any) -> Any:
    """A transposed convolution without padding, cut (or filled up) to what the pads leave."""
    key, widths = [slice(None)] * 2, [(0, 0)] * 2
    for s, r, (before, after), m in zip(strides, reach, pads, more, strict=True):
        have, want = max(r, s), r + m  # beyond (d - 1) * s
        lacking = want - after - have
        key.append(slice(max(before, 0) or None, lacking if lacking < 0 else None))
        widths.append((max(-before, 0), max(lacking, 0)))
    if any(k != slice(None) for k in key):
        y = ops.getitem(y, tuple(key))
    return ops.pad(y, tuple(widths)) if any(map(any, widths)) else y


# -- pooling ---------------------------------------------------------------------------------------


def _windows(x: Any, w: Window, fill: Any) -> Any:
    """The elements of each window side by side, along a new last axis."""
    if not w.plain:
        x = pad_around(x, w.widths(), fill)
    spatial = shape_of(x)[2:]
    counts = [
        (d - (k - 1) * dil - 1) // s + 1 for d, k, dil, s in zip(spatial, w.size, w.dilations, w.strides, strict=True)
    ]
    parts = []
    for place in itertools.product(*map(range, w.size)):
        starts = [p * d for p, d in zip(place, w.dilations, strict=True)]
        key = [slice(a, a + (c - 1) * s + 1, s) for a, c, s in zip(starts, counts, w.strides, strict=True)]
        parts.append(ops.getitem(x, (slice(None), slice(None), *key)))
    return ops.stack(parts, -1)


def _lowest(dtype: str) -> Any:
    return int(np.iinfo(dtype).min) if dtype.startswith(("int", "uint")) else -math.inf


@operator("MaxPool")
def max_pool(call: Call, x: Any) -> Any:
    w = window(call, shape_of(x)[2:], call.need("kernel_shape"))
    fill = _lowest(dtype_of(x))
    if call.wants(1):
        return _max_pool_places(call, x, w, fill)
    if max(w.dilations) > 1:
        return ops.max(_windows(x, w, fill), -1)
    if w.same or (not w.plain and _is_same(w, shape_of(x)[2:])):
        return ops.max_pool(x, w.size, w.strides, "same", _FIRST)
    if not w.plain:
        x = pad_around(x, w.widths(), fill)
    return ops.max_pool(x, w.size, w.strides, "valid", _FIRST)


def _max_pool_places(call: Call, x: Any, w: Window, fill: Any) -> tuple[Any, Any]:
    """The maxima, and their places in the flat input."""
    shape = call.room((1, *shape_of(x)[1:]) if isinstance(shape_of(x)[0], Dim) else shape_of(x))
    if any(isinstance(d, Dim) for d in shape):
        raise DataDependentError(f"{call.node}: places in an image of unknown size are known when the model runs.")
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    if call.get("storage_order", 0):
        order = (0, 1, *range(len(shape) - 1, 1, -1))
        places = np.transpose(places.reshape([shape[i] for i in order]), order)
    values = _windows(x, w, fill)
    first = ops.argmax(values, -1, True)
    found = _windows(places, w, -1)
    if shape[0] != shape_of(x)[0]:  # of an unknown number of elements: the places in the first one, moved on
        starts = ops.multiply(ops.arange(shape_of(x)[0], dtype="int64"), math.prod(shape))
        found = ops.add(found, ops.reshape(starts, (-1, *[1] * (rank_of(x)))))
    return ops.max(values, -1), ops.squeeze(ops.take_along_axis(found, first, -1), -1)


@operator("AveragePool")
def _average_pool(call: Call, x: Any) -> Any:
    w = window(call, shape_of(x)[2:], call.need("kernel_shape"))
    return average_pool(call, x, w, bool(call.get("count_include_pad", 0)))


def average_pool(call: Call, x: Any, w: Window, with_pads: bool) -> Any:
    """The mean of each window; `with_pads`: zeros of the padding count, what lies after them never does."""
    if w.plain and max(w.dilations) == 1:
        return ops.average_pool(x, w.size, w.strides, "same" if w.same else "valid", _FIRST)
    spatial = shape_of(x)[2:]
    if w.extra == (0,) * len(w.extra) and not with_pads and max(w.dilations) == 1 and _is_same(w, spatial):
        return ops.average_pool(x, w.size, w.strides, "same", _FIRST)
    ones = ops.ones((1, 1, *spatial), dtype_of(x))
    if with_pads:
        ones = ops.pad(ones, ((0, 0), (0, 0), *w.pads), "constant", 1.0)
    sums, counts = _window_sums(x, w, w.widths()), _window_sums(ones, w, _remaining(w, with_pads))
    return ops.divide(sums, counts)


def _remaining(w: Window, padded: bool) -> Any:
    return ((0, 0), (0, 0), *((0, e) for e in w.extra)) if padded else w.widths()


def _window_sums(x: Any, w: Window, widths: Any) -> Any:
    x = pad_around(x, widths)
    if max(w.dilations) > 1:
        return ops.sum(
            _windows(x, Window(w.size, w.strides, w.dilations, ((0, 0),) * len(w.size), (0,) * len(w.size)), 0), -1
        )
    return ops.multiply(ops.average_pool(x, w.size, w.strides, "valid", _FIRST), float(math.prod(w.size)))


@operator("LpPool")
def _lp_pool(call: Call, x: Any) -> Any:
    w = window(call, shape_of(x)[2:], call.need("kernel_shape"))
    p = call.get("p", 2)
    return ops.power(_window_sums(ops.power(ops.absolute(x), float(p)), w, w.widths()), 1.0 / p)


def _spatial_axes(x: Any) -> tuple[int, ...]:
    return tuple(range(2, rank_of(x)))


@operator("GlobalAveragePool")
def _global_average_pool(call: Call, x: Any) -> Any:
    return ops.mean(x, _spatial_axes(x), True)


@operator("GlobalMaxPool")
def _global_max_pool(call: Call, x: Any) -> Any:
    return ops.max(x, _spatial_axes(x), True)


@operator("GlobalLpPool")
def _global_lp_pool(call: Call, x: Any) -> Any:
    p = call.get("p", 2)
    return ops.power(ops.sum(ops.power(ops.absolute(x), float(p)), _spatial_axes(x), True), 1.0 / p)


@operator("MaxUnpool")
def _max_unpool(call: Call, x: Any, places: Any, shape: Any = None) -> Any:
    w_size = call.need("kernel_shape")
    n = len(w_size)
    strides, pads = call.get("strides") or [1] * n, call.get("pads") or [0] * (2 * n)
    natural = [
        (d - 1) * s - a - b + k
        for d, s, a, b, k in zip(shape_of(x)[2:], strides, pads[:n], pads[n:], w_size, strict=True)
    ]
    dims = (*shape_of(x)[:2], *natural)
    full = call.room(call.integers(shape, "the output shape")) if shape is not None else dims
    call.room(dims)
    rows = ops.reshape(places, (-1, 1))
    flat = ops.scatter_update(ops.zeros((math.prod(dims),), dtype_of(x)), rows, ops.reshape(x, (-1,)))
    y = ops.reshape(flat, dims)
    widths = tuple((0, w - h) for w, h in zip(full, dims, strict=True))
    return ops.pad(y, widths) if any(map(any, widths)) else y


@operator("Col2Im")
def _col2im(call: Call, x: Any, image: Any, block: Any) -> Any:
    """Add up the blocks that overlap: the adjoint of cutting an image into blocks."""
    size, kernel = call.integers(image, "the image's shape"), call.integers(block, "the block's shape")
    w = window(call, size, kernel)
    batch, rows = shape_of(x)[0], shape_of(x)[1]
    channels = rows // math.prod(kernel)
    padded = [d + a + b for d, (a, b) in zip(size, w.pads, strict=True)]
    call.room([batch, channels, *padded])
    grid = np.arange(math.prod(padded)).reshape(padded)
    counts = [
        (d - (k - 1) * dil - 1) // s + 1 for d, k, dil, s in zip(padded, kernel, w.dilations, w.strides, strict=True)
    ]
    places = []
    for place in itertools.product(*map(range, kernel)):
        key = tuple(
            slice(p * dil, p * dil + (c - 1) * s + 1, s)
            for p, dil, c, s in zip(place, w.dilations, counts, w.strides, strict=True)
        )
        places.append(grid[key].reshape(-1))
    index = np.concatenate(places).reshape(-1, 1)
    columns = ops.reshape(ops.transpose(x, (1, 2, 0)), (channels, math.prod(kernel) * math.prod(counts), batch))
    columns = ops.transpose(columns, (1, 2, 0))
    image_flat = ops.scatter_update(ops.zeros((grid.size, batch, channels), dtype_of(x)), index, columns, "add")
    y = ops.reshape(ops.transpose(image_flat, (1, 2, 0)), (batch, channels, *padded))
    return ops.getitem(
        y, (slice(None), slice(None), *(slice(a, a + d) for d, (a, _) in zip(size, w.pads, strict=True)))
    )


@operator("CausalConvWithState", domain="")
def _causal_conv_with_state(call: Call, x: Any, kernel: Any, bias: Any = None, past: Any = None) -> Any:
    """A depthwise convolution over time that sees the past only, and hands on what the next piece needs of it."""
    y, joined, keep = causal_convolution(call, x, kernel, bias, past)
    length = shape_of(joined)[-1]
    return y, ops.getitem(joined, (slice(None), slice(None), slice(length - keep, length)))


def causal_convolution(
    call: Call, x: Any, kernel: Any, bias: Any, past: Any, dilation: int = 1
) -> tuple[Any, Any, int]:  # fmt: skip
    """The result for (batch, channels, time); what came before and `x` in one; how many steps the next piece needs."""
    from unidl.interchange.onnx.importing.recurrent import activation

    keep = (shape_of(kernel)[-1] - 1) * dilation
    if past is None:
        past = ops.zeros((*shape_of(x)[:2], keep), dtype_of(x))
    joined = ops.concatenate([past, x], -1)
    weights = ops.transpose(kernel, (2, 1, 0))
    y = (
        ops.conv(joined, weights, 1, "valid", _FIRST, dilation)
        if bias is None
        else ops.conv_bias(joined, weights, bias, 1, "valid", _FIRST, dilation)
    )
    name = call.get("activation", "none")
    if name in ("silu", "swish"):
        y = ops.silu(y)
    elif name != "none":
        y = activation(call, name)(y)
    return y, joined, keep
