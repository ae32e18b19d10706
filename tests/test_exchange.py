"""Twenty models and more to Keras and back: predictions, and one more epoch from the optimizer's restored state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchange_models import CASES, classes, compiled, read, trained, write

import unidl
from unidl.backend import active

KERAS = util.find_spec("keras") is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both sides have written their models, and Keras what it made of unidl's."""
    folder = tmp_path_factory.mktemp("exchange")
    classes(unidl)
    for name, case in CASES.items():
        write(trained(compiled(case.build(unidl), name, unidl), name), name, folder, "unidl")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    script = Path(__file__).with_name("keras_exchange.py")
    done = subprocess.run([sys.executable, script, folder], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def arrays(path: Path) -> list[np.ndarray]:
    with np.load(path) as found:
        return [found[f"arr_{i}"] for i in range(len(found))]


def agree(folder: Path, name: str, who: str) -> None:
    for what, tolerance in (("predicted", 1e-5), ("weights", 1e-4)):
        wanted, found = (arrays(folder / f"{who}_{name}.{what}{there}.npz") for there in ("", "_there"))
        assert [a.shape for a in found] == [a.shape for a in wanted], what
        for mine, theirs in zip(wanted, found, strict=True):
            tolerance = max(tolerance, CASES[name].exact if CASES[name].exact < 1 else 0)
            np.testing.assert_allclose(theirs, mine, rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.skipif(active.name != "torch" or not KERAS, reason="one backend is enough")
@pytest.mark.parametrize("name", CASES)
def test_models_go_to_keras_and_back(name: str, folder: Path) -> None:
    errors: dict[str, Any] = json.loads((folder / "errors.json").read_text())
    assert name not in errors, errors[name]
    agree(folder, name, "unidl")
    read(unidl.saving.load_model(folder / f"keras_{name}.keras"), name, folder, "keras")
    agree(folder, name, "keras")


@pytest.mark.skipif(active.name != "torch", reason="one chain is enough")
def test_weights_go_through_all_engines_unchanged(tmp_path: Path) -> None:
    """torch → mxnet → tensorflow → torch, as archives with the optimizers' state and as weights files."""
    import weights_chain

    classes(unidl)
    for name, case in CASES.items():
        model = case.build(unidl) if name == "strings" else trained(compiled(case.build(unidl), name, unidl), name)
        weights_chain.write(model, name, tmp_path, "torch")
    for previous, engine in (("torch", "mxnet"), ("mxnet", "tensorflow")):
        environment = {**os.environ, "UNIDL_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, weights_chain.__file__, tmp_path, previous, engine]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    weights_chain.forward(tmp_path, "tensorflow", "back")
    for name in CASES:
        wanted = arrays(tmp_path / f"torch_{name}.npz")
        assert wanted, name
        for found in (arrays(tmp_path / f"back_{name}{what}.npz") for what in ("", ".weights")):
            for mine, theirs in zip(wanted, found):
                assert mine.dtype == theirs.dtype, name
                np.testing.assert_array_equal(theirs, mine, err_msg=name)


def test_layers_shared_between_levels_stay_shared(tmp_path: Path) -> None:
    shared = unidl.layers.Dense(3)
    x, y = unidl.Input((3,)), unidl.Input((3,))
    inner = unidl.Model(x, shared(unidl.layers.Dense(3)(x)))
    outer = unidl.Model(y, shared(inner(y)))
    outer.save(tmp_path / "model.keras")
    again = unidl.saving.load_model(tmp_path / "model.keras")
    assert len(outer.weights) == len(again.weights) == 4
    assert again.layers[-1] is again.layers[1].layers[-1]
    data = np.ones((2, 3), "float32")
    np.testing.assert_allclose(again.predict(data, verbose=0), outer.predict(data, verbose=0), rtol=1e-5)
