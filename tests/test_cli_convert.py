"""`unidl convert` and `unidl run`, and what is said of an ONNX file without loading it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx_models import agrees, data_for, shaken, text_net

import unidl
import unidl.onnx
from unidl import layers
from unidl.backend import active
from unidl.cli import main
from unidl.interchange.onnx._describing import describe
from unidl.interchange.onnx.exporting._parity import run
from unidl.onnx import export

pytestmark = pytest.mark.once

SCRIPT = """
import unidl
model = unidl.Sequential([unidl.Input((4,)), unidl.layers.Dense(3, name="out")], name="small")
"""


def small() -> Any:
    x = unidl.Input((4,), name="x")
    return shaken(unidl.Model(x, layers.Dense(3, name="out")(x), name="small"))


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 1
    said = capsys.readouterr().err
    assert said.startswith("unidl: ") and "Traceback" not in said
    return said


def test_models_and_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, source = small(), str(tmp_path / "net.keras")
    model.save(source)
    target = tmp_path / "net.onnx"
    assert main(["convert", source, str(target), "--opset", "17", "--verify"]) == 0
    assert "opset 17" in (said := capsys.readouterr().out) and "out: largest error" in said
    agrees(target, model, np.ones((2, 4), "float32"))
    assert main(["convert", source, str(target), "--external-data", "--fold-batch-norm"]) == 0
    assert (tmp_path / "net.onnx.data").exists() or target.stat().st_size < 1000
    for name in ("w.safetensors", "w.weights.h5", "again.keras"):
        assert main(["convert", source, str(tmp_path / name)]) == 0
    assert main(["convert", str(tmp_path / "w.safetensors"), str(tmp_path / "2.weights.h5"), "--model", source]) == 0
    other = small()
    other.set_weights([0 * w for w in other.get_weights()])
    other.load_weights(tmp_path / "2.weights.h5")
    for a, b in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_script_makes_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["unidl"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    script = tmp_path / "making.py"
    script.write_text(SCRIPT)
    for source in (str(script), f"{script}:model"):
        assert main(["convert", source, str(tmp_path / "made.onnx")]) == 0
        onnx.checker.check_model(str(tmp_path / "made.onnx"))


@pytest.mark.parametrize(
    "code, message",
    [
        ("x = 1\nraise RuntimeError('boom')\n", r"net\.py, line 2: RuntimeError: boom"),
        ("x = (\n", r"line 1: SyntaxError"),
    ],
)
def test_a_script_that_fails(
    code: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["unidl"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "net.py").write_text(code)
    assert re.search(message, failed(capsys, "convert", str(tmp_path / "net.py"), str(tmp_path / "net.onnx")))


def test_what_cannot_be_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, weights, target = (str(tmp_path / n) for n in ("net.keras", "w.safetensors", "net.onnx"))
    model = small()
    model.save(source)
    model.save_weights(weights)
    Path(target).write_text("old")
    assert "say with --model" in failed(capsys, "convert", weights, target)
    assert "--model is for files of weights" in failed(capsys, "convert", source, target, "--model", source)
    assert "give --format" in failed(capsys, "convert", source, str(tmp_path / "net.xyz"))
    assert "are for ONNX" in failed(capsys, "convert", source, str(tmp_path / "b.keras"), "--opset", "17")
    assert "`opset` must be an int" in failed(capsys, "convert", source, target, "--opset", "3")
    assert "missing.keras" in failed(capsys, "convert", str(tmp_path / "missing.keras"), target)
    assert "is no .keras, .h5, .onnx or .py file" in failed(capsys, "convert", str(tmp_path / "net.txt"), target)
    assert "an engine's own format" in failed(capsys, "convert", str(tmp_path / "net.pb"), target)
    assert "There is no file" in failed(capsys, "convert", str(tmp_path / "net-symbol.json"), target)
    assert "-symbol.json" in failed(capsys, "convert", str(tmp_path / "net-0000.params"), target)
    assert "says the shapes of its inputs" in failed(capsys, "convert", source, target, "--shapes", "x=None,4")
    with pytest.raises(SystemExit):
        main(["convert", source, target, "--shapes", "x=None,four"])
    assert "is not of the form NAME=[DTYPE:]SIZES" in capsys.readouterr().err
    elsewhere, engine = ("net.pt2", "torch") if active.name != "torch" else ("saved", "tensorflow")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    assert f"UNIDL_BACKEND={engine}" in failed(capsys, "convert", str(tmp_path / elsewhere), target)
    shutil.rmtree(tmp_path / "saved")
    assert Path(target).read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.keras", "net.onnx", "w.safetensors"]


def test_shapes_of_onnx_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A batch size that the file fixes is freed."""
    model, source, target = small(), tmp_path / "net.onnx", tmp_path / "net.keras"
    export(model, source, input_spec=[(2, 4)])
    assert main(["convert", str(source), str(target), "--shapes", "x=None,4"]) == 0
    again = unidl.saving.load_model(target)
    assert again.input_shape == (None, 4)
    x = np.ones((3, 4), "float32")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
    assert "has no input 'y': its inputs are ['x']" in failed(
        capsys, "convert", str(source), str(target), "--shapes", "y=None,4"
    )


