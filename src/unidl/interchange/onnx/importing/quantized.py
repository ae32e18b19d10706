"""Quantized tensors: scales and zero points, integer products, and the operators that take and give such tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.interchange.onnx.importing import _host
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, is_host, on_host, rank_of, shape_of
from unidl.interchange.onnx.importing.activations import flattened
from unidl.interchange.onnx.importing.casting import cast, target
from unidl.interchange.onnx.importing.recurrent import lstm
from unidl.interchange.onnx.importing.windows import average_pool, convolve, window

_RANGES = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}


def limits(dtype: str) -> tuple[int, int]:
    """The least and the largest value of an integer dtype."""
    if dtype in _RANGES:
        return _RANGES[dtype]
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _expanded(call: Call, scale: Any, x: Any, axis: int, block: int) -> Any:
    """A scale (or zero point) of one number, one for each place along `axis`, or one for each block, to meet `x`."""
    rank = rank_of(x)
    if rank_of(scale) == 0 or (rank_of(scale) == 1 and shape_of(scale)[0] == 1):
        return _lib(scale).reshape(scale, ())
    axis = call.axis(axis, rank)
    if rank_of(scale) == 1 and (rank > 1 or not block):
        return _lib(scale).reshape(scale, tuple([-1 if i == axis else 1 for i in range(rank)]))
    if not block:
        raise call.error(f"a scale of shape {list(shape_of(scale))} needs a block_size for input {list(shape_of(x))}")
    wide = _lib(scale).repeat(scale, block, axis)
    size = shape_of(x)[axis]
    return _lib(wide).getitem(wide, (*[slice(None)] * axis, slice(0, size)))


def _lib(*values: Any) -> Any:
    return _host if all(v is None or is_host(v) for v in values) else ops


def _wide(x: Any, dtype: str) -> Any:
    """Small integers and floats as `dtype`, wherever they are."""
    return cast(x, dtype)


def dequantized(call: Call, x: Any, scale: Any, zero: Any, axis: int, block: int = 0, dtype: str = "") -> Any:
    """``(x - zero) * scale``."""
    kind = dtype_of(scale)
    inner = "float64" if kind == "float64" else "float32"
    wide = _wide(x, inner)
    if zero is not None:
        zero = _wide(zero, inner)
        wide = _lib(wide, zero).subtract(wide, _expanded(call, zero, x, axis, block))
    factor = _expanded(call, _wide(scale, inner), x, axis, block)
    return cast(_lib(wide, factor).multiply(wide, factor), dtype or kind)


@operator("DequantizeLinear", host=True)
@operator("DequantizeLinear", domain=MICROSOFT, host=True)
def _dequantize_linear(call: Call, x: Any, scale: Any, zero: Any = None) -> Any:
    dtype = target(call, call.get("output_dtype", 0)) if call.get("output_dtype", 0) else ""
    return dequantized(call, x, scale, zero, call.get("axis", 1), call.get("block_size", 0), dtype)


def quantized(
    call: Call, x: Any, scale: Any, zero: Any, dtype: str, axis: int = 1, block: int = 0, inner: str = ""
) -> Any:
    """``round(x / scale) + zero``, ties to even, kept within what `dtype` can hold."""
    kind = dtype_of(x)
    inner = inner or ("float64" if kind == "float64" else "float32")
    if inner in ("float16", "bfloat16") and inner not in active.dtypes:
        x, scale = on_host(x), on_host(scale)
    factor = _expanded(call, _wide(scale, inner), x, axis, block)
    wide = _wide(x, inner)
    y = _lib(wide, factor).divide(wide, factor)
    if dtype.startswith("float"):
        return cast(y, dtype, bool(call.get("saturate", 1)))
    o = _lib(y)
    y = o.cast(o.round(y), "float32") if inner != "float64" else o.round(y)
    if zero is not None:
        zero = _expanded(call, _wide(zero, dtype_of(y)), x, axis, block)
        y = _lib(y, zero).add(y, zero)
    low, high = limits(dtype)
    o = _lib(y)
    return cast(o.minimum(o.maximum(y, float(low)), float(high)), dtype)


@operator("QuantizeLinear", host=True)
@operator("QuantizeLinear", domain=MICROSOFT, host=True)
def _quantize_linear(call: Call, x: Any, scale: Any, zero: Any = None) -> Any:
    dtype = dtype_of(zero) if zero is not None else "uint8"
    if zero is None and call.get("output_dtype", 0):
        dtype = target(call, call.get("output_dtype"))
    precision = target(call, call.get("precision", 0)) if call.get("precision", 0) else ""
    return quantized(call, x, scale, zero, dtype, call.get("axis", 1), call.get("block_size", 0), precision)


@operator("DynamicQuantizeLinear")
def _dynamic_quantize_linear(call: Call, x: Any) -> Any:
    scale, zero = _range_of(x)
    y = quantized(call, x, scale, zero, "uint8")
    return y, scale, ops.cast(zero, "uint8")


def _range_of(x: Any) -> tuple[Any, Any]:
    """Scale and zero point (a float) that cover all values of `x` with 8 bits."""
    low, high = ops.minimum(ops.min(x), 0.0), ops.maximum(ops.max(x), 0.0)
    scale = ops.divide(ops.subtract(high, low), 255.0)
    safe = ops.where(ops.equal(scale, 0.0), ops.ones_like(scale), scale)
    return scale, ops.clip(ops.round(ops.divide(ops.negative(low), safe)), 0.0, 255.0)


# -- products of integers --------------------------------------------------------------------------


def _centred(x: Any, zero: Any, dtype: str, rows: bool = False) -> Any:
    """``x - zero`` as floats that hold it exactly; a vector of zero points is for rows, or for columns."""
    x = _wide(x, dtype)
    if zero is None:
        return x
    zero = _wide(zero, dtype)
    if rank_of(zero) == 1 and rows and shape_of(zero)[0] != 1:
        zero = _lib(zero).expand_dims(zero, -1)
    return _lib(x, zero).subtract(x, zero)


def _integer_product(a: Any, b: Any, az: Any, bz: Any) -> Any:
    """Products of 8-bit integers as float64: exact far beyond the 32 bits of ONNX's accumulators."""
    return ops.matmul(_centred(a, az, "float64", True), _centred(b, bz, "float64"))


