"""The example of a backend outside of unidl: found by its entry point, trains, and passes a sample of the kit."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "custom_backend"
_MISSING = [name for name in ("autograd", "unidl_numpy") if importlib.util.find_spec(name) is None]
pytestmark = [pytest.mark.once, pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {_MISSING}")]

FIT = """
import numpy as np
import unidl
from unidl import layers

assert unidl.backend.backend() == "autograd" and unidl.backend.choice.reason == "UNIDL_BACKEND"
unidl.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype("float32")
y = (x[:, :3].sum((1, 2, 3)) > x[:, 3:].sum((1, 2, 3))).astype("int32")
model = unidl.Sequential([
    unidl.Input((6, 6, 2)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(),
    layers.MaxPooling2D(2), layers.Reshape((2, 8)), layers.LSTM(6), layers.Dense(2, activation="softmax"),
])
model.compile(unidl.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
losses = model.fit(x, y, epochs=6, verbose=0).history["loss"]
assert losses[-1] < 0.8 * losses[0], losses
print("fell")
"""

#: Values and gradients of an op of each kind, and the contract.
SAMPLE = [
    "test_values[matmul-float32]", "test_values[conv-float32]", "test_values[gelu-float32]",
    "test_gradient[exp-float32]", "test_gradient[where-float32]", "test_gradient[conv-float32]",
    "test_gradient[lstm-float32]", "test_gradient[layer_normalization-float32]", "test_gradient[svd-float32]",
    "test_roundtrip[bfloat16]", "test_table_is_complete", "test_known_gaps_exist", "test_variable_gradient",
    "test_independent_gradient", "test_stop_gradient", "test_assign[float32]", "test_variable_operators",
    "test_no_alias", "test_seed",
]  # fmt: skip


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables of a process in which the example is installed, as an editable installation does it."""
    info = tmp_path / "unidl_autograd-0.1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: unidl-autograd\nVersion: 0.1.0\n")
    project = EXAMPLE.joinpath("pyproject.toml").read_text()
    group, _, rest = project.partition('[project.entry-points."unidl.backends"]\n')
    assert rest
    info.joinpath("entry_points.txt").write_text(f"[unidl.backends]\n{rest.splitlines()[0].replace(chr(34), '')}\n")
    path = os.pathsep.join([str(tmp_path), str(EXAMPLE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "UNIDL_BACKEND": "autograd"}


def run(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_it_is_selected_and_trains(environment: dict[str, str], tmp_path: Path) -> None:
    assert run(environment, tmp_path, "-c", FIT).strip() == "fell"


def test_it_passes_a_sample_of_the_kit(environment: dict[str, str], tmp_path: Path) -> None:
    kit = EXAMPLE / "tests" / "test_conformance.py"
    ids = [f"{kit}::{test}" for test in SAMPLE]
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={tmp_path}"]
    printed = run(environment, tmp_path, "-m", "pytest", *options, "--import-mode=importlib", *ids)
    assert f"{len(SAMPLE) - 1} passed, 1 xfailed" in printed


def test_no_file_of_unidl_knows_it() -> None:
    for folder in ("src", "backends"):
        for file in (EXAMPLE.parent.parent / folder).rglob("*.py"):
            assert "unidl_autograd" not in file.read_text(encoding="utf-8"), file
