"""An interrupted `fit` goes on exactly, whatever the data, the model and the options."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, optimizers
from unidl.backend import active
from unidl.callbacks import BackupAndRestore, Callback, EarlyStopping
from unidl.saving._training_state import optimizers_of

pytestmark = pytest.mark.skipif(not active.trains, reason="this backend does not train")

RNG = np.random.default_rng(3)
X = RNG.normal(size=(22, 3)).astype("float32")
Y = RNG.normal(size=(22, 1)).astype("float32")
ROWS = 6


class StopError(Exception):
    pass


class StopAt(Callback):
    """Raises after so many batches, as a crash would."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if self.left == 0:
            raise StopError


def plain_model() -> Any:
    stack = [layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dropout(0.4), layers.Dense(1)]
    model = unidl.Sequential([unidl.Input((3,)), *stack])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def compiled(optimizer: Any, **options: Any) -> Any:
    model = unidl.Sequential([unidl.Input((3,)), layers.Dense(4, "tanh"), layers.Dropout(0.4), layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"], **options)
    return model


def state_of(model: Any, history: Any) -> tuple[Any, ...]:
    variables = [v for optimizer in optimizers_of(model).values() for v in optimizer.variables]
    arrays = [*model.get_weights(), *map(active.to_numpy, variables)]
    return history.epoch, history.history, [(a.dtype.str, a.tobytes()) for a in arrays]


def check(make_model: Any, make_fit: Any, folder: Any, save_freq: Any = 2, crashes: Any = (3, 6)) -> None:
    """Compare a whole `fit` with one that crashes after so many batches, and again after so many more."""

    def run(*more: Any, seed: int = 5) -> Any:
        unidl.utils.set_random_seed(seed)
        model = make_model()
        given = make_fit()
        callbacks = [*more, *given.pop("callbacks", [])]
        return model, model.fit(**{"verbose": 0, "epochs": 4, **given}, callbacks=callbacks)

    # A whole run makes backups as well: mxnet's random numbers depend on where they are made.
    want = state_of(*run(BackupAndRestore(folder / "whole", save_freq)))
    if active.random_state() is not None:
        assert state_of(*run()) == want
    for crash in crashes:
        with pytest.raises(StopError):
            run(BackupAndRestore(folder / "broken", save_freq), StopAt(crash))
    assert state_of(*run(BackupAndRestore(folder / "broken", save_freq))) == want


# -- data --------------------------------------------------------------------------------------------


def batches_of(rows: int = ROWS) -> list[Any]:
    return [(X[i : i + rows], Y[i : i + rows]) for i in range(0, len(X), rows)]


def forever() -> Any:
    while True:
        yield from batches_of()


class Shuffled(unidl.utils.PyDataset):
    """Shuffles itself at the end of each epoch, with NumPy's global generator, and adds noise."""

    def __init__(self) -> None:
        super().__init__()
        self.order = np.random.permutation(22)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        rows = self.order[index * ROWS : (index + 1) * ROWS]
        return X[rows], Y[rows]

    def on_epoch_end(self) -> None:
        np.random.shuffle(self.order)


class Augmented(unidl.utils.PyDataset):
    """Draws from the generators of Python and NumPy for each batch."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        x, y = batches_of()[index]
        return x + np.random.normal(size=x.shape).astype("float32"), y * random.random()


class Loader:
    """Draws a new order for each pass, as torch's DataLoader does without a generator of its own."""

    def __iter__(self) -> Any:
        for i in np.random.permutation(4):
            x, y = batches_of()[i]
            yield x + np.random.normal(size=x.shape).astype("float32"), y


def dataset() -> Any:
    rows = unidl.utils.Dataset.from_tensor_slices((X, Y))
    return rows.shuffle(10).map(lambda x, y: (unidl.ops.add(x, unidl.random.normal((3,), stddev=0.1)), y)).batch(ROWS)


ARRAYS = {"x": X, "y": Y, "batch_size": ROWS}
DATA = {
    "arrays": lambda: {**ARRAYS, "validation_split": 0.3},
    "arrays in the host": lambda: {**ARRAYS, "x": np.array(X).view(np.memmap), "shuffle": "batch"},
    "steps": lambda: {**ARRAYS, "steps_per_epoch": 3, "validation_data": (X, Y), "validation_steps": 1},
    "generator": lambda: {"x": forever(), "steps_per_epoch": 3, "validation_data": forever(), "validation_steps": 3},
    "later epochs": lambda: {**ARRAYS, "initial_epoch": 1, "epochs": 4},
    "shuffled PyDataset": lambda: {"x": Shuffled(), "shuffle": False},
    "augmented PyDataset": lambda: {"x": Augmented(), "steps_per_epoch": 3},
    "loader": lambda: {"x": Loader()},
    "loader with steps": lambda: {"x": Loader(), "steps_per_epoch": 3, "validation_data": Loader()},
    "Dataset": lambda: {"x": dataset(), "validation_data": dataset()},
    "sample weights": lambda: {**ARRAYS, "sample_weight": np.arange(22.0), "validation_freq": 2},
}


@pytest.mark.parametrize("kind", DATA)
def test_sources_of_data(kind, tmp_path):
    check(plain_model, DATA[kind], tmp_path)


@pytest.mark.skipif(active.name != "torch", reason="torch's loader goes with every engine; its generator with its own")
@pytest.mark.parametrize("own", [False, True])
def test_torch_loaders(own, tmp_path):
    import torch

    def fit() -> dict[str, Any]:
        data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
        generator = torch.Generator().manual_seed(3) if own else None
        return {"x": torch.utils.data.DataLoader(data, ROWS, shuffle=True, generator=generator)}

    check(plain_model, fit, tmp_path)


@pytest.mark.skipif(active.name != "tensorflow", reason="TensorFlow's own data sets")
@pytest.mark.parametrize("steps", [None, 3])
def test_tf_data(steps, tmp_path):
    import tensorflow as tf

    def fit() -> dict[str, Any]:
        data = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(22).batch(ROWS)
        return {"x": data, "steps_per_epoch": steps, "validation_data": data}

    check(plain_model, fit, tmp_path)


# -- models and options ------------------------------------------------------------------------------


class TwoOptimizers(unidl.Model):
    """A step of its own with an optimizer besides the compiled one, and a metric of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = layers.Dense(4, "tanh"), layers.Dense(1)
        self.drop = layers.Dropout(0.3)
        self.other = optimizers.RMSprop(0.01)
        self.seen = unidl.metrics.Mean(name="seen")

    def call(self, x: Any, training: Any = False) -> Any:
        return self.second(self.drop(self.first(x), training=training))

    def train_step(self, data: Any) -> Any:
        x, y = data
        ours, theirs = self.first.trainable_variables, self.second.trainable_variables

        def loss() -> Any:
            return unidl.ops.mean(unidl.ops.square(self(x, training=True) - y))

        value, gradients = unidl.value_and_grad(loss, [*ours, *theirs])()
        self.optimizer.apply(gradients[: len(ours)], ours)
        self.other.apply(gradients[len(ours) :], theirs)
        self.seen.update_state(value)
        return {"seen": self.seen.result()}


def custom() -> Any:
    model = TwoOptimizers()
    model(X[:2])
    model.compile("adam", "mse")
    return model


def recurrent() -> Any:
    inputs = unidl.Input(batch_shape=(11, 3))
    x = layers.Reshape((3, 1))(inputs)
    x = layers.GRU(3, stateful=True, dropout=0.2)(x)
    model = unidl.Model(inputs, layers.Dense(1)(x))
    model.compile("adam", "mse")
    return model


def host_random() -> Any:
    """Layers that draw from a `SeedGenerator` on the host."""
    inputs = unidl.Input((3,))
    x = layers.Reshape((1, 3, 1))(inputs)
    x = layers.RandomFlip("horizontal", seed=3)(layers.RandomBrightness(0.2, value_range=(-2, 2))(x))
    model = unidl.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    model.compile("sgd", "mse")
    return model


def several() -> Any:
    fast, slow = optimizers.SGD(0.1, momentum=0.9), optimizers.Adam(0.01)
    return compiled(optimizers.MultiOptimizer(optimizers.OptimizerMap(slow, {".*bias": fast})))


def scaled() -> Any:
    return compiled(optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=2.0, dynamic_growth_steps=3))


MODELS = {
    "accumulation": lambda: compiled(optimizers.AdamW(0.01, gradient_accumulation_steps=3, use_ema=True)),
    "averages": lambda: compiled(optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=3)),
    "schedule": lambda: compiled(optimizers.Adam(optimizers.schedules.CosineDecay(0.1, 9))),
    "schedule-free": lambda: compiled(optimizers.ScheduleFreeAdamW(0.01)),
    "loss scale": scaled,
    "several optimizers": several,
    "step of its own": custom,
    "layers one by one": lambda: compiled("adam", run_eagerly=True),
    "groups of steps": lambda: compiled("adam", steps_per_execution=2),
    "host": host_random,
}


@pytest.mark.parametrize("kind", MODELS)
def test_models(kind, tmp_path):
    check(MODELS[kind], DATA["arrays"], tmp_path, save_freq=3, crashes=(3, 3) if kind == "groups of steps" else (5, 4))


def test_states_of_layers(tmp_path):
    check(recurrent, lambda: {"x": X, "y": Y, "batch_size": 11, "shuffle": False, "epochs": 5}, tmp_path, 3, (5, 4))


class Wobble(Callback):
    """A callback of a user with a state."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = np.zeros(3)
        self.told: tuple[Any, ...] = ()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.losses[epoch % 3] = logs["loss"]
        self.told += (epoch,)
        logs["told"] = float(sum(self.told) + self.losses.sum())

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self.losses, "told": self.told}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.losses, self.told = state["losses"], state["told"]


@pytest.mark.parametrize("save_freq", ["epoch", 1, 3])
def test_callbacks(save_freq, tmp_path):
    def fit() -> dict[str, Any]:
        return {**ARRAYS, "epochs": 6, "callbacks": [EarlyStopping("loss", patience=2, mode="max"), Wobble(), Wobble()]}

    check(plain_model, fit, tmp_path, save_freq, crashes=(5, 4))


@pytest.mark.parametrize("save_freq", [1, "epoch"])
def test_dying_after_training_was_stopped(save_freq, tmp_path):
    steps = 0

    class StopInTheMiddle(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            nonlocal steps
            steps += 1
            self.model.stop_training = (self.epoch, batch) == (1, 1)

    def run(folder: str, *more: Any) -> Any:
        unidl.utils.set_random_seed(1)
        model = plain_model()
        callbacks = [BackupAndRestore(tmp_path / folder, save_freq), StopInTheMiddle(), *more]
        return state_of(model, model.fit(**ARRAYS, epochs=5, verbose=0, validation_split=0.3, callbacks=callbacks))

    def die(logs: Any) -> None:
        raise StopError

    whole = run("whole")
    assert whole[0] == [0, 1]
    for moment in ("on_train_end", *(["on_test_begin"] if save_freq == 1 else [])):
        with pytest.raises(StopError):
            run("broken", unidl.callbacks.LambdaCallback(**{moment: die}))
    steps = 0
    assert run("broken") == whole and steps == 0


def test_less_data_than_before(tmp_path):
    model = plain_model()
    with pytest.raises(StopError):
        model.fit(**ARRAYS, verbose=0, callbacks=[BackupAndRestore(tmp_path / "run", 3), StopAt(4)])
    with pytest.raises(ValueError, match="saved after 3 batches of epoch 0, but the data has fewer"):
        model.fit(X[:7], Y[:7], batch_size=6, verbose=0, callbacks=[BackupAndRestore(tmp_path / "run", 3)])
