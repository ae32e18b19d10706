"""What is checked of a function with control flow on the active backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.graph.replay import replay
from unidl.graph.symbolic import TensorSpec
from unidl.testing import assert_close
from unidl.testing.cases.control import Flow
from unidl.testing.oracle import compiled, directional, flat, record


def check_flow(flow: Flow) -> None:
    """Eager, replayed and compiled results are those of the oracle, also where a first dimension is unknown."""
    graph = record(flow.function, flow.arguments)
    expected = [x for x in compiled(graph)(*flow.arguments) if x is not None]
    tensors = [active.to_tensor(x) for x in flow.arguments]
    _equal(flat(flow.function(*tensors)), expected, "eager")
    unknown = [(None, *x.shape[1:]) if x.ndim else () for x in flow.arguments]
    for shapes in [None] if flow.sized else [None, unknown]:
        graph = record(flow.function, flow.arguments, shapes)
        recorded = [o for o in graph.outputs if o is not None]
        for output, value in zip(recorded, expected, strict=True):
            spec = TensorSpec(output.shape, output.dtype)
            assert spec.dtype == value.dtype.name, f"recorded as {spec}, but it is {value.dtype}"
            assert all(a in (None, b) for a, b in zip(spec.shape, value.shape, strict=True)), f"recorded as {spec}"
        _equal(replay(graph, active)(*tensors), expected, "replayed")
        _equal(active.executable(graph)(*tensors), expected, "compiled")


def _equal(actual: Any, expected: list[np.ndarray], what: str) -> None:
    actual = [t for t in actual if t is not None]
    assert len(actual) == len(expected), f"{what}: {len(actual)} outputs instead of {len(expected)}"
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert_close(a, e, what=f"{what}, output {i}")


def check_flow_gradient(flow: Flow) -> None:
    """The derivative, eager and compiled, is that of finite differences of the oracle."""

    def loss(*values: Any) -> Any:
        total: Any = 0.0
        for i, output in enumerate(flat(flow.function(*values))):
            if output is not None:
                total = total + ops.sum(ops.cast(output, values[0].dtype)) * (i + 1)
        return total

    first, *rest = flow.arguments
    graph = record(loss, flow.arguments)
    fixed = [active.to_tensor(x) for x in rest]
    direction = np.linspace(-1, 1, first.size).reshape(first.shape)
    expected = directional(loss, flow.arguments, [direction, *(None for _ in rest)])
    for what, function in (("eager", loss), ("compiled", lambda *v: active.executable(graph)(*v)[0])):
        run = [active.to_tensor(first)]
        _, (gradient,), _ = active.differentiate(lambda x, f=function: (f(x, *fixed), None), run, [])  # type: ignore[misc]
        found = float((active.to_numpy(gradient).astype("float64") * direction).sum())
        assert abs(found - expected) <= 1e-3 * (1 + abs(expected)), f"{what}: {found:.7g} instead of {expected:.7g}"
