"""Operators of language models and support vector machines, each compared with onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx_decoders import CACHES, DECODERS, MACHINES, RAGGED, SPARSE, grouped, quantized, windowed
from onnx_models import reference
from onnx_one import One, compare, ids

from unidl import onnx


@pytest.mark.parametrize("case", DECODERS, ids=ids(DECODERS))
def test_operators_of_language_models(case: One) -> None:
    compare(case)


@pytest.mark.parametrize("case", RAGGED + CACHES, ids=ids(RAGGED + CACHES))
def test_elements_of_a_batch_have_lengths_of_their_own(case: One) -> None:
    data, given = case.model()
    ends = case.inputs["ends"] + 1
    steps = case.inputs["q"].shape[1]
    counts = case.inputs.get("n", np.minimum(ends, steps))
    for what, (want, got) in enumerate(zip(reference(data, *given), onnx.prepare(data)(given), strict=True)):
        assert got.shape == want.shape and got.dtype == want.dtype
        for i in range(len(ends)):
            kept = (slice(0, counts[i]),) if what == 0 else (slice(None), slice(0, rows_held(case, int(ends[i]))))
            np.testing.assert_allclose(got[i][kept], want[i][kept], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", SPARSE, ids=ids(SPARSE))
def test_attention_to_some_blocks(case: One) -> None:
    data, given = case.model()
    got = onnx.prepare(data)(given)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    caches = {}
    for wanted, value in zip(session.get_inputs(), given, strict=True):
        tensor = onnxruntime.OrtValue.ortvalue_from_numpy(value.copy())
        binding.bind_ortvalue_input(wanted.name, tensor)
        caches[wanted.name] = tensor
    binding.bind_output("y")
    binding.bind_ortvalue_output("pk", caches["k0"])
    binding.bind_ortvalue_output("pv", caches["v0"])
    session.run_with_iobinding(binding)
    end = int(case.inputs["total"][0])
    for what, want in enumerate(binding.copy_outputs_to_cpu()):
        kept = (...,) if what == 0 else (slice(None), slice(None), slice(0, end))
        np.testing.assert_allclose(got[what][kept], want[kept], rtol=1e-4, atol=1e-4)
        assert got[what].shape == want.shape


def rows_held(case: One, count: int) -> int:
    """How many rows of a cache mean something after `count` steps."""
    if not case.attributes.get("sliding_window_cache"):
        return count
    room = case.inputs["k0"].shape[2]
    gap = room - case.attributes["local_window_size"] + 1
    return count - gap * max(-((room - count) // gap), 0)


def test_queries_and_keys_are_normalized_before_they_are_turned() -> None:
    """onnxruntime has no kernel for it on CPUs; what it computes for normalized inputs is the reference."""
    case = grouped(1, 3, more=dict.fromkeys(("places", "bias", "sink", "ks", "vs")))
    scales = {n: np.linspace(0.5, 1.5, 16).astype("float32") for n in ("qn", "kn")}
    fused = case._replace(inputs={**case.inputs, **scales}, attributes={**case.attributes, "q_norm_epsilon": 1e-3})
    data, given = fused.model()
    parts = dict(case.inputs)
    for name, epsilon in (("q", 1e-3), ("k", 1e-6)):
        heads = parts[name].reshape(1, 3, -1, 16)
        heads = heads / np.sqrt(np.mean(heads**2, -1, keepdims=True) + epsilon) * scales["qn"]
        parts[name] = heads.reshape(parts[name].shape)
    plain, normalized = case._replace(inputs=parts).model()
    for want, got in zip(reference(plain, *normalized), onnx.prepare(data)(given), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


STEPS = {
    "one": grouped(1, 1, 4, local_window_size=3),
    "several": grouped(1, 3, 4, local_window_size=3),
    "windowed": windowed(1, 3, 4),
    "quantized": quantized(grouped(1, 3, 4), 8),
    "packed": quantized(grouped(1, 3, 4), 4, True),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "given"])
def test_steps_of_decoders_as_models(name: str, fixed: bool, tmp_path: Path) -> None:
    """The total length is known when the model is made, or an input as the others are; files of the model agree."""
    case = STEPS[name]
    data, given = case._replace(constants=("ks", "vs", "total") if fixed else ("ks", "vs")).model()
    model = onnx.load(data, shapes={n: (None, *case.inputs[n].shape[1:]) for n in ("q", "k", "v", "k0", "v0")})
    wanted = reference(data, *given)
    rows = rows_held(case, int(case.inputs["ends"][0]) + 1)
    onnx.export(model, tmp_path / "again.onnx", opset=21)
    again = reference((tmp_path / "again.onnx").read_bytes(), *given)
    for results in (model.predict_on_batch(given), again):
        for what, (want, got) in enumerate(zip(wanted, results, strict=True)):
            kept = (...,) if what == 0 else (slice(None), slice(None), slice(0, rows))
            np.testing.assert_allclose(got[kept], want[kept], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [({"k_quant_type": "PER_TENSOR"}, "quantized"), ({"sliding_window_cache": 1}, "sliding_window_cache")],
)
def test_caches_in_other_forms_are_refused(attributes: dict[str, object], message: str) -> None:
    data, given = grouped(1, 1, 2, **attributes).model()
    with pytest.raises(onnx.OnnxError, match=f"GroupQueryAttention.*{message}"):
        onnx.prepare(data)(given)


@pytest.mark.parametrize("case", MACHINES, ids=ids(MACHINES))
def test_support_vector_machines(case: One) -> None:
    compare(case)
