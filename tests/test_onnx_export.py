"""ONNX out: every layer, every op and every example in onnxruntime, and what the files say."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import onnx
import pytest
from hypothesis import strategies as st
from layer_cases import CASES, OTHER_SIZES, SIZES, Case, data
from onnx_models import EXAMPLES, NETS, NOT_EXAMPLES, agrees, data_for, models_of, shaken
from test_layers import built, functional

import unidl
import unidl.onnx
from unidl import layers, ops, tree
from unidl.backend import active
from unidl.errors import GraphError, OpError, UntraceableError
from unidl.interchange.onnx.exporting._parity import difference, run
from unidl.interchange.onnx.exporting._tables import LACKING
from unidl.onnx import export
from unidl.ops._declare import TABLE as DECLARED
from unidl.testing.cases import CASES as OPS
from unidl.testing.checks import close, judged, unknown_shapes
from unidl.testing.draw import Draw
from unidl.testing.oracle import arrays, evaluate, record

#: The files are the same whatever the engine: what is looked at exhaustively is looked at where no engine is needed.
EXHAUSTIVE = active.name == "numpy"

#: Layers that need a newer opset than 13, and which.
NEWER = {
    **dict.fromkeys(("equalization", "equalization_bins", "clahe", "clahe_any_size"), 16),
    **dict.fromkeys(("crossing", "hashing", "hashing_salted", "hashing_masked", "integers_hashed"), 18),
}


def op_types(path: Path) -> list[str]:
    return [n.op_type for n in onnx.load(path).graph.node]


# -- everything ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES if EXHAUSTIVE else [], ids=lambda case: case.name)
def test_every_layer(case: Case, tmp_path: Path) -> None:
    """In the newest opset and in two old ones, on two batch sizes and lengths."""
    layer, *_ = built(case)
    model, path = functional(case, layer), tmp_path / "layer.onnx"
    opsets = [None, 13] if sum(map(ord, case.name)) % 5 else [None, 17, 13]
    for opset in opsets:
        if opset is not None and opset < NEWER.get(case.name, 0):
            with pytest.raises(GraphError, match=f"needs opset {NEWER[case.name]}"):
                export(model, path, opset=opset)
            continue
        export(model, path, opset=opset)
        for sizes in (SIZES, OTHER_SIZES):
            inputs, tensors = data(case, sizes)
            agrees_flat(path, model, [*tree.flatten(inputs), *tree.flatten(tensors)])


def agrees_flat(path: Path, model: Any, arrays: list[np.ndarray]) -> None:
    want = tree.flatten(model([ops.convert_to_tensor(a) for a in arrays]))
    for a, b in zip(run(path, arrays), want, strict=True):
        assert difference(a, active.to_numpy(b)) <= 1e-4


@pytest.mark.parametrize("name", [name for name, case in OPS.items() if case.check is None and EXHAUSTIVE])
def test_every_op(name: str, tmp_path: Path) -> None:
    """The kit's examples with unknown dimensions, without NaN, infinities and empty tensors."""
    case, op, path = OPS[name], DECLARED[name], tmp_path / "op.onnx"
    function, refused, compared = judged(op, case), [], []

    @st.composite
    def examples(draw: Any) -> tuple[Any, tuple[Any, ...]]:
        r = Draw(draw, case.dtypes[0])
        return r, case.build(r)

    @hypothesis.settings(max_examples=5, phases=[hypothesis.Phase.generate])
    @hypothesis.given(examples())
    def body(example: Any) -> None:
        r, arguments = example
        found = list(arrays(arguments))
        if any(not x.size or (x.dtype.kind in "fc" and not np.isfinite(x).all()) for x in found):
            return
        try:
            _, expected = evaluate(function, arguments)
            graph = record(function, arguments, unknown_shapes(r, op, case, arguments))
        except (OpError, UntraceableError, np.linalg.LinAlgError, ValueError):
            return  # refused by unidl itself
        try:
            export(graph, path)
        except GraphError as error:
            refused.append(str(error))
            return
        for have, want in zip(run(path, found), expected, strict=True):
            assert have.dtype == want.dtype and have.shape == want.shape
            close(have, want, case.tolerance._replace(factor=case.tolerance.factor * 4), name)
        compared.append(name)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body()
    assert compared or refused
    if refused:  # says which op, and why
        reasons = [*LACKING.values(), "must be known", "complex64, which ONNX has no operators for"]
        assert all(any(reason in message for reason in reasons) for message in refused), refused[0]