@operator("MatMulInteger")
def _matmul_integer(call: Call, a: Any, b: Any, az: Any = None, bz: Any = None) -> Any:
    return ops.cast(_integer_product(a, b, az, bz), "int32")


@operator("ConvInteger")
def _conv_integer(call: Call, x: Any, w: Any, xz: Any = None, wz: Any = None) -> Any:
    wz = _per_filter(wz, w)
    return ops.cast(convolve(call, _centred(x, xz, "float64"), _centred(w, wz, "float64")), "int32")


def _per_filter(v: Any, w: Any) -> Any:
    """One number for each filter, in a shape that meets weights."""
    if v is None or rank_of(v) == 0 or shape_of(v)[0] == 1:
        return v if v is None else _lib(v).reshape(v, ())
    return _lib(v).reshape(v, (-1, *[1] * (rank_of(w) - 1)))


def _requantized(call: Call, exact: Any, scale: Any, out_scale: Any, out_zero: Any) -> Any:
    """An exact integer result, times the scales, as a quantized tensor."""
    factor = ops.divide(_wide(scale, "float32"), _wide(out_scale, "float32"))
    y = ops.round(ops.multiply(ops.cast(exact, "float32"), factor))
    low, high = limits(dtype_of(out_zero))
    return cast(ops.clip(ops.add(y, _wide(out_zero, "float32")), float(low), float(high)), dtype_of(out_zero))


@operator("QLinearMatMul")
def _qlinear_matmul(
    call: Call, a: Any, a_scale: Any, az: Any, b: Any, b_scale: Any, bz: Any, y_scale: Any, yz: Any
) -> Any:
    if dtype_of(yz).startswith("float"):
        inner = "float32"
        product = ops.matmul(
            dequantized(call, a, a_scale, az, -2, dtype=inner), dequantized(call, b, b_scale, bz, -1, dtype=inner)
        )
        return quantized(call, product, y_scale, yz, dtype_of(yz))
    if rank_of(a_scale) == 1 and shape_of(a_scale)[0] != 1:
        a_scale = _lib(a_scale).expand_dims(a_scale, -1)
    scale = ops.multiply(_wide(a_scale, "float32"), _wide(b_scale, "float32"))
    return _requantized(call, _integer_product(a, b, az, bz), scale, y_scale, yz)


