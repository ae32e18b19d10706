"""Matrix products, and linear algebra."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, rank_of
from unidl.interchange.onnx.importing.casting import cast


@operator("MatMul", host=True)
def _matmul(call: Call, a: Any, b: Any) -> Any:
    if call.ops is not ops:
        return call.ops.cast(call.ops.matmul(a, b), dtype_of(a))  # NumPy's product of bfloat16 is float32
    return ops.matmul(a, b)


@operator("Gemm")
def _gemm(call: Call, a: Any, b: Any, c: Any = None) -> Any:
    if call.get("transA", 0):
        a = ops.transpose(a)
    if call.get("transB", 0):
        b = ops.transpose(b)
    product = _scaled(call, ops.matmul(a, b), call.get("alpha", 1.0))
    if c is None or call.get("beta", 1.0) == 0:
        return product
    return ops.add(product, _scaled(call, c, call.get("beta", 1.0)))


def _scaled(call: Call, x: Any, factor: float) -> Any:
    if factor == 1:
        return x
    return ops.multiply(x, factor if dtype_of(x).startswith(("float", "bfloat")) else int(factor))


@operator("FusedGemm", domain=MICROSOFT)
def _fused_gemm(call: Call, a: Any, b: Any, c: Any = None) -> Any:
    from unidl.interchange.onnx.importing.recurrent import activation

    y = _gemm(call, a, b, c)
    name = call.get("activation")
    second = call.get("activation_beta", call.get("activation_gamma"))
    return activation(call, name, call.get("activation_alpha"), second)(y) if name else y


@operator("FusedMatMul TransposeMatMul", domain=MICROSOFT)
def _fused_matmul(call: Call, a: Any, b: Any) -> Any:
    for name, first in (("A", True), ("B", False)):
        x = a if first else b
        if call.get(f"transBatch{name}", 0):
            x = ops.moveaxis(x, 0, rank_of(x) - 2)
        if call.get(f"trans{name}", 0) and rank_of(x) > 1:
            x = ops.swapaxes(x, -1, -2)
        a, b = (x, b) if first else (a, x)
    return _scaled(call, ops.matmul(a, b), call.get("alpha", 1.0))


@operator("MatMulInteger16", domain=MICROSOFT)
def _matmul_integer_16(call: Call, a: Any, b: Any) -> Any:
    wide = [cast(x, "float64") for x in (a, b)]  # exact up to 53 bits
    return cast(ops.matmul(*wide), "uint32" if {dtype_of(a), dtype_of(b)} == {"uint16"} else "int32")


@operator("Einsum")
def _einsum(call: Call, *xs: Any) -> Any:
    equation = call.need("equation").replace(" ", "")
    return ops.einsum(equation, *xs)


@operator("Det")
def _det(call: Call, x: Any) -> Any:
    return ops.det(x)


@operator("Inverse", domain=MICROSOFT)
def _inverse(call: Call, x: Any) -> Any:
    return ops.inv(x)
