"""Damaged and hostile ONNX files: a clear error, in bounded time and memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from unidl import onnx

pytestmark = pytest.mark.once


def values(**shapes: Any) -> list[Any]:
    return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]


def proto(nodes: Any, tensors: Any = (), inputs: Any = None, functions: Any = (), opset: int = 17) -> ModelProto:
    graph = helper.make_graph(list(nodes), "g", inputs or values(x=[2, 2]), values(y=[2, 2]), list(tensors))
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("f", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions))


def node(op: str, inputs: str, outputs: str, **more: Any) -> Any:
    return helper.make_node(op, inputs.split(), outputs.split(), **more)


RELU = node("Relu", "x", "y")


@pytest.mark.parametrize("read", [onnx.prepare, onnx.load])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_truncated(read: Any, part: float) -> None:
    weight = numpy_helper.from_array(np.ones((64, 64), "float32"), "w")
    data = proto([node("MatMul", "x w", "y")], [weight], values(x=[64, 64])).SerializeToString()
    with pytest.raises(onnx.OnnxError):
        read(data[: int(len(data) * part)])


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x07", bytes(range(256))])
def test_no_model(data: bytes) -> None:
    with pytest.raises(onnx.OnnxError):
        onnx.prepare(data)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        onnx.load(tmp_path / "none.onnx")
    with pytest.raises(TypeError, match="path, bytes"):
        onnx.load(3)


@pytest.mark.parametrize(
    "nodes, message",
    [
        ([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")], "cycle"),
        ([node("Add", "x w", "y")], "'w'"),
        ([RELU, node("Neg", "x", "y")], "one maker"),
        ([node("Relu", "x", "z")], "list of outputs reads 'y'"),
        ([node("Relu", "x x", "y")], "2 input"),
        ([node("Concat", "x", "y", axis=7)], "axis"),
        ([node("Transpose", "x", "y", perm=[0, 5])], "perm"),
        ([node("Conv", "x x", "y")], "Conv"),
    ],
)
def test_broken_graphs(nodes: Any, message: str) -> None:
    with pytest.raises(onnx.OnnxError, match=message):
        onnx.prepare(proto(nodes))([np.ones((2, 2), "float32")])


@pytest.mark.parametrize(
    "x", [np.ones((2, 3), "float32"), np.ones((2, 2)), np.ones(4, "float32")], ids=["size", "dtype", "rank"]
)
def test_inputs_that_do_not_fit(x: np.ndarray) -> None:
    with pytest.raises(onnx.OnnxError, match="'x'"):
        onnx.prepare(proto([RELU]))([x])


def test_number_of_inputs() -> None:
    with pytest.raises(onnx.OnnxError, match="1 inputs"):
        onnx.prepare(proto([RELU]))([])


def test_sizes_of_initializers() -> None:
    short = numpy_helper.from_array(np.ones(4, "float32"), "w")
    short.dims[0] = 5
    absurd = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**40, 2**40], raw_data=b"1234")
    negative = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-1], raw_data=b"")
    unknown = TensorProto(name="w", data_type=99, dims=[1], raw_data=b"1")
    for tensor in (short, absurd, negative, unknown):
        with pytest.raises(onnx.OnnxError, match="'w'"):
            onnx.prepare(proto([node("Add", "x w", "y")], [tensor]))


@pytest.mark.parametrize(
    "nodes",
    [
        [node("ConstantOfShape", "s", "y")],
        [node("Expand", "x s", "y")],
        [node("Tile", "x s", "y")],
        [node("Upsample", "r f", "y")],
    ],
    ids=lambda n: n[0].op_type,
)
def test_absurd_results(nodes: Any) -> None:
    """Files of a few bytes that ask for terabytes."""
    tensors = [
        numpy_helper.from_array(np.array([2**22, 2**22]), "s"),
        numpy_helper.from_array(np.ones((1, 1), "float32"), "r"),
        numpy_helper.from_array(np.array([2e6, 2e6], "float32"), "f"),
    ]
    model = proto(nodes, tensors, values(x=[1, 1]), opset=9)
    with pytest.raises(onnx.OnnxError):
        onnx.prepare(model)([np.ones((1, 1), "float32")])


def test_functions_that_grow_without_bound() -> None:
    """Each function calls the one before twice: 2 to the 40th nodes."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [helper.make_function("f", "f0", ["a"], ["b"], [node("Relu", "a", "b")], imports)]
    for i in range(1, 40):
        body = [node(f"f{i - 1}", "a", "c", domain="f"), node(f"f{i - 1}", "c", "b", domain="f")]
        functions.append(helper.make_function("f", f"f{i}", ["a"], ["b"], body, imports))
    with pytest.raises(onnx.OnnxError, match="expand"):
        onnx.prepare(proto([node("f39", "x", "y", domain="f")], functions=functions))


