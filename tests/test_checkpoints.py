"""`unidl.saving.Checkpoint`: loops of one's own, damaged files, full disks, writing beside training."""

from __future__ import annotations

import contextlib
import doctest
import errno
import json
import os
import pickle
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import unidl
from unidl.backend import active
from unidl.callbacks import BackupAndRestore
from unidl.saving import Checkpoint, _checkpoint_file, _safetensors

trains = pytest.mark.skipif(not active.trains, reason="this backend does not train")
once = pytest.mark.once

X = np.random.default_rng(3).normal(size=(20, 3)).astype("float32")


def net(units: int = 1) -> Any:
    unidl.utils.set_random_seed(3)
    return unidl.Sequential(
        [unidl.Input((3,)), unidl.layers.Dense(4), unidl.layers.Dropout(0.3), unidl.layers.Dense(units)]
    )


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# -- loops of one's own --------------------------------------------------------------------------------


@trains
def test_a_loop_of_ones_own_goes_on(tmp_path):
    class Order:
        """A user's object with a state."""

        def __init__(self) -> None:
            self.random = random.Random(1)

        def state_dict(self) -> dict[str, Any]:
            version, words, gauss = self.random.getstate()
            return {"version": version, "words": words, "gauss": gauss}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.random.setstate((state["version"], state["words"], state["gauss"]))

    def train(folder: Path, stop: int = 100) -> list[Any]:
        model, optimizer, order = net(), unidl.optimizers.Adam(0.01), Order()
        mean, seeds = unidl.metrics.Mean(), unidl.random.SeedGenerator(3)
        noise = []
        with Checkpoint(folder, model, optimizer=optimizer, order=order, mean=mean, seeds=seeds) as checkpoint:
            place = checkpoint.restore() or {"step": 0, "noise": []}
            noise = place["noise"]
            for step in range(place["step"], 9):
                if step == stop:
                    return []
                rows = X[order.random.sample(range(20), 4)]
                loss, gradients = unidl.value_and_grad(
                    lambda rows=rows: unidl.ops.mean(unidl.ops.square(model(rows, training=True))),
                    model.trainable_variables,
                )()
                optimizer.apply(gradients, model.trainable_variables)
                mean.update_state(loss)
                noise.append(seeds.next()[1])
                if step % 2:
                    checkpoint.save(step=step + 1, noise=noise)
        return [*model.get_weights(), *map(active.to_numpy, [*optimizer.variables, mean.result()]), np.array(noise)]

    whole = train(tmp_path / "whole")
    for stop in (3, 4, 7):
        train(tmp_path / "broken", stop)
        unidl.utils.set_random_seed(stop)
    again = train(tmp_path / "broken")
    assert len(whole) == len(again) > 9
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, other)


