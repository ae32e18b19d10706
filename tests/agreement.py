"""Trains small nets from one seed and prints their losses as JSON: run once for each engine.

usage: python tests/agreement.py   (with UNIDL_BACKEND set)
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

import unidl
from unidl import layers, utils

STEPS = 20


def nets() -> dict[str, tuple[unidl.Model, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 5, size=160).astype("int32")
    mlp = unidl.Sequential([unidl.Input((12,)), layers.Dense(16, "tanh"), layers.Dense(16, "relu"), layers.Dense(5)])
    cnn = unidl.Sequential(
        [
            unidl.Input((9, 9, 2)),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )
    lstm = unidl.Sequential(
        [unidl.Input((7,), dtype="int32"), layers.Embedding(20, 8, mask_zero=True), layers.LSTM(8), layers.Dense(5)]
    )
    dropout = unidl.Sequential(
        [unidl.Input((12,)), layers.Dense(16, "relu"), layers.Dropout(0.3), layers.Dense(16, "relu"), layers.Dense(5)]
    )
    words = rng.integers(1, 20, size=(160, 7)).astype("int32")
    words[::3, 5:] = 0
    vectors = rng.normal(size=(160, 12)).astype("float32")
    return {
        "mlp": (mlp, vectors, labels),
        "cnn": (cnn, rng.normal(size=(160, 9, 9, 2)).astype("float32"), labels),
        "lstm": (lstm, words, labels),
        "dropout": (dropout, vectors, labels),
    }


class Losses(unidl.callbacks.Callback):
    """Keeps the running loss after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.values.append((logs or {})["loss"])


def run() -> dict[str, dict[str, object]]:
    """For each net a digest of its initial weights, and the losses of the first steps."""
    results: dict[str, dict[str, object]] = {}
    utils.set_random_seed(1)
    for name, (model, x, y) in nets().items():
        digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
        model.compile(
            unidl.optimizers.SGD(0.1),
            unidl.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        losses = Losses()
        model.fit(x, y, batch_size=16, epochs=STEPS // 10, verbose=0, callbacks=[losses])
        results[name] = {"weights": digest, "losses": losses.values[:STEPS]}
    return results


if __name__ == "__main__":
    print(json.dumps(run()))