def test_function_that_calls_itself() -> None:
    imports = [helper.make_opsetid("f", 1)]
    function = helper.make_function("f", "r", ["a"], ["b"], [node("r", "a", "b", domain="f")], imports)
    with pytest.raises(onnx.OnnxError, match="inside itself"):
        onnx.prepare(proto([node("r", "x", "y", domain="f")], functions=[function]))


# -- external data ---------------------------------------------------------------------------------


def _with_external(folder: Path, location: str, **entries: Any) -> Path:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "model.onnx"
    path.write_bytes(proto([node("Add", "x w", "y")], [tensor]).SerializeToString())
    return path


def test_external_data(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"1234" + np.arange(4, dtype="<f4").tobytes())
    path = _with_external(tmp_path, "w.bin", offset=4, length=16)
    (got,) = onnx.prepare(path)([np.zeros((2, 2), "float32")])
    np.testing.assert_allclose(got, [[0, 1], [2, 3]])
    with pytest.raises(onnx.OnnxError, match="path of the model"):
        onnx.prepare(path.read_bytes())


def test_external_data_elsewhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(16))
    folder = tmp_path / "model"
    folder.mkdir()
    os.symlink(secret, folder / "link.bin")
    os.symlink(tmp_path, folder / "linked")
    for location in ("../secret.bin", str(secret), "link.bin", "linked/secret.bin", "a/../../secret.bin", "", "C:\\x"):
        with pytest.raises(onnx.OnnxError, match=r"outside|relative"):
            onnx.prepare(_with_external(folder, location))


@pytest.mark.parametrize(
    "location, entries",
    [("none.bin", {}), ("w.bin", {"offset": 8}), ("w.bin", {"length": 8}), ("w.bin", {"offset": -4}),
     ("w.bin", {"offset": "x"}), (".", {})],
)  # fmt: skip
def test_external_data_that_do_not_fit(tmp_path: Path, location: str, entries: Any) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(16))
    with pytest.raises(onnx.OnnxError, match="'w'"):
        onnx.prepare(_with_external(tmp_path, location, **entries))


@pytest.mark.parametrize("read", [onnx.prepare, onnx.load])
def test_names_that_are_no_text(read: Any) -> None:
    """Protobuf hands bytes that are no UTF-8 on as they are."""
    data = proto([node("Relu", "x", "hidden"), node("Relu", "hidden", "y")]).SerializeToString()
    for word in (b"hidden", b"Relu"):
        with pytest.raises(onnx.OnnxError, match="no UTF-8 text"):
            read(data.replace(word, b"\xff" + word[1:], 1))


@pytest.mark.parametrize("version", [-1, 2**40])
def test_versions_that_cannot_be(version: int) -> None:
    with pytest.raises(onnx.OnnxError, match="version"):
        onnx.prepare(proto([node("Celu", "x", "y")], opset=version))


@pytest.mark.parametrize("given", [[1, 2], numpy_helper.from_array(np.zeros(3, "float32"))], ids=["ints", "tensor"])
def test_functions_of_attributes_that_grow_without_bound(given: Any) -> None:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [helper.make_function("f", "f0", ["a"], ["b"], [node("Relu", "a", "b")], imports, ["p"])]
    for i in range(1, 40):
        body = [
            node(f"f{i - 1}", "a", "c", domain="f", p=given),
            node(f"f{i - 1}", "c", "b", domain="f", p=given),
        ]
        functions.append(helper.make_function("f", f"f{i}", ["a"], ["b"], body, imports, ["p"]))
    with pytest.raises(onnx.OnnxError, match="expand"):
        onnx.prepare(proto([node("f39", "x", "y", domain="f", p=given)], functions=functions))


