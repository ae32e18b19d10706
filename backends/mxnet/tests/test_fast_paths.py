"""Compiled training steps against the plain path: values, gradients, and which operators they are made of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unidl import ops, optimizers
from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl_mxnet.compiled import _Builder, train_step
from unidl_mxnet.kernels import _products

rng = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype("float32")


def attended(x: Any, key: Any) -> Any:
    return ops.matmul(ops.softmax(ops.matmul(x, ops.swapaxes(key, -1, -2))), key)


#: What is computed from variables of these shapes, and an operator that the step must have and one it must not.
CASES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], str, str]] = {
    "bias of few rows": (ops.linear, [(128, 8), (8, 32), (32,)], "dot", "_npi_add"),
    "bias of many rows": (ops.linear, [(8, 64, 8), (8, 32), (32,)], "FullyConnected", "dot"),
    "product of many rows": (ops.linear, [(512, 8), (8, 32)], "FullyConnected", "dot"),
    "added in front": (ops.add, [(16, 8, 16), (8, 16)], "elemwise_add", "_npi_add"),
    "subtracted behind": (ops.subtract, [(64, 32), (64, 1)], "elemwise_sub", "_npi_subtract"),
    "multiplied in the middle": (ops.multiply, [(8, 16, 16), (8, 1, 16)], "elemwise_mul", "_npi_multiply"),
    "both sides broadcast": (ops.multiply, [(64, 1), (1, 32)], "elemwise_mul", "_npi_multiply"),
    "divided by a number": (lambda x, y: x / (y * y + 1.0), [(64, 32), ()], "elemwise_div", "_npi_true_divide"),
    "small": (ops.add, [(4, 3), (3,)], "_npi_add", "dot"),
    "apart": (ops.add, [(4, 32, 8, 4), (1, 32, 1, 4)], "_npi_add", "dot"),
    "sum in front": (lambda x: ops.sum(x, 0), [(64, 32)], "dot", "sum"),
    "mean behind": (lambda x: ops.mean(x, -1, keepdims=True), [(64, 32)], "dot", "mean"),
    "mean in the middle": (lambda x: ops.mean(x, 1), [(8, 16, 32)], "batch_dot", "mean"),
    "mean of pictures": (lambda x: ops.mean(x, (1, 2)), [(4, 8, 8, 16)], "batch_dot", "mean"),
    "sum of all": (lambda x: ops.sum(x * x), [(64, 32)], "dot", "sum"),
    "layer normalization": (
        lambda x, g, b: ops.layer_normalization(x, g, b, epsilon=1e-5), [(8, 16, 32), (32,), (32,)], "BatchNorm",
        "LayerNorm",
    ),
    "attention": (attended, [(2, 4, 8, 16), (2, 4, 8, 16)], "batch_dot", "_npi_matmul"),
    "turned weights": (lambda x, w: ops.matmul(x, ops.transpose(w)), [(16, 8), (32, 8)], "dot", "transpose"),
    "permuted": (lambda x: ops.transpose(x, (0, 2, 1, 3)), [(2, 3, 4, 5)], "transpose", "_np_transpose"),
}  # fmt: skip


def operators(graph: Any) -> Counter[str]:
    """Those of the symbol that a training step makes of `graph`."""
    lowered = active.executable(graph).graph
    symbol, _, _ = _Builder(lowered, active, 1).build()
    return Counter(n["op"] for n in json.loads(symbol.tojson())["nodes"])


def trained(loss: Callable[[Any], Any], variables: list[Any]) -> tuple[Any, list[Any]]:
    """What one compiled step on a zero returns, and the gradients that it gives."""
    found: list[Any] = []
    graph = trace(loss, (TensorSpec((1,), "float32"),))
    step = train_step(
        active.executable(graph), variables, lambda g: found.extend(np.array(active.to_numpy(v)) for v in g)
    )
    return step(active.to_tensor(np.zeros(1, "float32"))), found


@pytest.mark.parametrize("case", CASES)
def test_a_compiled_step_computes_what_plain_code_does(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_products, "_MANY_ROWS", 256)  # whatever this processor gains by
    function, shapes, wanted, unwanted = CASES[case]
    variables = [active.make_variable(array(*s) + 3.0, trainable=True, name="v") for s in shapes]
    weights = active.to_tensor(array(*active.shape(function(*variables))))

    def loss(zero: Any) -> tuple[Any, Any]:
        out = function(*variables)
        return ops.sum(ops.multiply(out, weights)) + ops.sum(zero), out

    (value, out), found = trained(loss, variables)
    (plain_value, plain), _, gradients = active.differentiate(lambda: loss(np.zeros(1, "float32")), [], variables)
    np.testing.assert_allclose(active.to_numpy(out), active.to_numpy(plain), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(active.to_numpy(value), active.to_numpy(plain_value), rtol=1e-4, atol=1e-2)
    for ours, eager in zip(found, gradients, strict=True):
        np.testing.assert_allclose(ours, active.to_numpy(eager), rtol=1e-3, atol=1e-3)
    counts = operators(trace(lambda zero: function(*variables), (TensorSpec((1,), "float32"),)))
    assert counts[wanted] and not counts[unwanted], counts


def test_infinities_and_nan_survive_broadcasts_and_sums() -> None:
    x = array(64, 32)
    x[0, 0], x[1, 1] = np.inf, np.nan
    v, b = (active.make_variable(a, trainable=True, name="v") for a in (x, x[:1]))
    (_, total, added), _ = trained(lambda zero: (ops.sum(v + b), ops.sum(v, 0), v + b), [v, b])
    np.testing.assert_allclose(active.to_numpy(total), x.sum(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(active.to_numpy(added), x + x[:1])


def test_layer_normalization_is_exact_far_from_zero() -> None:
    x = array(64, 32)
    v, ones = (active.make_variable(a, trainable=True, name="v") for a in (x + 1000.0, np.ones(32, "float32")))
    (_, out), _ = trained(lambda zero: (ops.sum(v), ops.layer_normalization(v, ones, ones, epsilon=1e-5)), [v])
    centred = x - x.mean(-1, keepdims=True)
    np.testing.assert_allclose(active.to_numpy(out), centred / x.std(-1, keepdims=True) + 1.0, rtol=1e-2, atol=1e-2)


def test_adam_updates_large_variables_as_small_ones() -> None:
    """Large ones have an operator of their own."""
    start = array(8192)
    large, small = ([active.make_variable(a, trainable=True, name="v")] for a in (start, start[:1024]))
    gradients = [array(8192) for _ in range(3)]
    for variables, count in ((large, 8192), (small, 1024)):
        optimizer = optimizers.Adam(0.01)
        optimizer.build(variables)
        for gradient in gradients:
            optimizer.apply([active.to_tensor(gradient[:count])])
    np.testing.assert_allclose(active.to_numpy(large[0])[:1024], active.to_numpy(small[0]), rtol=1e-5, atol=2e-6)
