"""Reductions, places of extremes, sums along an axis, norms."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import TABLE, Entry, operator, put
from unidl.interchange.onnx.importing._values import as_tensor, dtype_of, rank_of, shape_of


def _sum(o: Any, x: Any, axes: Any, keep: bool) -> Any:
    return o.cast(o.sum(x, axis=axes, keepdims=keep), dtype_of(x))


def _prod(o: Any, x: Any, axes: Any, keep: bool) -> Any:
    return o.cast(o.prod(x, axis=axes, keepdims=keep), dtype_of(x))


def _mean(o: Any, x: Any, axes: Any, keep: bool) -> Any:
    return o.cast(o.mean(x, axis=axes, keepdims=keep), dtype_of(x))


def _extreme(name: str) -> Any:
    def reduce(o: Any, x: Any, axes: Any, keep: bool) -> Any:
        if dtype_of(x) == "bool":
            return (o.any if name == "max" else o.all)(x, axis=axes, keepdims=keep)
        shape = shape_of(x)
        if any(shape[a] == 0 for a in (range(len(shape)) if axes is None else axes)):  # nothing: the least of all
            reduced = _sum(o, o.zeros_like(x), axes, keep)
            return o.add(reduced, o.cast(_least(dtype_of(x), name == "max"), dtype_of(x)))
        return getattr(o, name)(x, axis=axes, keepdims=keep)

    return reduce


def _least(dtype: str, least: bool) -> Any:
    import numpy as np

    from unidl.interchange.onnx.importing._host import np_dtype

    if dtype.startswith(("int", "uint")):
        info = np.iinfo(dtype)
        return np.asarray(info.min if least else info.max, dtype)
    return np.asarray(-np.inf if least else np.inf, np_dtype(dtype))


#: Each takes the namespace, the tensor, the axes (None: all) and whether axes stay with size 1.
_REDUCTIONS: dict[str, Any] = {
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "ReduceProd": _prod,
    "ReduceMax": _extreme("max"),
    "ReduceMin": _extreme("min"),
    "ReduceL1": lambda o, x, axes, keep: _sum(o, o.absolute(x), axes, keep),
    "ReduceL2": lambda o, x, axes, keep: _root(o, _sum(o, o.multiply(x, x), axes, keep)),
    "ReduceSumSquare": lambda o, x, axes, keep: _sum(o, o.multiply(x, x), axes, keep),
    "ReduceLogSum": lambda o, x, axes, keep: _log(o, _sum(o, x, axes, keep)),
    "ReduceLogSumExp": lambda o, x, axes, keep: _log_sum_exp(o, x, axes, keep),
}


def _root(o: Any, x: Any) -> Any:
    return o.cast(o.sqrt(x), dtype_of(x))


def _log(o: Any, x: Any) -> Any:
    return o.cast(o.log(x), dtype_of(x))


def _log_sum_exp(o: Any, x: Any, axes: Any, keep: bool) -> Any:
    if 0 in shape_of(x):
        return o.log(_sum(o, x, axes, keep))
    if o is ops:
        return ops.cast(ops.logsumexp(x, axes, keep), dtype_of(x))
    return _log(o, _sum(o, o.exp(x), axes, keep))


def _reduction(name: str, axes_as_input: bool) -> Any:
    reduce = _REDUCTIONS[name]

    def entry(call: Call, x: Any, axes: Any = None) -> Any:
        chosen = call.integers(axes, "the axes") if axes is not None else call.get("axes")
        rank = rank_of(x)
        if not chosen and (axes_as_input or chosen is None):
            if call.get("noop_with_empty_axes", 0):
                return _unreduced(name, call, x)
            chosen = None
        places = None if chosen is None else tuple(call.axis(a, rank) for a in chosen)
        x = as_tensor(x) if call.ops is ops else x
        return reduce(call.ops, x, places, bool(call.get("keepdims", 1)))

    return entry


def _unreduced(name: str, call: Call, x: Any) -> Any:
    """Each element by itself: what the reduction does besides reducing."""
    return _REDUCTIONS[name](call.ops, x, (), True) if name in _WITH_MAPS else x


_WITH_MAPS = ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")

for _name in _REDUCTIONS:
    put(TABLE, _name, "", Entry(1, _reduction(_name, False), host=True))
    put(TABLE, _name, "", Entry(13 if _name == "ReduceSum" else 18, _reduction(_name, True), host=True))


def _place(name: str) -> Any:
    def entry(call: Call, x: Any) -> Any:
        axis = call.axis(call.get("axis", 0), rank_of(x))
        last = call.get("select_last_index", 0)
        if last:
            x = ops.flip(x, axis)
        found = ops.cast(getattr(ops, name)(x, axis, bool(call.get("keepdims", 1))), "int64")
        return ops.subtract(_extent(x, axis), found) if last else found

    return entry


def _extent(x: Any, axis: int) -> Any:
    """The last index along an axis."""
    return ops.subtract(ops.cast(ops.axis_size(x, axis), "int64"), 1)


put(TABLE, "ArgMax", "", Entry(1, _place("argmax")))
put(TABLE, "ArgMin", "", Entry(1, _place("argmin")))


def _cumulative(name: str, neutral: int) -> Any:
    def entry(call: Call, x: Any, axis: Any) -> Any:
        o, dtype = call.ops, dtype_of(x)
        place = call.axis(call.number(axis, "the axis"), rank_of(x))
        if call.get("reverse", 0):
            x = o.flip(x, place)
        if call.get("exclusive", 0):
            size = shape_of(x)[place]
            first = o.full_like(_part(o, x, place, slice(0, 1)), neutral)
            x = o.concatenate([first, _part(o, x, place, slice(0, size - 1))], place)
        x = o.cast(getattr(o, name)(x, place), dtype)
        return o.flip(x, place) if call.get("reverse", 0) else x

    return entry


def _part(o: Any, x: Any, axis: int, key: slice) -> Any:
    return o.getitem(x, (*[slice(None)] * axis, key))


put(TABLE, "CumSum", "", Entry(1, _cumulative("cumsum", 0), host=True))
put(TABLE, "CumProd", "", Entry(1, _cumulative("cumprod", 1), host=True))


@operator("LpNormalization")
def _lp_normalization(call: Call, x: Any) -> Any:
    axis = call.get("axis", -1)
    if call.get("p", 2) == 1:
        size = ops.sum(ops.absolute(x), axis, True)
    else:
        size = ops.sqrt(ops.sum(ops.multiply(x, x), axis, True))
    zero = ops.equal(size, ops.zeros_like(size))
    return ops.where(zero, ops.zeros_like(x), ops.divide(x, ops.where(zero, ops.ones_like(size), size)))


@operator("MeanVarianceNormalization")
def _mean_variance_normalization(call: Call, x: Any) -> Any:
    axes = call.get("axes", [0, 2, 3])
    if call.version < 9:
        axes = [0, 2, 3] if call.get("across_channels", 0) == 0 else [0, 1, 2, 3]
    centred = ops.subtract(x, ops.mean(x, tuple(axes), True))
    if call.version < 9 and not call.get("normalize_variance", 1):
        return centred
    deviation = ops.sqrt(ops.mean(ops.multiply(centred, centred), tuple(axes), True))
    return ops.divide(centred, ops.add(deviation, 1e-9))
