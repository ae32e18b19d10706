"""Maps, which are dicts: what classifiers of scikit-learn end with, and what its vectorizers take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import reference

from unidl import onnx

TYPES = {"text": TensorProto.STRING, "int64": TensorProto.INT64, "float32": TensorProto.FLOAT}


def taking(op: str, key: str, value: str, **attributes: Any) -> bytes:
    """A model of one operator that takes a map."""
    kind = helper.make_map_type_proto(TYPES[key], helper.make_tensor_type_proto(TYPES[value], []))
    node = helper.make_node(op, ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    graph = helper.make_graph([node], "g", [helper.make_value_info("x", kind)], [helper.ValueInfoProto(name="y")])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return bytes(helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString())


@pytest.mark.parametrize(
    ("data", "given"),
    [
        (taking("DictVectorizer", "text", "float32", string_vocabulary=["a", "c", "b"]), {"a": 4.0, "c": 8.5}),
        (taking("DictVectorizer", "int64", "float32", int64_vocabulary=[1, 3]), {3: 1.5}),
        (taking("CastMap", "int64", "float32"), {3: 1.5, 1: 2.25}),
        (taking("CastMap", "int64", "float32", cast_to="TO_INT64"), {3: 1.5, 1: 2.75}),
        (taking("CastMap", "int64", "float32", cast_to="TO_STRING"), {3: 1.5, 1: 2.75}),
        (taking("CastMap", "int64", "float32", map_form="SPARSE", max_map=5), {3: 1.5, 1: 2.75}),
    ],
)
def test_maps_become_rows(data: bytes, given: dict[Any, float]) -> None:
    import onnxruntime

    (found,) = onnx.prepare(data)([given])
    (expected,) = onnxruntime.InferenceSession(data).run(None, {"x": given})
    assert found.dtype == expected.dtype and found.tolist() == expected.tolist()


def test_maps_of_texts_and_integers() -> None:
    """Which onnxruntime's Python does not take."""
    words = taking("DictVectorizer", "int64", "text", int64_vocabulary=[1, 3])
    assert onnx.prepare(words)([{1: "q"}])[0].tolist() == [["q", ""]]
    counts = taking("DictVectorizer", "text", "int64", string_vocabulary=["a", "b"])
    (row,) = onnx.prepare(counts)([{"b": 2**40}])
    assert row.dtype == np.int64 and row.tolist() == [[0, 2**40]]
    cast = taking("CastMap", "int64", "text", map_form="SPARSE", max_map=3, cast_to="TO_STRING")
    assert onnx.prepare(cast)([{2: "b"}])[0].tolist() == [["", "", "b"]]


@pytest.mark.parametrize(
    ("data", "given", "words"),
    [
        (
            taking("DictVectorizer", "text", "float32", string_vocabulary=["a"]),
            {"q": 1.0},
            "'q' is not in the vocabulary",
        ),
        (taking("CastMap", "int64", "float32", map_form="SPARSE", max_map=2), {2: 1.0}, "2 to 2, but max_map is 2"),
        (taking("CastMap", "int64", "float32"), [1.0], "'x' is a map: it takes a dict"),
    ],
)
def test_maps_that_do_not_fit_are_refused(data: bytes, given: Any, words: str) -> None:
    with pytest.raises(onnx.OnnxError, match=words):
        onnx.prepare(data)([given])


def _classifier(keys: dict[str, list[object]]) -> bytes:
    """A linear classifier as converters of scikit-learn write one: the last node makes maps of the scores."""
    coefficients = np.linspace(-1, 1, 9).tolist()
    nodes = [
        helper.make_node("LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", coefficients=coefficients,
                         intercepts=[0.1, 0.2, 0.3], classlabels_ints=[4, 5, 6], post_transform="SOFTMAX"),
        helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", **keys),
    ]  # fmt: skip
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    outputs = [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]), helper.ValueInfoProto(name="maps")]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(
        helper.make_graph(nodes, "c", [x], outputs), opset_imports=imports, ir_version=8
    ).SerializeToString()


@pytest.mark.parametrize("keys", [{"classlabels_int64s": [4, 5, 6]}, {"classlabels_strings": ["a", "b", "c"]}])
def test_maps_of_scores_are_dicts(keys: dict[str, list[object]]) -> None:
    data, x = _classifier(keys), np.array([[1, 2, 3], [0.5, -1, 0]], "float32")
    labels, maps = onnx.prepare(data)([x])
    want_labels, want_maps = reference(data, x)
    assert labels.tolist() == want_labels.tolist() and [list(m) for m in maps] == [list(m) for m in want_maps]
    np.testing.assert_allclose([list(m.values()) for m in maps], [list(m.values()) for m in want_maps], rtol=1e-5)


def test_maps_are_no_outputs_of_models() -> None:
    with pytest.raises(onnx.OnnxError, match=r"prepare\(\)"):
        onnx.load(_classifier({"classlabels_int64s": [4, 5, 6]}))
    with pytest.raises(onnx.OnnxError, match="2 classes for 3 columns"):
        onnx.prepare(_classifier({"classlabels_int64s": [4, 5]}))([np.ones((1, 3), "float32")])
