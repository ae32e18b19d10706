"""MXNet's saved networks, read without MXNet, compared with what MXNet makes of them."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mxnet_cases import CASES as OPERATORS
from mxnet_files import array_bytes, dense, identifier, node, params_bytes, save, single, symbol

import unidl
import unidl.mxnet
import unidl.onnx
from unidl import ops, tree
from unidl.backend import active
from unidl.cli import main
from unidl.interchange.mxnet._attributes import parse
from unidl.interchange.mxnet._convert import convert
from unidl.interchange.mxnet._symbol import read_symbol
from unidl.mxnet import MxnetError, load, read_params

once = pytest.mark.once
installed = pytest.mark.skipif(importlib.util.find_spec("mxnet") is None, reason="mxnet is not installed")
NATIVE = active.name == "mxnet"
native = pytest.mark.skipif(not NATIVE, reason="what MXNet gives is asked for in this process")
LAYOUTS = ("oldest", "first", "storage", "numpy")


# -- networks that MXNet wrote -----------------------------------------------------------------------

#: Inputs of which nothing in the files says the rank.
SHAPES = {
    "detector": {"data": (None, 3, 6, 6)},
    "gluon_transformer": {"data": (None, None, 8)},
    "unrolled": {"data": (None, 4)},
}
NETS = (
    "lenet", "resnet", "inception", "detector", "language", "unrolled", "segmentation", "gluon_images",
    "gluon_sequences",
    "gluon_transformer",
)  # fmt: skip


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nets")
    command = [sys.executable, str(Path(__file__).with_name("mxnet_nets.py")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def results(model: Any, data: Any) -> list[np.ndarray]:
    inputs = [data[t.name] for t in model.inputs]
    return [active.to_numpy(v) for v in tree.flatten(model(inputs if len(inputs) > 1 else inputs[0]))]


def agree(model: Any, data: Any) -> None:
    wanted = [data[n] for n in sorted(data) if n.startswith("out")]
    assert sorted(t.name for t in model.inputs) == sorted(n for n in data if not n.startswith("out"))
    for have, want in zip(results(model, data), wanted, strict=True):
        assert have.shape == want.shape
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


@installed
@pytest.mark.parametrize("name", NETS)
def test_networks(name: str, nets: Path) -> None:
    with np.load(nets / f"{name}.npz") as data:
        agree(load(nets / name, shapes=SHAPES.get(name)), dict(data))


@installed
def test_layers_have_the_nodes_names_and_train(nets: Path, tmp_path: Path) -> None:
    model = load(nets / "resnet-symbol.json")
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    assert (kinds["stem_conv"], kinds["a_bn"], kinds["fc"], kinds["softmax"]) == (
        "Conv2D", "BatchNormalization", "Dense", "Softmax",
    )  # fmt: skip
    assert model.output_names == ["softmax_output"]
    gamma = model.get_layer("a_bn").get_weights()[0]
    np.testing.assert_array_equal(gamma, np.ones_like(gamma))  # fix_gamma, whatever the file has
    with np.load(nets / "resnet.npz") as stored:
        data = dict(stored)
    model.save(tmp_path / "again.keras")
    agree(unidl.models.load_model(tmp_path / "again.keras"), data)
    if active.name == "numpy":
        return
    model.compile("sgd", "sparse_categorical_crossentropy")
    losses = model.fit(data["data"], np.array([0, 2]), epochs=4, batch_size=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@installed
def test_files_of_old_versions(nets: Path, tmp_path: Path) -> None:
    """Attributes under other names, inputs without a version, and statistics that no node names."""
    content = json.loads((nets / "resnet-symbol.json").read_text())
    old, places = [], {}
    for i, entry in enumerate(content["nodes"]):
        if not entry["name"].endswith(("moving_mean", "moving_var")):
            places[i] = len(old)
            inputs = [[places[j], k] for j, k, _ in entry["inputs"] if j in places]
            said = {"param": entry.get("attrs", {}), "attr": {"lr_mult": "1.0"}}
            old.append({"op": entry["op"], "name": entry["name"], "inputs": inputs, "backward_source_id": -1, **said})
    aged = {"nodes": old, "arg_nodes": [], "heads": [[places[h[0]], h[1]] for h in content["heads"]]}
    with np.load(nets / "resnet.npz") as data:
        arrays = read_params(nets / "resnet-0000.params")
        agree(load(save(tmp_path, aged, arrays)), dict(data))
        for layout in LAYOUTS:
            (tmp_path / "net-0000.params").write_bytes(params_bytes(arrays, layout))
            agree(load(tmp_path / "net"), dict(data))


@installed
def test_what_mxnet_writes(nets: Path) -> None:
    arrays = read_params(nets / "lenet-0000.params")
    assert arrays["arg:conv1_weight"].shape == (4, 3, 3, 3) and arrays["arg:fc2_bias"].dtype == np.float32


# -- operators, one at a time ------------------------------------------------------------------------

CASES = {identifier(c, i): c for i, c in enumerate(OPERATORS)}


@contextlib.contextmanager
def _without_numpy_semantics(mx: Any) -> Iterator[None]:
    """As old symbols were run. MXNet's own scope would not switch them on again in *every* thread, as unidl does."""
    previous = ctypes.c_int()
    with mx.util.np_array(False):
        mx.base.check_call(mx.base._LIB.MXSetIsNumpyShape(0, ctypes.byref(previous)))
        try:
            yield
        finally:
            mx.base.check_call(mx.base._LIB.MXSetIsNumpyShape(2, ctypes.byref(previous)))


