"""Files made to do harm: what was possible in Keras's loaders, and everything else a model file should not hold.

An audit hook watches each of them: nothing is run, no process or connection is made, no other file is read or written.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras2_files as k2
import numpy as np
import pytest

import unidl
from unidl import layers
from unidl.saving.inspecting import contents

pytestmark = pytest.mark.once

X = np.ones((2, 3), "float32")
_SECRET = "nobody-must-read-this"


class Watch:
    """Notes what an audit hook sees while `on`."""

    on = False
    seen: list[str] = []

    def __call__(self, event: str, args: Any) -> None:
        if self.on:
            path = os.fsdecode(args[0]) if event == "open" and isinstance(args[0], (str, bytes)) else ""
            bad = ("os.system", "os.exec", "subprocess.", "socket.", "pickle.", "marshal.loads", "urllib.", "os.fork")
            if event.startswith(bad) or _SECRET in path or path.startswith("/etc"):
                self.seen.append(f"{event} {str(args)[:200]}")


_watch = Watch()
sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test runs in an empty folder beside a secret; nothing may run, and only what the test wrote may be there."""
    (tmp_path / _SECRET).write_text("secret\n")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    stack().save("warm.keras")
    unidl.saving.load_model("warm.keras")  # what is imported on first use is imported
    os.unlink("warm.keras")
    _watch.seen.clear()
    yield
    assert _watch.seen == []
    assert not (work / "evil").exists() and sorted(os.listdir(tmp_path)) == [_SECRET, "work"]


def stack() -> Any:
    return unidl.Sequential([layers.Input((3,)), layers.Dense(2, name="dense")], name="stack")


def refused(read: Callable[[], Any], words: str) -> None:
    _watch.on = True
    try:
        with pytest.raises((ValueError, TypeError), match=words):
            read()
    finally:
        _watch.on = False


def archive(config: Any = None, weights: Any = None, **entries: Any) -> str:
    """A ``.keras`` archive of `stack` with another configuration, or with changed weights."""
    stack().save("made.keras")
    with zipfile.ZipFile("made.keras") as file:
        parts = {n: file.read(n) for n in file.namelist()}
    if config is not None:
        parts["config.json"] = json.dumps(
            config(json.loads(parts["config.json"])) if callable(config) else config
        ).encode()
    if weights is not None:
        content = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(content, "r+") as opened:
            weights(opened)
        parts["model.weights.h5"] = content.getvalue()
    with zipfile.ZipFile("made.keras", "w") as file:
        for name, value in {**parts, **entries}.items():
            file.writestr(name, value)
    return "made.keras"


def loading(path: str) -> Callable[[], Any]:
    return lambda: unidl.saving.load_model(path)


PAYLOAD = base64.b64encode(marshal.dumps(compile("open('evil', 'w').close()", "evil", "exec"))).decode()


def lambda_config(function: Any, **more: Any) -> dict[str, Any]:
    config = {"name": "f", "trainable": True, "dtype": "float32", "function": function, **more}
    return {"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": None}


def with_layer(layer: dict[str, Any], kwargs: Any = None) -> Callable[[Any], Any]:
    """The configuration of a functional model that calls a layer while it is read."""
    entry = {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "x"},
        "registered_name": None,
        "name": "x",
        "inbound_nodes": [],
    }
    x = {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 3], "dtype": "float32", "keras_history": ["x", 0, 0]},
    }
    call = {"args": [] if kwargs else [x], "kwargs": kwargs or {}}
    last = {**layer, "name": layer["config"]["name"], "inbound_nodes": [call]}
    inner = {
        "name": "m",
        "trainable": True,
        "layers": [entry, last],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["f", 0, 0]],
    }
    return lambda _: {"module": "keras", "class_name": "Functional", "config": inner, "registered_name": "Functional"}


def named(kind: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": {"name": "f", **config}, "registered_name": None}


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


# -- code in configurations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["Keras 3", "Keras 2.13", "list"])
def test_cve_2024_3660_code_of_a_lambda(form: str) -> None:
    value: Any = {"class_name": "__lambda__", "config": {"value": [PAYLOAD, None, None]}}
    if form == "Keras 2.13":
        value = {"class_name": "__lambda__", "config": {"value": {"code": PAYLOAD, "defaults": None, "closure": None}}}
    if form == "list":
        value = [PAYLOAD, None, None]
    refused(loading(archive(with_layer(lambda_config(value)))), "safe_mode=False|must be callable")


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("subprocess", "Popen"), ("builtins", "eval"), ("_bootstrap", "x")]
)
@pytest.mark.parametrize("kind", ["class", "function"])
def test_cve_2025_1550_any_module_and_function(kind: str, module: str, name: str) -> None:
    if kind == "function":
        layer = lambda_config(function(module, name), arguments={"command": "touch evil"})
    else:
        layer = named(name, module, command="touch evil")
    refused(loading(archive(with_layer(layer))), f"Could not locate .*{name}")


