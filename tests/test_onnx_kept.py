"""Models made of ONNX's backend test cases: what they compute is kept by `.keras` files, and by ONNX files again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_cases
import pytest
from onnx import TensorProto, helper
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


_BOXES = np.array([[0, 1, 4, 5], [1, 1, 6, 7], [2, 3, 2, 3]], "float32")
REGIONS = {
    "means": ("RoiAlign", {"output_height": 2, "output_width": 3, "sampling_ratio": 2}),
    "maxima": ("RoiAlign", {"output_height": 2, "output_width": 3, "mode": "max"}),
    "pooled": ("MaxRoiPool", {"pooled_shape": [2, 3], "spatial_scale": 0.5}),
}


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("sizes", [(8, 8), (None, None)], ids=["known", "unknown"])
def test_any_number_of_regions(name: str, sizes: tuple[int | None, ...], tmp_path: Path) -> None:
    """What comes of them has known channels and bins, so a dense layer may come behind; no region gives no row."""
    op, attributes = REGIONS[name]
    rng = np.random.default_rng(0)
    image, members = rng.normal(size=(2, 3, 8, 8)).astype("float32"), np.array([0, 1, 1], "float32")
    shapes: dict[str, Any] = {"x": [None, 3, *sizes], "boxes": [None, 4]}
    given = [image, _BOXES, members]
    nodes = [helper.make_node("Cast", ["numbers"], ["of"], to=TensorProto.INT64)]
    if op == "MaxRoiPool":
        given = [image, np.concatenate([members[:, None], _BOXES * 2], 1)]
        shapes["boxes"], nodes = [None, 5], []
    else:
        shapes["numbers"] = [None]
    nodes += [
        helper.make_node(op, ["x", "boxes", "of"][: len(given)], ["cut"], **attributes),
        helper.make_node("Flatten", ["cut"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["y"]),
    ]
    weights = {"w": rng.normal(size=(18, 4)).astype("float32"), "b": np.zeros(4, "float32")}
    data = built(nodes, shapes, {"y": None}, weights, opset=16)
    model = onnx.load(data)
    assert "Dense" in {type(layer).__name__ for layer in model.layers} and model.output_shape == (None, 4)
    (want,) = reference(data, *given)
    _same(_outputs(model, given), [want])
    assert _outputs(model, [image, *(v[:0] for v in given[1:])])[0].shape == (0, 4)
    onnx.export(model, tmp_path / "again.onnx", opset=16)
    np.testing.assert_allclose(reference((tmp_path / "again.onnx").read_bytes(), *given)[0], want, rtol=1e-5, atol=1e-5)


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
