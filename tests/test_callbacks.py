"""Callbacks: what each does with the course of a training run, and what the loop asks of the list."""

from __future__ import annotations

import math
import sys
import warnings

import numpy as np
import pytest

import unidl
from unidl.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    TerminateOnNaN,
)


class Rate:
    """A variable on the host."""

    def __init__(self, value):
        self.value = np.float32(value)

    def numpy(self):
        return self.value

    def assign(self, value):
        self.value = np.float32(value)


class Optimizer:
    def __init__(self, rate=0.1):
        self.learning_rate = Rate(rate)


class Model:
    """What callbacks may ask of a model. Its only weight is the number of the epoch."""

    def __init__(self, rate=0.1):
        self.stop_training = False
        self.optimizer = Optimizer(rate)
        self.weights = [np.zeros(1)]
        self.saved = []
        self.metrics = []

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = weights

    def save_weights(self, path):
        self.saved.append(path)

    def save(self, path):
        self.saved.append(("whole", path))

    def diagnose_nonfinite(self):
        return "Layer 'model/dense' is first."


def run(callbacks, values, model=None, name="val_loss", epochs=None, **params):
    """A fit that logs `values` (None: no such metric) as the metric `name`; the epochs that were run."""
    model = model or Model()
    hooks = CallbackList(callbacks, add_history=True, model=model, epochs=len(values), **params)
    model.stop_training = False
    hooks.on_train_begin()
    done = []
    for epoch, value in enumerate(values):
        hooks.on_epoch_begin(epoch)
        model.weights = [np.full(1, epoch)]
        done.append(epoch)
        hooks.on_epoch_end(epoch, {"loss": 1.0} if value is None else {"loss": 1.0, name: value})
        if model.stop_training:
            break
    hooks.on_train_end()
    return model, done


# -- the list --------------------------------------------------------------------------------------


HOOKS = [f"{kind}_batch_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")]


def wants(callbacks):
    hooks = CallbackList(callbacks, add_history=True, add_progbar=True, verbose=1, epochs=1, steps=1)
    return [hook for hook in HOOKS if getattr(hooks, f"wants_{hook}")]


def test_nobody_wants_batches_by_default():
    assert wants(None) == []
    quiet = [
        History(),
        EarlyStopping(),
        ReduceLROnPlateau(),
        LearningRateScheduler(lambda e: 1.0),
        CSVLogger("x"),
        ModelCheckpoint("x.safetensors", save_weights_only=True),
        LambdaCallback(on_epoch_end=print),
        Callback(),
    ]
    assert wants(quiet) == []


@pytest.mark.parametrize("hook", [*HOOKS, "batch_begin", "batch_end"])
def test_the_loop_knows_which_batch_hooks_are_wanted(hook):
    expected = [f"train_{hook}" if hook.startswith("batch") else hook]
    calls = []
    derived = type("Derived", (Callback,), {f"on_{hook}": lambda self, batch, logs=None: calls.append((batch, logs))})
    assert wants([derived()]) == expected
    assert wants([LambdaCallback(**{f"on_{hook}": lambda batch, logs: None})]) == expected
    hooks = CallbackList([derived()])
    getattr(hooks, f"on_{expected[0]}")(3, {"loss": 1.0})
    assert calls == [(3, {"loss": 1.0})]


def test_who_wants_batches():
    assert wants([TerminateOnNaN()]) == ["train_batch_end"]
    assert wants([ModelCheckpoint("x.safetensors", save_weights_only=True, save_freq=5)]) == ["train_batch_end"]


def test_what_is_no_callback():
    with pytest.raises(TypeError, match=r"write EarlyStopping\(\), not EarlyStopping"):
        CallbackList([EarlyStopping])
    with pytest.raises(TypeError, match="3 is no callback"):
        CallbackList([3])


def test_defaults_are_added_once_and_the_bar_is_last():
    given = CallbackList([History(), ProgbarLogger(), Callback()], add_history=True, add_progbar=True, verbose=1)
    assert [type(c).__name__ for c in given.callbacks] == ["History", "Callback", "ProgbarLogger"]
    alone = CallbackList(Callback(), add_history=True, add_progbar=True, verbose=2)
    assert [type(c).__name__ for c in alone.callbacks] == ["Callback", "History", "ProgbarLogger"]
    silent = CallbackList(None, add_history=True, add_progbar=True, verbose=0)
    assert [type(c).__name__ for c in silent.callbacks] == ["History"] and silent.progress("train") is None


