"""Sums of very many elements: how large the rounding errors grow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active

#: Functions of a vector with half a million elements near 1, by the id of their tests.
SUMS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: ops.sum(x),
    "mean": lambda x: ops.mean(x),
    "mean_offset": lambda x: ops.mean(x + 1000.0),
    "var": lambda x: ops.var(x),
    "var_offset": lambda x: ops.var(x + 100.0),
    "std": lambda x: ops.std(x),
    "cumsum": lambda x: ops.cumsum(x)[-1],
    "logsumexp": lambda x: ops.logsumexp(x),
    "matmul": lambda x: ops.matmul(x, x),
    "columns": lambda x: ops.sum(ops.reshape(x, (-1, 4)), 0),
    "moments": lambda x: ops.stack(list(ops.moments(x + 100.0, [0]))),
}
_MEANING: dict[str, Callable[[np.ndarray], Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "mean_offset": lambda x: np.mean(x + 1000.0),
    "var": np.var,
    "var_offset": np.var,
    "std": np.std,
    "cumsum": np.sum,
    "logsumexp": lambda x: np.log(np.sum(np.exp(x))),
    "matmul": lambda x: x @ x,
    "columns": lambda x: x.reshape(-1, 4).sum(0),
    "moments": lambda x: np.stack([np.mean(x + 100.0), np.var(x)]),
}
#: A vector of 500,000 float32 numbers with an offset of 100 has that much less of its variance left.
_LOOSER = {"var_offset": 100.0, "moments": 100.0, "cumsum": 10.0}


def check_accumulation(name: str) -> None:
    """In float32 the relative error is at most 1e-5; float16 numbers are summed in a wider dtype."""
    numbers = np.random.default_rng(3)
    x = numbers.uniform(0.5, 1.5, 500_000).astype("float32")
    found = active.to_numpy(SUMS[name](active.to_tensor(x))).astype("float64")
    wanted = np.asarray(_MEANING[name](x.astype("float64")))
    error = float(np.max(np.abs(found - wanted) / np.abs(wanted)))
    assert error <= 1e-5 * _LOOSER.get(name, 1.0), f"relative error {error:.2g}"
    if name in ("mean", "std", "var"):
        half = numbers.uniform(0.5, 1.5, 50_000).astype("float16")
        found = active.to_numpy(SUMS[name](active.to_tensor(half))).astype("float64")
        wanted = np.asarray(_MEANING[name](half.astype("float64")))
        error = float(np.abs(found - wanted) / np.abs(wanted))
        assert error <= 2e-3, f"relative error {error:.2g} in float16"