@pytest.mark.parametrize(
    ("module", "name", "arguments", "inputs"),
    [
        ("keras.utils", "get_file", {"origin": "http://127.0.0.1:9/evil", "cache_dir": "."}, "evil"),
        ("keras.src.utils.file_utils", "get_file", {"origin": "file:///etc/passwd", "cache_dir": "."}, "evil"),
        ("keras.models", "load_model", {"safe_mode": False}, "inner.keras"),
        ("keras.config", "enable_unsafe_deserialization", {}, "x"),
        ("keras.src.saving.serialization_lib", "enable_unsafe_deserialization", {}, "x"),
        ("keras.saving", "deserialize_keras_object", {"safe_mode": False}, {}),
        ("keras.utils", "text_dataset_from_directory", {}, "/etc"),
        ("keras.activations", "deserialize", {}, {}),
        ("keras.src.utils.python_utils", "func_load", {}, PAYLOAD),
    ],
)
def test_cve_2025_8747_and_9906_functions_of_keras_itself(module: str, name: str, arguments: Any, inputs: Any) -> None:
    layer = lambda_config(function(module, name), arguments=arguments)
    refused(loading(archive(with_layer(layer, {"inputs": inputs}))), f"Could not locate function '{name}'")
    from unidl import config

    assert (
        not config.is_unsafe_deserialization_enabled() if hasattr(config, "is_unsafe_deserialization_enabled") else True
    )


def test_cve_2025_9905_lambdas_in_hdf5_files() -> None:
    old = {"function": [PAYLOAD, None, None], "function_type": "lambda", "batch_input_shape": [None, 3]}
    new = {"function": {"class_name": "__lambda__", "config": {"code": PAYLOAD, "defaults": None, "closure": None}}}
    for version, config in {"2.2.4": {"name": "f", **old}, "3.10.0": {"name": "f", **new}}.items():
        whole = {
            "class_name": "Sequential",
            "config": {"name": "s", "layers": [{"class_name": "Lambda", "config": config}]},
        }
        k2.write(Path("m.h5"), whole, {"f": []}, version)
        refused(loading("m.h5"), "safe_mode=False")


def test_cve_2025_49655_and_2026_1462_layers_of_other_engines() -> None:
    wrapper = named("TorchModuleWrapper")
    wrapper["config"]["module"] = {"class_name": "__bytes__", "config": {"value": "x"}}
    refused(loading(archive(with_layer(wrapper))), "pickle|only with|torch")
    saved = named("TFSMLayer", filepath="/etc", call_endpoint="serve")
    refused(loading(archive(with_layer(saved))), "SavedModel.*safe_mode=False")


def test_cve_2025_12058_vocabularies_in_files() -> None:
    for path in (f"../{_SECRET}", "/etc/passwd", "http://127.0.0.1:9/x"):
        for kind in ("StringLookup", "IntegerLookup", "TextVectorization"):
            layer = named(kind, vocabulary=path)
            refused(loading(archive(with_layer(layer))), "vocabulary")


def test_classes_that_are_no_part_of_a_model() -> None:
    for module, name in (
        ("keras.callbacks", "BackupAndRestore"),
        ("keras.callbacks", "CSVLogger"),
        ("keras.utils", "Progbar"),
    ):
        layer = named(name, module, backup_dir="evil", filename="evil")
        refused(loading(archive(with_layer(layer))), f"Could not locate class '{name}'")


# -- what a configuration can ask for -------------------------------------------------------------------------------


def test_more_weights_than_the_file_has() -> None:
    def huge(config: Any) -> Any:
        config["config"]["layers"][1]["config"]["units"] = 2**40
        return config

    refused(loading(archive(huge)), "for more in all than the .* bytes of the file")


def test_ops_that_would_be_computed_while_reading() -> None:
    op = {"module": "keras.src.ops.numpy", "class_name": "Ones", "config": {"name": "f"}, "registered_name": None}
    refused(loading(archive(with_layer(op, {"shape": [10**6, 10**6]}))), "on no tensor of the model")


@pytest.mark.parametrize("depth", [300, 30_000])
def test_configurations_that_are_nested_without_end(depth: int) -> None:
    inner = '{"class_name": "Sequential", "config": {"name": "s", "layers": [' * depth + "1" + "]}}" * depth
    refused(loading(archive(**{"config.json": inner})), "damaged|does not describe|Only instances of Layer")


