"""Portable randomness: NumPy's counter-based Philox generator, keyed by a seed and what it is for.

Initial weights, data order, splits and draws with an explicit integer seed come from here, so they
are the same on every backend. (J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011.)
"""

from __future__ import annotations

import os
import zlib

import numpy as np

_state: dict[str, int] = {}


def set_global(seed: int) -> None:
    """Set the seed from which all others are derived, and start counting afresh."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"A seed is a non-negative int, not {seed!r}.")
    _state.clear()
    _state["seed"] = int(seed)


def forget() -> None:
    """As if no seed had been set and nothing drawn."""
    _state.clear()


def snapshot() -> dict[str, int]:
    """The seed, and what has been counted: all that later draws depend on."""
    global_seed()
    return dict(_state)


def restore(saved: dict[str, int]) -> None:
    """Go back to what `snapshot` returned."""
    _state.clear()
    _state.update(saved)


def global_seed() -> int:
    """The global seed; drawn from the system once if nobody has set it."""
    if "seed" not in _state:
        _state["seed"] = int.from_bytes(os.urandom(4), "little")
    return _state["seed"]


def next_index(kind: str) -> int:
    """How many times `kind` has been asked for since the global seed was set."""
    _state[f"n:{kind}"] = index = _state.get(f"n:{kind}", -1) + 1
    return index


def derived_seed(kind: str) -> int:
    """A fresh 31-bit seed for the next object of `kind`, determined by the global seed."""
    return int(stream(kind, next_index(kind)).integers(0, 2**31 - 1))


def stream(*key: int | str, seed: int | None = None) -> np.random.Generator:
    """The generator for `key` (ints and strings) under `seed`, the global one by default."""
    words = [zlib.crc32(k.encode()) if isinstance(k, str) else int(k) for k in key]
    entropy = [global_seed() if seed is None else int(seed), *words]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def portable() -> bool:
    """Whether in-graph randomness must be the same on every backend (`UNIDL_PORTABLE_RANDOM=1`)."""
    return os.environ.get("UNIDL_PORTABLE_RANDOM", "") not in ("", "0")
