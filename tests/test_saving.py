"""Whole models in archives: written and read here, by Keras, and what is refused."""

from __future__ import annotations

import errno
import io
import json
import os
import warnings
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
        shared.write(shared.trained(model, name), tmp_path, f"unidl_{name}")
        np.save(tmp_path / f"unidl_{name}.npy", shared.predicted(model, name))
    run_with_keras("keras_archives.py", tmp_path)
    for name, (difference, steps) in json.loads((tmp_path / "report.json").read_text()).items():
        assert difference < 1e-5 and steps == 2, name
        want = np.load(tmp_path / f"keras_{name}.npy")
        for whole in (f"keras_{name}.keras", f"keras_{name}.h5", f"keras_{name}"):
            model = unidl.saving.load_model(tmp_path / whole)
            np.testing.assert_allclose(shared.predicted(model, name), want, atol=1e-5, err_msg=whole)
            assert int(active.to_numpy(model.optimizer.iterations)) == 2
        for end in shared.WEIGHTS:
            model.set_weights([w * 0 for w in model.get_weights()])
            model.load_weights(tmp_path / f"keras_{name}{end}")
            np.testing.assert_allclose(shared.predicted(model, name), want, atol=1e-5, err_msg=end)


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


@pytest.mark.parametrize("end", [".safetensors", ".weights.h5", ".weights.json"])
def test_weights_alone(end: str, tmp_path: Path) -> None:
    model, other, path = net(), net(), tmp_path / f"w{end}"
    shards = {"max_shard_size": 5e-8} if end == ".weights.json" else {}  # 53 bytes
    for _ in range(2):  # the second time in place of the first
        model.save_weights(path, **shards)
    with pytest.raises(FileExistsError):
        model.save_weights(path, overwrite=False, **shards)
    assert len(os.listdir(tmp_path)) == (3 if shards else 1)
    other.load_weights(path)
    for mine, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    x = layers.Input((3,))
    wider = unidl.Model(x, layers.Dense(2)(layers.Dense(3)(x)))
    last = wider.get_weights()[2:]
    with pytest.raises(ValueError, match="skip_mismatch"):
        wider.load_weights(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wider.load_weights(path, skip_mismatch=True)
    for mine, theirs in zip(wider.get_weights(), [*model.get_weights()[:2], *last], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_objects_to_skip(tmp_path: Path) -> None:
    model, other, path = net(), net(), tmp_path / "w.weights.h5"
    model.save_weights(path)
    before = other.get_weights()
    other.load_weights(path, objects_to_skip=[other.layers[1]])
    for mine, theirs in zip(other.get_weights(), [*before[:2], *model.get_weights()[2:]], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="objects_to_skip"):
        other.load_weights(tmp_path / "w.safetensors", objects_to_skip=[])


def test_a_crash_leaves_shards_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = net(), tmp_path / "w.weights.json"
    model.save_weights(path, max_shard_size=5e-8)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    again = net()

    def full(store: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(again.layers[-1], "save_own_variables", full)
    with pytest.raises(OSError, match="No space"):
        again.save_weights(path, max_shard_size=5e-8)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_safetensors_is_what_others_write(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    model, other = net(), net()
    model.save_weights(tmp_path / "ours.safetensors")
    found = load_file(tmp_path / "ours.safetensors")
    for mine, theirs in zip(found.values(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    save_file(found, tmp_path / "theirs.safetensors")
    other.load_weights(tmp_path / "theirs.safetensors")
    for mine, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.skipif(active.name == "mxnet", reason="no bfloat16")
@pytest.mark.parametrize("end", [".safetensors", ".weights.h5", ".keras"])
def test_bfloat16(end: str, tmp_path: Path) -> None:
    make = lambda: unidl.Sequential([layers.Input((3,)), layers.Dense(2, dtype="bfloat16")])
    model, other, path = make(), make(), tmp_path / f"w{end}"
    if end == ".keras":
        model.save(path)
        other = unidl.saving.load_model(path)
    else:
        model.save_weights(path)
        other.load_weights(path)
    assert active.dtype(other.weights[0]) == "bfloat16"
    for mine, theirs in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine.astype("float32"), theirs.astype("float32"))


@unidl.saving.register_keras_serializable("saving")
class Projection(layers.Layer):
    """A layer that keeps its random weights out of files."""

    def build(self, input_shape: Any) -> None:
        self.matrix = self.add_weight((input_shape[-1], 2), unidl.initializers.RandomNormal(seed=3))

    def call(self, x: Any) -> Any:
        return x @ self.matrix

    def save_own_variables(self, store: Any) -> None:
        return None

    def load_own_variables(self, store: Any) -> None:
        return None


def test_first_values_of_what_no_file_holds(tmp_path: Path) -> None:
    model = unidl.Sequential([layers.Input((3,)), Projection(), layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    again = unidl.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5)


def test_a_later_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    stack().save(path)
    later = lambda entries: {**entries, "metadata.json": b'{"unidl_format_version": 99}'}
    with pytest.raises(ValueError, match="format version 99"):
        unidl.saving.load_model(rewritten(path, later))


def test_the_editor_adapts_weights_to_another_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack().save(tmp_path / "old.keras")
    wider = unidl.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(4), layers.Dense(1)])
    editor = unidl.saving.KerasFileEditor(tmp_path / "old.keras")
    assert editor.metadata["keras_version"] == "3.15.0" and editor.config["class_name"] == "Sequential"
    assert editor.compare(stack()) == {"status": "success", "error_count": 0, "match_count": 4}
    found = editor.compare(wider)
    assert found == {"status": "error", "error_count": 4, "match_count": 2}
    assert "layers/dense_2/0: the model has it, the file does not" in capsys.readouterr().out
    editor.rename_object("dense_1", "dense_2")
    editor.add_object("layers/dense_1", {"0": np.eye(4), "1": np.zeros(3), "2": np.zeros(4)})
    editor.delete_weight("layers/dense_1", "2")
    editor.add_weights("dense_1", {"1": np.zeros(4)})
    editor.save(tmp_path / "new.weights.h5")
    wider.load_weights(tmp_path / "new.weights.h5")
    np.testing.assert_array_equal(wider.get_weights()[2], np.eye(4))
    for call, words in (
        (lambda: editor.rename_object("0", "x"), "more than once"),
        (lambda: editor.delete_object("layers/ghost"), "not there"),
        (lambda: editor.add_object("ghost/x", {}), "no 'ghost'"),
        (lambda: editor.add_object("x", [1]), "must be a dict"),
        (lambda: editor.rename_object("layers/dense", "a/b"), "without '/'"),
        (lambda: editor.save(tmp_path / "x.h5"), "weights.h5"),
        (lambda: unidl.saving.KerasFileEditor(tmp_path / "x.npz"), "can be edited"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system reserves no room")
@pytest.mark.parametrize("error", [None, OSError(errno.EOPNOTSUPP, "no"), OSError(errno.ENOSPC, "full")])
def test_room_for_a_large_file_is_asked_for_once_and_need_not_be_given(tmp_path, monkeypatch, error):
    asked = []

    def reserve(descriptor, offset, size):
        asked.append((offset, size))
        if error is not None:
            raise error

    monkeypatch.setattr(os, "posix_fallocate", reserve)
    model = unidl.Sequential([unidl.Input((1500,)), layers.Dense(1500)])
    before = [np.array(w) for w in model.get_weights()]
    model.save_weights(path := tmp_path / "large.safetensors")
    assert asked == [(0, path.stat().st_size)]
    model.set_weights([np.zeros_like(w) for w in before])
    model.load_weights(path)
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)
