"""New tensors: constants, ranges, patterns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._tensors import text
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import as_tensor, dtype_of, enter, on_host, rank_of, shape_of
from unidl.interchange.onnx.importing.casting import target


@operator("Constant", host=True)
def _constant(call: Call) -> Any:
    for name, make in _CONSTANTS.items():
        if call.has(name):
            return make(call.get(name))
    raise call.error(f"it holds none of {', '.join(_CONSTANTS)}")


_CONSTANTS: dict[str, Any] = {
    "value": lambda v: v,
    "sparse_value": lambda v: v,
    "value_float": lambda v: np.array(v, np.float32),
    "value_floats": lambda v: np.array(v, np.float32),
    "value_int": lambda v: np.array(v, np.int64),
    "value_ints": lambda v: np.array(v, np.int64),
    "value_string": lambda v: text([v]).reshape(()),
    "value_strings": text,
}


@operator("ConstantOfShape")
def _constant_of_shape(call: Call, shape: Any) -> Any:
    value = call.get("value", np.zeros(1, np.float32)).reshape(())
    dims = call.room(call.integers(shape, "the shape"))
    if any(isinstance(d, Dim) for d in dims):
        return ops.full(dims, value.item(), dtype_of(value))
    return enter(np.full(dims, value)) if math.prod(dims) > 1024 else np.full(dims, value)


@operator("ConstantFill")
def _constant_fill(call: Call, x: Any = None) -> Any:
    if x is None:
        dims = call.need("shape")
    else:
        dims = call.integers(x, "the shape") if call.get("input_as_shape", 0) else list(shape_of(x))
    return ops.full(
        call.room([*dims, *call.get("extra_shape", [])]), call.get("value", 0.0), target(call, call.get("dtype", 1))
    )


@operator("GivenTensorFill")
def _given_tensor_fill(call: Call, x: Any = None) -> Any:
    dims = call.need("shape") if x is None else list(shape_of(x))
    return np.asarray(call.need("values"), np.float32).reshape([*dims, *call.get("extra_shape", [])])


@operator("EyeLike")
def _eye_like(call: Call, x: Any) -> Any:
    rows, columns = shape_of(x)
    dtype = target(call, call.get("dtype")) if call.has("dtype") else dtype_of(x)
    return ops.eye(rows, columns, call.get("k", 0), dtype)


@operator("Range")
@operator("Range", domain=MICROSOFT)
def _range(call: Call, start: Any, limit: Any, delta: Any = None) -> Any:
    parts = [on_host(v, f"{call.node}: a bound") for v in (start, limit) + (() if delta is None else (delta,))]
    if delta is None:
        parts.append(np.ones((), parts[0].dtype))
    if any(p.dtype == object for p in parts):
        first, last, step = (p.reshape(()).item() for p in parts)
        if isinstance(step, Dim) or step != 1:
            raise call.error("a range up to an unknown size must have the step 1")
        count = last if not isinstance(first, Dim) and first == 0 else last - first
        return ops.add(ops.cast(ops.arange(count), "int64"), as_tensor(parts[0].reshape(())))
    first, last, step = (p.reshape(()) for p in parts)
    if step == 0:
        raise call.error("the step is 0")
    count = max(int(np.ceil((last.astype(np.float64) - first.astype(np.float64)) / step.astype(np.float64))), 0)
    call.room([count])
    return (first + np.arange(count).astype(first.dtype) * step).astype(first.dtype)


@operator("OneHot")
def _one_hot(call: Call, indices: Any, depth: Any, values: Any) -> Any:
    count = int(call.number(depth, "the depth"))
    axis = call.get("axis", -1)
    axis = axis + rank_of(indices) + 1 if axis < 0 else axis
    call.room([*shape_of(indices), count])
    places = ops.cast(indices, "int64")
    places = ops.where(ops.less(places, 0), ops.add(places, count), places)
    classes = np.arange(count, dtype=np.int64).reshape([count if i == axis else 1 for i in range(rank_of(indices) + 1)])
    hot = ops.equal(ops.expand_dims(places, axis), classes)
    off, on = ops.split(values, 2, 0)
    return ops.where(hot, on, off)


@operator("Trilu")
@operator("Trilu", domain=MICROSOFT)
def _trilu(call: Call, x: Any, k: Any = None) -> Any:
    offset = 0 if k is None else int(call.number(k, "the diagonal"))
    rows, columns = shape_of(x)[-2:]
    down = ops.expand_dims(ops.arange(rows), 1)
    across = ops.subtract(ops.arange(columns), max(min(offset, 2**30), -(2**30)))
    kept = ops.less_equal(down, across) if call.get("upper", 1) else ops.greater_equal(down, across)
    return ops.where(kept, x, ops.zeros_like(x))
