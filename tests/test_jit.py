"""The engine's compiler, with sizes that are unknown when it compiles: what it gives is what the ops give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unidl import ops
from unidl.backend import active
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace

RNG = np.random.default_rng(0)
DATA, ROWS = RNG.normal(size=6).astype("float32"), RNG.normal(size=(6, 3)).astype("float32")
IDS = np.array([0, 1, 0, 2, 4, 2], "int32")


def compare(function: Callable[..., dict[str, Any]], *arrays: np.ndarray) -> None:
    """Compile `function` once for any number of rows; run it on all of `arrays`, and on all but the last rows."""
    names = list(function(*(ops.array(a) for a in arrays)))
    specs = tuple(TensorSpec((None, *a.shape[1:]), a.dtype.name) for a in arrays)
    run = active.executable(trace(lambda *values: tuple(function(*values).values()), specs), jit=True)
    for count in (len(arrays[0]), len(arrays[0]) - 1):
        tensors = [ops.array(a[:count]) for a in arrays]
        expected = function(*tensors)
        for name, found in zip(names, run(*tensors), strict=True):
            a, b = ops.convert_to_numpy(found), ops.convert_to_numpy(expected[name])
            np.testing.assert_allclose(a, b, rtol=1e-5, err_msg=f"{name}, {count} rows")


@pytest.mark.long
def test_segments_and_scattering() -> None:
    def function(data: Any, rows: Any, ids: Any) -> dict[str, Any]:
        size = ops.shape(data)[0]
        places, negative = ops.expand_dims(ids, -1), ops.expand_dims(ops.subtract(ids, size), -1)
        repeated = ops.full((size,), 2.0)  # may be one number in memory
        return {
            "segment_sum": ops.segment_sum(data, ids, size * 2),
            "segment_sum of rows": ops.segment_sum(rows, ids, 8),
            "segment_prod": ops.segment_prod(data, ids, size),
            "segment_max": ops.segment_max(data, ids, size),
            "segment_min of rows": ops.segment_min(rows, ids, size),
            "written": ops.scatter_update(repeated, places, data),
            "added": ops.scatter_update(repeated, negative, data, "add"),
            "multiplied": ops.scatter_update(repeated, places, data, "mul"),
            "scatter": ops.scatter(places, rows, (size, 3)),
            "gather_nd": ops.gather_nd(rows, negative),
            "slice_update": ops.slice_update(repeated, (1,), ops.getitem(data, slice(0, 2))),
        }

    compare(function, DATA, ROWS, IDS)


@pytest.mark.xfail(active.name == "tensorflow", reason="XLA: the size of a result may not depend on values")
def test_bins() -> None:
    def function(data: Any, ids: Any) -> dict[str, Any]:
        return {"counts": ops.bincount(ids, minlength=7), "weights": ops.bincount(ids, weights=data, minlength=7)}

    compare(function, DATA, IDS)
