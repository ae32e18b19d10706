"""Which way does the pitch go? A transformer encoder classifies noisy signals.

    UNIDL_BACKEND=torch python examples/timeseries.py

The signals are made up: an oscillation that begins somewhere, with any phase, whose pitch stays, rises or falls, under
noise. The encoder looks at all pieces of a signal at once. Only the import line would differ with Keras.
"""

from __future__ import annotations

import os

import numpy as np

import unidl as keras
from unidl import layers

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
SIGNALS, EPOCHS = (1200, 6) if FAST else (6000, 30)
LENGTH, CLASSES = 96, ["stays", "rises", "falls"]

keras.utils.set_random_seed(7)


def signals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Signals (count, LENGTH, 1), each with mean 0 and deviation 1, and their classes."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 3, count)
    slope = np.array([0.0, 1.0, -1.0])[kinds] * random.uniform(0.6, 1.0, count)
    time = np.linspace(0, 1, LENGTH)
    pitch = random.uniform(6, 9, (count, 1)) * (1 + slope[:, None] * (time - 0.5))
    phase = 2 * np.pi * (np.cumsum(pitch, 1) / LENGTH + random.random((count, 1)))
    x = np.sin(phase) * (time > random.uniform(0, 0.2, (count, 1))) + 0.3 * random.standard_normal((count, LENGTH))
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    return x[..., None].astype("float32"), kinds.astype("int32")


def encoder(x, width: int, heads: int, rate: float):
    """Attention and a network for each place, each with a way around it."""
    h = layers.LayerNormalization(epsilon=1e-6)(x)
    h = layers.MultiHeadAttention(key_dim=width // heads, num_heads=heads, dropout=rate)(h, h)
    x = layers.Add()([x, layers.Dropout(rate)(h)])
    h = layers.LayerNormalization(epsilon=1e-6)(x)
    h = layers.Conv1D(2 * width, 1, activation="relu")(h)
    h = layers.Conv1D(width, 1)(layers.Dropout(rate)(h))
    return layers.Add()([x, h])


inputs = keras.Input((LENGTH, 1))
h = layers.Conv1D(32, 8, strides=4, padding="same", activation="relu")(inputs)  # pieces of a signal
for _ in range(2):
    h = encoder(h, 32, heads=4, rate=0.05)
h = layers.GlobalAveragePooling1D(data_format="channels_first")(h)  # over the channels: a number for each piece
h = layers.Dense(48, activation="relu")(h)
outputs = layers.Dense(len(CLASSES), activation="softmax")(layers.Dropout(0.1)(h))
model = keras.Model(inputs, outputs, name="ear")

x, y = signals(SIGNALS, 1)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
stop = keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True)
model.fit(x, y, validation_split=0.2, batch_size=32, epochs=EPOCHS, callbacks=[stop], verbose=2)

x, y = signals(400, 2)
_, accuracy = model.evaluate(x, y, verbose=0)
answers = model.predict(x, verbose=0).argmax(-1)
for kind, name in enumerate(CLASSES):
    row = ", ".join(f"{CLASSES[a]} {int(((answers == a) & (y == kind)).sum())}" for a in range(3))
    print(f"of {int((y == kind).sum())} signals whose pitch {name}, it was said: {row}")
print(f"backend {keras.backend.backend()}: test accuracy {accuracy:.3f}")
