"""Every loss and metric of `loss_metric_cases` against Keras: values, weights, masks, states, gradients.

Keras runs once, on TensorFlow, in a process of its own (for all suites of ``make test``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras_process import keras_results
from loss_metric_cases import LOSSES, METRICS, Case, data, loss_results, metric_results

import unidl
from unidl import losses, metrics, ops
from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.layers._calling import attach_mask

each_loss = pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.id)
each_metric = pytest.mark.parametrize("case", METRICS, ids=lambda case: case.id)


@pytest.fixture(scope="module")
def keras() -> dict[str, np.ndarray]:
    """What Keras gives for all cases, by ``<loss or metric>/<case>/<what>``."""
    return keras_results("keras_losses_oracle.py")


def array(value: Any) -> np.ndarray:
    return np.array(active.to_numpy(ops.convert_to_tensor(value)))  # a copy: variables change


def tensor(value: np.ndarray) -> Any:
    return active.to_tensor(value.copy())  # of its own, so that a mask belongs to this one


def masked(value: Any, mask: np.ndarray) -> Any:
    attach_mask(value, active.to_tensor(mask))
    return value


def gradient(fn: Any, at: Any) -> Any:
    return unidl.grad(fn)(at)


def compare(found: dict[str, np.ndarray], keras: dict[str, np.ndarray], prefix: str) -> None:
    wanted = {key[len(prefix) :]: value for key, value in keras.items() if key.startswith(prefix)}
    missing = set(wanted) - set(found)
    assert all("gradient" in key for key in missing) if not active.trains else not missing
    for key, value in found.items():
        assert value.shape == wanted[key].shape, key
        size = float(np.abs(wanted[key]).max(initial=1.0))
        np.testing.assert_allclose(value, wanted[key], rtol=2e-5, atol=2e-6 * size, err_msg=key)


@each_loss
def test_losses_are_those_of_keras(case: Case, keras: dict[str, np.ndarray]) -> None:
    found = loss_results(case, losses, tensor, masked, array, gradient if active.trains else None)
    compare(found, keras, f"loss/{case.id}/")


@each_metric
def test_metrics_are_those_of_keras(case: Case, keras: dict[str, np.ndarray]) -> None:
    compare(metric_results(case, metrics, tensor, array), keras, f"metric/{case.id}/")


@each_metric
def test_a_recorded_update_counts_as_an_eager_one(case: Case) -> None:
    for shape in case.shapes:
        eager, recorded = (getattr(metrics, case.name)(**case.kwargs) for _ in range(2))
        target, output, weight, _ = data(case, shape)
        given = (target, output, weight) if case.weights else (target, output)

        def specs(unknown: bool, given: Any = given) -> Any:
            return tuple(TensorSpec((None if unknown else len(v), *v.shape[1:]), str(v.dtype)) for v in given)

        def step(*values: Any, metric: Any = recorded) -> Any:
            metric.update_state(*values)
            return metric.result()

        run = active.executable(trace(step, specs(not active.static_shapes)))
        for _ in range(2):
            eager.update_state(*map(active.to_tensor, given))
            (result,) = run(*map(active.to_tensor, given))
        np.testing.assert_allclose(array(result), array(eager.result()), rtol=1e-5, atol=1e-6)
        for a, b in zip(recorded.variables, eager.variables, strict=True):
            np.testing.assert_allclose(array(a), array(b), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", [*LOSSES, *METRICS], ids=lambda case: case.id)
def test_configurations_round_trip(case: Case) -> None:
    module: Any = losses if case in LOSSES else metrics
    original = getattr(module, case.name)(**case.kwargs)
    config = original.get_config()
    again = type(original).from_config(config)
    assert again.get_config() == config
    for name, value in case.kwargs.items():
        have = getattr(again, name)
        assert name == "thresholds" or have == value or list(have) == list(value), name
    assert module.deserialize(module.serialize(original)).get_config() == config
