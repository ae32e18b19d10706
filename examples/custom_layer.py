"""A layer with everything a layer may have, written once: weights, state, randomness, `training` and a mask.

    UNIDL_BACKEND=mxnet python examples/custom_layer.py

The same model is trained twice: recorded and replayed, as `fit` does it, and with `run_eagerly=True`, where every line
of `call` runs at every step. Both give the same losses, weights, outputs and gradients, and so does every engine: the
fingerprint at the end is the same number for number. (The noise as well, because of UNIDL_PORTABLE_RANDOM.)
"""

from __future__ import annotations

import os

os.environ.setdefault("UNIDL_PORTABLE_RANDOM", "1")

import numpy as np

import unidl
from unidl import layers, ops


class AttentionPool(layers.Layer):
    """One vector from a sequence: (batch, time, features) to (batch, features), a weighted mean over time.

    Which steps weigh how much is learned. Padding, where the mask is False, weighs nothing. Features are first centred
    by a moving average, and in training the scores are noisy, so that no step is relied on alone.
    """

    def __init__(self, units=8, noise=0.5, momentum=0.9, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.noise = noise
        self.momentum = momentum
        self.generator = unidl.random.SeedGenerator(seed)

    def build(self, input_shape):
        features = input_shape[-1]
        self.kernel = self.add_weight((features, self.units), name="kernel")
        self.query = self.add_weight((self.units, 1), name="query")
        self.center = self.add_weight((features,), "zeros", trainable=False, name="center")
        self.steps = self.add_weight((), "zeros", dtype="int32", trainable=False, name="steps")

    def call(self, inputs, training=None, mask=None):
        counts = ops.ones_like(inputs[:, :, :1])
        if mask is not None:
            counts = counts * ops.cast(ops.expand_dims(mask, -1), "float32")
        if training:
            mean = ops.sum(inputs * counts, (0, 1)) / ops.sum(counts)
            self.center.assign(self.momentum * self.center + (1 - self.momentum) * ops.stop_gradient(mean))
            self.steps.assign_add(1)
        centred = inputs - self.center
        scores = ops.matmul(ops.tanh(ops.matmul(centred, self.kernel)), self.query)
        if training:
            scores = scores + self.noise * unidl.random.normal(ops.shape(scores), seed=self.generator)
        weights = ops.softmax(ops.where(counts > 0, scores, -1e4), 1)
        return ops.sum(centred * weights, 1)


def sequences(count=256, longest=12, seed=0):
    """Sequences of the tokens 1 to 9, padded with 0, and whether 7 is among them."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 10, (count, longest)).astype("int32")
    tokens[np.arange(longest) >= rng.integers(3, longest + 1, (count, 1))] = 0
    return tokens, (tokens == 7).any(1).astype("float32")[:, None]


def make():
    """A model, the same at every call and on every engine."""
    unidl.utils.set_random_seed(1)
    x = layers.Input((None,), dtype="int32")
    embedded = layers.Embedding(10, 6, mask_zero=True, name="embed")(x)
    pooled = AttentionPool(seed=5, name="pool")(embedded)
    return unidl.Model(x, layers.Dense(1, activation="sigmoid", name="head")(pooled))


def gradients(model, x, y):
    """The loss, and its gradient by every trained weight."""

    def loss():
        return ops.mean(ops.binary_crossentropy(ops.convert_to_tensor(y), model(x)))

    return unidl.value_and_grad(loss, model.trainable_variables)()


x, y = sequences()
results = {}
for eagerly in (False, True):
    model = make()
    model.compile(unidl.optimizers.SGD(1.0), "binary_crossentropy", run_eagerly=eagerly)
    losses = model.fit(x, y, batch_size=32, epochs=5, shuffle=False, verbose=0).history["loss"]
    loss, grads = gradients(model, x[:32], y[:32])
    results[eagerly] = {
        "losses": np.array(losses),
        "outputs": model.predict(x[:32], verbose=0),
        "call": unidl.ops.convert_to_numpy(model(x[:32])),
        "longer padding": model.predict(np.pad(x[:32], ((0, 0), (0, 3))), verbose=0),
        "center": unidl.ops.convert_to_numpy(model.get_layer("pool").center),
        "steps": unidl.ops.convert_to_numpy(model.get_layer("pool").steps),
        **{f"gradient of {v.path}": unidl.ops.convert_to_numpy(g) for v, g in zip(model.trainable_variables, grads)},
    }

recorded, eager = results[False], results[True]
for (name, a), b in zip(recorded.items(), eager.values(), strict=True):
    assert np.allclose(a, b, rtol=1e-4, atol=1e-6), f"{name}: {a} recorded, {b} eagerly"
for name in ("call", "longer padding"):
    assert np.allclose(recorded["outputs"], recorded[name], rtol=1e-4, atol=1e-6), name

print(f"losses: {', '.join(f'{v:.4f}' for v in recorded['losses'])}")
print(f"steps counted: {int(recorded['steps'])}; recorded and eager runs agree")
print("fingerprint:", " ".join(f"{np.abs(value).sum():.4g}" for value in recorded.values()))