def test_model_and_params_are_told():
    callback, model = Callback(), Model()
    CallbackList([callback], model=model, verbose=0, epochs=3, steps=7)
    assert callback.model is model and callback.params == {"verbose": 0, "epochs": 3, "steps": 7}


def test_hooks_reach_all_callbacks_in_order():
    seen = []
    names = ["train", "test", "predict"]
    hooks = CallbackList([
        LambdaCallback(**{
            f"on_{name}_{when}": lambda logs, which=which, name=name, when=when: seen.append((which, name, when))
            for name in names
            for when in ("begin", "end")
        })
        for which in (0, 1)
    ])  # fmt: skip
    for name in names:
        getattr(hooks, f"on_{name}_begin")()
        getattr(hooks, f"on_{name}_end")()
    assert seen == [(which, name, when) for name in names for when in ("begin", "end") for which in (0, 1)]


def test_lambda_callback_refuses_unknown_hooks():
    with pytest.raises(TypeError, match="no hook 'on_epoch_finish'"):
        LambdaCallback(on_epoch_finish=print)
    with pytest.raises(TypeError, match="`on_epoch_end` must be a function, not 3"):
        LambdaCallback(on_epoch_end=3)
    assert LambdaCallback(on_epoch_end=None).overrides("on_epoch_end") is False


# -- History ---------------------------------------------------------------------------------------


def test_history_keeps_every_epoch_and_starts_afresh():
    model, _ = run(None, [3.0, 2.0])
    history = model.history
    assert history.history == {"loss": [1.0, 1.0], "val_loss": [3.0, 2.0]} and history.epoch == [0, 1]
    history.on_train_begin()
    assert history.history == {} and history.epoch == []


def test_history_draws_a_panel_for_each_metric(tmp_path):
    model, _ = run([ReduceLROnPlateau(patience=1, cooldown=0)], [3.0, 2.0, 2.0, 2.0])
    figure = model.history.plot(tmp_path / "curves.png")
    assert [a.get_title() for a in figure.axes] == ["loss", "learning rate"]
    curves = {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert curves == {
        "training": [[1, 1], [2, 1], [3, 1], [4, 1]],
        "validation": [[1, 3], [2, 2], [3, 2], [4, 2]],
    }
    assert figure.axes[1].get_yscale() == "log"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert figure.canvas.manager is None  # made without pyplot, which would keep it


def test_validation_of_every_second_epoch_is_drawn_at_those_epochs():
    history = History()
    history.on_train_begin()
    for epoch in range(4):
        history.on_epoch_end(epoch, {"loss": 1.0, **({"val_loss": 2.0} if epoch % 2 else {})})
    axes = history.plot().axes[0]
    assert axes.lines[1].get_xdata().tolist() == [2, 4]


def test_nothing_to_plot_and_no_matplotlib(monkeypatch):
    with pytest.raises(ValueError, match="nothing to plot"):
        History().plot()
    history = History()
    history.on_epoch_end(0, {"loss": 1.0})
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        history.plot()


# -- EarlyStopping ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "values", "epochs"),
    [
        ({"patience": 2}, [5, 4, 4, 4, 4], 4),
        ({"patience": 0}, [5, 4, 4.5, 3], 3),
        ({"patience": 2, "min_delta": 0.5}, [5, 4.8, 4.6, 1], 3),
        ({"patience": 2, "min_delta": -0.5}, [5, 4.8, 4.6, 1], 3),
        ({"patience": 1, "mode": "max"}, [5, 4, 6], 2),
        ({"patience": 2, "baseline": 3}, [5, 4, 4, 3.4], 3),
        ({"patience": 2, "baseline": 3}, [5, 4, 3.5, 3.4], 4),
        ({"patience": 2, "baseline": 4.5}, [5, 4, 3, 2], 4),
        ({"patience": 1, "start_from_epoch": 3}, [1, 2, 3, 4, 5, 6], 5),
        ({"patience": 2}, [5, math.nan, math.nan, math.nan], 3),
        ({"patience": 2}, [5, 4, 3, 2], 4),
    ],
)
def test_early_stopping(arguments, values, epochs):
    callback = EarlyStopping(**arguments)
    _, done = run([callback], values)
    assert len(done) == epochs
    assert callback.stopped_epoch == (epochs - 1 if epochs < len(values) else callback.stopped_epoch)