def test_a_model_that_contains_itself() -> None:
    layer = {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"name": "f", "units": 2},
        "registered_name": None,
    }
    config = with_layer(layer)(None)
    history = ["f", 0, 0]
    config["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = history
    refused(loading(archive(config)), "loop")


# -- archives -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "assets/../../evil", "assets\\..\\evil", "evil.py", "C:/evil"]
)
def test_entries_that_lead_out(name: str) -> None:
    refused(loading(archive(**{name: "x"})), "which no model file has")


def rezipped(change: Callable[[zipfile.ZipFile, dict[str, bytes]], None]) -> str:
    path = archive()
    with zipfile.ZipFile(path) as file:
        parts = {n: file.read(n) for n in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        change(file, parts)
        for name, content in parts.items():
            file.writestr(name, content)
    return path


def test_links_duplicates_and_bombs() -> None:
    def link(file: zipfile.ZipFile, parts: Any) -> None:
        info = zipfile.ZipInfo("assets/link")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")

    refused(loading(rezipped(link)), "assets/link")
    with pytest.warns(UserWarning, match="Duplicate"):
        path = rezipped(lambda file, parts: file.writestr("config.json", "{}"))
    refused(loading(path), "has once")
    refused(loading(rezipped(lambda file, parts: file.writestr("assets/bomb", b"0" * 2**25))), "unpacks to 33554432")
    refused(loading(rezipped(lambda file, parts: parts.update({"config.json": b" " * 2**25}))), "unpacks to")


def test_sizes_that_are_not_true() -> None:
    """An entry that says it is small, and is not."""
    path = rezipped(lambda file, parts: file.writestr("assets/layers/dense/x", b"0" * 2**22))
    data = bytearray(Path(path).read_bytes())
    for at in (i for i in range(len(data) - 4) if data[i : i + 4] == struct.pack("<I", 2**22)):
        data[at : at + 4] = struct.pack("<I", 10)
    Path(path).write_bytes(data)
    with zipfile.ZipFile(path) as file:
        assert file.getinfo("assets/layers/dense/x").file_size == 10
    from unidl.saving._containers import Archive

    refused(lambda: Archive(Path(path)).read("assets/layers/dense/x"), "damaged")


def test_a_folder_with_links() -> None:
    layer = layers.StringLookup(vocabulary=["a"], name="f")
    model = unidl.Sequential([layers.Input((1,), dtype="string"), layer])
    model.save("folder", zipped=False)
    (file,) = Path("folder/assets").rglob("*.txt")
    file.unlink()
    file.symlink_to(Path.cwd().parent / _SECRET)
    refused(loading("folder"), "is a link")


# -- HDF5 ----------------------------------------------------------------------------------------------------------


def link_out(kind: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = kind

    return change


def outside(file: Any) -> None:
    """CVE-2026-1669: the data are in another file."""
    del file["layers/dense/vars/0"]
    secret = os.path.abspath(f"../{_SECRET}")
    file["layers/dense/vars"].create_dataset("0", shape=(3, 2), dtype="float32", external=[(secret, 0, 24)])


def virtual(file: Any) -> None:
    del file["layers/dense/vars/0"]
    layout = h5py.VirtualLayout(shape=(3, 2), dtype="float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(3, 2))
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


def claiming(**options: Any) -> Callable[[Any], None]:
    """CVE-2026-0897: a data set that claims to be huge."""

    def change(file: Any) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", dtype="float32", **options)

    return change


def packed(file: Any) -> None:
    """Zeros, packed."""
    del file["layers/dense/vars/0"]
    made = file["layers/dense/vars"].create_dataset("0", (2**12, 2**13), "float32", chunks=(2**9, 2**9), compression=9)
    made[: 2**9, : 2**9] = 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (link_out(h5py.SoftLink("/layers/dense/vars/1")), "soft link"),
        (link_out(h5py.ExternalLink(f"../{_SECRET}", "/")), "external link"),
        (outside, "external storage"),
        (virtual, "virtual"),
        (claiming(shape=(2**20, 2**20), chunks=True), "claims"),
        (claiming(shape=(2**12, 2**20)), "claims"),
        (packed, "claims"),
    ],
)
@pytest.mark.parametrize("kind", ["model", "weights", "editor", "inspect", "legacy"])
def test_hdf5_that_leads_out_or_claims_too_much(change: Any, words: str, kind: str) -> None:
    if kind == "model":
        refused(loading(archive(weights=change)), words)
        return
    stack().save_weights("w.weights.h5")
    with h5py.File("w.weights.h5", "r+") as file:
        change(file)
        if kind == "legacy":
            group = file.create_group("model_weights")
            group.attrs["layer_names"] = [b"dense"]
            group["dense"] = file["layers/dense/vars"]
            group["dense"].attrs["weight_names"] = [b"0", b"1"]
    model = stack()
    if kind == "legacy":
        os.rename("w.weights.h5", "w.h5")
        refused(lambda: model.load_weights("w.h5"), words)
    elif kind == "weights":
        refused(lambda: model.load_weights("w.weights.h5"), words)
    elif kind == "editor":
        refused(lambda: unidl.saving.KerasFileEditor("w.weights.h5"), words)
    else:
        refused(lambda: contents("w.weights.h5"), words)


@pytest.mark.parametrize("place", ["layers", "model_weights"])
def test_groups_that_are_links(place: str) -> None:
    """The whole tree of weights is in another file; so it was with ``model_weights`` after CVE-2026-1669."""
    stack().save_weights("other.weights.h5")
    with h5py.File("w.h5", "w") as file:
        file[place] = h5py.ExternalLink("other.weights.h5", "/layers")
    os.replace("w.h5", name := "w.weights.h5" if place == "layers" else "w.h5")
    refused(lambda: stack().load_weights(name), "external link")


def test_groups_inside_of_themselves() -> None:
    stack().save_weights("w.weights.h5")
    with h5py.File("w.weights.h5", "r+") as file:
        file["layers/dense/again"] = file["layers"]
    stack().load_weights("w.weights.h5")
    assert len(list(contents("w.weights.h5").arrays())) == 2
    refused(lambda: unidl.saving.KerasFileEditor("w.weights.h5"), "inside of itself")


def test_lists_of_shards_that_name_other_files() -> None:
    for name in ("../x_00000.weights.h5", "/tmp/x_00000.weights.h5", _SECRET, 3, ["x"], {}):
        Path("w.weights.json").write_text(json.dumps({"metadata": {}, "weight_map": {"/layers/dense/vars": name}}))
        refused(lambda: stack().load_weights("w.weights.json"), "no file of weights beside it")
    Path("w.weights.json").write_text('{"metadata": {"total_size": NaN}, "weight_map": {}}')
    refused(lambda: stack().load_weights("w.weights.json"), "NaN")


# -- safetensors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ('{"a": {"dtype": "F32", "shape": [1099511627776], "data_offsets": [0, 4398046511104]}}', "bytes together"),
        ('{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}', "NaN"),
        ('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, Infinity]}}', "Infinity"),
        ('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {}}', "twice"),
        ('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}', "place -4"),
        ('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', "has 4 bytes"),
        (
            '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, '
            '"b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
            "does not begin",
        ),
        ('{"a": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}', "does not describe"),
        ('{"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}', "shape"),
        ("[" * 100_000, "header"),
        ("[]", "no object"),
    ],
)  # fmt: skip
def test_headers_of_safetensors(header: str, words: str) -> None:
    Path("w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode() + b"\0" * 4)
    refused(lambda: stack().load_weights("w.safetensors"), words)
    refused(lambda: contents("w.safetensors"), words)


@pytest.mark.parametrize("size", [0, 2**62, 2**64 - 1, 3])
def test_sizes_of_headers_of_safetensors(size: int) -> None:
    Path("w.safetensors").write_bytes(struct.pack("<Q", size))
    refused(lambda: stack().load_weights("w.safetensors"), "not a whole safetensors file")


# -- downloads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["outside", "link", "hard link", "device", "link to a link"])
def test_cve_2025_12060_archives_that_get_file_unpacks(kind: str) -> None:
    """And the hard links and chains of links that were found after it."""
    with tarfile.open("made.tar", "w") as file:
        first = tarfile.TarInfo("../evil" if kind == "outside" else "x")
        if kind != "outside":
            first.type = {"hard link": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}.get(kind, tarfile.SYMTYPE)
            first.linkname = "y" if kind == "link to a link" else f"../../{_SECRET}"
        file.addfile(first, io.BytesIO())
        if kind == "link to a link":
            second = tarfile.TarInfo("y")
            second.type, second.linkname = tarfile.SYMTYPE, ".."
            file.addfile(second)
            file.addfile(tarfile.TarInfo("x/evil"), io.BytesIO())
    origin = Path("made.tar").resolve().as_uri()
    with pytest.raises(ValueError, match="is refused"):
        unidl.utils.get_file("made2.tar", origin, extract=True, cache_dir="cache")
    assert not list(Path("cache").rglob("evil")) and not list(Path("cache").rglob(_SECRET))
