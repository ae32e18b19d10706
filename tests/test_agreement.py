"""One seed gives one start and one training curve on every engine."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from agreement import STEPS

from unidl.backend import active

pytestmark = pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")

SCRIPT = Path(__file__).with_name("agreement.py")


@functools.cache
def losses_on(backend: str, portable: bool) -> dict[str, dict[str, object]]:
    env = {**os.environ, "UNIDL_BACKEND": backend, "UNIDL_PORTABLE_RANDOM": "1" if portable else "0"}
    done = subprocess.run([sys.executable, str(SCRIPT)], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("net", ["mlp", "cnn", "lstm"])
def test_same_seed_same_start_and_losses(net: str) -> None:
    ours, reference = losses_on(active.name, False)[net], losses_on("torch", False)[net]
    assert ours["weights"] == reference["weights"]
    assert len(ours["losses"]) == STEPS  # type: ignore[arg-type]
    np.testing.assert_allclose(ours["losses"], reference["losses"], rtol=1e-4)  # type: ignore[arg-type]


@pytest.mark.parametrize("net", ["mlp", "dropout"])
def test_portable_randomness_makes_dropout_agree(net: str) -> None:
    ours, reference = losses_on(active.name, True)[net], losses_on("torch", True)[net]
    assert ours["weights"] == reference["weights"]
    np.testing.assert_allclose(ours["losses"], reference["losses"], rtol=1e-4)  # type: ignore[arg-type]


def test_training_changes_the_loss() -> None:
    losses = losses_on(active.name, False)["mlp"]["losses"]
    assert losses[-1] < losses[0]  # type: ignore[index]