@pytest.mark.parametrize(
    ("monitor", "rising"),
    [
        ("val_loss", False),
        ("loss", False),
        ("val_accuracy", True),
        ("sparse_categorical_accuracy", True),
        ("val_auc", True),
        ("mean_absolute_error", False),
        ("val_precision_1", True),
        ("accuracy_loss", False),
    ],
)
def test_the_direction_follows_the_name(monitor, rising):
    _, done = run([EarlyStopping(monitor, patience=1)], [1, 2, 3], name=monitor)
    assert len(done) == (3 if rising else 2)


def test_a_metrics_own_direction_decides():
    class Metric:
        name, _direction = "score", "up"

    model = Model()
    model.metrics = [Metric()]
    assert len(run([EarlyStopping("val_score", patience=1)], [1, 2, 3], model, name="val_score")[1]) == 3
    assert len(run([EarlyStopping("val_score", patience=1)], [1, 2, 3], name="val_score")[1]) == 2


def test_the_best_weights_come_back(capsys):
    model, _ = run([EarlyStopping(patience=2, restore_best_weights=True, verbose=1)], [5, 3, 4, 4, 4])
    assert model.weights[0][0] == 1
    assert capsys.readouterr().out == "Epoch 4: early stopping\nRestoring the weights of the best epoch: 2.\n"
    model, _ = run([EarlyStopping(patience=9, restore_best_weights=True)], [5, 3, 4])
    assert model.weights[0][0] == 1
    model, _ = run([EarlyStopping(patience=2)], [5, 3, 4, 4, 4])
    assert model.weights[0][0] == 3


def test_a_callback_serves_several_runs():
    callback = EarlyStopping(patience=1)
    run([callback], [1, 2])
    assert len(run([callback], [9, 8, 7])[1]) == 3


def test_a_metric_that_is_missing_is_said():
    with pytest.warns(UserWarning, match=r"EarlyStopping watches 'val_loss'.*\(loss\).*validation_data"):
        run([EarlyStopping()], [None])
    with pytest.warns(UserWarning, match="mode 'up' is unknown"):
        EarlyStopping(mode="up")


# -- learning rate ---------------------------------------------------------------------------------


def rates(model):
    return [round(float(r), 6) for r in model.history.history["learning_rate"]]


def test_reduce_on_plateau(capsys):
    model, _ = run([ReduceLROnPlateau(factor=0.5, patience=2, verbose=1)], [3, 2, 2, 2, 2, 2, 1])
    assert rates(model) == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025]
    assert capsys.readouterr().out.startswith("Epoch 4: ReduceLROnPlateau sets the learning rate to 0.05.\n")


def test_cooldown_and_lower_bound():
    model, _ = run([ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2)], [2] * 7)
    assert rates(model) == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125]
    callback = ReduceLROnPlateau(factor=0.1, patience=1, min_lr=0.02, verbose=0)
    model, _ = run([callback], [2] * 5)
    assert rates(model) == [0.1, 0.1, 0.02, 0.02, 0.02]


def test_an_improvement_below_min_delta_does_not_count():
    model, _ = run([ReduceLROnPlateau(patience=1, min_delta=0.1)], [2, 1.95, 1.9])
    assert rates(model) == [0.1, 0.1, 0.01]


def test_bad_factor_and_rates_that_cannot_be_set():
    with pytest.raises(ValueError, match="`factor`"):
        ReduceLROnPlateau(factor=1.0)
    model = Model()
    model.optimizer.learning_rate = 0.1
    for callback in (ReduceLROnPlateau(), LearningRateScheduler(lambda e: 0.1)):
        with pytest.raises(ValueError, match=f"{type(callback).__name__} sets.*it is a float"):
            run([callback], [1], model)
    model.optimizer = None
    with pytest.raises(ValueError, match="no optimizer"):
        run([ReduceLROnPlateau()], [1], model)


def test_schedules_of_one_and_two_arguments(capsys):
    model, _ = run([LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1), verbose=1)], [1, 1])
    assert rates(model) == [0.1, 0.05]
    assert "Epoch 2: LearningRateScheduler sets the learning rate to 0.05." in capsys.readouterr().out
    model, _ = run([LearningRateScheduler(lambda epoch, rate: rate * 0.5)], [1, 1])
    assert rates(model) == [0.05, 0.025]