@operator("QLinearConv")
def qlinear_conv(
    call: Call, x: Any, x_scale: Any, xz: Any, w: Any, w_scale: Any, wz: Any, y_scale: Any, yz: Any, bias: Any = None
) -> Any:
    exact = convolve(call, _centred(x, xz, "float64"), _centred(w, _per_filter(wz, w), "float64"))
    if bias is not None:
        exact = ops.add(exact, ops.reshape(_wide(bias, "float64"), (-1, *[1] * (rank_of(x) - 2))))
    w_scale = _wide(w_scale, "float32")
    if rank_of(w_scale) == 1 and shape_of(w_scale)[0] != 1:
        w_scale = _lib(w_scale).reshape(w_scale, (-1, *[1] * (rank_of(x) - 2)))
    return _requantized(call, exact, ops.multiply(_wide(x_scale, "float32"), w_scale), y_scale, yz)


@operator("MatMulIntegerToFloat", domain=MICROSOFT)
def _matmul_integer_to_float(
    call: Call, a: Any, b: Any, a_scale: Any, b_scale: Any, az: Any = None, bz: Any = None, bias: Any = None
) -> Any:
    exact = ops.cast(_integer_product(a, b, az, bz), "float32")
    y = ops.multiply(exact, ops.multiply(a_scale, b_scale))
    return y if bias is None else ops.add(y, bias)


@operator("DynamicQuantizeMatMul", domain=MICROSOFT)
def _dynamic_quantize_matmul(call: Call, a: Any, b: Any, b_scale: Any, bz: Any = None, bias: Any = None) -> Any:
    a_scale, az = _range_of(a)
    whole = quantized(call, a, a_scale, az, "uint8")
    exact = ops.cast(_integer_product(whole, b, az, bz), "float32")
    y = ops.multiply(exact, ops.multiply(a_scale, b_scale))
    return y if bias is None else ops.add(y, bias)


@operator("DynamicQuantizeLSTM", domain=MICROSOFT, apart=True)
def _dynamic_quantize_lstm(
    call: Call, x: Any, w: Any, r: Any, b: Any, lengths: Any, h0: Any, c0: Any, p: Any, w_scale: Any, wz: Any,
    r_scale: Any, rz: Any,
) -> Any:  # fmt: skip
    """An LSTM whose inputs, and states before each step, are quantized for their products with 8-bit weights."""
    w, r = (
        ops.swapaxes(_of_directions(k, scale, zero), 1, 2) for k, scale, zero in ((w, w_scale, wz), (r, r_scale, rz))
    )
    if lengths is not None:  # steps behind the longest sequence do not count for the range of numbers
        time = ops.reshape(ops.arange(shape_of(x)[0], dtype="int64"), (-1, 1, 1))
        x = ops.where(ops.less(time, ops.max(ops.cast(lengths, "int64"))), x, ops.zeros_like(x))
    return lstm(call, _rounded(x), w, r, b, lengths, h0, c0, p, _rounded)


def _of_directions(kernel: Any, scale: Any, zero: Any) -> Any:
    """Weights (directions, inputs, columns); a scale is for a direction, or for each column of it."""
    scale, zero = (_lib(v).reshape(_wide(v, "float32"), (shape_of(kernel)[0], 1, -1)) for v in (scale, zero))
    return ops.multiply(ops.subtract(_wide(kernel, "float32"), zero), scale)


def _rounded(x: Any) -> Any:
    """Numbers as 8 bits hold them, with a scale and a zero point that cover all of `x`."""
    scale, zero = _range_of(x)
    scale = ops.where(ops.equal(scale, 0.0), ops.ones_like(scale), scale)
    steps = ops.clip(ops.add(ops.round(ops.divide(x, scale)), zero), 0.0, 255.0)
    return ops.multiply(ops.subtract(steps, zero), scale)


# -- float operators on quantized tensors ----------------------------------------------------------


def _binary(name: str) -> Any:
    def entry(
        call: Call, a: Any, a_scale: Any, az: Any, b: Any, b_scale: Any, bz: Any, y_scale: Any, yz: Any = None
    ) -> Any:
        y = getattr(ops, name)(dequantized(call, a, a_scale, az, 0), dequantized(call, b, b_scale, bz, 0))
        return quantized(call, y, y_scale, yz, dtype_of(a))

    return entry


