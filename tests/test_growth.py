"""What must not grow: memory over many calls and dropped models, the text of replays, time against depth.

`benchmarks/growth.py` measures the same with larger numbers.
"""

from __future__ import annotations

import gc
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unidl
from unidl.backend import active
from unidl.graph.replay import replay
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace

pytestmark = pytest.mark.skipif(not active.trains, reason="the backend does not train")

x = np.random.default_rng(0).standard_normal((64, 8)).astype("float32")
y = np.arange(64, dtype="int32") % 4


def model() -> Any:
    net = unidl.Sequential([unidl.Input((8,)), unidl.layers.Dense(8, activation="relu"), unidl.layers.Dense(4)])
    net.compile(unidl.optimizers.Adam(), unidl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


def resident() -> float:
    """The process's memory, in MB."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(run: Callable[[int], Any], warm: int, calls: int) -> float:
    """MB that `calls` calls add after `warm` calls."""
    for number in range(warm):
        run(number)
    before = resident()
    for number in range(warm, warm + calls):
        run(number)
    return resident() - before


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_calls_add_no_memory() -> None:
    net = model()
    assert growth(lambda _: net.fit(x, y, verbose=0), 20, 60) < 1.0
    assert growth(lambda _: net.predict(x[:1], verbose=0), 100, 400) < 1.0


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_variables_of_any_name_leave_nothing() -> None:
    zeros = np.zeros(8, "float32")

    def make(number: int) -> None:
        active.make_variable(zeros, trainable=False, name=f"slot_{number}")

    assert growth(make, 50, 400) < 2.0


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_models_built_fitted_and_dropped_leave_nothing() -> None:
    """The first ones load code and start threads. Models are cycles: without the collector they wait for it."""

    def fitted(number: int) -> None:
        model().fit(x, y, verbose=0)
        gc.collect()

    assert growth(fitted, 10, 30) < 1.5


def test_a_dropped_model_is_freed() -> None:
    net = model()
    net.fit(x, y, verbose=0)
    net.predict(x[:1], verbose=0)
    kept = weakref.ref(net), weakref.ref(net.optimizer), weakref.ref(net.layers[0].kernel)
    del net
    gc.collect()
    assert [r() for r in kept] == [None, None, None]


def test_models_built_alike_share_the_code_of_their_replay() -> None:
    def recorded() -> Any:
        net = model()
        return replay(trace(lambda v: net(v), (TensorSpec((None, 8), "float32"),), owner=net), active)

    first, second = recorded(), recorded()
    assert first is not second
    assert first.__code__ is second.__code__


@pytest.mark.once
def test_the_state_of_an_optimizer_is_made_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made is not looked for among what was made before."""
    looks: list[Any] = []
    monkeypatch.setattr(unidl.optimizers.Adam, "_hold", lambda self, variable: looks.append(variable))
    optimizer = unidl.optimizers.Adam()
    start = len(looks)
    optimizer.build([active.make_variable(np.zeros(1, "float32"), trainable=True, name="v") for _ in range(50)])
    assert len(optimizer.variables) == 102 and len(looks) == start
