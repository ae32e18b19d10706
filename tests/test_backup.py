"""`BackupAndRestore`, `SwapEMAWeights`, `OrbaxCheckpoint`: what they keep, and that training goes on exactly."""

from __future__ import annotations

import os

import numpy as np
import pytest

import unidl
from unidl.backend import active
from unidl.callbacks import BackupAndRestore, Callback, OrbaxCheckpoint, SwapEMAWeights

trains = pytest.mark.skipif(not active.trains, reason="this backend does not train")


class Stop(Exception):
    pass


class StopAt(Callback):
    """Raises after so many batches, as a crash would."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Stop


def data():
    rng = np.random.default_rng(3)
    return rng.normal(size=(22, 3)).astype("float32"), rng.normal(size=(22, 1)).astype("float32")


def model(seed=7, dropout=False):
    unidl.utils.set_random_seed(seed)
    layers = [unidl.Input((3,)), unidl.layers.Dense(4, activation="tanh")]
    if dropout:
        layers.append(unidl.layers.Dropout(0.5))
    net = unidl.Sequential([*layers, unidl.layers.Dense(1)])
    net.compile("adam", "mse", metrics=["mae"])
    return net


@trains
@pytest.mark.parametrize(("freq", "crash"), [("epoch", 9), (1, 9), (2, 5), (3, 6)])
def test_an_interrupted_fit_goes_on_exactly(tmp_path, freq, crash):
    x, y = data()
    whole = model()
    whole.fit(x, y, batch_size=6, epochs=4, verbose=0)

    folder = tmp_path / "backup"
    broken = model()
    with pytest.raises(Stop):
        broken.fit(x, y, batch_size=6, epochs=4, verbose=0, callbacks=[BackupAndRestore(folder, freq), StopAt(crash)])
    assert os.path.exists(folder)

    # A new process would begin with another seed and other weights.
    again = model(seed=99)
    history = again.fit(x, y, batch_size=6, epochs=4, verbose=0, callbacks=[BackupAndRestore(folder, freq)])
    for ours, theirs in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (history.epoch, history.history) == (whole.history.epoch, whole.history.history)
    assert int(active.to_numpy(again.optimizer.iterations)) == 16
    assert not os.path.exists(folder)


@trains
def test_dropout_goes_on_too(tmp_path):
    x, y = data()
    results = []
    for crash in (0, 7):
        folder = tmp_path / str(crash)
        net = model(dropout=True)
        if crash:
            with pytest.raises(Stop):
                net.fit(x, y, batch_size=6, epochs=3, verbose=0, callbacks=[BackupAndRestore(folder, 2), StopAt(crash)])
            net = model(seed=1, dropout=True)
        net.fit(x, y, batch_size=6, epochs=3, verbose=0, callbacks=[BackupAndRestore(folder, 2)])
        results.append(net.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@trains
def test_a_backup_after_the_last_batch_of_an_epoch(tmp_path):
    x, y = data()
    folder = tmp_path / "backup"
    with pytest.raises(Stop):
        model().fit(x, y, batch_size=6, epochs=2, verbose=0, callbacks=[BackupAndRestore(folder, 4), StopAt(5)])
    again = model(seed=1)
    history = again.fit(x, y, batch_size=6, epochs=2, verbose=0, callbacks=[BackupAndRestore(folder, 4)])
    whole = model()
    whole.fit(x, y, batch_size=6, epochs=2, verbose=0)
    assert history.history == whole.history.history
    np.testing.assert_array_equal(again.get_weights()[0], whole.get_weights()[0])


@trains
def test_generators_are_wound_forward(tmp_path):
    x, y = data()

    def batches():
        while True:
            for start in range(0, 20, 4):
                yield x[start : start + 4], y[start : start + 4]

    whole = model()
    whole.fit(batches(), steps_per_epoch=3, epochs=3, verbose=0)
    folder = tmp_path / "backup"
    stopping = [BackupAndRestore(folder, 1), StopAt(5)]
    with pytest.raises(Stop):
        model().fit(batches(), steps_per_epoch=3, epochs=3, verbose=0, callbacks=stopping)
    again = model(seed=2)
    again.fit(batches(), steps_per_epoch=3, epochs=3, verbose=0, callbacks=[BackupAndRestore(folder, 1)])
    np.testing.assert_array_equal(again.get_weights()[0], whole.get_weights()[0])


@trains
def test_a_damaged_backup(tmp_path):
    x, y = data()
    folder = tmp_path / "backup"

    def run(net, keep, *more):
        backup = BackupAndRestore(folder, max_to_keep=keep)
        return net.fit(x, y, batch_size=6, epochs=4, verbose=0, callbacks=[backup, *more])

    whole = run(model(), 1).history
    with pytest.raises(Stop):
        run(model(), 2, StopAt(9))
    assert sorted(os.listdir(folder)) == ["checkpoint-0.safetensors", "checkpoint-1.safetensors"]
    latest = folder / "checkpoint-1.safetensors"
    latest.write_bytes(latest.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"checkpoint-1.*is damaged.*The one before it is taken"):
        assert run(model(), 2).history == whole

    with pytest.raises(Stop):
        run(model(), 1, StopAt(9))
    latest.write_bytes(b"0")
    with pytest.raises(ValueError, match=r"is damaged.*Delete the folder"):
        run(model(), 1)


@trains
def test_a_backup_of_another_model(tmp_path):
    x, y = data()
    folder = tmp_path / "backup"
    with pytest.raises(Stop):
        model().fit(x, y, epochs=2, batch_size=6, verbose=0, callbacks=[BackupAndRestore(folder), StopAt(5)])
    other = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(1)])
    other.compile("adam", "mse")
    before = other.get_weights()
    with pytest.raises(ValueError, match="another model"):
        other.fit(x, y, verbose=0, callbacks=[BackupAndRestore(folder)])
    np.testing.assert_array_equal(other.get_weights()[0], before[0])
    unbuilt = unidl.Sequential([unidl.layers.Dense(1)])
    unbuilt.compile("adam", "mse")
    with pytest.raises(ValueError, match="is not built"):
        unbuilt.fit(x, y, verbose=0, callbacks=[BackupAndRestore(folder)])


@pytest.mark.once
def test_backup_arguments():
    for folder in ("", None):
        with pytest.raises(ValueError, match="backup_dir"):
            BackupAndRestore(folder)
    for freq in ("batch", 0.5, 0, True):
        with pytest.raises(ValueError, match="save_freq"):
            BackupAndRestore("x", save_freq=freq)


def averaged():
    unidl.utils.set_random_seed(3)
    net = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(1)])
    net.compile(unidl.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    return net


@trains
@pytest.mark.parametrize("on_epoch", [False, True])
def test_swapped_averages(on_epoch, tmp_path):
    x, y = data()
    plain = averaged()
    plain.fit(x, y, epochs=3, batch_size=6, verbose=0, shuffle=False)
    net = averaged()
    seen = []
    look = unidl.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(net.get_weights()))
    history = net.fit(
        x, y, epochs=3, batch_size=6, verbose=0, shuffle=False, validation_data=(x, y),
        callbacks=[SwapEMAWeights(swap_on_epoch=on_epoch), look],
    )  # fmt: skip
    # Training itself is not changed, and it ends with the averages.
    for ours, theirs in zip(net.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert history.history["val_loss"][-1] == pytest.approx(net.evaluate(x, y, verbose=0), rel=1e-6)
    same = np.allclose(seen[-1][0], net.get_weights()[0])
    assert same is on_epoch


@trains
def test_swapping_needs_averages():
    x, y = data()
    with pytest.raises(ValueError, match="use_ema=True"):
        model().fit(x, y, verbose=0, callbacks=[SwapEMAWeights()])


@trains
def test_numbered_checkpoints(tmp_path):
    x, y = data()
    net = model()
    keeper = OrbaxCheckpoint(tmp_path, max_to_keep=2, save_weights_only=True)
    net.fit(x, y, epochs=3, batch_size=6, verbose=0, callbacks=[keeper])
    assert sorted(os.listdir(tmp_path)) == ["step-1.safetensors", "step-2.safetensors"]
    net.fit(x, y, epochs=1, verbose=0, callbacks=[keeper])
    assert sorted(os.listdir(tmp_path)) == ["step-2.safetensors", "step-3.safetensors"]
    other = model(seed=0)
    other.load_weights(tmp_path)
    np.testing.assert_array_equal(other.get_weights()[0], net.get_weights()[0])
    whole = OrbaxCheckpoint(tmp_path / "whole", monitor="loss", save_best_only=True, initial_value_threshold=1e9)
    net.fit(x, y, epochs=1, verbose=0, callbacks=[whole])
    again = unidl.saving.load_model(tmp_path / "whole")
    np.testing.assert_array_equal(again.get_weights()[0], net.get_weights()[0])
    assert int(active.to_numpy(again.optimizer.iterations)) == int(active.to_numpy(net.optimizer.iterations))
    assert whole.is_primary_host() and not whole.is_multihost_enabled() and whole.wait_until_finished() is None
    with pytest.raises(ValueError, match="max_to_keep"):
        OrbaxCheckpoint(tmp_path, max_to_keep=0)


@trains
def test_an_error_leaves_out_on_train_end():
    x, y = data()
    ended = []
    hook = unidl.callbacks.LambdaCallback(on_train_end=lambda logs: ended.append(1))
    with pytest.raises(Stop):
        model().fit(x, y, verbose=0, callbacks=[hook, StopAt(1)])
    assert not ended


@trains
def test_a_model_without_trainable_weights():
    x, _ = data()
    net = unidl.Sequential([unidl.Input((3,)), unidl.layers.Activation(lambda v: 2.0 * v)])
    net.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="no trainable weights"):
        history = net.fit(x, 2 * x, verbose=0)
    assert history.history["loss"] == pytest.approx([0.0])