@pytest.mark.skipif(not hasattr(unidl.onnx, "prepare"), reason="nothing reads ONNX files here")
def test_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, path = text_net(), str(tmp_path / "net.onnx")
    export(model, path)
    np.save(tmp_path / "words.npy", words := data_for("text", 3, 5))
    assert main(["run", path, "--input", str(tmp_path / "words.npy"), "--output", str(tmp_path / "out.npz")]) == 0
    assert "tags: float32[3, 5, 3] from" in capsys.readouterr().out
    want = model(words)
    with np.load(tmp_path / "out.npz") as found:
        for name in ("score", "tags"):
            np.testing.assert_allclose(found[name], unidl.ops.convert_to_numpy(want[name]), atol=1e-5)
    named = f"words={tmp_path / 'words.npy'}"
    assert main(["run", path, "--input", named]) == 0
    assert "No --input for words" in failed(capsys, "run", path)
    assert "one array too many" in failed(capsys, "run", path, "--input", named, "--input", str(tmp_path / "words.npy"))
    assert "write them to a .npz file" in failed(capsys, "run", path, "--input", named, "--output", "out.npy")
    np.save(tmp_path / "wide.npy", words.astype("int64"))  # as NumPy writes integers
    assert main(["run", path, "--input", str(tmp_path / "wide.npy")]) == 0
    np.save(tmp_path / "far.npy", words.astype("int64") + 2**40)
    assert "takes int32, but int64" in failed(capsys, "run", path, "--input", str(tmp_path / "far.npy"))
    assert "the model has no input 'word'" in failed(capsys, "run", path, "--input", "word=words.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    assert "objects.npy is no .npy or .npz file" in failed(
        capsys, "run", path, "--input", str(tmp_path / "objects.npy")
    )


def test_weights_of_pytorch(tmp_path: Path) -> None:
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(4, 3))
    torch.save(net.state_dict(), tmp_path / "net.pth")
    small().save(tmp_path / "net.keras")
    source, target = tmp_path / "net.pth", tmp_path / "net.onnx"
    assert main(["convert", str(source), str(target), "--model", str(tmp_path / "net.keras")]) == 0
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(run(target, [x])[0], net(torch.from_numpy(x)).detach().numpy(), rtol=1e-5, atol=1e-6)


# -- describing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("external", [False, True])
def test_describe(external: bool, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    x = unidl.Input((4,), name="x")
    export(unidl.Model(x, layers.Dense(300, name="out")(x), name="small"), path, opset=17, external_data=external)
    facts, weights = describe(path)
    assert facts["opset"] == "17" and facts["producer"] == f"unidl {unidl.__version__}"
    assert facts["inputs"] == "x float32[batch, 4]" and facts["outputs"] == "out float32[batch, 300]"
    assert facts["nodes"] == "1 (1 Gemm)" and facts["graph"] == "small"
    file = "net.onnx.data" if external else ""
    assert [tuple(w) for w in weights] == [
        ("small/out/kernel", (4, 300), "float32", 4800, file),
        ("small/out/bias", (300,), "float32", 1200, file),
    ]


def test_inspect(tmp_path: Path) -> None:
    """From the shell, where nothing has been imported; weights that are inputs too, as old files have it, once."""
    path = tmp_path / "net.onnx"
    export(small(), path, opset=17)
    proto = onnx.load(path)
    for held in proto.graph.initializer:
        proto.graph.input.append(onnx.helper.make_tensor_value_info(held.name, held.data_type, held.dims))
    onnx.save(proto, path)
    found = subprocess.run([sys.executable, "-m", "unidl", "inspect", str(path)], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    for line in ("net.onnx: ONNX model", "kernel  [4, 3] float32  48 B", "inputs: x float32[batch, 4]\n", "2 arrays"):
        assert line in found.stdout
    path.write_bytes(path.read_bytes()[:-9])
    found = subprocess.run([sys.executable, "-m", "unidl", "inspect", str(path)], capture_output=True, text=True)
    assert found.returncode == 1 and found.stderr.startswith(f"unidl: {path} is no ONNX file, or it is damaged")


def test_describe_what_is_no_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(small(), path)
    whole = path.read_bytes()
    for content in (b"", b"no model at all", whole[: len(whole) // 2], b"\x00" * 100, b"\xff" * 100, b"\x08\x07"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"net\.onnx is no ONNX file, or it is damaged"):
            describe(path)
