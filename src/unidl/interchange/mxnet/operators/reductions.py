"""Sums, means, extremes and norms over axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value
from unidl.interchange.mxnet.operators.elementwise import is_float


def axes_of(c: Call, x: Value, name: str = "axis") -> list[int] | None:
    """The axes to reduce; None: all of them."""
    given = c.get(name)
    if given is None or given == ():
        if c.flag("exclude"):
            return []
        return None if given is None or not c.own else []
    axes = list(c.ints(name))
    if not c.flag("exclude"):
        return axes
    rank = c.rank(x)
    excluded = {c.axis(a, rank) for a in axes}
    return [i for i in range(rank) if i not in excluded]


def reduced(c: Call, op: str, x: Value, axes: Sequence[int] | None, keepdims: bool | None = None) -> Value:
    """The reduction; where MXNet has no tensors without dimensions, what is left of all axes is one element."""
    keepdims = c.flag("keepdims") if keepdims is None else keepdims
    y = c.w.reduce(op, x, axes, keepdims)
    everything = axes is None or (x.shape is not None and axes and len(set(axes)) == len(x.shape))
    if everything and not keepdims and not c.numpy and not c.own:
        return c.w.reshape(y, [1])
    return y


_REDUCTIONS = {
    "ReduceSum": "sum sum_axis _sparse_sum _np_sum", "ReduceMean": "mean _sparse_mean _npi_mean",
    "ReduceProd": "prod _np_prod _np_product", "ReduceMax": "max max_axis _np_max _np_amax",
    "ReduceMin": "min min_axis _np_min _np_amin",
}  # fmt: skip

for _op, _operators in _REDUCTIONS.items():

    @operator(_operators, op=_op)
    def _reduce(c: Call, x: Value, op: str) -> Value:
        if op == "ReduceMean" and not is_float(x):
            x = c.w.cast(x, "float32")
        elif x.dtype == "bool" and op in ("ReduceSum", "ReduceProd"):
            x = c.w.cast(x, "int64")
        if c.get("initial") is not None:
            raise c.error("the attribute 'initial' is not read")
        return reduced(c, op, c.w.cast(x, c.dtype(x.dtype)), axes_of(c, x))


@operator("nansum", op="ReduceSum", fill=0.0)
@operator("nanprod", op="ReduceProd", fill=1.0)
def _without_nan(c: Call, x: Value, op: str, fill: float) -> Value:
    filled = c.w.node("Where", c.w.node("IsNaN", x), c.w.number(fill, x), x)
    return reduced(c, op, filled, axes_of(c, x))


@operator("norm _sparse_norm")
def _norm(c: Call, x: Value) -> Value:
    order = c.integer("ord", 2)
    if order not in (1, 2):
        raise c.error(f"ord {order} is not read; 1 and 2 are")
    return reduced(c, f"ReduceL{order}", c.w.cast(x, c.dtype(x.dtype, "out_dtype")), axes_of(c, x))


@operator("_npi_var")
@operator("_npi_std", root=True)
def _variance(c: Call, x: Value, root: bool = False) -> Value:
    w, axes, less = c.w, axes_of(c, x), c.integer("ddof", 0)
    x = x if is_float(x) else w.cast(x, "float32")
    centred = w.node("Sub", x, w.reduce("ReduceMean", x, axes, True))
    y = w.reduce("ReduceMean", w.node("Mul", centred, centred), axes, c.flag("keepdims"))
    if less:
        count = int(np.prod([c.known(x, a, "ddof") for a in (range(c.rank(x)) if axes is None else axes)]))
        y = w.node("Mul", y, w.number(count / (count - less), y))
    return w.node("Sqrt", y) if root else y


@operator("moments")
def _moments(c: Call, x: Value) -> list[Value]:
    w, axes = c.w, axes_of(c, x, "axes")
    centred = w.node("Sub", x, w.reduce("ReduceMean", x, axes, True))
    return [reduced(c, "ReduceMean", v, axes) for v in (x, w.node("Mul", centred, centred))]


@operator("_np_any _np_sometrue", op="ReduceMax")
@operator("_np_all", op="ReduceMin")
def _truth(c: Call, x: Value, op: str) -> Value:
    w = c.w
    numbers = w.cast(w.cast(x, "bool"), "int32")
    return w.cast(reduced(c, op, numbers, axes_of(c, x)), "bool")


@operator("cumsum _np_cumsum")
def _cumsum(c: Call, x: Value) -> Value:
    axis = c.get("axis")
    x = c.w.cast(x, c.dtype("int32" if x.dtype == "bool" else x.dtype))
    if axis is None:
        x = c.w.reshape(x, [-1])
    return c.w.node("CumSum", x, np.asarray(axis or 0, "int64"))


@operator("argmax _npi_argmax", op="ArgMax")
@operator("argmin _npi_argmin", op="ArgMin")
def _argmax(c: Call, x: Value, op: str) -> Value:
    """The old operators give floats."""
    w, axis, keepdims = c.w, c.get("axis"), c.flag("keepdims")
    if axis is not None:
        y = w.node(op, x, axis=c.integer("axis"), keepdims=int(keepdims))
        if c.rank(x) == 1 and not keepdims and not c.numpy and not c.own:
            y = w.reshape(y, [1])
    else:
        y = w.node(op, w.reshape(x, [-1]), axis=0, keepdims=0)
        sizes = [1] * c.rank(x) if keepdims else [] if c.numpy or c.own else [1]
        y = w.reshape(y, sizes) if sizes else y
    return y if c.own else w.cast(y, "float32")


@operator("argmax_channel")
def _argmax_channel(c: Call, x: Value) -> Value:
    return c.w.cast(c.w.node("ArgMax", x, axis=1, keepdims=0), "float32")
