"""Quantized models that are read and written again: the products of bytes stay such products."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx as library
import pytest
from onnx import helper
from onnx_models import built, reference

from unidl import onnx, ops

_R = np.random.default_rng(5)
_DYNAMIC = helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])


class Quantized(NamedTuple):
    """A product of bytes: the nodes (reading q, and its zero point z), the input's shape, weights."""

    op: str
    nodes: list[Any]
    shape: tuple[int, ...]
    weights: dict[str, np.ndarray]
    kind: str = "int8"


def _i8(*shape: int) -> np.ndarray:
    return _R.integers(-63, 64, shape).astype("int8")


def _u8(*shape: int) -> np.ndarray:
    return _R.integers(0, 128, shape).astype("uint8")


def _conv(shape: tuple[int, ...], w: np.ndarray, zero: Any = None, **attributes: Any) -> Quantized:
    names = ["q", "w", "z"] + (["wz"] if zero is not None else [])
    node = helper.make_node("ConvInteger", names, ["i"], **attributes)
    weights = {"w": w} | ({} if zero is None else {"wz": zero})
    return Quantized("ConvInteger", [_DYNAMIC, node], shape, weights, w.dtype.name if zero is None else "")


_SCALES = {
    "xs": np.float32(0.02), "xz": np.uint8(9), "ws": np.float32(0.01), "wz": np.int8(0), "ys": np.float32(0.05),
    "yz": np.uint8(120),
}  # fmt: skip
_QUANTIZE = helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"])


def _linear(op: str, shape: tuple[int, ...], w: np.ndarray, result: str, **attributes: Any) -> Quantized:
    node = helper.make_node(op, ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["i"], **attributes)
    return Quantized(result, [_QUANTIZE, node], shape, {**_SCALES, "w": w})


CASES = {
    "conv": _conv((2, 2, 5, 5), _i8(3, 2, 3, 3)),
    "pads": _conv((2, 2, 5, 5), _i8(3, 2, 3, 3), np.int8(4), pads=[1, 1, 1, 1], strides=[2, 2]),
    "sides": _conv((2, 2, 5, 5), _i8(3, 2, 3, 3), pads=[1, 0, 2, 1]),
    "groups": _conv((1, 4, 6), _i8(4, 2, 3), group=2, dilations=[2]),
    "unsigned": _conv((1, 2, 5, 5), _u8(3, 2, 3, 3), np.uint8(60)),
    "matrix": Quantized("MatMulInteger", [_DYNAMIC, helper.make_node("MatMulInteger", ["q", "w", "z"], ["i"])],
        (2, 3, 4), {"w": _i8(4, 5)}),
    "columns": Quantized("MatMulInteger", [_DYNAMIC, helper.make_node("MatMulInteger", ["q", "w", "z", "wz"], ["i"])],
        (3, 4), {"w": _i8(4, 2), "wz": np.array([3, -2], "int8")}),
    "both": Quantized("MatMulInteger", [_DYNAMIC, helper.make_node("Transpose", ["q"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMulInteger", ["q", "t", "z", "z"], ["i"])], (2, 3, 4), {}, ""),
    "linear conv": _linear("QLinearConv", (2, 2, 5, 5), _i8(3, 2, 3, 3), "ConvInteger", pads=[1, 1, 1, 1]),
    "linear matrix": _linear("QLinearMatMul", (2, 4), _i8(4, 3), "MatMulInteger"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_products_of_bytes_are_written_as_such(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    shape = [None, *case.shape[1:]]
    cast = helper.make_node("Cast", ["i"], ["y"], to=library.TensorProto.FLOAT)
    data = built([*case.nodes, cast], {"x": shape}, {"y": None}, case.weights, opset=17)
    x = _R.normal(size=case.shape).astype("float32")
    (want,) = reference(data, x)
    model = onnx.load(data)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(x)), want)
    onnx.export(model, tmp_path / "again.onnx", opset=17)
    again = library.load(tmp_path / "again.onnx")
    assert case.op in {n.op_type for n in again.graph.node} and "Conv" not in {n.op_type for n in again.graph.node}
    if case.kind:  # the weights take as little room as they did
        assert case.kind in {helper.tensor_dtype_to_np_dtype(t.data_type).name for t in again.graph.initializer}
    np.testing.assert_array_equal(reference(again.SerializeToString(), x)[0], want)


def test_other_products_of_float64_stay_as_they_are(tmp_path: Path) -> None:
    """Weights that are no whole numbers, or too large ones, and factors that are no bytes."""
    import unidl

    x = unidl.Input((4,), dtype="uint8")
    half, large = np.full((4, 2), 0.5), np.full((4, 2), 300.0)
    wide = ops.cast(x, "float64")
    y = ops.concatenate([ops.matmul(wide, half), ops.matmul(wide, large), ops.matmul(ops.sqrt(wide), large)], -1)
    model = unidl.Model(x, y)
    onnx.export(model, tmp_path / "model.onnx", opset=17)
    assert "MatMulInteger" not in {n.op_type for n in library.load(tmp_path / "model.onnx").graph.node}
    given = np.array([[0, 1, 200, 255]], "uint8")
    got = reference((tmp_path / "model.onnx").read_bytes(), given)[0]
    np.testing.assert_allclose(got, ops.convert_to_numpy(model(given)), rtol=1e-6)
