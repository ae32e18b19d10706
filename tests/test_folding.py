"""Batch normalization folded into weights: where that happens, and that outputs stay those of the plain path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active
from unidl.graph import folding
from unidl.graph.folding import normalization_folded
from unidl.graph.graph import Graph

MANY = 1 << 20  # rows for which folding pays anywhere


@pytest.fixture
def anything(monkeypatch):
    """Small outputs are folded, too."""
    monkeypatch.setattr(folding, "_WORTH", 0)
    monkeypatch.setattr(folding, "_TIMES", 0)


#: Layers before the normalization, the shape of a sample, and the axis of the channels.
CASES: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "conv": (lambda: layers.Conv2D(6, 3, use_bias=False), (8, 7, 4), -1),
    "conv with bias, strides, groups": (lambda: layers.Conv2D(6, 3, 2, "same", groups=2), (8, 7, 4), -1),
    "conv, channels first": (lambda: layers.Conv2D(6, 3, data_format="channels_first"), (4, 8, 7), 1),
    "conv of one dimension, dilated": (lambda: layers.Conv1D(5, 3, dilation_rate=2), (9, 4), -1),
    "conv of three dimensions": (lambda: layers.Conv3D(3, 2), (4, 5, 4, 2), -1),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), (8, 7, 4), -1),
    "depthwise, channels first": (
        lambda: layers.DepthwiseConv2D(3, 1, "same", 2, data_format="channels_first", use_bias=False), (4, 8, 7), 1,
    ),
    "dense": (lambda: layers.Dense(6), (5,), -1),
    "dense of many axes, without bias": (lambda: layers.Dense(6, use_bias=False), (3, 5), -1),
}  # fmt: skip
OPTIONS = {"all": {}, "no scale": {"scale": False}, "no offset": {"center": False}}


def drawn(model: Any) -> Any:
    """`model` with weights and moments that are not those of the start."""
    rng = np.random.default_rng(1)
    for variable in model.weights:
        variable.assign(rng.uniform(0.5, 1.5, active.shape(variable)).astype("float32"))
    return model


def normalized(make: Any, shape: tuple[int, ...], axis: int, **options: Any) -> Any:
    x = unidl.Input(shape)
    return drawn(unidl.Model(x, ops.relu(layers.BatchNormalization(axis, **options)(make()(x)))))


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def sample(shape: tuple[int, ...], rows: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, *shape)).astype("float32")


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(active.to_numpy(found), active.to_numpy(expected), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("anything")
def test_outputs_are_those_of_the_plain_path(case: str, options: str) -> None:
    make, shape, axis = CASES[case]
    model = normalized(make, shape, axis, **OPTIONS[options])
    x = active.to_tensor(sample(shape))
    graph = model.graph((3, *shape) if active.static_shapes else None)
    folded = normalization_folded(graph, MANY)
    assert "batch_normalization" in names(graph) and "batch_normalization" not in names(folded)
    for _ in range(2):  # the second time with other weights
        (found,), (expected,) = active.executable(folded)(x), active.executable(graph)(x)
        close(found, expected)
        for variable in model.weights:
            variable.assign(ops.multiply(variable, 1.5))


def unfolded(x: Any, build: Any) -> Graph:
    graph = drawn(unidl.Model(x, build(x))).graph()
    assert normalization_folded(graph, MANY) is graph
    return graph


@pytest.mark.usefixtures("anything")
def test_what_is_not_folded() -> None:
    def branched(x: Any) -> Any:
        y = layers.Conv2D(4, 3)(x)
        return ops.add(layers.BatchNormalization()(y), y)

    x = unidl.Input((8, 8, 4))
    unfolded(x, branched)
    unfolded(x, lambda x: layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3)(x)))
    unfolded(x, lambda x: layers.BatchNormalization()(layers.MaxPooling2D()(x)))
    unfolded(x, lambda x: layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(x)))
    for half in {"float16", "bfloat16"}.intersection(active.dtypes):
        for policy in (half, f"mixed_{half}"):
            conv = layers.Conv2D(4, 3, dtype=policy)
            unfolded(x, lambda x, c=conv, p=policy: layers.BatchNormalization(dtype=p)(c(x)))


def test_small_outputs_and_large_kernels_are_left() -> None:
    small = normalized(lambda: layers.Conv2D(8, 3), (16, 16, 4), -1).graph()
    assert normalization_folded(small, 1) is small
    assert normalization_folded(small, 1000) is not small
    wide = normalized(lambda: layers.Dense(2000), (2000,), -1).graph()
    assert normalization_folded(wide, 1000) is wide


@pytest.mark.usefixtures("anything")
def test_a_layer_used_twice_is_folded_at_each_place() -> None:
    x, y = unidl.Input((6, 6, 2)), unidl.Input((6, 6, 2))
    conv, first, second = layers.Conv2D(4, 3), layers.BatchNormalization(), layers.BatchNormalization()
    model = drawn(unidl.Model([x, y], [first(conv(x)), second(conv(y))]))
    graph = model.graph([(3, 6, 6, 2)] * 2)
    folded = normalization_folded(graph, MANY)
    assert names(folded).count("conv_bias") == 2 and "batch_normalization" not in names(folded)
    data = [active.to_tensor(sample((6, 6, 2))), active.to_tensor(-sample((6, 6, 2)))]
    for found, expected in zip(active.executable(folded)(*data), active.executable(graph)(*data), strict=True):
        close(found, expected)


def test_predict_and_evaluate_fold_and_see_new_weights() -> None:
    model = normalized(lambda: layers.Conv2D(64, 3, padding="same"), (32, 32, 2), -1)
    if active.trains:
        model.compile("sgd", "mse")
    x = sample((32, 32, 2), 8)
    for _ in range(2):
        plain = active.to_numpy(model(x))
        close(active.to_tensor(model.predict(x, batch_size=8, verbose=0)), active.to_tensor(plain))
        if active.trains:
            target = np.zeros_like(plain)
            np.testing.assert_allclose(model.evaluate(x, target, batch_size=8, verbose=0), np.mean(plain**2), rtol=1e-4)
        for variable in model.weights:
            variable.assign(ops.multiply(variable, 0.5))


@pytest.mark.parametrize("sizes", [(1, 8), (8, 1)])
def test_batches_of_other_sizes_than_the_first(sizes: tuple[int, int]) -> None:
    model = normalized(lambda: layers.Conv2D(64, 3, padding="same"), (32, 32, 2), -1)
    for size in sizes:
        x = sample((32, 32, 2), size)
        close(active.to_tensor(model.predict(x, batch_size=8, verbose=0)), model(x))
