"""Every optimizer of `optimizer_cases` against Keras: the weights after each step, and the state as it is saved.

Keras runs once, on TensorFlow, in a process of its own (for all suites of ``make test``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras_process import keras_results
from optimizer_cases import CASES, OWN, Case, data, made, results

import unidl
from unidl import optimizers
from unidl.backend import active

# Compiling takes time: each rule once, and each option with the first of them.
COMPILED = [c for c in CASES if c.name == "SGD" or c.name not in OWN or c.kwargs == OWN[c.name][-1]]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


@pytest.fixture(scope="module")
def keras() -> dict[str, np.ndarray]:
    """What Keras gives for all cases, by ``<case>/<what>``."""
    return keras_results("keras_optimizers_oracle.py")


def compare(found: dict[str, np.ndarray], keras: dict[str, np.ndarray], case: Case) -> None:
    prefix = f"{case.id}/"
    wanted = {key[len(prefix) :]: value for key, value in keras.items() if key.startswith(prefix)}
    assert set(found) == set(wanted)
    for key, value in found.items():
        assert value.shape == wanted[key].shape, key
        finite = wanted[key][np.isfinite(wanted[key])]
        size = float(np.abs(finite).max(initial=1.0))
        np.testing.assert_allclose(value, wanted[key], rtol=1e-4, atol=2e-5 * size, err_msg=key)


@each
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_steps_and_state_are_those_of_keras(
    case: Case, fused: bool, keras: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fused:  # the rule in ops in place of the engine's kernel
        monkeypatch.setattr(optimizers.Optimizer, "_fused", lambda *args: None)
    compare(results(case, optimizers, unidl.Variable, active.to_tensor, active.to_numpy), keras, case)


@each
def test_configurations_round_trip(case: Case) -> None:
    original = made(case, optimizers)
    config = optimizers.serialize(original)
    again = optimizers.deserialize(config)
    assert type(again) is type(original) and optimizers.serialize(again) == config
    assert again.get_config() == original.get_config()


@pytest.mark.parametrize("case", COMPILED, ids=lambda case: case.id)
@pytest.mark.skipif(not active.traces_python, reason="the engine runs Python code as it is")
@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_compiled_update_does_what_an_eager_one_does(case: Case) -> None:
    runs = []
    for compiled in (True, False):
        weights, steps = data(case)
        variables = [unidl.Variable(w, name=f"w{i}") for i, w in enumerate(weights)]
        for place in case.overwritten:
            variables[place].overwrite_with_gradient = True
        optimizer = made(case, optimizers)
        optimizer.build(variables)
        present = [i for i in range(len(weights)) if i not in case.missing]

        def update(
            *gradients: Any, optimizer: Any = optimizer, variables: Any = variables, present: Any = present
        ) -> None:
            optimizer.apply(gradients, [variables[i] for i in present])

        run = active.jit(update) if compiled else update
        for gradients in steps:
            run(*(active.to_tensor(steps[0][i] if (g := gradients[i]) is None else g) for i in present))
        runs.append([active.to_numpy(v) for v in (*variables, *optimizer.variables)])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert not np.allclose(runs[0][4], data(case)[0][4])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("case", [c for c in CASES if not c.missing], ids=lambda case: case.id)
def test_stateless_apply_gives_what_apply_makes(case: Case) -> None:
    weights, steps = data(case)
    variables = [unidl.Variable(w, name=f"w{i}") for i, w in enumerate(weights)]
    for place in case.overwritten:
        variables[place].overwrite_with_gradient = True
    optimizer = made(case, optimizers)
    optimizer.build(variables)
    trained, own = list(variables), list(optimizer.variables)
    for gradients in steps[:3]:
        before = [active.to_numpy(v).copy() for v in (*variables, *optimizer.variables)]
        trained, own = optimizer.stateless_apply(own, [active.to_tensor(g) for g in gradients], trained)
        for a, v in zip(before, (*variables, *optimizer.variables), strict=True):
            np.testing.assert_array_equal(active.to_numpy(v), a)
    expected = results(case._replace(infinite=None) if case.infinite else case, optimizers, unidl.Variable,
                       active.to_tensor, active.to_numpy)  # fmt: skip
    for place, value in enumerate(trained):
        np.testing.assert_allclose(active.to_numpy(value), expected[f"step 2 w{place}"], rtol=1e-5, atol=1e-6)
