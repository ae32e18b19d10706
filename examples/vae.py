"""A variational autoencoder with a training step of its own, written once for all engines.

    UNIDL_BACKEND=torch python examples/vae.py        (or tensorflow, mxnet)

The encoder describes a digit by the mean and the variance of two numbers; the decoder draws it again from a sample of
them. The loss is what the picture lacks, plus the divergence of the two numbers from a standard normal (Kingma &
Welling, arXiv:1312.6114). `train_step` asks `unidl.value_and_grad` for the gradients, and so runs on every engine as it
is.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import unidl
from unidl import layers, ops

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
LATENT = 2

unidl.utils.set_random_seed(5)


class Sampling(layers.Layer):
    """A sample of a normal distribution, given its mean and the logarithm of its variance."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed_generator = unidl.random.SeedGenerator(5)

    def call(self, inputs: Any) -> Any:
        mean, log_variance = inputs
        noise = unidl.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


def make_encoder() -> unidl.Model:
    picture = unidl.Input((8, 8, 1))
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(picture)
    x = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Dense(32, activation="relu")(layers.Flatten()(x))
    mean, log_variance = layers.Dense(LATENT, name="mean")(x), layers.Dense(LATENT, name="log_variance")(x)
    return unidl.Model(picture, [mean, log_variance, Sampling()([mean, log_variance])], name="encoder")


def make_decoder() -> unidl.Model:
    code = unidl.Input((LATENT,))
    x = layers.Reshape((2, 2, 64))(layers.Dense(2 * 2 * 64, activation="relu")(code))
    x = layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(x)
    return unidl.Model(code, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x), name="decoder")


class VAE(unidl.Model):
    """Encoder and decoder, trained together."""

    def __init__(self, encoder: unidl.Model, decoder: unidl.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.loss_tracker = unidl.metrics.Mean(name="loss")
        self.picture_tracker = unidl.metrics.Mean(name="picture_loss")
        self.divergence_tracker = unidl.metrics.Mean(name="divergence")

    @property
    def metrics(self) -> list[Any]:
        return [self.loss_tracker, self.picture_tracker, self.divergence_tracker]

    def losses_of(self, pictures: Any) -> tuple[Any, Any, Any]:
        mean, log_variance, code = self.encoder(pictures, training=True)
        drawn = self.decoder(code, training=True)
        missing = ops.sum(unidl.losses.binary_crossentropy(pictures, drawn), axis=(1, 2))
        divergence = -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=1)
        picture_loss, divergence = ops.mean(missing), ops.mean(divergence)
        return picture_loss + divergence, picture_loss, divergence

    def train_step(self, data: Any) -> dict[str, Any]:
        pictures = data[0] if isinstance(data, tuple) else data
        parts: list[Any] = []

        def loss() -> Any:
            parts[:] = self.losses_of(pictures)
            return parts[0]

        _, gradients = unidl.value_and_grad(loss, self.trainable_variables)()
        self.optimizer.apply(gradients, self.trainable_variables)
        for tracker, value in zip(self.metrics, parts, strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.metrics}


images = (load_digits().images / 16).astype("float32")[..., None]
model = VAE(make_encoder(), make_decoder())
model.compile(optimizer=unidl.optimizers.Adam(2e-3))
history = model.fit(images, batch_size=128, epochs=5 if FAST else 60, verbose=2)

# Digits that lie on a grid over the plane of the two numbers.
grid = np.array([[x, y] for y in np.linspace(-1.5, 1.5, 3) for x in np.linspace(-1.5, 1.5, 5)], "float32")
drawn = model.decoder.predict(grid, verbose=0)[..., 0]
for row in range(3):
    lines = np.concatenate(list(drawn[5 * row : 5 * row + 5]), axis=1)
    print("\n".join("".join(" .:-=+*#%@"[int(9 * v)] for v in line) for line in lines))

first, last = history.history["loss"][0], history.history["loss"][-1]
print(f"backend {unidl.backend.backend()}: loss {first:.2f} in the first epoch, {last:.2f} in the last")