def test_functions_that_grow_in_branches() -> None:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [helper.make_function("f", "f0", ["a"], ["b"], [node("Relu", "a", "b")], imports)]
    true = numpy_helper.from_array(np.array(True))
    for i in range(1, 40):
        twice = [node(f"f{i - 1}", "a", "c", domain="f"), node(f"f{i - 1}", "c", "d", domain="f")]
        branch = helper.make_graph(twice, "branch", [], values(d=[2, 2]))
        body = [
            helper.make_node("Constant", [], ["yes"], value=true),
            node("If", "yes", "b", then_branch=branch, else_branch=branch),
        ]
        functions.append(helper.make_function("f", f"f{i}", ["a"], ["b"], body, imports))
    with pytest.raises(onnx.OnnxError, match="expand"):
        onnx.prepare(proto([node("f39", "x", "y", domain="f")], functions=functions))


def test_functions_that_are_nested_deeply() -> None:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [helper.make_function("f", "f0", ["a"], ["b"], [node("Relu", "a", "b")], imports)]
    for i in range(1, 2000):
        body = [node(f"f{i - 1}", "a", "b", domain="f")]
        functions.append(helper.make_function("f", f"f{i}", ["a"], ["b"], body, imports))
    with pytest.raises(onnx.OnnxError, match="deep"):
        onnx.prepare(proto([node("f1999", "x", "y", domain="f")], functions=functions))


def test_loops_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from unidl.interchange.onnx.importing import control

    monkeypatch.setattr(control, "MOST_ROUNDS", 50)
    flag, number = (helper.make_tensor_value_info(n, t, []) for n, t in (("c", TensorProto.BOOL), ("i", 7)))
    done = helper.make_tensor_value_info("d", TensorProto.BOOL, [])
    body = helper.make_graph([node("Identity", "c", "d")], "body", [number, flag], [done])
    rounds = numpy_helper.from_array(np.array(2**62), "rounds")
    nodes = [helper.make_node("Loop", ["rounds", ""], [], body=body), RELU]
    with pytest.raises(onnx.OnnxError, match="goes on after 50 rounds"):
        onnx.prepare(proto(nodes, [rounds]))([np.ones((2, 2), "float32")])


_HUGE = 2**34


@pytest.mark.parametrize(
    "huge",
    [
        node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[_HUGE, 0, 0, 0]),
        node("Conv", "x w", "y", strides=[2, 2], dilations=[_HUGE, 1]),
        node("ConvTranspose", "x w", "y", strides=[_HUGE, 1]),
        node("ConvTranspose", "x w", "y", output_padding=[_HUGE, 1]),
        node("Split", "x", "y", num_outputs=_HUGE),
    ],
    ids=lambda n: n.op_type,
)
def test_absurd_attributes(huge: Any) -> None:
    """Nodes of a few bytes that ask for all memory."""
    weights = [numpy_helper.from_array(np.ones((1, 1, 2, 2), "float32"), "w")]
    model = proto([huge], weights, values(x=[1, 1, 3, 3]), opset=18)
    with pytest.raises(onnx.OnnxError):
        onnx.prepare(model)([np.ones((1, 1, 3, 3), "float32")])


def test_normalization_over_more_channels_than_there_are() -> None:
    x = np.random.default_rng(0).normal(size=(1, 3, 2, 2)).astype("float32")
    wide, all_channels = (
        onnx.prepare(proto([node("LRN", "x", "y", size=n)], inputs=values(x=[1, 3, 2, 2])))([x])[0]
        for n in (2**40 + 1, 5)
    )
    assert np.abs(wide - x).max() < 1e-6 and np.abs(all_channels - x).max() < 1e-3


def test_layers_that_do_not_fit_name_the_node() -> None:
    with pytest.raises(onnx.OnnxError, match=r"node 'MaxPool:y'.*window"):
        onnx.load(proto([node("MaxPool", "x", "y", kernel_shape=[27, 2])], inputs=values(x=["n", 3, 6, 6])))
