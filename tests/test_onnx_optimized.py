"""Files that onnxruntime saved after its own optimizations, which put its fused operators in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx as library
import onnxruntime
import pytest
from onnx import helper
from onnx_models import NETS, built, data_for, reference, shaken

from unidl import onnx


def _optimized(source: Path | bytes, target: Path, level: str) -> set[str]:
    """Let onnxruntime save what it makes of a model; the domains of its nodes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(
        source if isinstance(source, bytes) else str(source), options, providers=["CPUExecutionProvider"]
    )
    return {node.domain for node in library.load(target).graph.node}


@pytest.mark.parametrize("name", ["image", "attention"])
def test_models_that_onnxruntime_has_fused(name: str, tmp_path: Path) -> None:
    onnx.export(shaken(NETS[name]()), tmp_path / "net.onnx", opset=17)
    assert "com.microsoft" in _optimized(tmp_path / "net.onnx", tmp_path / "fused.onnx", "ORT_ENABLE_EXTENDED")
    x = data_for(name, 2, 5)
    (want,) = reference((tmp_path / "net.onnx").read_bytes(), x)
    (got,) = onnx.prepare(tmp_path / "fused.onnx")([x])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(onnx.load(tmp_path / "fused.onnx").predict_on_batch(x), want, rtol=1e-4, atol=1e-4)


@pytest.mark.once
def test_layouts_of_one_processor_are_named() -> None:
    """Written by hand: which layouts onnxruntime takes depends on the processor."""
    node = helper.make_node("ReorderInput", ["x"], ["y"], domain="com.microsoft.nchwc")
    data = built([node], {"x": [1, 8, 2, 2]}, {"y": None}, domains=["com.microsoft.nchwc"])
    with pytest.raises(onnx.MissingOperatorError, match=r"ReorderInput.*one kind of processor.*ORT_ENABLE_EXTENDED"):
        onnx.prepare(data)
