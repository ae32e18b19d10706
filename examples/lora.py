"""Fine-tuning with LoRA: a network that reads digits learns to read them turned, with few new numbers.

    UNIDL_BACKEND=torch python examples/lora.py        (or tensorflow, mxnet)

A network is trained on the 1797 digits that scikit-learn carries. Then all its weights are frozen, and only a product
of two thin matrices beside each large one is trained on digits turned by a right angle (Hu et al., arXiv:2106.09685).
The file that is saved holds the merged weights: the plain network reads it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import unidl
from unidl import layers

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
EPOCHS = 12 if FAST else 30

unidl.utils.set_random_seed(5)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
turned = np.rot90(images, axes=(1, 2)).copy()
order = np.random.default_rng(5).permutation(len(images))
train, test = order[:1437], order[1437:]


def network() -> Any:
    model = unidl.Sequential(
        [
            unidl.Input((8, 8, 1)),
            layers.Conv2D(24, 3, padding="same", activation="relu", name="see"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu", name="think"),
            layers.Dense(10, name="say"),
        ]
    )
    loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(unidl.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
    return model


def accuracy(model: Any, x: np.ndarray) -> float:
    return float(model.evaluate(x[test], labels[test], verbose=0)[1])


model = network()
model.fit(images[train], labels[train], batch_size=64, epochs=EPOCHS, verbose=0)
print(f"upright: {accuracy(model, images):.3f}, turned: {accuracy(model, turned):.3f}")

base = {layer.name: np.array(layer.get_weights()[0]) for layer in model.layers if layer.name in ("see", "think", "say")}
for layer in model.layers:
    if hasattr(layer, "enable_lora"):
        layer.bias.trainable = False
        layer.enable_lora(rank=4, lora_alpha=8)
model.compile(unidl.optimizers.Adam(1e-2), model.loss, metrics=["accuracy"])
count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
model.fit(turned[train], labels[train], batch_size=64, epochs=EPOCHS, verbose=0)
print(f"trained {count} of {model.count_params()} numbers; turned: {accuracy(model, turned):.3f}")

kept = all(np.array_equal(model.get_layer(name).get_weights()[0], weight) for name, weight in base.items())
with tempfile.TemporaryDirectory() as folder:
    model.save_weights(Path(folder) / "turned.weights.safetensors")
    plain = network()
    plain.load_weights(Path(folder) / "turned.weights.safetensors")
change = float(np.abs(plain.predict(turned[test], verbose=0) - model.predict(turned[test], verbose=0)).max())
print(f"the frozen weights are as they were: {kept}; merged into a plain network, outputs change by {change:.1e}")
print(f"backend {unidl.backend.backend()}: turned digits after merging {accuracy(plain, turned):.3f}")
