"""Pooling, with MXNet's conventions for the last window."""

from __future__ import annotations

import math

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value
from unidl.interchange.mxnet.operators.convolution import first
from unidl.interchange.mxnet.operators.creation import room


@operator("Pooling Pooling_v1 _npx_pooling")
def _pooling(c: Call, x: Value) -> Value:
    kind = c.choice("pool_type", "max", "max", "avg", "sum", "lp")
    run = _global if c.flag("global_pool") else _windows
    return first(c, x, lambda x: run(c, x, kind))


def _global(c: Call, x: Value, kind: str) -> Value:
    if kind == "sum":
        return c.w.reduce("ReduceSum", x, range(2, c.rank(x)), True)
    if kind == "lp":
        return c.w.node("GlobalLpPool", x, p=c.integer("p_value", 2))
    return c.w.node({"max": "GlobalMaxPool", "avg": "GlobalAveragePool"}[kind], x)


def _windows(c: Call, x: Value, kind: str) -> Value:
    w, kernel = c.w, c.ints("kernel")
    n = len(kernel)
    strides, pads = c.ints("stride", (1,) * n, n), c.ints("pad", (0,) * n, n)
    if min((*kernel, *strides)) < 1:
        raise c.error(f"kernel {kernel} and stride {strides} must be positive")
    convention = c.choice("pooling_convention", "valid", "valid", "full", "same")
    extra = (0,) * n if convention == "valid" else _extra(c, x, kernel, strides, pads, convention)
    ends = tuple(p + e for p, e in zip(pads, extra, strict=True))
    common = {"kernel_shape": kernel, "strides": strides}
    if kind == "max":
        return w.node("MaxPool", x, pads=(*pads, *ends), **common)
    if kind == "lp":
        return w.node("LpPool", x, pads=(*pads, *ends), p=c.integer("p_value", 2), **common)
    if kind == "sum":
        mean = w.node("AveragePool", x, pads=(*pads, *ends), count_include_pad=1, **common)
        return w.node("Mul", mean, w.number(float(math.prod(kernel)), x))
    if not c.flag("count_include_pad", True):
        return w.node("AveragePool", x, pads=(*pads, *ends), **common)
    if any(extra) and any(pads):  # zeros around the data count, and what lies behind them does not
        around = np.asarray([0, 0, *pads, 0, 0, *pads], "int64")
        return w.node("AveragePool", w.node("Pad", x, around), pads=((0,) * n + extra), **common)
    include = None if any(extra) else 1
    return w.node("AveragePool", x, pads=(*pads, *ends), count_include_pad=include, **common)


def _extra(
    c: Call, x: Value, kernel: tuple[int, ...], strides: tuple[int, ...], pads: tuple[int, ...], convention: str
) -> tuple[int, ...]:  # fmt: skip
    """What lies behind the data and the pads, and is reached by the last window."""
    extra = []
    for i, (k, s, p) in enumerate(zip(kernel, strides, pads, strict=True)):
        if convention == "full" and (s == 1 or c.shape(x)[i + 2] is None):
            extra.append(s - 1)  # enough for any size, and too little for one window more
            continue
        size = c.known(x, i + 2, f"pooling_convention {convention!r}") + 2 * p
        last = math.ceil((size - k) / s) if convention == "full" else math.ceil(size / s) - 1
        extra.append(max(last * s + k - size, 0))
    return tuple(extra)


@operator("_contrib_AdaptiveAvgPooling2D")
def _adaptive_average(c: Call, x: Value) -> Value:
    """The mean of as many regions as are wanted: a product with a matrix of parts for each axis."""
    w = c.w
    sizes = c.get("output_size", (1, 1))
    sizes = (sizes, sizes) if isinstance(sizes, int) else tuple(sizes) * (2 if len(sizes) == 1 else 1)
    if not sizes or sizes == (1, 1):
        return w.node("GlobalAveragePool", x)
    room(c, *sizes)
    high, wide = (_parts(c.known(x, i + 2, "adaptive pooling"), d) for i, d in enumerate(sizes))
    return w.node("MatMul", w.node("MatMul", w.constant(high, x.dtype), x), w.constant(wide.T, x.dtype))


def _parts(size: int, count: int) -> np.ndarray:
    """Row i has the weights of the elements in the region i of `count`."""
    matrix = np.zeros((count, size))
    for i in range(count):
        start, stop = i * size // count, -(-(i + 1) * size // count)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix
