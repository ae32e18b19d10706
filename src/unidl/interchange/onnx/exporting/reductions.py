"""Reductions and running sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl.interchange.onnx.exporting._emit import Emit, as_bool
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.ops._declare import axes_tuple


def _axes(x: Value, axis: Any) -> tuple[int, ...]:
    return axes_tuple(axis, len(x.shape))


def _total(op_type: str) -> Emit:
    """Sums and products, in the dtype that the op's rule gives (16-bit floats in float32 on the way)."""

    def emit(w: Writer, x: Value, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Value:
        want = w.specs[0].dtype
        wide = w.wide(w.cast(x, want), half=True)
        return w.cast(w.reduce(op_type, wide, _axes(x, axis), keepdims), want)

    return emit


def mean(w: Writer, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    return w.cast(w.reduce("ReduceMean", w.wide(x, half=True), _axes(x, axis), keepdims), x.dtype)


def _extreme(op_type: str, merge: str) -> Emit:
    def emit(w: Writer, x: Value, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Value:
        wide = w.cast(x, "int32") if x.dtype == "bool" else w.wide(x)
        result = w.reduce(op_type, wide, _axes(x, axis), keepdims)
        if initial is not None and initial != (-math.inf if merge == "Max" else math.inf):
            result = w.node(merge, result, w.constant(initial, wide.dtype))
        return w.cast(result, x.dtype)

    return emit


def _some(w: Writer, flags: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    """Whether the number of true elements is positive: that of none is 0."""
    count = w.reduce("ReduceSum", w.cast(flags, "int32"), axes, keepdims)
    return w.node("Greater", count, w.constant(0, "int32"), dtype="bool")


def any_(w: Writer, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    return _some(w, as_bool(w, x), _axes(x, axis), keepdims)


def all_(w: Writer, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    return w.node("Not", _some(w, w.node("Not", as_bool(w, x)), _axes(x, axis), keepdims))


def _place(op_type: str) -> Emit:
    def emit(w: Writer, x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
        rank = len(x.shape)
        wide = w.cast(x, "int32") if x.dtype == "bool" else w.wide(x)
        if wide.dtype == "int64":  # onnxruntime has no kernel for it
            wide = w.cast(wide, "float64")
        if axis is None:
            found = w.node(op_type, w.node("Reshape", wide, np.asarray([-1])), axis=0, keepdims=1, dtype="int64")
            shape = (1,) * rank if keepdims else ()
            found = w.node("Reshape", found, np.asarray(shape, "int64"))
        else:
            found = w.node(op_type, wide, axis=axis, keepdims=int(keepdims), dtype="int64")
        return w.cast(found, "int32")

    return emit


def logsumexp(w: Writer, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    if not x.shape:
        return NotImplemented
    return w.cast(w.reduce("ReduceLogSumExp", w.wide(x, half=True), _axes(x, axis), keepdims), x.dtype)


def _flat(w: Writer, x: Value, axis: int | None) -> tuple[Value, int]:
    """`x` and the axis along which it runs: the only one of the flattened tensor if `axis` is None."""
    return (w.node("Reshape", x, np.asarray([-1])), 0) if axis is None else (x, axis)


def cumsum(w: Writer, x: Value, axis: int | None = None, dtype: Any = None) -> Value:
    want = w.specs[0].dtype
    wide, along = _flat(w, w.wide(w.cast(x, want), half=True), axis)
    return w.cast(w.node("CumSum", wide, w.constant(along, "int64")), want)


def cumprod(w: Writer, x: Value, axis: int | None = None, dtype: Any = None) -> Value:
    """A scan along the axis (ONNX has an operator since opset 26, which onnxruntime lacks)."""
    want = w.specs[0].dtype
    wide, along = _flat(w, w.wide(w.cast(x, want), half=True), axis)
    rank = 1 if axis is None else len(x.shape)
    along %= rank
    others = np.asarray([a for a in range(rank) if a != along], "int64")
    one = w.helper.make_tensor("one", w.type(wide.dtype), [1], [1])
    start = w.node("ConstantOfShape", w.node("Gather", w.shape(wide), others), dtype=wide.dtype, value=one)

    def step(so_far: Value, item: Value) -> list[Value]:
        product = w.node("Mul", so_far, item)
        return [product, product]

    body = w.subgraph("product", [(None, wide.dtype)] * 2, step)
    _, result = w.nodes(
        "Scan", [start, wide], [wide.dtype] * 2, body=body, num_scan_inputs=1,
        scan_input_axes=[along], scan_output_axes=[along],
    )  # fmt: skip
    return w.cast(result, want)


TABLE: dict[str, Emit] = {
    "sum": _total("ReduceSum"),
    "prod": _total("ReduceProd"),
    "mean": mean,
    "max": _extreme("ReduceMax", "Max"),
    "min": _extreme("ReduceMin", "Min"),
    "any": any_,
    "all": all_,
    "argmax": _place("ArgMax"),
    "argmin": _place("ArgMin"),
    "logsumexp": logsumexp,
    "cumsum": cumsum,
    "cumprod": cumprod,
}
