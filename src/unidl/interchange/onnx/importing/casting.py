"""Element types."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._reading import dtype_name
from unidl.interchange.onnx._tensors import text
from unidl.interchange.onnx.importing import _host
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator
from unidl.interchange.onnx.importing._values import as_tensor, dtype_of, is_host, on_host


def target(call: Call, to: Any) -> str:
    """The name of the dtype that an attribute `to` says; the first versions wrote it as text."""
    import onnx

    if isinstance(to, str):
        if to not in onnx.TensorProto.DataType.keys():  # noqa: SIM118
            raise call.error(f"the element type {to!r} is unknown")
        to = onnx.TensorProto.DataType.Value(to)
    return dtype_name(to)


def cast(x: Any, dtype: str, saturate: bool = True) -> Any:
    """`x` in another dtype, on the host if the engine lacks either of them."""
    have = dtype_of(x)
    if have == dtype:
        return x
    if not is_host(x) and dtype in active.dtypes:
        return ops.cast(x, dtype)
    x = on_host(x, "what is cast to a dtype that the engine lacks")
    if have == "string":
        return _from_text(x, dtype)
    if dtype == "string":
        return text([_to_text(v) for v in x.reshape(-1)]).reshape(x.shape)
    if "float8" in dtype or "float4" in dtype:
        return _to_small_float(x, dtype, saturate)
    if dtype in _SMALL_INTEGERS:
        bits, signed = _SMALL_INTEGERS[dtype]
        wide = x.astype(np.float64) if x.dtype.kind not in "iub" else x.astype(np.int64)
        wrapped = np.trunc(wide).astype(np.int64) & (2**bits - 1)
        if signed:
            wrapped = np.where(wrapped >= 2 ** (bits - 1), wrapped - 2**bits, wrapped)
        return wrapped.astype(_host.np_dtype(dtype))
    if x.dtype.type.__module__ != "numpy":  # the dtypes of ml_dtypes
        x = x.astype(np.float32)
    with np.errstate(all="ignore"):
        return _host.cast(x, dtype)


_SMALL_INTEGERS = {"int4": (4, True), "uint4": (4, False), "int2": (2, True), "uint2": (2, False)}


def _from_text(x: np.ndarray, dtype: str) -> np.ndarray:
    flat = [str(v) for v in x.reshape(-1)]
    if dtype.startswith(("int", "uint")):
        return np.array([int(v) for v in flat]).reshape(x.shape).astype(dtype)
    if dtype == "bool":
        return np.array([v not in ("", "0", "False") for v in flat]).reshape(x.shape)
    return np.array([float(v) for v in flat]).reshape(x.shape).astype(_host.np_dtype(dtype))


def _to_text(value: Any) -> str:
    if isinstance(value, (np.bool_, bool)):
        return "1" if value else "0"
    if isinstance(value, np.floating):
        return np.format_float_positional(value, trim="-") if 1e-4 <= abs(value) < 1e16 or value == 0 else str(value)
    return str(value)


def _to_small_float(x: np.ndarray, dtype: str, saturate: bool) -> np.ndarray:
    import ml_dtypes

    wanted = _host.np_dtype(dtype)
    wide = x.astype(np.float32)
    with np.errstate(all="ignore"):
        if dtype == "float8_e8m0fnu":  # powers of two, as they are rounded by default: up, zero to the least
            return np.exp2(np.ceil(np.log2(np.maximum(wide, 2.0**-127)))).astype(wanted)
        info = ml_dtypes.finfo(wanted)
        most = float(info.max)
        if saturate or dtype.startswith("float4"):
            keep_nan = np.isnan(wide)
            return np.where(keep_nan, wide, np.clip(wide, -most, most)).astype(wanted)
        return wide.astype(wanted)


@operator("Cast", host=True)
def _cast(call: Call, x: Any) -> Any:
    dtype = target(call, call.need("to"))
    if is_host(x) and any(isinstance(v, Dim) for v in (x.flat if x.dtype == object else ())):
        return x if dtype.startswith("int") else ops.cast(as_tensor(x), dtype)
    return cast(x, dtype, bool(call.get("saturate", 1)))


@operator("CastLike", host=True)
def _cast_like(call: Call, x: Any, like: Any) -> Any:
    return cast(x, dtype_of(like), bool(call.get("saturate", 1)))
