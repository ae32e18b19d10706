"""A convolutional autoencoder that takes the noise off handwritten digits.

    UNIDL_BACKEND=torch python examples/denoising.py        (or tensorflow, mxnet)

The net sees digits of 8x8 pixels with much noise and is asked for the clean ones. The encoder halves the picture
twice; the decoder doubles it again with transposed convolutions. The error that is left is set beside that of the noisy
pictures.
"""

from __future__ import annotations

import os

import numpy as np
from sklearn.datasets import load_digits

import unidl
from unidl import layers

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"

unidl.utils.set_random_seed(3)

images = (load_digits().images / 16).astype("float32")[..., None]
rng = np.random.default_rng(3)
noisy = np.clip(images + rng.normal(0, 0.4, images.shape), 0, 1).astype("float32")
train, test = slice(0, 1437), slice(1437, None)

picture = unidl.Input((8, 8, 1))
x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(picture)
x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
x = layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu")(x)
x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(x)
clean = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
model = unidl.Model(picture, clean, name="denoising")
model.summary()

model.compile(optimizer=unidl.optimizers.Adam(3e-3), loss="binary_crossentropy", metrics=["mean_absolute_error"])
model.fit(
    noisy[train],
    images[train],
    batch_size=64,
    epochs=6 if FAST else 40,
    validation_data=(noisy[test], images[test]),
    verbose=2,
)

restored = model.predict(noisy[test], verbose=0)


def show(*pictures: np.ndarray) -> str:
    """Pictures side by side, darker characters for larger values."""
    rows = (np.concatenate([p[..., 0], np.zeros((8, 2), "float32")], 1) for p in pictures)
    return "\n".join("".join(" .:-=+*#%@"[int(9 * v)] for v in row) for row in np.concatenate(list(rows), 1))


print(show(images[test][0], noisy[test][0], restored[0]))
before, after = (float(np.abs(p - images[test]).mean()) for p in (noisy[test], restored))
print(f"backend {unidl.backend.backend()}: mean error of a pixel {before:.4f} with noise, {after:.4f} without")
