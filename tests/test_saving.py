"""Whole models in archives: written and read here, by Keras, and what is refused."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_process import run_with_keras

import unidl
from unidl import layers
from unidl.backend import active

h5py = pytest.importorskip("h5py")
X = np.random.default_rng(1).random((8, 3)).astype("float32")


@unidl.saving.register_keras_serializable("saving")
class Branches(unidl.Model):
    def __init__(self, units: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)
        self._more = [layers.Dense(units, activation="tanh"), layers.Dense(1)]

    def call(self, x: Any) -> Any:
        x = self.dense(x)
        for layer in self._more:
            x = layer(x)
        return x


def stack() -> Any:
    return unidl.Sequential([layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(1)])


def net() -> Any:
    x = layers.Input((3,))
    y = layers.Dense(3)(x)
    return unidl.Model(x, layers.Dense(1)(y * 2 + x))


def subclassed() -> Any:
    model = Branches(3)
    model(X)
    return model


@pytest.mark.parametrize("make", [stack, net, subclassed])
def test_a_model_is_read_as_it_was_written(make: Any, tmp_path: Path) -> None:
    model, path = make(), tmp_path / "model.keras"
    y = X[:, :1]
    if active.trains:
        model.compile("adam", "mse")
        model.fit(X, y, epochs=2, verbose=0, shuffle=False)
    model.save(path)
    again = unidl.saving.load_model(path)
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    if active.trains:
        for one in (model, again):
            one.fit(X, y, epochs=2, verbose=0, shuffle=False)
        np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-4, atol=1e-5)
        assert not unidl.saving.load_model(path, compile=False).compiled
    assert os.listdir(tmp_path) == ["model.keras"]


def test_weights_in_hdf5(tmp_path: Path) -> None:
    model, other, path = stack(), stack(), tmp_path / "w.weights.h5"
    model.save_weights(path)
    other.load_weights(path)
    for mine, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    third = unidl.Sequential([layers.Input((3,)), layers.Dense(5), layers.Dense(1)])
    before = third.get_weights()
    with pytest.raises(ValueError, match=r"layers/dense .*\(3, 5\).*\(3, 4\).*skip_mismatch"):
        third.load_weights(path)
    for mine, old in zip(third.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


@pytest.mark.skipif(active.name != "torch", reason="one backend is enough")
def test_archives_are_exchanged_with_keras(tmp_path: Path) -> None:
    import keras_archives as shared

    for name, model in shared.models(unidl).items():
        shared.trained(model, name).save(tmp_path / f"unidl_{name}.keras")
        np.save(tmp_path / f"unidl_{name}.npy", shared.predicted(model, name))
    run_with_keras("keras_archives.py", tmp_path)
    for name, (difference, steps) in json.loads((tmp_path / "report.json").read_text()).items():
        assert difference < 1e-5 and steps == 2, name
        model = unidl.saving.load_model(tmp_path / f"keras_{name}.keras")
        np.testing.assert_allclose(shared.predicted(model, name), np.load(tmp_path / f"keras_{name}.npy"), atol=1e-5)
        assert int(active.to_numpy(model.optimizer.iterations)) == 2


def rewritten(path: Path, change: Any) -> Path:
    """The archive with its entries changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in change(entries).items():
            archive.writestr(name, content)
    return path


def linked(entries: dict[str, bytes]) -> dict[str, bytes]:
    """Weights whose first data set is a link to another file."""
    content = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        group["0"] = h5py.ExternalLink("/etc/hosts", "/x")
    return {**entries, "model.weights.h5": content.getvalue()}


def claiming(entries: dict[str, bytes]) -> dict[str, bytes]:
    """Weights one of which claims to be huge."""
    content = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        group.create_dataset("0", shape=(2**20, 2**20), dtype="float32", chunks=True)
    return {**entries, "model.weights.h5": content.getvalue()}


def naming(module: str, name: str) -> Any:
    def change(entries: dict[str, bytes]) -> dict[str, bytes]:
        config = json.loads(entries["config.json"])
        config["config"]["layers"][1].update(module=module, class_name=name, registered_name=name)
        return {**entries, "config.json": json.dumps(config).encode()}

    return change


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda e: {k: v for k, v in e.items() if k != "config.json"}, ValueError, "lacks"),
        (lambda e: {**e, "../evil": b"x"}, ValueError, "evil"),
        (lambda e: {**e, "assets/../../evil": b"x"}, ValueError, "evil"),
        (lambda e: {**e, "run.py": b"x"}, ValueError, "run.py"),
        (lambda e: {**e, "assets/bomb": b"0" * 2**26}, ValueError, "unpacks to"),
        (lambda e: {**e, "config.json": b"[" * 100000}, ValueError, "damaged"),
        (lambda e: {**e, "model.weights.h5": e["model.weights.h5"][:200]}, ValueError, "damaged"),
        (linked, ValueError, "link"),
        (claiming, ValueError, "claims"),
        (naming("os", "system"), TypeError, "Could not locate"),
        (naming("keras.src.utils.python_utils", "func_load"), TypeError, "Could not locate"),
        (naming("keras.layers", "Ghost"), TypeError, "Ghost"),
    ],
)
def test_what_no_model_file_holds_is_refused(change: Any, kind: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    stack().save(path)
    with pytest.raises(kind, match=words):
        unidl.saving.load_model(rewritten(path, change))
    assert os.listdir(tmp_path) == ["model.keras"]


def test_lambdas_are_read_only_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    model = unidl.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x * 3)])
    model.save(path)
    with pytest.raises(ValueError, match="safe_mode=False"):
        unidl.saving.load_model(path)
    again = unidl.saving.load_model(path, safe_mode=False)
    np.testing.assert_allclose(again.predict(X, verbose=0), 3 * X, rtol=1e-6)


def test_mistakes_leave_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    stack().save(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        stack().save(path, overwrite=False)
    broken = unidl.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x)])
    broken.layers[0].function = object()
    broken.layers[0].get_config = lambda: {"function": object()}
    with pytest.raises(TypeError, match="plain form"):
        broken.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["model.keras"]
    with pytest.raises(ValueError, match=r"\.keras"):
        stack().save(tmp_path / "model.pkl")
    with pytest.raises(ValueError, match="not built"):
        unidl.Sequential([layers.Dense(1)]).save(path)
    with pytest.raises(FileNotFoundError):
        unidl.saving.load_model(tmp_path / "none.keras")
