"""`unidl convert` of engines' own programs, on the engines that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import shaken

import unidl
from unidl import layers
from unidl.backend import active
from unidl.cli import main

PROGRAMS = {"torch": "net.pt2", "tensorflow": "net"}

pytestmark = pytest.mark.skipif(active.name not in PROGRAMS, reason="unidl reads no programs of this engine")


def dense_net() -> Any:
    a, b = unidl.Input((4,), name="a"), unidl.Input((4,), name="b")
    hidden = layers.Dense(5, activation="relu")(layers.Concatenate()([a, b]))
    return unidl.Model([a, b], layers.Dense(3, activation="softmax")(hidden))


def image_net() -> Any:
    picture = unidl.Input((16, 16, 3), name="picture")
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(picture))
    x = layers.Add()([x, layers.SeparableConv2D(6, 3, padding="same")(x)])
    return unidl.Model(picture, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))))


@pytest.mark.parametrize("make", [dense_net, image_net])
def test_a_program_becomes_a_model(make: Any, tmp_path: Path) -> None:
    model, source, target = shaken(make()), tmp_path / PROGRAMS[active.name], tmp_path / "again.keras"
    shapes = [(2, 4)] * 2 if make is dense_net else [(2, 16, 16, 3)]
    given = [np.random.default_rng(1).normal(size=s).astype("float32") for s in shapes]
    format = "torch" if active.name == "torch" else "tf_saved_model"
    model.export(str(source), format=format, verbose=False)
    assert main(["convert", str(source), str(target)]) == 0
    again = unidl.saving.load_model(target)
    assert again.count_params() > 0
    want = model.predict(given if len(given) > 1 else given[0], verbose=0)
    got = again.predict(given if len(given) > 1 else given[0], verbose=0)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


def test_damaged_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / PROGRAMS[active.name]
    if active.name == "torch":
        assert main(["convert", str(source), str(tmp_path / "a.onnx")]) == 1
        assert "There is no file" in capsys.readouterr().err
        source.write_bytes(b"no program")
    else:
        source.mkdir()
        (source / "saved_model.pb").write_bytes(b"no program")
    assert main(["convert", str(source), str(tmp_path / "a.onnx")]) == 1
    assert "cannot make an ONNX model of" in capsys.readouterr().err


# -- TorchScript -----------------------------------------------------------------------------------


def _script(tmp_path: Path) -> tuple[Path, Any]:
    """A recurrent net with a branch that depends on values, as a TorchScript file."""
    import torch

    source = tmp_path / "words.py"
    source.write_text(SCRIPT)  # scripting reads the source from a file
    scope: dict[str, Any] = {"__name__": "words", "torch": torch}
    exec(compile(SCRIPT, str(source), "exec"), scope)
    torch.manual_seed(0)
    module = scope["Words"]().eval()
    path = tmp_path / "words.pt"
    torch.jit.script(module).save(path)
    return path, module


SCRIPT = """
class Words(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(20, 4)
        self.lstm = torch.nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(6, 2)

    def forward(self, words: torch.Tensor, scale: torch.Tensor):
        x, _ = self.lstm(self.table(words))
        if bool(scale.sum() > 0):
            x = x * 2
        return self.head(x[:, -1]) * scale, x
"""


@pytest.mark.skipif(active.name != "torch", reason="TorchScript is PyTorch's")
def test_torchscript(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    source, module = _script(tmp_path)
    target = tmp_path / "words.keras"
    assert main(["convert", str(source), str(target), "--shapes", "words=int64:None,None", "scale=None,1"]) == 0
    again = unidl.saving.load_model(target)
    words = np.random.default_rng(0).integers(0, 20, (3, 7))
    for sign in (1, -1):
        scale = np.full((3, 1), sign, "float32")
        with torch.no_grad():
            want = module(torch.from_numpy(words), torch.from_numpy(scale))
        for a, b in zip(again.predict([words, scale], verbose=0), want, strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-5)

    def said(*arguments: str) -> str:
        assert main(["convert", *arguments]) == 1
        return capsys.readouterr().err

    target = tmp_path / "words.onnx"
    assert "takes (words: Tensor, scale: Tensor): give all of them" in said(str(source), str(target))
    wrong = "words=int63:None,None", "scale=None,1"
    assert "no dtype 'int63'" in said(str(source), str(target), "--shapes", *wrong)
    wrong = "words=int64:None", "scale=None,1"
    assert "cannot make an ONNX model" in said(str(source), str(target), "--shapes", *wrong)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    assert "say with --model" in said(str(tmp_path / "weights.pt"), str(target))
    assert not target.exists()
