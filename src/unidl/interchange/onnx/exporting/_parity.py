"""What onnxruntime computes with a written model, against unidl."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.errors import GraphError
from unidl.graph.graph import Graph
from unidl.graph.replay import replay
from unidl.interchange.onnx.exporting._inputs import Declared, sample
from unidl.interchange.onnx.exporting._library import runtime
from unidl.layers.preprocessing._host import host_values, is_text, string_tensor, strings_of


def given(inputs: Any, declared: Sequence[Declared]) -> list[np.ndarray]:
    """The arrays to compare with: drawn (True), given, or made by a function."""
    if inputs is True or inputs is None:
        return sample(declared)
    if callable(inputs):
        inputs = inputs()
    if isinstance(inputs, dict):
        inputs = [inputs[d.name] for d in declared]
    arrays = [inputs] if isinstance(inputs, np.ndarray) or active.is_tensor(inputs) else list(inputs)
    if len(arrays) != len(declared):
        raise GraphError(f"ONNX: {len(arrays)} arrays to compare with; the model has {len(declared)} inputs.")
    return [
        texts(a) if d.dtype == "string" else active.to_numpy(active.to_tensor(a, d.dtype))
        for a, d in zip(arrays, declared, strict=True)
    ]


def texts(array: Any) -> np.ndarray:
    """Strings as onnxruntime takes them: Python's, in an array of objects."""
    array = host_values(array)
    return np.array(strings_of(array), object).reshape(array.shape)


def run(path: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of an ONNX file in onnxruntime."""
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return list(session.run(None, dict(zip(names, arrays, strict=True))))


def compared(
    path: Any, graph: Graph, outputs: Sequence[tuple[int, str]], arrays: Sequence[np.ndarray]
) -> dict[str, float]:
    """Output name to the largest absolute difference; infinite if shapes, dtypes or places of NaN differ."""
    still = Graph(graph.inputs, graph.outputs, graph.structure, graph.nodes, [], graph.name)
    function: Callable[..., Any] = replay(still, active)
    with active.no_grad():
        native = [
            string_tensor(a.astype(str)) if t.dtype == "string" else active.to_tensor(a, t.dtype)
            for a, t in zip(arrays, graph.inputs, strict=True)
        ]
        expected = function(*native)
    got = run(path, arrays)
    return {
        name: difference(have, host_values(expected[place])) for have, (place, name) in zip(got, outputs, strict=True)
    }


def difference(have: np.ndarray, want: np.ndarray) -> float:
    """The largest absolute difference; infinite if shapes, dtypes, strings or places of NaN differ."""
    if is_text(have) and is_text(want) and have.shape == want.shape:
        return 0.0 if strings_of(have) == strings_of(want) else float("inf")
    if have.shape != want.shape or have.dtype != want.dtype:
        return float("inf")
    a, b = have.astype("float64"), want.astype("float64")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if np.isnan(np.where(same, 0, a - b)).any():
        return float("inf")
    return float(np.abs(np.where(same, 0, a - b)).max(initial=0.0))
