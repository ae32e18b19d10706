"""Callbacks in real training: what they see and do in `fit`."""

from __future__ import annotations

import numpy as np
import pytest

import unidl
from unidl import layers, optimizers
from unidl.backend import active
from unidl.callbacks import (
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TerminateOnNaN,
)

trains = pytest.mark.skipif(not active.trains, reason="the backend does not train")


def regression():
    """y = 2 x, and a model of one weight that starts at 0."""
    model = unidl.Sequential([unidl.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(unidl.optimizers.SGD(0.5), "mse")
    x = np.linspace(-1, 1, 40, dtype="float32")[:, None]
    return model, x, 2 * x


@trains
def test_the_best_weights_of_a_real_fit_come_back(tmp_path):
    model, x, y = regression()
    path = tmp_path / "best.safetensors"
    # From the third epoch the rate is far too high, so that the loss rises.
    callbacks = [
        LearningRateScheduler(lambda epoch: 0.5 if epoch < 2 else 10.0),
        EarlyStopping(patience=2, restore_best_weights=True),
        ModelCheckpoint(path, save_weights_only=True, save_best_only=True),
    ]
    history = model.fit(x, y, epochs=9, validation_data=(x, y), verbose=0, callbacks=callbacks).history
    best = int(np.argmin(history["val_loss"]))
    assert best == 1 and len(history["val_loss"]) == 4 and history["learning_rate"] == [0.5, 0.5, 10.0, 10.0]
    assert model.evaluate(x, y, verbose=0) == pytest.approx(history["val_loss"][best], rel=1e-6)
    other, _, _ = regression()
    other.load_weights(path)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


@trains
def test_reduce_on_plateau_of_a_real_fit():
    model, x, y = regression()
    callback = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    history = model.fit(x, y, epochs=4, verbose=0, callbacks=[callback]).history
    assert history["learning_rate"] == [0.5, 0.5, 0.25, 0.125]
    assert float(model.optimizer.learning_rate.numpy()) == 0.0625


@trains
def test_metrics_are_fetched_once_an_epoch_unless_a_callback_wants_batches(monkeypatch):
    model, x, y = regression()
    fetched = []
    original = type(model).get_metrics_result
    monkeypatch.setattr(type(model), "get_metrics_result", lambda self: fetched.append(1) or original(self))
    model.fit(x, y, batch_size=4, epochs=2, verbose=2)
    assert len(fetched) == 2
    fetched.clear()
    losses = []
    watcher = LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs))
    model.fit(x, y, batch_size=4, verbose=0, callbacks=[watcher])
    assert len(fetched) == 11 and [set(logs) for logs in losses] == [{"loss"}] * 10


@trains
def test_what_ended_a_fit_does_not_end_evaluations():
    model, x, y = regression()
    seen = []
    stop = LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", True),
        on_test_batch_end=lambda batch, logs: seen.append(batch),
    )
    model.fit(x, y, batch_size=8, epochs=3, validation_data=(x, y), verbose=0, callbacks=[stop])
    assert seen == [0, 1, 2, 3, 4] and model.history.epoch == [0]
    seen.clear()
    model.evaluate(x, y, batch_size=8, verbose=0, callbacks=[stop])
    assert seen == [0, 1, 2, 3, 4]


@trains
def test_training_stops_in_the_middle_of_an_epoch_on_nan():
    model, x, y = regression()
    x[20] = np.nan
    with pytest.warns(UserWarning, match="the loss is nan at batch 5"):
        history = model.fit(x, y, batch_size=4, epochs=5, shuffle=False, verbose=0, callbacks=[TerminateOnNaN()])
    assert history.epoch == [0]


@trains
def test_the_log_of_a_fit_is_one_line_an_epoch(capsys):
    model, x, y = regression()
    model.fit(x, y, epochs=3, validation_split=0.25)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    assert all("val_loss: " in line and "\x1b" not in line and "\r" not in line for line in lines)


@pytest.mark.skipif(not active.trains, reason="the NumPy backend does not train")
def test_learning_rates_and_averages_of_several_optimizers() -> None:
    slow, fast = optimizers.SGD(0.1, name="slow", use_ema=True), optimizers.SGD(0.4, name="fast")
    both = optimizers.MultiOptimizer(optimizers.OptimizerMap(slow, {".*bias": fast}))
    for optimizer in (both, optimizers.LossScaleOptimizer(both)):
        slow.learning_rate, fast.learning_rate = 0.1, 0.4
        model = unidl.Sequential([unidl.Input((2,)), unidl.layers.Dense(1)])
        model.compile(optimizer, "mse")
        x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
        halved = LearningRateScheduler(lambda epoch, rate: rate * 0.5)
        still = ReduceLROnPlateau("loss", 0.1, patience=1, min_delta=1e9)
        swapped = SwapEMAWeights()
        history = model.fit(x, y, epochs=3, verbose=0, callbacks=[halved, still, swapped], validation_data=(x, y))
        # Halved before each epoch; a tenth after the second.
        rates = [history.history[f"learning_rate_{name}"] for name in ("slow", "fast")]
        np.testing.assert_allclose(rates, [[0.05, 0.025, 0.00125], [0.2, 0.1, 0.005]], rtol=1e-5)


@trains
def test_every_hook_gets_a_dict_of_logs():
    told = {}

    class Telling(unidl.callbacks.Callback):
        pass

    def hook(name):
        def note(self, *args, logs=None):
            told[name] = args[-1] if args and not isinstance(args[-1], int) else logs

        return note

    for kind in ("train", "test", "predict"):
        for when in ("begin", "end"):
            setattr(Telling, f"on_{kind}_{when}", hook(f"{kind}_{when}"))
            setattr(Telling, f"on_{kind}_batch_{when}", hook(f"{kind}_batch_{when}"))
    for when in ("begin", "end"):
        setattr(Telling, f"on_epoch_{when}", hook(f"epoch_{when}"))
    model, x, y = regression()
    model.fit(x, y, validation_data=(x, y), callbacks=[Telling()], verbose=0)
    model.predict(x, callbacks=[Telling()], verbose=0)
    assert len(told) == 14
    assert {name for name, logs in told.items() if not isinstance(logs, dict)} == set()


@trains
def test_validation_steps_are_the_same_batches_in_every_epoch():
    model, x, y = regression()
    model.compile(unidl.optimizers.SGD(0.0), "mse")
    history = model.fit(
        x, y, epochs=3, validation_data=(x, y), validation_batch_size=10, validation_steps=3, verbose=0
    ).history
    assert history["val_loss"] == [pytest.approx(float(np.mean(y[:30] ** 2)), rel=1e-5)] * 3


@trains
def test_an_epoch_of_too_many_steps_ends_with_the_data():
    model, x, y = regression()
    with pytest.warns(UserWarning, match="ended after 4 of 5 batches"):
        model.fit(x, y, batch_size=10, epochs=2, steps_per_epoch=5, verbose=0)
    assert int(np.asarray(unidl.ops.convert_to_numpy(model.optimizer.iterations))) == 8
