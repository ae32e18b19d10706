"""Activations, regularizers and constraints against their formulas in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from unidl import activations, constraints, ops, regularizers
from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace

X = np.linspace(-3, 3, 24).reshape(4, 6)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def normal_cdf(x: Any) -> Any:
    return np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))(x)


def softmax(x: Any) -> Any:
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def softplus(x: Any) -> Any:
    return np.log1p(np.exp(x))


def selu(x: Any) -> Any:
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))


#: Name, further arguments, formula.
CASES: list[Any] = [
    ("celu", {"alpha": 0.5}, lambda x: np.maximum(x, 0) + np.minimum(0.5 * np.expm1(x / 0.5), 0)),
    ("elu", {}, lambda x: np.where(x > 0, x, np.expm1(x))),
    ("exponential", {}, np.exp),
    ("gelu", {}, lambda x: x * normal_cdf(x)),
    ("glu", {}, lambda x: x[:, :3] * sigmoid(x[:, 3:])),
    ("hard_shrink", {}, lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    ("hard_sigmoid", {}, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    ("hard_silu", {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    ("hard_tanh", {}, lambda x: np.clip(x, -1, 1)),
    ("leaky_relu", {}, lambda x: np.where(x > 0, x, 0.2 * x)),
    ("linear", {}, lambda x: x),
    ("log_sigmoid", {}, lambda x: np.log(sigmoid(x))),
    ("log_softmax", {}, lambda x: np.log(softmax(x))),
    ("mish", {}, lambda x: x * np.tanh(softplus(x))),
    ("relu", {}, lambda x: np.maximum(x, 0)),
    ("relu6", {}, lambda x: np.clip(x, 0, 6)),
    ("selu", {}, selu),
    ("sigmoid", {}, sigmoid),
    ("silu", {}, lambda x: x * sigmoid(x)),
    ("soft_shrink", {}, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    ("softmax", {}, softmax),
    ("softplus", {}, softplus),
    ("softsign", {}, lambda x: x / (1 + np.abs(x))),
    ("sparse_plus", {}, lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4))),
    ("sparse_sigmoid", {}, lambda x: np.clip((x + 1) / 2, 0, 1)),
    ("squareplus", {}, lambda x: (x + np.sqrt(x * x + 4)) / 2),
    ("tanh", {}, np.tanh),
    ("tanh_shrink", {}, lambda x: x - np.tanh(x)),
    ("threshold", {"threshold": 0.5, "default_value": 9.0}, lambda x: np.where(x > 0.5, x, 9)),
]


@pytest.mark.parametrize(("name", "kwargs", "formula"), CASES, ids=[c[0] for c in CASES])
def test_activations(name: str, kwargs: dict[str, Any], formula: Any) -> None:
    function = activations.get(name)
    x = active.to_tensor(X.astype("float32"))
    np.testing.assert_allclose(active.to_numpy(function(x, **kwargs)), formula(X), rtol=2e-5, atol=2e-6)
    run = active.executable(trace(lambda v: ops.multiply(function(v, **kwargs), 1.0), (TensorSpec((4, 6), "float32"),)))
    np.testing.assert_allclose(active.to_numpy(run(x)[0]), formula(X), rtol=2e-5, atol=2e-6)
    assert activations.get(activations.serialize(function)) is function
    assert activations.get(getattr(activations, name)) is getattr(activations, name)


def test_relu_with_slope_limit_and_threshold() -> None:
    x = np.array([-2.0, 0.25, 1.0, 5.0], "float32")
    got = activations.relu(x, negative_slope=0.1, max_value=3.0, threshold=0.5)
    np.testing.assert_allclose(active.to_numpy(got), [-0.25, -0.025, 1.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(active.to_numpy(activations.relu(x, 0.5)), [-1.0, 0.25, 1.0, 5.0])


def test_sparsemax_projects_on_the_simplex() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
    p = active.to_numpy(activations.sparsemax(x))
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    assert (p >= 0).all() and (p == 0).any()
    # The nearest point: where p is positive x - p is constant, and elsewhere it is no larger.
    for row, chosen in zip(x, p, strict=True):
        tau = (row - chosen)[chosen > 0]
        np.testing.assert_allclose(tau, tau[0], atol=1e-5)
        assert (row[chosen == 0] <= tau[0] + 1e-5).all()
    across = active.to_numpy(activations.sparsemax(x.T.copy(), axis=0))
    np.testing.assert_allclose(across, p.T, atol=1e-6)


def test_no_activation_is_linear() -> None:
    assert activations.get(None) is activations.linear
    with pytest.raises(ValueError, match="nonsense"):
        activations.get("nonsense")


W = np.array([[0.5, -2.0, 0.0], [1.5, 1.0, 4.0]])


@pytest.mark.parametrize(
    ("regularizer", "expected"),
    [
        (regularizers.L1(0.5), 4.5),
        (regularizers.L2(0.5), 0.5 * (W * W).sum()),
        (regularizers.L1L2(0.5, 0.25), 4.5 + 0.25 * (W * W).sum()),
        (regularizers.L1L2(), 0.0),
        (regularizers.OrthogonalRegularizer(0.5), 0.5 * 1.25 / math.sqrt(4.25 * 19.25)),
        (regularizers.get("l1"), 0.09),
        (regularizers.get("l2"), 0.01 * (W * W).sum()),
    ],
)
def test_regularizers(regularizer: Any, expected: float) -> None:
    value = regularizer(active.to_tensor(W.astype("float32")))
    assert tuple(ops.shape(value)) == ()
    assert float(active.to_numpy(value)) == pytest.approx(expected, rel=1e-5)
    again = regularizers.deserialize(regularizers.serialize(regularizer))
    assert again.get_config() == regularizer.get_config()


NORMS = np.sqrt((W * W).sum(0))


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (constraints.NonNeg(), np.maximum(W, 0)),
        (constraints.MaxNorm(2.0), W * np.minimum(NORMS, 2) / NORMS),
        (constraints.MaxNorm(2.0, axis=1), W * np.minimum(1, 2 / np.sqrt((W * W).sum(1, keepdims=True)))),
        (constraints.UnitNorm(), W / NORMS),
        (constraints.MinMaxNorm(2.0, 3.0), W * np.clip(NORMS, 2, 3) / NORMS),
        (constraints.MinMaxNorm(2.0, 3.0, rate=0.5), W * (np.clip(NORMS, 2, 3) + NORMS) / 2 / NORMS),
    ],
)
def test_constraints(constraint: Any, expected: np.ndarray) -> None:
    got = active.to_numpy(constraint(active.to_tensor(W.astype("float32"))))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    again = constraints.deserialize(constraints.serialize(constraint))
    assert again.get_config() == constraint.get_config()


@pytest.mark.parametrize(
    "make",
    [
        lambda: regularizers.L1(-1.0),
        lambda: regularizers.L2(math.nan),
        lambda: regularizers.OrthogonalRegularizer(mode="both"),
        lambda: regularizers.OrthogonalRegularizer()(np.ones(3)),
        lambda: regularizers.get("nonsense"),
        lambda: constraints.get("nonsense"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


@pytest.mark.once
def test_names_of_several_words_may_be_written_together() -> None:
    assert type(regularizers.get("l1l2")) is type(regularizers.get("l1_l2")) is regularizers.L1L2
    assert type(constraints.get("maxnorm")) is constraints.MaxNorm
    assert activations.get("relu") is activations.relu and activations.get("hardsigmoid") is activations.hard_sigmoid


def test_a_constraint_without_a_rule_changes_nothing() -> None:
    np.testing.assert_array_equal(active.to_numpy(constraints.Constraint()(active.to_tensor(W))), W)
