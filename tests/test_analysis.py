"""Counts of operations, parameters and bytes against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import ops
from unidl.backend import active
from unidl.graph import analysis
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.layers import (
    LSTM,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    MaxPooling2D,
    MultiHeadAttention,
)


def spec(*shape: int | None, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape, dtype)


def cost(function: Any, *specs: TensorSpec, batch: int = 1) -> int:
    return analysis.flops(trace(function, specs), batch)


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, "float32")


@pytest.mark.parametrize("batch", [1, 7])
def test_dense_costs_a_multiply_add_for_each_weight_and_row(batch: int) -> None:
    layer = Dense(5, use_bias=False)
    layer.build((None, 3))
    assert cost(layer, spec(None, 3), batch=batch) == 2 * 3 * 5 * batch


def test_bias_and_activation_cost_one_for_each_element() -> None:
    layer = Dense(5, activation="relu")
    assert cost(layer, spec(None, 3), batch=4) == 4 * (2 * 3 * 5 + 5 + 5)


@pytest.mark.parametrize(("padding", "size"), [("valid", 6), ("same", 8)])
def test_convolution(padding: str, size: int) -> None:
    layer = Conv2D(4, 3, padding=padding, use_bias=False)
    assert cost(layer, spec(None, 8, 8, 2), batch=3) == 2 * 3 * size * size * 4 * (3 * 3 * 2)


def test_groups_divide_the_cost_of_a_convolution() -> None:
    layer = Conv2D(4, 3, groups=2, padding="same", use_bias=False)
    assert cost(layer, spec(None, 8, 8, 2)) == 2 * 8 * 8 * 4 * (3 * 3 * 1)


def test_depthwise_and_transposed_convolution() -> None:
    depthwise = DepthwiseConv2D(3, padding="same", use_bias=False)
    assert cost(depthwise, spec(1, 8, 8, 5)) == 2 * 8 * 8 * 5 * 9
    transposed = Conv2DTranspose(6, 3, strides=2, padding="same", use_bias=False)
    # Each element of the input reaches every place of the window and every filter.
    assert cost(transposed, spec(1, 4, 4, 5)) == 2 * (4 * 4 * 5) * 9 * 6


def test_pooling_reads_each_window() -> None:
    assert cost(MaxPooling2D(2), spec(1, 8, 8, 3)) == 4 * 4 * 3 * 4


def test_lstm_step_by_step() -> None:
    batch, time, features, units = 2, 7, 3, 5
    products = 2 * 4 * units * (features + units)
    pointwise = 4 * units + 4 * units + 9 * units  # sum of the products, bias, gates and states
    assert cost(LSTM(units), spec(batch, time, features)) == batch * time * (products + pointwise)


def test_attention_is_counted_by_its_decomposition() -> None:
    b, h, t, s, d = 2, 3, 5, 7, 11
    query, key = spec(b, h, t, d), spec(b, h, s, d)
    total = cost(lambda q, k: ops.scaled_dot_product_attention(q, k, k), query, key)
    products = 2 * b * h * t * s * d * 2
    assert 0 < total - products <= b * h * (t * d + 8 * t * s)  # scaling the query, and the softmax
    layer = MultiHeadAttention(2, 4)
    assert cost(layer, spec(1, 5, 8), spec(1, 6, 8)) > 2 * 5 * 6 * 4 * 2 * 2


@pytest.mark.parametrize(
    ("subscripts", "shapes", "expected"),
    [
        ("ij,jk->ik", [(3, 4), (4, 5)], 2 * 3 * 4 * 5),
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5),
        ("i,j->ij", [(3,), (4,)], 3 * 4),
        ("ij->i", [(3, 4)], 3 * 4),
        ("ij->ji", [(3, 4)], 0),
        ("...ij,jk->...ik", [(6, 3, 4), (4, 5)], 2 * 6 * 3 * 4 * 5),
    ],
)
def test_einsum(subscripts: str, shapes: list[tuple[int, ...]], expected: int) -> None:
    specs = [spec(*shape) for shape in shapes]
    assert cost(lambda *xs: ops.einsum(subscripts, *xs), *specs) == expected


def test_what_only_moves_elements_is_free() -> None:
    def move(x: Any) -> Any:
        x = ops.transpose(ops.reshape(x, (-1, 2, 3)), (0, 2, 1))
        return ops.cast(ops.concatenate([x, ops.flip(x, 1)], 1), "int32")

    assert cost(move, spec(None, 6), batch=9) == 0


def test_unknown_dimensions_follow_the_shape_rules() -> None:
    def merged(x: Any) -> Any:  # (batch, 4, 6) -> (batch * 4, 6): the first dimension is four times the batch
        return ops.relu(ops.reshape(x, (-1, 6)))

    assert cost(merged, spec(None, 4, 6), batch=5) == 5 * 4 * 6


def test_parameters_count_each_variable_once() -> None:
    shared = Dense(3)
    x = unidl.Input((3,))
    model = unidl.Model(x, BatchNormalization()(shared(shared(x))))
    found = analysis.parameters(model.graph(training=True))
    assert found.total == model.count_params() == 3 * 3 + 3 + 4 * 3
    assert found.trainable == 3 * 3 + 3 + 2 * 3


def test_memory_of_weights_and_activations() -> None:
    x = unidl.Input((4,))
    model = unidl.Model(x, Dense(2, use_bias=False)(Dense(100, use_bias=False)(x)))
    found = analysis.memory(model.graph(), batch=10)
    assert found.weights == 4 * (4 * 100 + 100 * 2)
    assert found.largest == 4 * 10 * 100
    assert found.peak == 4 * 10 * (4 + 100)  # the first layer's input and output


def test_table_shows_layers_ops_shapes_parameters_and_flops() -> None:
    x = unidl.Input((8, 8, 1), name="picture")
    h = Conv2D(4, 3, name="filters", use_bias=False)(x)
    h = BatchNormalization(name="norm")(h)
    model = unidl.Model(x, Dense(10, name="classes")(Flatten()(h)), name="net")
    text = str(model.graph(training=True))
    lines = text.splitlines()
    row = next(line for line in lines if "net/filters" in line)
    assert row.split()[1].startswith("conv") and "float32[?, 6, 6, 4]" in row
    assert f"{2 * 36 * 4 * 9:,}" in row and " 36 " in row
    assert any("net/classes" in line and "1,450" in line for line in lines)
    assert f"{36 + 16 + 1450:,} parameters" in text
    assert sum(line.startswith("updates") for line in lines) == 2  # the moving averages
    assert any(line.startswith("returns float32[?, 10]") for line in lines)
    header = next(line for line in lines if line.startswith("layer"))
    place = header.index("output")
    assert all(line[place - 1] == " " for line in lines[lines.index(header) + 2 : lines.index("")])


def test_native_code_has_no_known_cost() -> None:
    class Native(unidl.Layer):
        def call(self, x: Any) -> Any:
            return active.to_tensor(active.to_numpy(x) * 2)

    x = unidl.Input((3,))
    graph = unidl.Model(x, Native()(Dense(3, use_bias=False)(x))).graph()
    assert analysis.node_flops(graph) == [2 * 3 * 3, None]
    assert "native" in str(graph)
