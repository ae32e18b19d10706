"""ONNX's Gradient, which differentiates the part of the graph that it names, against formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import unidl
from unidl.backend import active

PREVIEW = "ai.onnx.preview.training"
KERNEL = np.array([[1, 2], [3, 4]], "float32")
X = np.array([[0.1, 0.2], [0.3, -0.4], [0, 1]], "float32")

trains = pytest.mark.skipif(not active.trains, reason="the NumPy backend has no gradients")


def gradient(y: str, xs: list[str], outputs: list[str], zs: list[str] | None = None, inputs: Any = None) -> Any:
    attributes = {"xs": xs, "y": y, **({"zs": zs} if zs else {})}
    return helper.make_node("Gradient", inputs or [*xs, *(zs or [])], outputs, domain=PREVIEW, **attributes)


def net(*gradients: Any) -> bytes:
    """tanh(x·w)² with nodes that differentiate it; the model gives what those give."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Mul", ["t", "t"], ["y"]),
        *gradients,
    ]
    names = [n for node in gradients if node.op_type == "Gradient" for n in node.output if n]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 2]) for n in ("x", *names)]
    graph = helper.make_graph(nodes, "net", info[:1], info[1:], [numpy_helper.from_array(KERNEL, "w")])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(PREVIEW, 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())


def by_h(h: np.ndarray) -> np.ndarray:
    return np.asarray(2 * np.tanh(h) * (1 - np.tanh(h) ** 2))


@trains
def test_of_an_input_and_of_a_value_in_between() -> None:
    file = net(gradient("y", ["x"], ["dx"]), gradient("y", ["h"], ["dh"]))
    expected = by_h(X @ KERNEL) @ KERNEL.T, by_h(X @ KERNEL)
    for results in (unidl.onnx.prepare(file)([X]), unidl.onnx.load(file).predict(X, verbose=0)):
        for result, right in zip(results, expected, strict=True):
            np.testing.assert_allclose(result, right, rtol=1e-5, atol=1e-6)


@trains
def test_at_other_values_than_those_of_the_graph() -> None:
    (slope,) = unidl.onnx.prepare(net(gradient("y", ["t"], ["slope"], inputs=["x"])))([X])
    np.testing.assert_allclose(slope, 2 * X, rtol=1e-6)


@trains
def test_outputs_that_nothing_reads_are_left_out() -> None:
    (dx,) = unidl.onnx.prepare(net(gradient("y", ["w", "x"], ["", "dx"])))([X])
    np.testing.assert_allclose(dx, by_h(X @ KERNEL) @ KERNEL.T, rtol=1e-5, atol=1e-6)


@trains
@pytest.mark.skipif(active.name == "mxnet", reason="mxnet 1.9: _backward_dot registers no gradient")
def test_of_a_gradient() -> None:
    sum_of_slopes = helper.make_node("ReduceSum", ["dx"], ["s"])
    file = net(gradient("y", ["x"], ["dx"]), sum_of_slopes, gradient("s", ["x"], ["ddx"]))
    h = X @ KERNEL
    curvature = 2 * (1 - np.tanh(h) ** 2) ** 2 - 4 * np.tanh(h) ** 2 * (1 - np.tanh(h) ** 2)
    _, ddx = unidl.onnx.prepare(file)([X])
    np.testing.assert_allclose(ddx, (curvature * KERNEL.sum(0)) @ KERNEL.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (gradient("x", ["y"], ["d"]), "differentiates 'x', which does not depend on"),
        (gradient("y", ["x"], ["d"], zs=["h"], inputs=["x"]), "a value for each of xs and zs"),
        (helper.make_node("Gradient", ["x"], ["d"], domain=PREVIEW, y="y"), "it needs the names xs and y"),
    ],
)
def test_what_names_no_part_of_the_graph_is_refused(node: Any, words: str) -> None:
    with pytest.raises(unidl.onnx.OnnxError, match=words):
        unidl.onnx.prepare(net(node))


@pytest.mark.skipif(active.trains, reason="this backend has gradients")
def test_without_gradients_the_error_says_what_to_do() -> None:
    with pytest.raises(unidl.onnx.OnnxError, match="Set UNIDL_BACKEND to torch, tensorflow or mxnet"):
        unidl.onnx.prepare(net(gradient("y", ["x"], ["dx"])))([X])
