"""``state_dict`` files of PyTorch: read on every backend, matched by structure, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import unidl
from unidl import layers
from unidl.saving.torch_state import Report, StateDictMismatchError
from unidl.saving.torch_state._reader import StateDict


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("states")
    script = Path(__file__).with_name("torch_states.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def images() -> Any:
    return unidl.Sequential([
        unidl.Input((6, 6, 3)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(),
        layers.PReLU(shared_axes=[1, 2]), layers.SeparableConv2D(6, 3, depth_multiplier=2),
        layers.GroupNormalization(3), layers.Conv2DTranspose(5, 2, strides=2, activation="relu"),
        layers.Conv2D(4, 1, use_bias=False),
    ])  # fmt: skip


def sequence() -> Any:
    x = words = unidl.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4)(x)
    for _ in range(2):
        x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.GRU(4, return_sequences=True)(x)
    x = layers.SimpleRNN(4, return_sequences=True)(x)
    x = layers.LayerNormalization(epsilon=1e-5)(layers.MultiHeadAttention(2, 2)(x, x))
    return unidl.Model(words, layers.Dense(2)(x))


@pytest.mark.parametrize("make", [images, sequence])
def test_predictions_are_those_of_the_module(make: Any, folder: Path) -> None:
    import torch_states

    name = make.__name__
    x, want = torch_states.inputs(name), np.load(folder / f"{name}.npy")
    if name == "images":
        x, want = x.transpose(0, 2, 3, 1), want.transpose(0, 2, 3, 1)
    model = make()
    report = model.load_weights(folder / f"{name}.pt")
    assert report.complete and len(report.matched) == len(model.weights)
    np.testing.assert_allclose(model.predict(x.astype(model.inputs[0].dtype), verbose=0), want, rtol=2e-4, atol=2e-5)


def test_a_checkpoint_with_more_in_it(folder: Path) -> None:
    one, other = sequence(), sequence()
    one.load_weights(folder / "sequence.pt")
    other.load_weights(folder / "sequence_checkpoint.pth")
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_architecture_changes_nothing_and_is_reported(folder: Path) -> None:
    x = words = unidl.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4)(x)
    x = layers.GRU(5, name="gru")(x)
    model = unidl.Model(words, layers.Dense(3, name="end")(x))
    before = model.get_weights()
    with pytest.raises(StateDictMismatchError, match=r"gru\..*\(4, 15\).*lstm\.weight.*skip_mismatch") as caught:
        model.load_weights(folder / "sequence.pt")
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    report = caught.value.report
    assert isinstance(report, Report) and not report.complete
    assert report.matched == [("embedding.embeddings", "words.weight")]
    assert {n for n, _ in report.lacking} >= {"end.kernel", "end.bias"}
    text = io.StringIO()
    Console(file=text, width=100).print(report)
    assert "words.weight" in text.getvalue() and "head.weight" in str(report)
    with pytest.warns(UserWarning, match="1 variables were loaded"):
        model.load_weights(folder / "sequence.pt", skip_mismatch=True)
    with StateDict(folder / "sequence.pt") as file:
        np.testing.assert_array_equal(model.get_weights()[0], file["words.weight"])


def test_names_decide_where_the_order_does_not(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {f"{n}.{p}": torch.full((3, 3) if p == "weight" else (3,), v) for n, v in (("b", 2.0), ("a", 1.0))
             for p in ("weight", "bias")}  # fmt: skip
    torch.save({k: state[k] for k in ("a.weight", "a.bias", "b.weight", "b.bias")}, tmp_path / "x.pt")
    x = unidl.Input((3,))
    a, b = layers.Dense(3, name="a"), layers.Dense(3, name="b")
    model = unidl.Model(x, b(a(x)))
    model.load_weights(tmp_path / "x.pt")
    assert float(np.mean(a.get_weights()[0])) == 1.0 and float(np.mean(b.get_weights()[0])) == 2.0


@pytest.mark.once
def test_views_and_short_floats(folder: Path) -> None:
    with StateDict(folder / "views.pt") as file:
        np.testing.assert_array_equal(file["w"], np.arange(12.0, dtype="float32").reshape(3, 4).T)
        assert list(file.tensors) == ["w"]
    with StateDict(folder / "bfloat16.pt") as file:
        assert file["weight"].dtype == "float32" and file["weight"].shape == (2, 2) and np.abs(file["weight"]).max() < 1


def changed(path: Path, target: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Path:
    with zipfile.ZipFile(path) as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in change(entries).items():
            archive.writestr(name, content)
    return target


class Evil:
    def __init__(self, *what: Any) -> None:
        self.what = what

    def __reduce__(self) -> Any:
        return self.what


def pickled(value: Any) -> Any:
    return lambda entries: {n: pickle.dumps(value, 2) if n.endswith("data.pkl") else c for n, c in entries.items()}


def described(old: bytes, new: bytes) -> Any:
    return lambda entries: {n: c.replace(old, new) if n.endswith("data.pkl") else c for n, c in entries.items()}


@pytest.mark.once
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pickled({"w": Evil(os.system, ("touch ran",))}), r"posix\.system"),
        (pickled({"w": Evil(eval, ("open('ran', 'w')",))}), r"eval"),
        (pickled({"w": Evil(__import__, ("os",))}), "__import__"),
        (described(b"_rebuild_tensor_v2", b"_rebuild_tensor_v3"), "_rebuild_tensor_v3"),
        (described(b"FloatStorage", b"BlackStorage"), "BlackStorage"),
        (lambda e: {n: b"\x80\x02cos\nsystem\n." if n.endswith("data.pkl") else c for n, c in e.items()}, "os.system"),
        (
            lambda e: {n: b"\x80\x02}(r\xff\xff\xff\x7f." if n.endswith("data.pkl") else c for n, c in e.items()},
            "wrongly",
        ),
        (lambda e: {n: b"\x80\x02\x82\x01." if n.endswith("data.pkl") else c for n, c in e.items()}, "EXT1"),
        (lambda e: {n: c[:20] if n.endswith("data.pkl") else c for n, c in e.items()}, "no state_dict"),
        (lambda e: {n: c for n, c in e.items() if "data.pkl" not in n}, "another kind"),
        (pickled([1, 2]), "list"),
        (pickled({"w": 3}), "no tensors"),
    ],
)
def test_nothing_but_tensors_is_read(
    change: Any, words: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = changed(folder / "views.pt", tmp_path / "changed.pt", change)
    with pytest.raises(ValueError, match=words):
        StateDict(path)
    assert os.listdir(tmp_path) == ["changed.pt"]


@pytest.mark.once
def test_other_files_of_torch_are_refused(folder: Path, tmp_path: Path) -> None:
    for name, words in (("module.pt", "NEWOBJ"), ("old.pt", "1.6")):
        with pytest.raises(ValueError, match=words):
            StateDict(folder / name)
    cut = lambda entries: {n: c[:8] if "/data/" in n else c for n, c in entries.items()}
    short = changed(folder / "views.pt", tmp_path / "a.pt", cut)
    with StateDict(short) as file, pytest.raises(ValueError, match="damaged"):
        file["w"]
    # A view that would reach beyond the numbers that are there.
    far = changed(folder / "views.pt", tmp_path / "b.pt", described(b"K\x04K\x03\x86", b"K\x09K\x09\x86"))
    with pytest.raises(ValueError, match="beyond"):
        StateDict(far)