def by_mxnet(text: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What MXNet itself makes of a symbol."""
    from unidl_mxnet._engine import mx

    with contextlib.nullcontext() if "is_np_shape" in text else _without_numpy_semantics(mx):
        net = mx.sym.load_json(text)
        values = {n: mx.nd.array(a, dtype=a.dtype) for n, a in arrays.items()}
        states = {n: values.pop(n) for n in net.list_auxiliary_states()}
        return [o.asnumpy() for o in net.bind(mx.cpu(), values, aux_states=states).forward(is_train=False)]


def by_unidl(text: str, weights: dict[str, np.ndarray], data: dict[str, np.ndarray]) -> list[np.ndarray]:
    graph = read_symbol(text)
    names = {v.name for v in graph.variables()}
    proto = convert(graph, weights, {n: a.shape for n, a in data.items() if n in names}, "net")
    run = unidl.onnx.prepare(proto)
    return [np.asarray(v) for v in run([data[v.name].astype(v.dtype) for v in run.inputs])]


@pytest.mark.parametrize("name", CASES if NATIVE else [])
def test_operators(name: str) -> None:
    text, weights, data = single(CASES[name])
    for have, want in zip(by_unidl(text, weights, data), by_mxnet(text, {**weights, **data}), strict=True):
        if "nms_topk" in text:  # MXNet leaves numbers of no meaning in the rows that are none
            want = np.where(want[..., :1] < 0, -1, want).astype(want.dtype)
            have = np.where(have[..., :1] < 0, -1, have).astype(have.dtype)
        assert (have.shape, have.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


@native
def test_the_table_has_mxnets_names() -> None:
    """It names no operator that MXNet 1.9 does not have, but for one of other versions and the forms with a prefix."""
    from unidl.interchange.mxnet._table import TABLE
    from unidl_mxnet._engine import mx

    names, count = ctypes.POINTER(ctypes.c_char_p)(), ctypes.c_uint()
    mx.base._LIB.MXListAllOpNames(ctypes.byref(count), ctypes.byref(names))
    known = {names[i].decode() for i in range(count.value)}
    gone = {n for n in TABLE if n not in known and not n.startswith(("_npi_", "_npx_", "_sparse_", "_scatter_"))}
    assert gone <= {"CuDNNBatchNorm", "absolute"}, gone


# -- unidl's own exports -----------------------------------------------------------------------------


def _of_each_layer() -> list[Any]:
    from layer_cases import CASES

    return list({case.layer: case for case in reversed(CASES) if case.name not in UNWRITTEN}.values())


#: What `format="mxnet"` does not write.
UNWRITTEN = {"hashing", "hashing_salted", "hashing_masked"}


@pytest.mark.parametrize("case", _of_each_layer() if NATIVE else [], ids=lambda case: case.name)
def test_exported_layers_come_back(case: Any, tmp_path: Path) -> None:
    from layer_cases import SIZES, data
    from test_layers import built, functional

    layer, *_ = built(case)
    model = functional(case, layer)
    inputs, tensors = data(case, SIZES)
    arrays = [*tree.flatten(inputs), *tree.flatten(tensors)]
    names = [t.name for t in model.inputs]
    signature: Any = [
        unidl.InputSpec(shape=a.shape, dtype=a.dtype.name, name=n) for a, n in zip(arrays, names, strict=True)
    ]
    try:
        open_sizes = max(a.ndim for a in arrays) < 4
        model.export(tmp_path / "net", format="mxnet", verbose=False, input_signature=None if open_sizes else signature)
    except (ValueError, TypeError):
        signature = signature if len(arrays) == 1 else [signature]
        model.export(tmp_path / "net", format="mxnet", verbose=False, input_signature=signature)
    again = load(tmp_path / "net")
    want = tree.flatten(model([ops.convert_to_tensor(a) for a in arrays]))
    given = {**dict(zip(names, arrays, strict=True)), **{f"args_0_{i}": a for i, a in enumerate(arrays)}}
    for have, wanted in zip(results(again, given), want, strict=True):
        np.testing.assert_allclose(have, active.to_numpy(wanted), rtol=1e-4, atol=1e-4)


@native
def test_sizes_that_decide_about_padding_are_not_left_open(tmp_path: Path) -> None:
    model = unidl.Sequential([unidl.Input((None, None, 2)), unidl.layers.Conv2D(3, 3, strides=2, padding="same")])
    with pytest.raises(ValueError, match="input_signature"):
        model.export(tmp_path / "net", format="mxnet", verbose=False)


# -- files written here, on every engine --------------------------------------------------------------


def test_a_symbol_and_its_arrays(tmp_path: Path) -> None:
    content, arrays = dense()
    prefix = save(tmp_path, content, arrays)
    model = load(prefix)
    assert model.inputs[0].shape == (None, 4) and model.output_names == ["softmax_output"]
    x = np.random.default_rng(0).standard_normal((5, 4)).astype("float32")
    scores = x @ arrays["arg:fc_weight"].T + arrays["arg:fc_bias"]
    want = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5, atol=1e-6)
    again = load(tmp_path / "net-symbol.json", tmp_path / "net-0000.params", shapes={"data": (2, 4)})
    assert again.inputs[0].shape == (2, 4)
    given = load(prefix, arrays)
    np.testing.assert_array_equal(given.get_weights()[0], model.get_weights()[0])


@once
def test_which_file_of_arrays(tmp_path: Path) -> None:
    content, arrays = dense()
    for epoch in (2, 10):
        save(tmp_path, content, {n: np.full_like(a, epoch) for n, a in arrays.items()}, epoch=epoch)
    assert load(tmp_path / "net").get_weights()[0].max() == 10
    assert load(tmp_path / "net", epoch=2).get_weights()[0].max() == 2
    with pytest.raises(FileNotFoundError, match=r"net-0003.params"):
        load(tmp_path / "net", epoch=3)
    with pytest.raises(FileNotFoundError, match=r"none-symbol.json"):
        load(tmp_path / "none")
    (tmp_path / "other-symbol.json").write_text(json.dumps(content))
    with pytest.raises(FileNotFoundError, match=r"other-NNNN.params"):
        load(tmp_path / "other")


@once
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_and_dtypes_of_arrays(layout: str, tmp_path: Path) -> None:
    import ml_dtypes

    rng, path = np.random.default_rng(2), tmp_path / "a.params"
    kinds = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
    arrays = {f"arg:{k}": (rng.random((2, 3)) * 9).astype(k) for k in kinds}
    arrays["aux:small"] = np.arange(3, dtype="float32").astype(ml_dtypes.bfloat16)
    if layout == "numpy":
        arrays["none"], arrays["scalar"] = np.zeros((0, 3), "float32"), np.asarray(2.5, "float32")
    path.write_bytes(params_bytes(arrays, layout))
    found = read_params(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    path.write_bytes(params_bytes(arrays, layout, names=False))
    assert list(read_params(path)) == [str(i) for i in range(len(arrays))]


@once
@pytest.mark.parametrize(
    "text, value",
    [
        ("(3, 3)", (3, 3)), ("(3L,)", (3,)), ("[1,2]", (1, 2)), ("()", ()), ("True", True), ("None", None),
        ("1e-05", 1e-5),
        ("((0, 1), (2, 3))", ((0, 1), (2, 3))), ("(None, -1)", (None, -1)), ("relu", "relu"), ("-inf", -np.inf),
        ("7", 7),
        ("(" * 9 + ")" * 9, "(" * 9 + ")" * 9), ("(1", "(1"), ("1)", "1)"), ("9" * 40, 1e40), ("", ""),
    ],
)  # fmt: skip
def test_attributes(text: str, value: Any) -> None:
    assert parse(text) == value and type(parse(text)) is type(value)


# -- shapes ------------------------------------------------------------------------------------------


def one_op(op: str, tmp_path: Path, *weights: tuple[int, ...], **attributes: Any) -> Path:
    """A symbol of one operator with these weights."""
    names = [f"w{i}" for i in range(len(weights))]
    nodes = [node("null", "data"), *[node("null", n) for n in names]]
    content = symbol(*nodes, node(op, "op", range(len(nodes)), **attributes))
    return save(tmp_path, content, {n: np.ones(s, "float32") for n, s in zip(names, weights, strict=True)})


@once
@pytest.mark.parametrize(
    "op, weight, attributes, shape",
    [
        ("Convolution", (6, 2, 3, 3), {"kernel": (3, 3), "num_filter": 6, "num_group": 2, "no_bias": True},
            (None, 4, None, None)),
        ("Deconvolution", (4, 2, 3), {"kernel": (3,), "num_filter": 2}, (None, 4, None)),
        ("FullyConnected", (5, 7), {"num_hidden": 5, "no_bias": True}, (None, 7)),
        ("RNN", (4 * (3 + 4 + 2),), {"state_size": 4, "num_layers": 1, "mode": "rnn_tanh"}, (None, None, 3)),
    ],
)  # fmt: skip
def test_weights_say_shapes(op: str, weight: Any, attributes: Any, shape: Any, tmp_path: Path) -> None:
    assert load(one_op(op, tmp_path, weight, **attributes)).inputs[0].shape == shape


@once
def test_weights_say_shapes_before_what_keeps_them(tmp_path: Path) -> None:
    nodes = [node("null", "data"), *[node("null", n) for n in ("gamma", "beta", "w")]]
    nodes += [node("softmin", "a", [0]), node("_rminus_scalar", "b", [4], scalar=1.0)]
    nodes += [node("LayerNorm", "c", [5, 1, 2]), node("FullyConnected", "d", [6, 3], num_hidden=5, no_bias=True)]
    arrays = {"gamma": np.ones(7, "float32"), "beta": np.ones(7, "float32"), "w": np.ones((5, 7), "float32")}
    assert load(save(tmp_path, symbol(*nodes), arrays)).inputs[0].shape == (None, 7)


@once
def test_shapes_that_nothing_says(tmp_path: Path) -> None:
    prefix = one_op("Embedding", tmp_path, (6, 2), input_dim=6, output_dim=2)
    with pytest.raises(MxnetError, match=r"'data'.*shapes=\{'data': \(None, …\)\}.*--shapes data="):
        load(prefix)
    model = load(prefix, shapes={"data": (None, 3)})
    assert model.inputs[0].dtype == "int32" and model.output_shape == (None, 3, 2)
    spec = unidl.InputSpec(shape=(None, 3), dtype="float32")
    assert load(prefix, shapes={"data": spec}).inputs[0].dtype == "float32"
    with pytest.raises(MxnetError, match="no input 'date'; its inputs are data"):
        load(prefix, shapes={"date": (None, 3)})


@once
def test_the_file_says_shapes(tmp_path: Path) -> None:
    content = symbol(node("null", "data", __shape__="(0, 3)", __dtype__="4"), node("identity", "op", [0]))
    model = load(save(tmp_path, content, {}))
    assert model.inputs[0].shape == (None, 3) and model.inputs[0].dtype == "int32"


# -- operators that are missing -----------------------------------------------------------------------


@once
def test_missing_operators_are_named_and_supplied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unidl.interchange.mxnet import _table

    monkeypatch.setattr(_table, "ADDED", set(_table.ADDED))
    monkeypatch.setattr("unidl.interchange.mxnet._convert.ADDED", _table.ADDED)
    content = symbol(
        node("null", "data", __shape__="(0, 3)"), node("my_cube", "first", [0], factor=2.0, wide=True),
        node("Custom", "second", [1], op_type="my_half"), node("transpose", "turned", [2]),
    )  # fmt: skip
    prefix = save(tmp_path, content, {})
    with pytest.raises(
        unidl.mxnet.MissingOperatorError, match=r"2 node.*'first'.*my_cube.*'second'.*Custom.*register_op"
    ):
        load(prefix)

    @unidl.mxnet.register_op("my_cube")
    def cube(call: Any, x: Any) -> Any:
        assert call.get("wide") == 1
        return ops.multiply(ops.power(x, 3.0), call.get("factor", 1.0))

    unidl.mxnet.register_op("my_half", lambda call, x: ops.multiply(x, 0.5))
    found = load(prefix).predict(np.full((1, 3), 2, "float32"), verbose=0)
    np.testing.assert_allclose(found, np.full((3, 1), 8.0))


# -- the command line --------------------------------------------------------------------------------


@once
def test_convert_and_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, arrays = dense()
    source = f"{save(tmp_path, content, arrays)}-symbol.json"
    assert main(["convert", source, str(tmp_path / "net.onnx"), "--verify"]) == 0
    assert main(["convert", source, str(tmp_path / "net.keras"), "--shapes", "data=2,4"]) == 0
    assert unidl.models.load_model(tmp_path / "net.keras").inputs[0].shape == (2, 4)
    (tmp_path / "net-0000.params").rename(tmp_path / "elsewhere.params")
    capsys.readouterr()
    assert main(["convert", source, str(tmp_path / "net.onnx")]) == 1
    assert "--params" in capsys.readouterr().err
    assert main(["convert", source, str(tmp_path / "net.onnx"), "--params", str(tmp_path / "elsewhere.params")]) == 0
    assert main(["convert", str(tmp_path / "net.onnx"), str(tmp_path / "b.onnx"), "--params", "net.params"]) == 1
    assert "--params is for" in capsys.readouterr().err
    assert (
        main(
            [
                "convert",
                source,
                str(tmp_path / "net.keras"),
                "--params",
                str(tmp_path / "elsewhere.params"),
                "--shapes",
                "data=float64:None,4",
            ]
        )
        == 1
    )
    assert "float64" in capsys.readouterr().err
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "elsewhere.params")]) == 0
    assert "arg:fc_weight  [3, 4] float32  48 B" in capsys.readouterr().out
    assert main(["inspect", source]) == 0
    assert "1 FullyConnected, 1 SoftmaxOutput" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "net.onnx").replace("net.onnx", "none.params")]) == 1


# -- damaged files -----------------------------------------------------------------------------------


@once
def test_arrays_truncated_anywhere(tmp_path: Path) -> None:
    content, arrays = dense()
    prefix = save(tmp_path, content, arrays)
    path = tmp_path / "net-0000.params"
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(MxnetError, match="damaged"):
            read_params(path)
    with pytest.raises(MxnetError, match=r"net-0000.params.*damaged"):
        load(prefix)


@once
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_with_changed_bytes(layout: str, tmp_path: Path) -> None:
    """Either the file is read, or refused; never is more memory asked for than it has bytes."""
    _, arrays = dense()
    whole, rng, path = params_bytes(arrays, layout), np.random.default_rng(4), tmp_path / "a.params"
    refused = 0
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] = int(rng.integers(256))
        path.write_bytes(data)
        try:
            assert sum(a.nbytes for a in read_params(path).values()) < 10 * len(whole)
        except MxnetError:
            refused += 1
    assert refused > 50


@once
def test_absurd_arrays(tmp_path: Path) -> None:
    import struct

    path, head = tmp_path / "a.params", struct.pack("<QQQ", 0x112, 0, 1)
    huge = struct.pack("<Ii", 0xF993FAC9, 0)
    tail = struct.pack("<iii", 1, 0, 0)
    for array in (
        huge + struct.pack("<Iqq", 2, 2**40, 2**40) + tail, huge + struct.pack("<I", 2**31 - 1),
        huge + struct.pack("<Iq", 1, -1) + tail,
        huge + struct.pack("<Iqq", 2, 0, 2**62) + tail, struct.pack("<II", 1, 2**32 - 1) + tail,
    ):  # fmt: skip
        path.write_bytes(head + array + bytes(8))
        with pytest.raises(MxnetError, match=r"announced|are left"):
            read_params(path)
    path.write_bytes(struct.pack("<QQQ", 0x112, 0, 2**60) + bytes(64))
    with pytest.raises(MxnetError, match="cannot be in the"):
        read_params(path)
    path.write_bytes(head + array_bytes(np.ones(2, "float32"), "storage", storage=1) + bytes(8))
    with pytest.raises(MxnetError, match=r"row_sparse.*tostype"):
        read_params(path)


def _with(change: Any) -> dict[str, Any]:
    content, _ = dense()
    change(content)
    return content


@once
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c["nodes"][3]["inputs"].__setitem__(0, [5, 0, 0]), "cycle"),
        (lambda c: c["nodes"][3]["inputs"].__setitem__(0, [3, 0, 0]), "cycle"),
        (lambda c: c["nodes"][3]["inputs"].__setitem__(0, [99, 0, 0]), "cycle, or the file is damaged"),
        (lambda c: c["nodes"][3]["inputs"].__setitem__(0, [-1, 0, 0]), "no pair"),
        (lambda c: c["nodes"][3]["inputs"].__setitem__(0, "x"), "no pair"),
        (lambda c: c["nodes"][5]["inputs"].__setitem__(0, [3, 7, 0]), "reads output 7 of node 'fc'"),
        (lambda c: c["nodes"][3]["inputs"].pop(), "fc"), (lambda c: c["nodes"][3]["inputs"].clear(), "fc"),
        (lambda c: c.pop("heads"), "no outputs"), (lambda c: c.pop("nodes"), "no list of nodes"),
        (lambda c: c["nodes"].__setitem__(3, 5), "no operator"),
        (lambda c: c["nodes"][3].pop("name"), "no operator or no name"),
        (lambda c: c["nodes"][3].update(attrs=3), "no object"), (lambda c: c["nodes"][3].update(inputs=3), "no list"),
        (lambda c: c["nodes"][3].update(subgraphs=[{}]), "control flow"),
        (lambda c: c["nodes"][3].update(op="_foreach"), "control flow"),
        (lambda c: c["nodes"][1].update(name="fc_wait"), "lacks: fc_wait"),
        (lambda c: c["nodes"][1].update(name="data"), "two variables"),
        (lambda c: c["heads"][0].__setitem__(1, 3), "output 3 of node 'softmax'"),
    ],
)  # fmt: skip
def test_damaged_symbols(change: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(MxnetError, match=message):
        load(save(tmp_path, _with(change), dense()[1]))


@once
def test_symbols_truncated_or_changed(tmp_path: Path) -> None:
    content, arrays = dense()
    prefix, path = save(tmp_path, content, arrays), tmp_path / "net-symbol.json"
    whole, rng = path.read_bytes(), np.random.default_rng(8)
    for end in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:end])
        with pytest.raises(MxnetError, match=r"no JSON|no symbol"):
            load(prefix)
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(len(whole), size=2):
            data[place] = int(rng.integers(32, 127))
        path.write_bytes(data)
        try:
            load(prefix)
        except MxnetError:
            pass
    path.write_text("[" * 100_000)
    with pytest.raises(MxnetError, match="no JSON"):
        load(prefix)


@once
@pytest.mark.parametrize(
    "op, attributes",
    [
        ("_ones", {"shape": "(100000, 100000)"}), ("_arange", {"start": 0, "stop": 1e12}), ("_eye", {"N": 10**9}),
        ("_arange", {"start": 0, "stop": "inf"}), ("_full", {"shape": "(2, -3)", "value": 1}),
        ("_linspace", {"start": 0, "stop": 1, "num": 10**12}),
    ],
)  # fmt: skip
def test_tensors_of_absurd_sizes(op: str, attributes: Any, tmp_path: Path) -> None:
    content = symbol(
        node("null", "data", __shape__="(2, 3)"), node(op, "made", **attributes), node("broadcast_add", "sum", [0, 1])
    )
    with pytest.raises(MxnetError, match=r"'made'.*is not read"):
        load(save(tmp_path, content, {}))


@once
@pytest.mark.parametrize(
    "op, attributes",
    [
        ("one_hot", {"depth": 10**12}), ("Reshape", {"shape": "(7, -1)"}), ("Reshape", {"shape": "(-4, 2)"}),
        ("Reshape", {"shape": "x"}),
        ("transpose", {"axes": "(0, 5)"}), ("SliceChannel", {"num_outputs": 10**9}),
        ("Pooling", {"kernel": "(0, 0)"}), ("Pooling", {}),
        ("Activation", {"act_type": "magic"}), ("Cast", {"dtype": "float128"}), ("clip", {"a_min": "low"}),
        ("slice", {"begin": "(x,)", "end": "(1,)"}),
        ("expand_dims", {"axis": 10**9}), ("_plus_scalar", {"scalar": "(1, 2)"}), ("tile", {"reps": "(-1, 2)"}),
        ("Pad", {"pad_width": "(1, 2)"}),
        ("BatchNorm", {}), ("sum", {"axis": "(0, 9)"}), ("RNN", {"mode": "lstm", "state_size": 3, "num_layers": 1}),
        ("_npx_reshape", {"newshape": "(-9,)"}),
    ],
)  # fmt: skip
def test_wrong_attributes(op: str, attributes: Any, tmp_path: Path) -> None:
    content = symbol(node("null", "data", __shape__="(2, 3)"), node(op, "wrong", [0], **attributes))
    with pytest.raises(MxnetError, match="wrong"):
        load(save(tmp_path, content, {}))


@once
def test_long_chains(tmp_path: Path) -> None:
    """Nothing recurses over the nodes."""
    nodes = [node("null", "data", __shape__="(2, 3)"), *[node("relu", f"r{i}", [i]) for i in range(3000)]]
    assert len(read_symbol(json.dumps(symbol(*nodes))).nodes) == 3001
    unknown = [node("null", "data"), *nodes[1:]]
    with pytest.raises(MxnetError, match="'data'"):
        load(save(tmp_path, symbol(*unknown), {}))
