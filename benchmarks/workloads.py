"""The six training workloads: their data, and their models as Keras users write them.

`model` takes the module it builds with, `unidl` or `keras`: the very same code makes both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Workload(NamedTuple):
    """Sizes of one workload.

    Attributes:
        batch: samples a step.
        steps: training steps in a measured epoch, so that one takes a second or less.
        shape: of one sample.
        classes: number of classes; 1 for a yes or no.
        tokens: size of the vocabulary if samples are token numbers, else 0.
    """

    batch: int
    steps: int
    shape: tuple[int, ...]
    classes: int
    tokens: int = 0


WORKLOADS = {
    "tiny": Workload(32, 200, (20,), 10),
    "mlp": Workload(128, 40, (784,), 10),
    "cnn": Workload(128, 8, (28, 28, 1), 10),
    "lstm": Workload(64, 20, (80,), 1, 5000),
    "transformer": Workload(32, 8, (64,), 10, 5000),
    "resnet": Workload(64, 3, (32, 32, 3), 10),
}
HIDDEN = {"tiny": (32, 32), "mlp": (512, 512)}
WIDTH, HEADS, INNER, BLOCKS, DROPOUT = 128, 4, 256, 2, 0.1
RESNET = ((16, 1), (32, 2), (64, 2))  # channels and first stride of each stage of three blocks


def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels that can be learnt, the same at each call."""
    work, rng = WORKLOADS[name], np.random.default_rng(0)
    samples = work.batch * work.steps
    if work.tokens:
        x = rng.integers(0, work.tokens, (samples, *work.shape)).astype("int32")
        score = (x % 7).sum(1)
    else:
        x = rng.normal(size=(samples, *work.shape)).astype("float32")
        score = np.abs(10 * x.reshape(samples, -1)[:, :20].sum(1)).astype("int64")
    if work.classes == 1:
        return x, (score[:, None] > np.median(score)).astype("float32")
    return x, (score % work.classes).astype("int32")


def model(keras: Any, name: str) -> Any:
    """The compiled model of workload `name`, built with unidl or Keras."""
    work = WORKLOADS[name]
    built = {"cnn": _cnn, "lstm": _lstm, "transformer": _transformer, "resnet": _resnet}.get(name, _mlp)(keras, name)
    losses = keras.losses
    loss: Any = losses.BinaryCrossentropy if work.classes == 1 else losses.SparseCategoricalCrossentropy
    metric = "binary_accuracy" if work.classes == 1 else "accuracy"
    built.compile(keras.optimizers.Adam(), loss(from_logits=True), metrics=[metric])
    return built


def _mlp(keras: Any, name: str) -> Any:
    layers, work = keras.layers, WORKLOADS[name]
    hidden = [layers.Dense(units, activation="relu") for units in HIDDEN[name]]
    return keras.Sequential([keras.Input(work.shape), *hidden, layers.Dense(work.classes)])


def _cnn(keras: Any, name: str) -> Any:
    layers, work = keras.layers, WORKLOADS[name]
    return keras.Sequential(
        [
            keras.Input(work.shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(work.classes),
        ]
    )


def _lstm(keras: Any, name: str) -> Any:
    layers, work = keras.layers, WORKLOADS[name]
    return keras.Sequential(
        [
            keras.Input(work.shape, dtype="int32"),
            layers.Embedding(work.tokens, 64),
            layers.LSTM(64),
            layers.Dense(work.classes),
        ]
    )


def _transformer(keras: Any, name: str) -> Any:
    layers, work = keras.layers, WORKLOADS[name]

    class Positions(layers.Layer):  # type: ignore[name-defined, misc]
        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=shape[1:], initializer="uniform", name="table")

        def call(self, x: Any) -> Any:
            return x + self.table

    tokens = keras.Input(work.shape, dtype="int32")
    x = Positions()(layers.Embedding(work.tokens, WIDTH)(tokens))
    for _ in range(BLOCKS):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y)
        x = x + layers.Dropout(DROPOUT)(y)
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        y = layers.Dense(WIDTH)(layers.Dense(INNER, activation="relu")(y))
        x = x + layers.Dropout(DROPOUT)(y)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-5)(x))
    return keras.Model(tokens, layers.Dense(work.classes)(x))


def _resnet(keras: Any, name: str) -> Any:
    layers, work = keras.layers, WORKLOADS[name]

    def convolved(x: Any, channels: int, stride: int = 1, size: int = 3) -> Any:
        x = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    pictures = keras.Input(work.shape)
    x = layers.ReLU()(convolved(pictures, RESNET[0][0]))
    for channels, stride in RESNET:
        for first in (stride, 1, 1):
            y = convolved(layers.ReLU()(convolved(x, channels, first)), channels)
            if x.shape[-1] != channels:
                x = convolved(x, channels, first, size=1)
            x = layers.ReLU()(layers.add([x, y]))
    return keras.Model(pictures, layers.Dense(work.classes)(layers.GlobalAveragePooling2D()(x)))
