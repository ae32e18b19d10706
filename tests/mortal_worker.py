"""Trains in child processes that die by SIGKILL: for `test_kills.py`.

The process imports the engine once and forks a child for each line of JSON on its standard input. It answers a line
with how the child ended. When and where a child dies is part of the line.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import unidl
from unidl.backend import active
from unidl.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
)
from unidl.saving import _safetensors


class Death:
    """Kills the process when the event `kind` happens for the `number`-th time."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind, self.left = kind, number

    def near(self, kind: str) -> bool:
        """Count an event; whether it is the one."""
        self.left -= kind == self.kind
        return kind == self.kind and self.left == 0

    def at(self, kind: str) -> None:
        if self.near(kind):
            os.kill(os.getpid(), signal.SIGKILL)

    def watch_writing(self) -> None:
        put, fsync, replace, unlink = _safetensors.put, os.fsync, os.replace, os.unlink

        def mortal_put(file: Any, data: memoryview) -> None:
            if self.near("write"):  # in the middle of it
                put(file, data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            put(file, data)

        def mortal(function: Any, kind: str) -> Any:
            def call(*args: Any, **kwargs: Any) -> None:
                self.at(f"before {kind}")
                function(*args, **kwargs)
                self.at(f"after {kind}")

            return call

        _safetensors.put = mortal_put
        os.fsync, os.replace, os.unlink = mortal(fsync, "sync"), mortal(replace, "rename"), mortal(unlink, "delete")


class BatchDeath(Callback):
    def __init__(self, death: Death) -> None:
        super().__init__()
        self.death = death

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.death.at("batch")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.death.at("epoch")

    def on_test_end(self, logs: Any = None) -> None:
        self.death.at("validation")


def make_model() -> Any:
    layers = unidl.layers
    model = unidl.Sequential(
        [
            unidl.Input((6,)), layers.GaussianNoise(0.1), layers.Dense(8, activation="relu"),
            layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(3, activation="softmax"),
        ]
    )  # fmt: skip
    optimizer = unidl.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9, clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(folder: Path, backup: dict[str, Any] | None, death: Death, started: Any) -> None:
    """The script of somebody who starts it again and again until it ends; it leaves ``result.npz``."""
    unidl.utils.set_random_seed(4)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(52, 6)).astype("float32")
    y = (x.sum(1) > 0).astype("int32") + (x[:, 0] > 1)
    model = make_model()
    callbacks = [
        SwapEMAWeights(swap_on_epoch=True), EarlyStopping(patience=30, restore_best_weights=True),
        ReduceLROnPlateau(patience=1, factor=0.7), LearningRateScheduler(lambda epoch, rate: rate * 0.98),
        ModelCheckpoint(folder / "best.safetensors", save_best_only=True, save_weights_only=True),
        CSVLogger(folder / "log.csv"),
    ]  # fmt: skip
    if backup is not None:
        callbacks.append(BackupAndRestore(folder / "backup", delete_checkpoint=False, **backup))
    started()
    history = model.fit(
        x, y, batch_size=7, epochs=6, validation_split=0.2, verbose=0, callbacks=[*callbacks, BatchDeath(death)]
    )
    arrays = [*model.get_weights(), *map(active.to_numpy, model.optimizer.variables)]
    arrays += [active.to_numpy(v) for v in model.metrics_variables]
    np.savez(folder / "result.npz", *arrays, text=json.dumps([history.epoch, history.history]))


def live(folder: Path, backup: dict[str, Any] | None, kind: str | None, number: float) -> str:
    """Train in a child; "end", or "killed"."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            death = Death(kind or "never", int(number))
            death.watch_writing()
            try:
                train(folder, backup, death, lambda: os.write(write, b"!"))
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
        os._exit(code)
    os.close(write)
    if kind == "time":
        select.select([read], [], [], 60)
        time.sleep(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(read)
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else f"signal {os.WTERMSIG(status)}"
    return "end" if os.WEXITSTATUS(status) == 0 else "failed"


if __name__ == "__main__":
    warnings.simplefilter("error", UserWarning)
    for line in sys.stdin:
        given = json.loads(line)
        print(live(Path(given["folder"]), given["backup"], given.get("kind"), given.get("number", 0)), flush=True)
