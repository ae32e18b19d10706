"""Files that earlier versions wrote load in this one, on every backend, with what they predicted then."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from golden_model import DATA, build
from safetensors import safe_open

import unidl
from unidl.backend import active
from unidl.saving.hdf5 import FORMAT_VERSION

FOLDERS = sorted((Path(__file__).parent / "golden").iterdir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_archives(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    model = unidl.saving.load_model(folder / "model.keras")
    np.testing.assert_allclose(model.predict(DATA, verbose=0), expected["predictions"], rtol=1e-5, atol=1e-6)
    assert int(active.to_numpy(model.optimizer.iterations)) == expected["iterations"]


@pytest.mark.parametrize("name", ["model.safetensors", "model.weights.h5", "model.keras"])
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_weights(folder: Path, name: str) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    model = build()
    model.load_weights(folder / name)
    np.testing.assert_allclose(model.predict(DATA, verbose=0), expected["predictions"], rtol=1e-5, atol=1e-6)


@pytest.mark.once
def test_there_are_files_of_the_current_version(tmp_path: Path) -> None:
    assert str(FORMAT_VERSION) in [folder.name for folder in FOLDERS]
    for folder in FOLDERS:
        with zipfile.ZipFile(folder / "model.keras") as archive:
            assert str(json.loads(archive.read("metadata.json"))["unidl_format_version"]) == folder.name
        with safe_open(folder / "model.safetensors", framework="numpy") as file:
            assert file.metadata()["format_version"] == folder.name
    model = build()
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["unidl_format_version"] == FORMAT_VERSION
    model.save_weights(tmp_path / "model.safetensors")
    for folder in FOLDERS[-1:]:  # today's names of weights are those of the files
        paths = folder / "model.safetensors", tmp_path / "model.safetensors"
        old, new = (sorted(safe_open(path, framework="numpy").keys()) for path in paths)
        assert old == new


@pytest.mark.parametrize("name", ["model.safetensors", "model.weights.h5", "model.keras"])
def test_files_of_later_releases_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unidl.saving import hdf5, weights

    model = build()
    with monkeypatch.context() as later:
        later.setattr(hdf5, "FORMAT_VERSION", FORMAT_VERSION + 1)
        later.setattr(weights, "_METADATA", {**weights._METADATA, "format_version": str(FORMAT_VERSION + 1)})
        (model.save if name.endswith(".keras") else model.save_weights)(tmp_path / name)
    before = model.get_weights()
    with pytest.raises(ValueError, match=rf"{name}.*version '?{FORMAT_VERSION + 1}.*install a later one"):
        unidl.saving.load_model(tmp_path / name) if name.endswith(".keras") else model.load_weights(tmp_path / name)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_take_no_second_memory(tmp_path: Path) -> None:
    """Beside the model's own there is never more than one tensor in memory (of NumPy).

    TensorFlow makes the copy of an array that is assigned, if it is aligned, the variable's own memory; and one of its
    threads lets go of the array a little later, when the next one may be there already.
    """
    import tracemalloc

    units = 512
    model = unidl.Sequential([unidl.Input((units,)), *[unidl.layers.Dense(units, use_bias=False) for _ in range(8)]])
    one, path = units * units * 4, tmp_path / "weights.safetensors"
    model.save_weights(path)
    model.load_weights(path)  # whatever is imported on first use is there
    tracemalloc.start()
    try:
        for act in (model.save_weights, model.load_weights):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            act(path)
            after, most = tracemalloc.get_traced_memory()
            assert most - max(before, after) < (2.2 if active.name == "tensorflow" else 1.2) * one, act.__name__
    finally:
        tracemalloc.stop()
