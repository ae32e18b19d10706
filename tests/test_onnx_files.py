"""What ONNX files hold: names, layout, control flow, weights beside the model; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import agrees, data_for, image_net, shaken, text_net

import unidl
from unidl import layers, ops
from unidl.errors import GraphError
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.interchange.onnx.exporting import _weights
from unidl.onnx import export, parity

pytestmark = pytest.mark.once


def nodes(path: Path) -> list[Any]:
    return list(onnx.load(path).graph.node)


def kinds(path: Path) -> list[str]:
    return [n.op_type for n in nodes(path)]


def dense(units: int = 3, **more: Any) -> Any:
    x = unidl.Input((4,), name="x")
    return unidl.Model(x, layers.Dense(units, name="out", **more)(x), name="small")


# -- names and metadata --------------------------------------------------------------------------------


def test_names_sizes_and_metadata(tmp_path: Path) -> None:
    model, path = text_net(), tmp_path / "net.onnx"
    written = export(model, path, doc="Reads words.", metadata={"author": "us", "year": 2024})
    proto = onnx.load(path)
    assert written.inputs == ["words"] and sorted(written.outputs) == ["score", "tags"]
    assert [d.dim_param for d in proto.graph.input[0].type.tensor_type.shape.dim] == ["batch", "time"]
    tags = next(o for o in proto.graph.output if o.name == "tags").type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in tags] == ["batch", "time", 3]
    assert proto.producer_name == "unidl" and proto.producer_version == unidl.__version__
    assert proto.doc_string == "Reads words." and {p.key: p.value for p in proto.metadata_props} == {
        "author": "us", "year": "2024",
    }  # fmt: skip
    assert proto.graph.name == "text_net"
    assert any(n.name == "text_net/last/GRU" for n in proto.graph.node)
    weights = {i.name for i in proto.graph.initializer}
    assert {"text_net/embed/embeddings", "text_net/value/kernel"} <= weights
    assert len({n.name for n in proto.graph.node}) == len(proto.graph.node)


def test_sizes_named_by_the_user(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(text_net(), path, input_spec={"words": ("rows", "words")})
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param for d in shape] == ["rows", "words_1"] or [d.dim_param for d in shape] == ["rows", "words"]
    export(text_net(), path, input_spec=[(2, None)])  # a batch of two only
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value or d.dim_param for d in shape] == [2, "time"]


def test_only_the_batch_is_shared_by_inputs(tmp_path: Path) -> None:
    a, b = unidl.Input((None, 3), name="a"), unidl.Input((None, 3), name="b")
    model = unidl.Model([a, b], layers.Dot(2)([a, b]))
    export(model, tmp_path / "dot.onnx")
    dims = [[d.dim_param for d in i.type.tensor_type.shape.dim] for i in onnx.load(tmp_path / "dot.onnx").graph.input]
    assert dims == [["batch", "a_time", ""], ["batch", "b_time", ""]]
    agrees(tmp_path / "dot.onnx", model, np.ones((2, 5, 3), "float32"), np.ones((2, 4, 3), "float32"))


def test_inputs_handed_through_and_doubled_outputs(tmp_path: Path) -> None:
    x = unidl.Input((3,), name="x")
    y = layers.Dense(2, name="y")(x)
    model = unidl.Model(x, [y, x, y])
    written = export(model, tmp_path / "same.onnx", verify=True)
    assert len(set(written.outputs)) == 3 and max(written.errors.values()) < 1e-5


# -- how it is written ---------------------------------------------------------------------------------


def test_layout_changes_at_the_edges_only(tmp_path: Path) -> None:
    model = shaken(image_net())
    export(model, tmp_path / "net.onnx")
    found = kinds(tmp_path / "net.onnx")
    assert found.count("Transpose") == 1 and found.count("Conv") == 3 and found.count("BatchNormalization") == 2
    segments = unidl.Sequential(
        [
            unidl.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"), layers.ZeroPadding2D(1), layers.ReLU(),
            layers.Conv2D(4, 3), layers.PReLU(), layers.Conv2D(2, 1),
        ]
    )  # fmt: skip
    export(segments, tmp_path / "segments.onnx", verify=True)
    assert kinds(tmp_path / "segments.onnx").count("Transpose") == 2


def test_recurrent_layers_are_the_fused_operators(tmp_path: Path) -> None:
    export(text_net(), tmp_path / "net.onnx")
    found = kinds(tmp_path / "net.onnx")
    assert found.count("LSTM") == 2 and found.count("GRU") == 1 and "Scan" not in found
    plain = unidl.Sequential([unidl.Input((None, 3)), layers.LSTM(4)])
    export(plain, tmp_path / "plain.onnx")
    lstm = next(n for n in nodes(tmp_path / "plain.onnx") if n.op_type == "LSTM")
    assert len(lstm.input) == 4  # states of zeros and lengths are left out
    assert "TopK" not in kinds(tmp_path / "plain.onnx")


def test_composites_by_opset(tmp_path: Path) -> None:
    x = unidl.Input((6, 8))
    y = layers.RMSNormalization()(layers.LayerNormalization()(layers.Activation("gelu")(x)))
    model = unidl.Model(x, layers.Activation("mish")(y))
    expected = {
        13: set(), 17: {"LayerNormalization"}, 18: {"LayerNormalization", "Mish"},
        20: {"LayerNormalization", "Mish", "Gelu"}, 23: {"LayerNormalization", "Mish", "Gelu", "RMSNormalization"},
    }  # fmt: skip
    every = set().union(*expected.values())
    for opset, want in expected.items():
        written = export(model, tmp_path / "net.onnx", opset=opset, verify=True)
        assert set(kinds(tmp_path / "net.onnx")) & every == want
        assert max(written.errors.values()) < 1e-5


@pytest.mark.parametrize("first", ["Dense", "Conv1D", "Conv2D", "DepthwiseConv2D", "Conv2DTranspose"])
@pytest.mark.parametrize("bias", [True, False])
def test_batch_normalization_is_folded(first: str, bias: bool, tmp_path: Path) -> None:
    shape = {"Dense": (4,), "Conv1D": (9, 4)}.get(first, (7, 6, 4))
    arguments: dict[str, Any] = {"use_bias": bias}
    arguments |= {"Dense": {"units": 6}, "DepthwiseConv2D": {"kernel_size": 3, "depth_multiplier": 2}}.get(
        first, {"filters": 6, "kernel_size": 3}
    )
    layer = getattr(layers, first)(**arguments)
    model = shaken(unidl.Sequential([unidl.Input(shape), layer, layers.BatchNormalization(), layers.ReLU()]))
    written = export(model, tmp_path / "folded.onnx", fold_batch_norm=True, verify=True)
    assert max(written.errors.values()) < 1e-4
    found = set(kinds(tmp_path / "folded.onnx"))
    assert not found & {"BatchNormalization", "Mul", "Add", "Sqrt"}


def test_what_reads_before_the_normalization_is_kept(tmp_path: Path) -> None:
    x = unidl.Input((4,))
    before = layers.Dense(3)(x)
    model = shaken(unidl.Model(x, [before, layers.BatchNormalization()(before)]))
    written = export(model, tmp_path / "kept.onnx", fold_batch_norm=True, verify=True)
    assert max(written.errors.values()) < 1e-5


def test_training_leaves_nothing(tmp_path: Path) -> None:
    model = unidl.Sequential(
        [unidl.Input((4,)), layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.Dense(2, name="out")]
    )
    export(model, tmp_path / "net.onnx", verify=True)
    assert kinds(tmp_path / "net.onnx") == ["Gemm"]


# -- control flow --------------------------------------------------------------------------------------


def flow(function: Any, *specs: TensorSpec) -> Any:
    return trace(function, specs, name="flow")


def check(function: Any, path: Path, *arrays: np.ndarray, unknown: bool = True) -> None:
    specs = [TensorSpec(tuple(None if unknown else d for d in a.shape), a.dtype.name) for a in arrays]
    written = export(flow(function, *specs), path, verify=list(arrays))
    assert max(written.errors.values()) < 1e-5, written.errors


def test_branches_loops_and_scans(tmp_path: Path) -> None:
    path, x = tmp_path / "flow.onnx", np.arange(6, dtype="float32").reshape(3, 2)
    for sign in (1, -1):
        check(lambda v: ops.cond(ops.sum(v) > 0, lambda: v * 2, lambda: ops.flip(v, 0) - 1), path, sign * x)
    assert "If" in kinds(path)
    for i in (-1, 0, 1, 2, 5):
        index = np.asarray(i, "int32")
        check(lambda i, v: ops.switch(i, [lambda a: a, lambda a: a * 2, lambda a: -a], v), path, index, x)
    check(lambda v: ops.while_loop(lambda a: ops.sum(a) > 1, lambda a: a / 2, v), path, x)
    assert "Loop" in kinds(path)
    check(lambda v: ops.while_loop(lambda a: ops.sum(a) > 1, lambda a: a / 2, v, maximum_iterations=2), path, x)
    check(lambda v: ops.fori_loop(0, 4, lambda i, a: a + ops.cast(i, "float32") * ops.mean(v), v), path, x)
    for reverse in (False, True):
        check(
            lambda v, reverse=reverse: ops.scan(lambda c, a: (c * 0.5 + a, c + ops.sum(v)), v[0], v, reverse=reverse),
            path, x,
        )  # fmt: skip
    assert "Scan" in kinds(path)
    check(lambda v: ops.map(lambda a: ops.cond(a[0] > 1, lambda: a, lambda: -a), v), path, x)


def test_gradients_of_their_own_and_sizes(tmp_path: Path) -> None:
    @ops.custom_gradient
    def doubled(v: Any) -> Any:
        return v * 2, lambda *args, upstream=None: upstream

    path, x = tmp_path / "flow.onnx", np.arange(24, dtype="float32").reshape(4, 6)
    check(lambda v: doubled(v) + 1, path, x)

    def by_sizes(v: Any) -> Any:
        rows, columns = ops.shape(v)
        half = ops.reshape(v, (rows // 2, columns * 2 - (-rows // 3) * 0, -1))
        return half, ops.zeros((rows + 1, columns % 4)), ops.arange(rows), v[: rows - 1, columns // 2]

    check(by_sizes, path, x)


# -- weights beside the model ----------------------------------------------------------------------------


def test_external_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = shaken(dense(200)), tmp_path / "net.onnx"
    written = export(model, path, external_data=True, verify=True)
    assert written.data == tmp_path / "net.onnx.data" and written.data.stat().st_size >= 4 * 4 * 200
    assert path.stat().st_size < 2000 and max(written.errors.values()) < 1e-5
    agrees(path, model, np.ones((3, 4), "float32"))
    named = export(model, path, external_data="weights.bin")
    assert named.data == tmp_path / "weights.bin"
    agrees(path, model, np.ones((3, 4), "float32"))
    assert export(model, path).data is None
    monkeypatch.setattr(_weights, "LARGEST", 1000)  # as if a message could hold no more
    assert export(model, path).data == tmp_path / "net.onnx.data"
    agrees(path, model, np.ones((3, 4), "float32"))
    with pytest.raises(GraphError, match="more than one file of ONNX holds"):
        export(model, path, external_data=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data", "weights.bin"]


@pytest.mark.parametrize("name", ["../weights.bin", "net.onnx", ".", "/tmp/weights.bin", ""])
def test_external_data_stays_beside_the_model(name: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="`external_data` must be the name of a file beside the model"):
        export(dense(), tmp_path / "net.onnx", external_data=name)
    assert not list(tmp_path.iterdir())


# -- what is refused -----------------------------------------------------------------------------------


class Factor(layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.cholesky(ops.matmul(ops.transpose(x, (0, 2, 1)), x))


def test_a_missing_op_leaves_the_old_file(tmp_path: Path) -> None:
    x = unidl.Input((3, 3))
    model = unidl.Model(x, Factor(name="factor")(layers.ReLU()(x)), name="bad")
    path = tmp_path / "net.onnx"
    path.write_text("old")
    with pytest.raises(
        GraphError, match=r"ONNX opset 17 lacks op 'cholesky' in bad/factor: ONNX has no operators that"
    ):
        export(model, path, opset=17)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_arguments_are_checked(tmp_path: Path) -> None:
    model, path = dense(), tmp_path / "net.onnx"
    for opset in (12, 1000, "17", True):
        with pytest.raises(GraphError, match="`opset` must be an int from 13 to"):
            export(model, path, opset=opset)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="folder"):
        export(model, tmp_path / "none" / "net.onnx")
    with pytest.raises(GraphError, match=r"`input_spec` names the inputs \['y'\]; there are \['x'\]"):
        export(model, path, input_spec={"y": (None, 4)})
    with pytest.raises(GraphError, match="`input_spec` describes 2 inputs; there are 1"):
        export(model, path, input_spec=[(None, 4), (None, 4)])
    text = unidl.Model(a := unidl.Input((1,), dtype="string"), layers.Hashing(5)(a))
    with pytest.raises(GraphError):
        export(text, path)
    assert not list(tmp_path.iterdir())


def test_parity_sees_a_difference(tmp_path: Path) -> None:
    model, path = dense(), tmp_path / "net.onnx"
    export(model, path)
    assert parity(model, path)["out"] < 1e-6
    model.set_weights([w + 1 for w in model.get_weights()])
    assert parity(model, path, np.ones((2, 4), "float32"))["out"] == pytest.approx(5)
    assert parity(dense(4), path)["out"] == float("inf")


def test_layers_functions_and_keras_names(tmp_path: Path) -> None:
    layer, path = layers.Dense(3), tmp_path / "net.onnx"
    layer.build((None, 4))
    with pytest.raises(GraphError, match="give `input_spec`"):
        export(layer, path)
    spec = layers.InputSpec(shape=(None, 4), dtype="float32", name="rows")
    assert export(layer, path, input_signature=[spec], opset_version=15, verify=True).inputs == ["rows"]
    written = export(lambda a, b: ops.matmul(a, b), path, input_spec=[("n", 3), (3, "m")], verify=True)
    assert max(written.errors.values()) < 1e-6
    assert [
        [d.dim_param or d.dim_value for d in o.type.tensor_type.shape.dim] for o in onnx.load(path).graph.output
    ] == [["n", "m"]]


def test_mixed_precision(tmp_path: Path) -> None:
    x = unidl.Input((8, 8, 3), name="x")
    y = layers.Conv2D(4, 3, activation="relu", dtype="mixed_float16")(x)
    model = unidl.Model(x, layers.Dense(2, dtype="float32", name="y")(layers.Flatten(dtype="float32")(y)))
    assert export(model, tmp_path / "half.onnx", verify=True).errors["y"] < 5e-3


def test_shared_weights_are_one_initializer(tmp_path: Path) -> None:
    x = unidl.Input((4,))
    layer = layers.Dense(4, use_bias=False, name="shared")
    model = unidl.Model(x, layer(layers.ReLU()(layer(x))), name="twice")
    export(model, tmp_path / "net.onnx", verify=True)
    assert [i.name for i in onnx.load(tmp_path / "net.onnx").graph.initializer] == ["twice/shared/kernel"]


def test_data_given_to_verify(tmp_path: Path) -> None:
    model = text_net()
    found = export(model, tmp_path / "net.onnx", verify=lambda: [data_for("text", 4, 6)])
    assert set(found.errors) == {"score", "tags"} and "largest error" in str(found)
    with pytest.raises(GraphError, match="2 arrays to compare with; the model has 1 inputs"):
        export(model, tmp_path / "other.onnx", verify=[np.ones((2, 3)), np.ones(1)])
    assert not (tmp_path / "other.onnx").exists()
