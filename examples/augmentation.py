"""Image layers in a small classifier of handwritten digits: they act in training only.

Run: ``UNIDL_BACKEND=torch python examples/augmentation.py``
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.datasets import load_digits

import unidl
from unidl import layers


def classifier() -> unidl.Model:
    """Pictures of 8 x 8 gray pixels from 0 to 16, moved and turned a little, then convolutions."""
    return unidl.Sequential(
        [
            unidl.Input((8, 8, 1)),
            layers.RandomTranslation(0.1, 0.1, fill_mode="constant"),
            layers.RandomRotation(0.03, fill_mode="constant"),
            layers.RandomBrightness(0.1, value_range=(0, 16)),
            layers.Rescaling(1 / 16),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def main(epochs: int = 8) -> float:
    unidl.utils.set_random_seed(1)
    digits = load_digits()
    x, y = digits.images[..., None].astype("float32"), digits.target.astype("int32")
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:1400], order[1400:]
    model = classifier()
    loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(unidl.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    model.fit(x[train], y[train], batch_size=50, epochs=epochs, verbose=0)
    accuracy = float(model.evaluate(x[test], y[test], verbose=0)[1])
    print(f"accuracy on digits that were not seen: {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    main(parser.parse_args().epochs)
