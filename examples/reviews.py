"""Is this review kind? A bidirectional LSTM on sentences whose words only count together.

    UNIDL_BACKEND=mxnet python examples/reviews.py

The reviews are made up: remarks about parts of a film, each praising or blaming, some of them turned around ("far from
dull"). A review is kind if it praises more than it blames. Counting words is not enough for that, as the model of
counts, trained on the same reviews, shows. Only the import line would differ with Keras.
"""

from __future__ import annotations

import os

import numpy as np

import unidl as keras
from unidl import layers

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
REVIEWS, EPOCHS = (1600, 5) if FAST else (6000, 6)

PARTS = ["plot", "script", "score", "cast", "camera", "ending", "dialogue", "pacing", "editing", "humour"]
PRAISE = ["moving", "clever", "gripping", "warm", "funny", "vivid"]
BLAME = ["dull", "clumsy", "hollow", "cold", "tedious", "muddled"]
OPENINGS = ["the {} is", "its {} is", "i found the {}", "their {} seemed"]
TURNS = ["far from", "anything but", "not at all", "never"]
STRESS = ["very", "quite", "simply", "so"]
JOINTS = ["and", "while", "but", "also"]

keras.utils.set_random_seed(5)
random = np.random.default_rng(5)


def remark(kind: bool) -> str:
    """A remark that praises, or blames."""
    turned = random.random() < 0.35
    words = PRAISE if kind != turned else BLAME
    manner = random.choice(TURNS if turned else STRESS)
    return f"{random.choice(OPENINGS).format(random.choice(PARTS))} {manner} {random.choice(words)}"


def review() -> tuple[str, int]:
    """One remark or three, and whether most of them praise."""
    remarks = random.random(random.choice([1, 3])) < 0.5
    joints = [f" {random.choice(JOINTS)} " for _ in remarks[1:]] + [""]
    text = "".join(remark(kind) + joint for kind, joint in zip(remarks, joints, strict=True))
    return text, int(remarks.mean() > 0.5)


pairs = [review() for _ in range(REVIEWS)]
words = sorted({word for text, _ in pairs for word in text.split()})
number = {word: i for i, word in enumerate(words, 1)}  # 0 is padding
x = keras.utils.pad_sequences([[number[w] for w in text.split()] for text, _ in pairs], padding="post")
y = np.array([[kind] for _, kind in pairs], "float32")
split = int(0.8 * REVIEWS)
print(f"{REVIEWS} reviews of up to {x.shape[1]} words, {len(words)} different ones; {y.mean():.0%} are kind")
print(f"for example: {pairs[0][0]!r}: {'kind' if pairs[0][1] else 'unkind'}")

inputs = keras.Input(shape=(None,), dtype="int32")
h = layers.Embedding(len(words) + 1, 24, mask_zero=True)(inputs)
h = layers.Bidirectional(layers.LSTM(24, return_sequences=True))(h)
h = layers.Bidirectional(layers.LSTM(24))(h)
outputs = layers.Dense(1, activation="sigmoid")(h)
model = keras.Model(inputs, outputs, name="critic")
model.summary()
model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy", metrics=["accuracy"])
model.fit(x[:split], y[:split], batch_size=32, epochs=EPOCHS, validation_split=0.1, verbose=2)

counts = np.stack([np.bincount(row, minlength=len(words) + 1)[1:] for row in x]).astype("float32")
counting = keras.Sequential([keras.Input((len(words),)), layers.Dense(1, activation="sigmoid")])
counting.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy", metrics=["accuracy"])
counting.fit(counts[:split], y[:split], batch_size=32, epochs=EPOCHS, verbose=0)

_, accuracy = model.evaluate(x[split:], y[split:], verbose=0)
_, counted = counting.evaluate(counts[split:], y[split:], verbose=0)
print(f"backend {keras.backend.backend()}: test accuracy {accuracy:.3f}; counting words: {counted:.3f}")
