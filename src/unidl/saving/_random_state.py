"""All random numbers that training depends on: unidl's counters, the engine's generators, those of Python and NumPy."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from unidl import _seed
from unidl.backend import active


def random_state() -> dict[str, Any]:
    """Where all generators of the process stand, for `set_random_state`."""
    version, words, gauss = random.getstate()
    state = {"seed": _seed.snapshot(), "engine": active.random_state(), "python": [version, list(words), gauss]}
    # Somebody may have replaced NumPy's generator by one of another kind: it is left alone then.
    kind, *rest = np.random.get_state()
    return {**state, "numpy": [kind, *rest] if kind == "MT19937" else None}


def set_random_state(state: dict[str, Any]) -> None:
    """Go back to what `random_state` returned. An engine that does not tell its state is left alone."""
    _seed.restore(state["seed"])
    if state["engine"] is not None:
        active.set_random_state(state["engine"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    if state["numpy"] is not None:
        np.random.set_state(tuple(state["numpy"]))


def begin_anew(number: int) -> None:
    """Seed an engine that does not tell its state: by the global seed, and the number of a checkpoint."""
    if active.random_state() is None:
        active.set_seed(int(_seed.stream("checkpoint", number).integers(0, 2**31 - 1)))
