"""`unidl inspect`: what is in a file, without an engine and without reading the values."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import unidl
from unidl import layers
from unidl.cli import main
from unidl.cli.inspect import size_text
from unidl.saving import inspecting

if TYPE_CHECKING:
    from conftest import Isolated

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspect")
    model = unidl.Sequential([layers.Input((300,)), layers.Dense(4, name="first"), layers.Dense(1)], name="net")
    for name in ("m.keras", "m.h5", "folder"):
        model.save(folder / name, zipped=False if name == "folder" else None)
    for name in ("w.weights.h5", "w.safetensors"):
        model.save_weights(folder / name)
    model.save_weights(folder / "s.weights.json", max_shard_size=4.6e-6)
    return folder


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "folder", "w.weights.h5", "w.safetensors", "s.weights.json"])
def test_names_shapes_and_sums(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder / name)]) == 0
    shown = capsys.readouterr().out
    assert "[300, 4] float32  4.688 KiB" in shown
    assert shown.splitlines()[-1] == "4 arrays (4 float32), 1,209 elements, 4.723 KiB"
    assert ("Sequential 'net' of 3 layers" in shown) is (name in ("m.keras", "m.h5", "folder"))
    assert main(["inspect", str(folder / name), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["shape"] for line in lines if line["bytes"] > 100] == [[300, 4]]
    assert main(["inspect", str(folder / name), "--depth", "1"]) == 0
    assert "[300, 4]" not in capsys.readouterr().out


def test_layers_have_their_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", str(folder / "w.weights.h5")])
    assert "dense (first)  1,204 elements, 4.703 KiB" in capsys.readouterr().out


def test_no_engine_is_needed(folder: Path, isolated: Isolated) -> None:
    for name in ("m.keras", "w.safetensors"):
        shutil.copy(folder / name, isolated.python.parent)
        done = isolated.run("-m", "unidl", "inspect", name)
        assert done.returncode == 0 and "4 arrays" in done.stdout, done.stderr


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.keras").write_bytes(b"PK")
    for name, words in (("bad.keras", "no .keras archive"), ("none.h5", "no file"), ("x.txt", "no file")):
        assert main(["inspect", str(tmp_path / name)]) == 1
        assert words in capsys.readouterr().err
    (tmp_path / "x.txt").touch()
    assert main(["inspect", str(tmp_path / "x.txt")]) == 1
    assert "those end in" in capsys.readouterr().err


def test_other_kinds_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def read(path: Path) -> inspecting.Contents:
        tree = {"\x1b[31mevil": inspecting.Array((2, 3), "int8", 6)}
        return inspecting.Contents("a kind of its own", {"opset": "21"}, tree)

    monkeypatch.setitem(inspecting.readers, ".own", read)
    (tmp_path / "m.own").touch()
    assert main(["inspect", str(tmp_path / "m.own")]) == 0
    shown = capsys.readouterr().out
    assert "a kind of its" in shown and "opset: 21" in shown and "[2, 3] int8  6 B" in shown
    assert "\x1b[31m" not in shown


def test_sizes_for_people() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 3 * 2**30)] == ["0 B", "1023 B", "1 KiB", "3 GiB"]