@pytest.mark.parametrize(
    "example",
    [p for p in sorted(EXAMPLES.glob("*.py")) if p.name not in NOT_EXAMPLES and EXHAUSTIVE],
    ids=lambda p: p.stem,
)
def test_every_example(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = models_of(example, monkeypatch, tmp_path)
    written = 0
    for model in models:
        for opset in (None, 13):
            path = tmp_path / "model.onnx"
            random = any(type(layer).__name__ == "Sampling" for layer in model._flatten_layers())
            found = export(model, path, opset=opset, verify=not random)
            assert all(error <= 1e-4 for error in found.errors.values()), found.errors
            written += 1
    assert written


# -- on every engine ---------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [None, 17, 13])
@pytest.mark.parametrize("name", NETS)
def test_nets_on_every_engine(name: str, opset: int | None, tmp_path: Path) -> None:
    model, path = shaken(NETS[name]()), tmp_path / "net.onnx"
    written = export(model, path, opset=opset, verify=data_for(name, 3, 4))
    assert written.opset == opset or opset is None
    assert set(written.outputs) == set(written.errors) and max(written.errors.values()) <= 1e-4
    for batch, time in ((1, 3), (5, 8)):  # sizes that it was not recorded with
        agrees(path, model, data_for(name, batch, time))


def test_trained_model_and_seen_shapes(tmp_path: Path) -> None:
    """A subclassed model is written for what it has been called with."""

    class Net(unidl.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = layers.Dense(3, name="dense")

        def call(self, x: Any) -> Any:
            return ops.tanh(self.dense(x))

    model = Net()
    with pytest.raises(GraphError, match="'own' has not seen data yet"):
        export(model, tmp_path / "own.onnx")
    model(np.ones((2, 4), "float32"))
    export(model, tmp_path / "own.onnx", input_spec=[("batch", 4)])
    agrees(tmp_path / "own.onnx", model, np.ones((5, 4), "float32"))


# -- and back ------------------------------------------------------------------------------------------

#: `unidl.onnx.load`, where this version has it.
load = getattr(unidl.onnx, "load", None)
reads = pytest.mark.skipif(load is None, reason="nothing reads ONNX files here")


@reads
@pytest.mark.parametrize("name", NETS)
def test_nets_load_back_on_every_engine(name: str, tmp_path: Path) -> None:
    assert load is not None
    model, path = shaken(NETS[name]()), tmp_path / "net.onnx"
    export(model, path)
    loaded = load(path)
    for batch, time in ((3, 4), (1, 6)):
        agrees(path, loaded, data_for(name, batch, time))


@reads
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_layer_loads_back(case: Case, tmp_path: Path) -> None:
    assert load is not None
    """As a model of this engine, on two batch sizes and lengths."""
    layer, *_ = built(case)
    model, path = functional(case, layer), tmp_path / "layer.onnx"
    export(model, path)
    model.run_eagerly = True  # without a recording of its own: TensorFlow takes long to make one
    loaded = load(path)
    for sizes in (SIZES, OTHER_SIZES):
        inputs, tensors = data(case, sizes)
        given = [ops.convert_to_tensor(a) for a in (*tree.flatten(inputs), *tree.flatten(tensors))]
        for have, want in zip(tree.flatten(loaded(given)), tree.flatten(model(given)), strict=True):
            assert difference(active.to_numpy(have), active.to_numpy(want)) <= 1e-4
