"""Handwritten digits: a small convolutional network, trained, tested and drawn.

    UNIDL_BACKEND=torch python examples/digits.py        (or tensorflow, mxnet)

The data are the 1797 digits of 8x8 pixels that scikit-learn carries (E. Alpaydin, C. Kaynak, UCI, 1998). Every engine
starts from the same weights and sees the batches in the same order.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import unidl
from unidl import callbacks, layers

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"

unidl.utils.set_random_seed(7)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
order = np.random.default_rng(7).permutation(len(images))
train, test = order[:1437], order[1437:]

model = unidl.Sequential(
    [
        unidl.Input((8, 8, 1)),
        layers.Conv2D(32, 3, padding="same", use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.Activation("relu"),
        layers.Conv2D(32, 3, padding="same", use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.Activation("relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(0.25),
        layers.Dense(10, activation="softmax"),
    ],
    name="digits",
)
model.summary()
model.compile(optimizer=unidl.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    images[train],
    labels[train],
    batch_size=64,
    epochs=4 if FAST else 30,
    validation_split=0.1,
    callbacks=[
        callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=3),
        callbacks.EarlyStopping(monitor="val_loss", patience=8, restore_best_weights=True),
    ],
)

loss, accuracy = model.evaluate(images[test], labels[test], verbose=0)
picture = Path("build") / f"digits-{unidl.backend.backend()}.png"
picture.parent.mkdir(exist_ok=True)
history.plot(picture)
print(f"backend {unidl.backend.backend()}: test accuracy {accuracy:.4f} on {len(test)} digits, loss {loss:.4f}")
print(f"training curves: {picture.resolve()}")