for _onnx, _name in (("QLinearAdd", "add"), ("QLinearMul", "multiply")):
    operator(_onnx, domain=MICROSOFT)(_binary(_name))


def _through(function: Any) -> Any:
    def entry(call: Call, x: Any, x_scale: Any, xz: Any, y_scale: Any, yz: Any = None) -> Any:
        return quantized(call, function(call, dequantized(call, x, x_scale, xz, 0)), y_scale, yz, dtype_of(x))

    return entry


def _global_mean(call: Call, x: Any) -> Any:
    axes = range(1, rank_of(x) - 1) if call.get("channels_last", 0) else range(2, rank_of(x))
    return ops.mean(x, tuple(axes), True)


def _mean_pool(call: Call, x: Any) -> Any:
    last = call.get("channels_last", 0)
    x = ops.moveaxis(x, -1, 1) if last else x
    y = average_pool(
        call, x, window(call, shape_of(x)[2:], call.need("kernel_shape")), bool(call.get("count_include_pad", 0))
    )
    return ops.moveaxis(y, 1, -1) if last else y


_FLOAT_FUNCTIONS: dict[str, Any] = {
    "QLinearSigmoid": lambda call, x: ops.sigmoid(x),
    "QLinearLeakyRelu": lambda call, x: ops.leaky_relu(x, call.get("alpha", 0.01)),
    "QLinearGlobalAveragePool": _global_mean,
    "QLinearAveragePool": _mean_pool,
    "QLinearReduceMean": lambda call, x: ops.mean(x, tuple(call.get("axes")), bool(call.get("keepdims", 1))),
}

for _onnx, _function in _FLOAT_FUNCTIONS.items():
    operator(_onnx, domain=MICROSOFT)(_through(_function))


@operator("QLinearSoftmax", domain=MICROSOFT)
def _qlinear_softmax(call: Call, x: Any, x_scale: Any, xz: Any, y_scale: Any, yz: Any) -> Any:
    x = dequantized(call, x, x_scale, xz, 0)
    if call.get("opset", 13) < 13:
        y = flattened(call, x, ops.softmax, call.get("axis", -1))
    else:
        y = ops.softmax(x, call.get("axis", -1))
    return quantized(call, y, y_scale, yz, dtype_of(yz))


@operator("QLinearConcat", domain=MICROSOFT)
def _qlinear_concat(call: Call, y_scale: Any, yz: Any, *inputs: Any) -> Any:
    triples = zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True)
    parts = [dequantized(call, x, scale, zero, 0) for x, scale, zero in triples]
    return quantized(call, ops.concatenate(parts, call.get("axis", 0)), y_scale, yz, dtype_of(yz))


@operator("QLinearWhere", domain=MICROSOFT)
def _qlinear_where(
    call: Call, condition: Any, a: Any, a_scale: Any, az: Any, b: Any, b_scale: Any, bz: Any, y_scale: Any, yz: Any
) -> Any:
    y = ops.where(condition, dequantized(call, a, a_scale, az, 0), dequantized(call, b, b_scale, bz, 0))
    return quantized(call, y, y_scale, yz, dtype_of(yz))


@operator("QGemm", domain=MICROSOFT)
def _qgemm(
    call: Call,
    a: Any,
    a_scale: Any,
    az: Any,
    b: Any,
    b_scale: Any,
    bz: Any,
    c: Any = None,
    y_scale: Any = None,
    yz: Any = None,
) -> Any:
    a = ops.transpose(_centred(a, az, "float64")) if call.get("transA", 0) else _centred(a, az, "float64")
    b = _centred(b, None if bz is None else bz, "float64", bool(call.get("transB", 0)))
    b = ops.transpose(b) if call.get("transB", 0) else b
    exact = ops.multiply(ops.matmul(a, b), float(call.get("alpha", 1.0)))
    if c is not None:
        exact = ops.add(exact, _wide(c, "float64"))
    y = ops.multiply(ops.cast(exact, "float32"), ops.multiply(a_scale, b_scale))
    return y if y_scale is None else quantized(call, y, y_scale, yz, dtype_of(yz))


__all__ = ["dequantized", "limits", "qlinear_conv", "quantized"]
