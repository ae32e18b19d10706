"""Segmentation in the manner of a U-Net: which pixels belong to a disc, and which to a square?

    UNIDL_BACKEND=torch python examples/segmentation.py        (or tensorflow, mxnet)

Pictures of 32x32 pixels with noise are generated. On the way down the net halves the picture and sees more of it at
once; on the way up it doubles it again, and joins what it knew at that size (Ronneberger et al., arXiv:1505.04597).
Convolutions are separable on the way down and transposed on the way up.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import unidl
from unidl import layers

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
SIZE, CLASSES = 32, 3

unidl.utils.set_random_seed(11)


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures of one disc and one square, and the class of each pixel (0: neither)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    truth = np.zeros((count, SIZE, SIZE), "int32")
    for mask in truth:
        (y, x), radius = rng.integers(7, SIZE - 7, 2), rng.integers(4, 8)
        mask[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = 1
        (y, x), side = rng.integers(2, SIZE - 14, 2), rng.integers(6, 12)
        mask[y : y + side, x : x + side] = 2
    shade = rng.uniform(0.5, 1.0, (count, 1, 1)) * (truth > 0)
    return (shade + rng.normal(0, 0.2, truth.shape)).astype("float32")[..., None], truth


def down(x: Any, filters: int) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    return layers.MaxPooling2D(2)(x)


def up(x: Any, beside: Any, filters: int) -> Any:
    x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    return layers.Concatenate()([x, beside])


picture = unidl.Input((SIZE, SIZE, 1))
whole = layers.Conv2D(16, 3, padding="same", activation="relu")(picture)
half = down(whole, 32)
quarter = down(half, 48)
eighth = down(quarter, 64)
x = up(eighth, quarter, 48)
x = up(x, half, 32)
x = up(x, whole, 16)
model = unidl.Model(picture, layers.Conv2D(CLASSES, 3, padding="same", activation="softmax")(x), name="unet")
model.summary()

x_train, y_train = pictures(256 if FAST else 1500, seed=1)
x_test, y_test = pictures(64 if FAST else 200, seed=2)
model.compile(
    optimizer=unidl.optimizers.Adam(4e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy", unidl.metrics.MeanIoU(CLASSES, sparse_y_pred=False, name="iou")],
)
model.fit(x_train, y_train, batch_size=32, epochs=5 if FAST else 12, validation_data=(x_test, y_test), verbose=2)

scores = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
found = model.predict(x_test[:1], verbose=0).argmax(-1)[0]
print("\n".join("".join(".o#"[c] for c in row) for row in found[::2]))
nothing = float((y_test == 0).mean())
print(
    f"backend {unidl.backend.backend()}: {scores['accuracy']:.4f} of the pixels right (all background: {nothing:.4f})"
)
print(f"mean intersection over union {scores['iou']:.4f}")