@pytest.mark.parametrize(("value", "words"), [("x", "must return a number"), (None, "not None"), (math.nan, "nan")])
def test_bad_schedules(value, words):
    with pytest.raises(ValueError, match=words):
        run([LearningRateScheduler(lambda e: value)], [1])
    with pytest.raises(TypeError, match="must be a function"):
        LearningRateScheduler(0.1)


def test_errors_inside_a_schedule_pass_through():
    def schedule(epoch, rate):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        run([LearningRateScheduler(schedule)], [1])


# -- ModelCheckpoint -------------------------------------------------------------------------------


def test_checkpoints_of_every_epoch(tmp_path):
    path = tmp_path / "deep" / "w-{epoch:02d}-{val_loss:.1f}.safetensors"
    model, _ = run([ModelCheckpoint(path, save_weights_only=True)], [3, 2])
    assert model.saved == [str(tmp_path / "deep" / f"w-{n}.safetensors") for n in ("01-3.0", "02-2.0")]
    assert (tmp_path / "deep").is_dir()
    model, _ = run([ModelCheckpoint("whole.keras")], [1])
    assert model.saved == [("whole", "whole.keras")]


@pytest.mark.parametrize(
    ("arguments", "epochs"),
    [({}, [1, 2, 4]), ({"mode": "max"}, [1, 3]), ({"initial_value_threshold": 2.5}, [2, 4])],
)
def test_only_the_best(arguments, epochs, capsys):
    callback = ModelCheckpoint(
        "{epoch}.safetensors", save_weights_only=True, save_best_only=True, verbose=1, **arguments
    )
    model, _ = run([callback], [3, 2, 4, 1])
    assert model.saved == [f"{n}.safetensors" for n in epochs]
    assert "did not improve from" in capsys.readouterr().out


def test_checkpoints_of_every_nth_batch_count_on_across_epochs():
    callback = ModelCheckpoint("{epoch}-{batch}.safetensors", save_weights_only=True, save_freq=3)
    model = Model()
    hooks = CallbackList([callback], model=model)
    for epoch in range(2):
        hooks.on_epoch_begin(epoch)
        for batch in range(4):
            hooks.on_train_batch_end(batch, {"loss": 1.0})
        hooks.on_epoch_end(epoch, {"loss": 1.0})
    assert model.saved == ["1-3.safetensors", "2-2.safetensors"]


def test_bad_checkpoints():
    with pytest.raises(ValueError, match=r"end in '\.safetensors'.*not 'w\.h5'"):
        ModelCheckpoint("w.h5", save_weights_only=True)
    for frequency in (0, "batch", 1.5, True):
        with pytest.raises(ValueError, match="`save_freq`"):
            ModelCheckpoint("x.keras", save_freq=frequency)
    with pytest.raises(ValueError, match="the field 'val_acc'; there is only loss, val_loss, epoch"):
        run([ModelCheckpoint("{val_acc}.keras")], [1])
    with pytest.warns(UserWarning, match="ModelCheckpoint watches 'val_loss'"):
        assert run([ModelCheckpoint("x.keras", save_best_only=True)], [None])[0].saved == [("whole", "x.keras")]


# -- CSVLogger and TerminateOnNaN ------------------------------------------------------------------


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    run([CSVLogger(path)], [3.5, 2.5])
    assert path.read_text() == "epoch,loss,val_loss\n0,1.0,3.5\n1,1.0,2.5\n"
    run([CSVLogger(path, append=True)], [1.5])
    assert path.read_text().splitlines()[1:] == ["0,1.0,3.5", "1,1.0,2.5", "0,1.0,1.5"]
    run([CSVLogger(path, separator=";")], [0.5])
    assert path.read_text() == "epoch;loss;val_loss\n0;1.0;0.5\n"


def test_csv_columns_that_appear_later(tmp_path):
    path = tmp_path / "log.csv"
    run([CSVLogger(path)], [None, 2.5, None])
    assert path.read_text() == "epoch,loss,val_loss\n0,1.0,NA\n1,1.0,2.5\n2,1.0,NA\n"


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_terminate_on_nan(loss):
    model = Model()
    hooks = CallbackList([TerminateOnNaN()], model=model)
    hooks.on_train_batch_end(0, {"loss": 1.0})
    assert not model.stop_training
    with pytest.warns(UserWarning, match=f"the loss is {loss} at batch 5"):
        hooks.on_train_batch_end(5, {"loss": loss})
    assert model.stop_training
    with pytest.raises(RuntimeError, match="training ends"):
        CallbackList([TerminateOnNaN(raise_error=True)], model=model).on_train_batch_end(0, {"loss": loss})
    with pytest.warns(UserWarning, match="Layer 'model/dense' is first"):
        CallbackList([TerminateOnNaN(diagnose=True)], model=model).on_train_batch_end(0, {"loss": loss})


