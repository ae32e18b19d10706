"""Models made of ONNX's backend test cases: what they compute is kept by `.keras` files, and by ONNX files again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_cases
import pytest
from onnx import helper
from onnx_models import built, reference

import unidl
from unidl import onnx, ops

#: Operators whose shapes depend on values, control flow, and those that become loops.
MODULES = (
    "compress", "cumsum", "gru", "if_", "loop", "lstm", "nonmaxsuppression", "nonzero", "onehot", "rangeop", "rnn",
    "scan", "slice", "tile", "topk", "trilu", "unique",
)  # fmt: skip
#: Nothing writes these again: bodies of opsets that mean something else, and inputs that models do not have.
UNWRITABLE = (
    "test_loop11", "test_range_float16", "test_range_bfloat16", "test_range_float_type_positive_delta_expanded",
    "test_range_int32_type_negative_delta_expanded",
)  # fmt: skip


def _outputs(model: Any, inputs: list[Any]) -> list[np.ndarray]:
    results = model(inputs if len(inputs) > 1 else inputs[0])
    return [ops.convert_to_numpy(r) for r in (results if isinstance(results, (list, tuple)) else [results])]


def _same(got: list[np.ndarray], want: list[np.ndarray]) -> None:
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.astype("float64"), b.astype("float64"), rtol=1e-4, atol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize("module", MODULES)
def test_models_are_kept(module: str, tmp_path: Path) -> None:
    loaded = 0
    for case in onnx_cases.of_module(module):
        try:
            model = onnx.load(case.model)
        except onnx.OnnxError as error:
            assert "prepare()" in str(error)
            continue
        loaded += 1
        inputs = [onnx_cases.plain(v) for v in case.sets[0][0]]
        want = _outputs(model, inputs)
        model.save(tmp_path / "model.keras")
        _same(_outputs(unidl.saving.load_model(tmp_path / "model.keras"), inputs), want)
        if not case.name.startswith(UNWRITABLE):
            onnx.export(model, tmp_path / "model.onnx")
            _same(_outputs(onnx.load(tmp_path / "model.onnx"), inputs), want)
    assert loaded


@pytest.mark.once
def test_operators_of_older_opsets_are_written_as_they_are_meant(tmp_path: Path) -> None:
    """RoiAlign counts from the corners of elements since opset 16; `Upsample` with computed scales became `Resize`."""
    rng = np.random.default_rng(0)
    image, boxes = rng.normal(size=(1, 2, 6, 6)).astype("float32"), np.array([[0, 1, 4, 5]], "float32")
    weights = {"of": np.array([0]), "two": np.array([1, 1, 2, 2], "float32")}
    nodes = [
        helper.make_node("RoiAlign", ["x", "boxes", "of"], ["cut"], output_height=2, output_width=2),
        helper.make_node("ReduceMax", ["boxes"], ["most"], axes=[0, 1], keepdims=0),
        helper.make_node("Div", ["most", "most"], ["one"]),
        helper.make_node("Mul", ["two", "one"], ["scales"]),
        helper.make_node("Resize", ["cut", "scales"], ["y"]),
    ]
    data = built(nodes, {"x": [1, 2, 6, 6], "boxes": [1, 4]}, {"y": None}, weights, opset=10)
    onnx.export(onnx.load(data), tmp_path / "model.onnx", opset=17)
    (want,) = reference(data, image, boxes)
    np.testing.assert_allclose(reference((tmp_path / "model.onnx").read_bytes(), image, boxes)[0], want, rtol=1e-5)