@trains
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "nadam", "ftrl"])
def test_going_back_in_the_same_process(optimizer, tmp_path):
    model = net()
    model.compile(optimizer, "mse")

    def fit() -> list[Any]:
        model.fit(X, X[:, :1], batch_size=5, shuffle=False, verbose=0)
        return [*model.get_weights(), *map(active.to_numpy, model.optimizer.variables)]

    fit()
    checkpoint = Checkpoint(tmp_path, model)
    checkpoint.save()
    whole = fit()
    fit()
    checkpoint.restore()
    for one, other in zip(whole, fit(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_and_places(tmp_path):
    model = net()
    checkpoint = Checkpoint(tmp_path / "run", model, max_to_keep=3)
    assert checkpoint.restore() is None
    weights = model.get_weights()
    place = {
        "text": "a",
        "$odd": {"$array": [1, (2.5, None, True)]},
        "array": np.arange(3, dtype="int8"),
        "nan": np.nan,
    }
    for number in range(5):
        checkpoint.save(number=number, **place)
    assert names(tmp_path / "run") == [f"checkpoint-{n}.safetensors" for n in (2, 3, 4)]
    model.set_weights([w + 1 for w in weights])
    found = Checkpoint(tmp_path / "run", model).restore()
    assert found.pop("array").tolist() == [0, 1, 2] and np.isnan(found.pop("nan"))
    assert found == {"number": 4, "text": "a", "$odd": {"$array": [1, (2.5, None, True)]}}
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    checkpoint.delete()
    assert not (tmp_path / "run").exists()


def test_it_is_a_safetensors_file(tmp_path):
    model = net()
    Checkpoint(tmp_path, model).save()
    arrays = load_file(tmp_path / "checkpoint-0.safetensors")
    np.testing.assert_array_equal(arrays["model.dense.kernel"], model.get_weights()[0])


def test_the_example_runs():
    (example,) = doctest.DocTestFinder(recurse=False).find(Checkpoint, "Checkpoint")
    assert not doctest.DocTestRunner().run(example).failed


@once
def test_arguments(tmp_path):
    for wrong in (0, True, 1.5, None):
        with pytest.raises(ValueError, match="max_to_keep"):
            Checkpoint(tmp_path, net(), max_to_keep=wrong)
    with pytest.raises(ValueError, match="on_error"):
        Checkpoint(tmp_path, net(), on_error="ignore")
    with pytest.raises(TypeError, match="thing=3 has no `state_dict`"):
        Checkpoint(tmp_path, net(), thing=3)
    for wrong, text in (({1: 2}, "place.bad is a dict with the key 1"), (object(), "place.bad is a object"),
                        ([np.array([None])], "place.bad.0 is an array of Python objects"),
                        (np.array(["a"]), "holds arrays of")):  # fmt: skip
        with pytest.raises(TypeError, match=text):
            Checkpoint(tmp_path, net()).save(bad=wrong)
    assert not names(tmp_path)


def test_another_model(tmp_path):
    Checkpoint(tmp_path, net()).save()
    other = net(2)
    before = other.get_weights()
    with pytest.raises(
        ValueError, match=r"another model.*dense_1.kernel \(float32\[4, 1\] in the file, float32\[4, 2\]"
    ):
        Checkpoint(tmp_path, other).restore()
    np.testing.assert_array_equal(other.get_weights()[0], before[0])
    with pytest.raises(ValueError, match="is not built"):
        Checkpoint(tmp_path, unidl.Sequential([unidl.layers.Dense(1)])).restore()


# -- damage --------------------------------------------------------------------------------------------


@once
def test_every_damage_is_found(tmp_path):
    path = tmp_path / "x.safetensors"
    _checkpoint_file.write(
        path, {"a": np.arange(40, dtype="float32").reshape(5, 8), "b": [1, np.zeros((0, 2)), np.int8(3)]}
    )
    assert _checkpoint_file.read(path)["b"][0] == 1
    whole = path.read_bytes()
    rng = random.Random(1)
    for _ in range(3000):
        broken = bytearray(whole)
        kind = rng.randrange(4)
        at = rng.randrange(len(whole))
        if kind == 0:
            broken[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del broken[at:]
        elif kind == 2:
            broken[at:at] = rng.randbytes(rng.randint(1, 9))
        else:
            broken[at : at + 8] = b"\xff" * 8
        if broken == whole:
            continue
        path.write_bytes(broken)
        with pytest.raises(_checkpoint_file.DamagedError, match="is damaged"):
            _checkpoint_file.read(path)


@once
def test_large_arrays_and_their_damage(tmp_path):
    """Whose checksum is computed by a thread, which is gone afterwards, also if the disk is full."""
    path, rng = tmp_path / "x.safetensors", np.random.default_rng(2)
    state = {f"a{i}": rng.random((2100, 700)) for i in range(3)} | {"small": np.arange(3), "big": np.ones(5, ">f4")}
    _checkpoint_file.write(path, state)
    whole = path.read_bytes()
    assert len(whole) > 5 * _safetensors.BLOCK
    blank = re.sub(rb'"crc32":"[0-9a-f]{8}"', b'"crc32":"00000000"', whole, count=1)
    assert f'"crc32":"{zlib.crc32(blank):08x}"'.encode() in whole
    for name, array in _checkpoint_file.read(path).items():
        np.testing.assert_array_equal(array, state[name])
    for at in (len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(_checkpoint_file.DamagedError, match=r"its checksum is [0-9a-f]{8}, not"):
            _checkpoint_file.read(path)
    with full_disk(20_000_000), pytest.raises(OSError, match="File too large"):
        _checkpoint_file.write(path, state)
    assert not [thread for thread in threading.enumerate() if thread.name == "unidl-checksum"]


@once
def test_a_script_that_ends_while_a_checkpoint_is_written(tmp_path):
    script = f"""
import numpy as np, unidl
model = unidl.Sequential([unidl.Input((1500,)), unidl.layers.Dense(1500)])
checkpoint = unidl.saving.Checkpoint({str(tmp_path)!r}, model, background=True)
checkpoint.save(step=3)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and "Error" not in done.stderr, done.stderr
    model = unidl.Sequential([unidl.Input((1500,)), unidl.layers.Dense(1500)])
    assert Checkpoint(tmp_path, model).restore() == {"step": 3}


@once
def test_headers_that_lie(tmp_path):
    path = tmp_path / "x.safetensors"

    def rewrite(change: Any, data: bytes = bytes(8)) -> None:
        """A file with a right checksum around a header of one's own."""
        entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        metadata = {"format": "unidl checkpoint", "format_version": "1", "crc32": "0" * 8, "state": '{"a": 1}'}
        header: dict[str, Any] = {"__metadata__": metadata, "a": entry}
        change(header)
        raw = json.dumps(header, separators=(",", ":")).encode()
        blank = len(raw).to_bytes(8, "little") + raw + data
        path.write_bytes(blank.replace(b"0" * 8, f"{zlib.crc32(blank):08x}".encode(), 1))

    rewrite(lambda header: None)
    assert _checkpoint_file.read(path) == {"a": 1}
    lies: list[Any] = [
        lambda h: h["a"].update(shape=[3]), lambda h: h["a"].update(shape=[-2]), lambda h: h["a"].update(dtype="F99"),
        lambda h: h["a"].update(shape=[2**62, 4]), lambda h: h["a"].update(data_offsets=[0, 2**62]),
        lambda h: h["a"].update(data_offsets=[8, 16]), lambda h: h.update(a=3), lambda h: h.update(a={}),
        lambda h: h["__metadata__"].update(format="other"), lambda h: h["__metadata__"].update(state="{"),
        lambda h: h["__metadata__"].update(state='{"a": {"$array": "b"}}'), lambda h: h.pop("__metadata__"),
        lambda h: h["__metadata__"].update(state="[" * 100_000), lambda h: h["__metadata__"].update(format_version="x"),
    ]  # fmt: skip
    for lie in lies:
        rewrite(lie)
        with pytest.raises(_checkpoint_file.DamagedError):
            _checkpoint_file.read(path)
    rewrite(lambda h: h["__metadata__"].update(format_version="2"))
    with pytest.raises(ValueError, match="format version 2; this version of unidl reads up to 1"):
        _checkpoint_file.read(path)
    path.write_bytes(pickle.dumps(os.system))
    with pytest.raises(_checkpoint_file.DamagedError):
        _checkpoint_file.read(path)


def test_the_one_before_a_damaged_one(tmp_path):
    model = net()
    checkpoint = Checkpoint(tmp_path, model, max_to_keep=3)
    for step in range(3):
        model.set_weights([w + 1 for w in model.get_weights()])
        checkpoint.save(step=step)
    want = [w - 2 for w in model.get_weights()]
    for number in (1, 2):
        path = tmp_path / f"checkpoint-{number}.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
    again = Checkpoint(tmp_path, model, max_to_keep=3)
    with pytest.warns(UserWarning, match="is damaged.*The one before it is taken") as warned:
        assert again.restore() == {"step": 0}
    assert len(warned) == 2
    np.testing.assert_allclose(model.get_weights()[0], want[0], atol=1e-6)
    again.save(step=5)  # takes the place of the damaged ones
    assert names(tmp_path) == ["checkpoint-0.safetensors", "checkpoint-1.safetensors"]
    assert Checkpoint(tmp_path, model).restore() == {"step": 5}
    for name in names(tmp_path):
        (tmp_path / name).write_bytes(b"")
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(ValueError, match="no other one to go on from"):
        Checkpoint(tmp_path, model).restore()


@once
def test_what_a_dead_process_left_is_deleted(tmp_path):
    left = tmp_path / ".checkpoint-7.safetensors.abc.tmp"
    left.write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    checkpoint = Checkpoint(tmp_path, net())
    checkpoint.save()
    assert names(tmp_path) == ["checkpoint-0.safetensors", "notes.txt"]
    checkpoint.delete()
    assert names(tmp_path) == ["notes.txt"]


# -- disks that are full or read-only --------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(size: int) -> Any:
    """Files cannot become larger than `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("background", [False, True])
def test_a_full_disk(background, tmp_path):
    model = net()
    checkpoint = Checkpoint(tmp_path, model, background=background)
    checkpoint.save(step=1)
    checkpoint.wait()
    told = (
        r"checkpoint-1.safetensors' cannot be written: File too large. The latest, '.*checkpoint-0.safetensors', is "
        r"whole. Free some space \([\d,]+ bytes are free\); or pass on_error='warn' to train on without it."
    )
    with full_disk(6000), pytest.raises(OSError, match=told):
        checkpoint.save(step=2)
        checkpoint.wait()
    assert names(tmp_path) == ["checkpoint-0.safetensors"]
    checkpoint.save(step=3)
    checkpoint.close()
    assert checkpoint.restore() == {"step": 3}


@once
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("place", ["put", "fsync", "replace", "mkstemp"])
def test_errors_of_the_disk(code, place, tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, net())
    checkpoint.save(step=1)

    def fails(*args: Any, **kwargs: Any) -> None:
        raise OSError(code, os.strerror(code))

    owner = {"put": _safetensors, "mkstemp": tempfile}.get(place, os)
    with monkeypatch.context() as patch:
        patch.setattr(owner, place, fails)
        with pytest.raises(OSError, match="is whole") as caught:
            checkpoint.save(step=2)
    assert caught.value.errno == code and os.strerror(code) in str(caught.value)
    assert names(tmp_path) == ["checkpoint-0.safetensors"] and checkpoint.restore() == {"step": 1}


@once
def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"There is none before it\. Make the folder writable"):
        Checkpoint(tmp_path / "file" / "run", net()).save()


@once
def test_a_read_only_folder():
    folder = Path(tempfile.mkdtemp())
    checkpoint = Checkpoint(folder, net())
    checkpoint.save(step=1)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:  # nothing is read-only for root
            os.seteuid(65534)
        with pytest.raises(PermissionError, match=r"is whole\. Make the folder writable"):
            checkpoint.save(step=2)
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
    assert names(folder) == ["checkpoint-0.safetensors"] and checkpoint.restore() == {"step": 1}
    checkpoint.delete()


@trains
@pytest.mark.parametrize("background", [False, True])
def test_training_goes_on_if_asked_to(background, tmp_path):
    def fit(model: Any, folder: Path, **options: Any) -> Any:
        backup = BackupAndRestore(folder, 2, background=background, delete_checkpoint=False, **options)
        model.compile("adam", "mse")
        model.fit(X, X[:, :1], batch_size=5, epochs=2, verbose=0, callbacks=[backup])
        return model.get_weights()

    whole = fit(net(), tmp_path / "a")
    with full_disk(6000), pytest.warns(UserWarning, match="cannot be written.*Training goes on without it"):
        weights = fit(net(), tmp_path / "b", on_error="warn")
    for one, other in zip(whole, weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not names(tmp_path / "b")
    with full_disk(6000), pytest.raises(OSError, match="cannot be written"):
        fit(net(), tmp_path / "c")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Make the folder writable"):
        fit(net(), tmp_path / "file" / "run")


# -- beside training -------------------------------------------------------------------------------------


@once
def test_one_is_written_at_a_time_beside_training(tmp_path, monkeypatch):
    writing, most = 0, 0
    write = _checkpoint_file.write

    def slow(path: Path, state: Any) -> None:
        nonlocal writing, most
        writing += 1
        most = max(most, writing)
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.05)
        write(path, state)
        writing -= 1

    monkeypatch.setattr(_checkpoint_file, "write", slow)
    model = net()
    kernel = model.weights[0]
    with Checkpoint(tmp_path, model, background=True, max_to_keep=5) as checkpoint:
        for step in range(3):
            kernel.assign(np.full((3, 4), step, "float32"))
            began = time.perf_counter()
            checkpoint.save(step=step)
            if step == 0:
                assert time.perf_counter() - began < 0.05
            kernel.assign(np.full((3, 4), -1, "float32"))  # is not what is written
    assert (writing, most) == (0, 1)
    for step in range(3):
        arrays = load_file(tmp_path / f"checkpoint-{step}.safetensors")
        np.testing.assert_array_equal(arrays["model.dense.kernel"], np.full((3, 4), step))


@once
def test_errors_of_the_background_come_up_once(tmp_path):
    model = net()
    checkpoint = Checkpoint(tmp_path, model, background=True)
    with full_disk(1000):
        checkpoint.save(step=1)
        with contextlib.suppress(OSError):
            checkpoint.wait()
    with full_disk(1000):
        checkpoint.save(step=2)
        checkpoint._writing.exception()
    with pytest.raises(OSError, match="checkpoint-1"):
        checkpoint.save(step=3)
    checkpoint.save(step=4)
    checkpoint.close()
    assert checkpoint.restore() == {"step": 4}
    with full_disk(1000), pytest.warns(UserWarning, match="cannot be written"), pytest.raises(KeyError), checkpoint:
        checkpoint.save(step=5)
        raise KeyError