# -- progress --------------------------------------------------------------------------------------


def test_a_line_for_each_epoch_and_none_for_its_validation(capsys):
    hooks = CallbackList(None, add_progbar=True, model=Model(), verbose=2, epochs=12, steps=3)
    hooks.on_train_begin()
    for epoch in range(2):
        hooks.on_epoch_begin(epoch)
        update = hooks.progress("train")
        for step in range(1, 4):
            update(step, lambda: pytest.fail("a file needs no values before the end"))
        hooks.on_test_begin()
        assert hooks.progress("test") is None
        hooks.on_test_end({"loss": 9.0})
        hooks.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.25})
    hooks.on_train_end()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[:2] for line in lines] == [["Epoch  1/12", "3/3"], ["Epoch  2/12", "3/3"]]
    assert all(line.endswith("loss: 0.5000 - val_loss: 0.2500") for line in lines)


def test_evaluation_and_prediction_have_a_line(capsys):
    hooks = CallbackList(None, add_progbar=True, model=Model(), verbose=2, epochs=1, steps=None)
    for kind, logs in (("test", {"loss": 0.5}), ("predict", {})):
        update = hooks.progress(kind)  # asked for before the bar begins
        getattr(hooks, f"on_{kind}_begin")()
        update(1, logs)
        update(2, logs)
        getattr(hooks, f"on_{kind}_end")(logs)
    evaluation, prediction = capsys.readouterr().out.splitlines()
    assert evaluation.startswith("Evaluate - 2 steps - ") and evaluation.endswith("loss: 0.5000")
    assert prediction.startswith("Predict - 2 steps - ")


def test_predict_writes_nothing_to_a_file_unless_asked(capsys):
    hooks = CallbackList(None, add_progbar=True, model=Model(), verbose="auto", epochs=1, steps=None)
    update = hooks.progress("predict")
    hooks.on_predict_begin()
    update(1, {})
    hooks.on_predict_end()
    assert capsys.readouterr().out == ""


def test_a_bar_left_by_an_error_is_closed():
    hooks = CallbackList(None, add_progbar=True, model=Model(), verbose=2, epochs=1, steps=2)
    hooks.on_train_begin()
    hooks.on_epoch_begin(0)
    bar = next(c for c in hooks.callbacks if isinstance(c, ProgbarLogger))
    assert bar.bar is not None
    hooks.on_train_end({})
    assert bar.bar is None
    hooks.close()


def test_a_loop_that_fails_gives_the_terminal_back():
    hooks = CallbackList(None, add_progbar=True, model=Model(), verbose=2, epochs=1, steps=2)
    bar = next(c for c in hooks.callbacks if isinstance(c, ProgbarLogger))
    hooks.on_predict_begin()
    with hooks:
        pass
    assert bar.bar is not None
    with pytest.raises(OSError, match="mine"), hooks:
        raise OSError("mine")
    assert bar.bar is None


def test_no_hook_of_the_base_class_does_anything():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, done = run([Callback()], [1.0])
    assert done == [0] and not model.stop_training


@pytest.mark.once
def test_a_metric_that_nobody_knows():
    stopper = EarlyStopping(monitor="unknown")
    stopper.set_model(Model())
    stopper.on_train_begin()
    with pytest.raises(ValueError, match="monitor='unknown'"):
        stopper.on_epoch_end(0, {"loss": 1.0})
    stopper = EarlyStopping(monitor="unknown", mode="max")
    stopper.set_model(Model())
    with pytest.warns(UserWarning, match="watches 'unknown'"):
        stopper.on_epoch_end(0, {"loss": 1.0})


@pytest.mark.once
def test_what_is_said_follows_interactive_logging(caplog, capsys):
    from unidl.training.progress import tell

    unidl.config.disable_interactive_logging()
    try:
        with caplog.at_level("INFO", logger="unidl"):
            tell("quietly")
    finally:
        unidl.config.enable_interactive_logging()
    tell("aloud")
    assert "quietly" in caplog.text and capsys.readouterr().out == "aloud\n"
