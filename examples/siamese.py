"""Do two pictures show the same digit? A siamese network with the contrastive loss.

    UNIDL_BACKEND=mxnet python examples/siamese.py

One encoder sees both pictures of a pair and maps each to a point: same digits are drawn together, different ones are
pushed apart up to a margin (Hadsell, Chopra and LeCun, CVPR 2006). It learns from pairs of the digits 0 to 7, and is
tested on pictures that it has not seen, and on the digits 8 and 9, which it has never seen at all.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import unidl
from unidl import layers, ops

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
EPOCHS = 8 if FAST else 25
MARGIN = 1.0

unidl.utils.set_random_seed(6)
random = np.random.default_rng(6)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)


def pairs(members: np.ndarray, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """`count` pairs of pictures, half of them of the same digit, and whether they are."""
    first = random.choice(members, count)
    same = np.arange(count) % 2 == 0
    second = np.array(
        [random.choice(members[(labels[members] == labels[i]) == s]) for i, s in zip(first, same, strict=True)]
    )
    return [images[first], images[second]], same.astype("float32")[:, None]


class Distance(layers.Layer):  # type: ignore[misc]
    """The Euclidean distance of two points: [(batch, n), (batch, n)] to (batch, 1)."""

    def call(self, points: Any) -> Any:
        square = ops.sum(ops.square(ops.subtract(points[0], points[1])), axis=-1, keepdims=True)
        return ops.sqrt(ops.maximum(square, 1e-7))


def contrastive(same: Any, distance: Any) -> Any:
    """Squared distance of same digits; for others the square of what lacks to the margin."""
    near = ops.multiply(same, ops.square(distance))
    far = ops.multiply(ops.subtract(1.0, same), ops.square(ops.relu(ops.subtract(MARGIN, distance))))
    return ops.mean(ops.add(near, far), axis=-1)


def right(same: Any, distance: Any) -> Any:
    """Whether half the margin tells the pairs apart."""
    return ops.cast(ops.equal(ops.less(distance, MARGIN / 2), ops.cast(same, "bool")), "float32")


encoder = unidl.Sequential(
    [
        unidl.Input((8, 8, 1)),
        layers.Conv2D(24, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(48, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(16),
    ],
    name="encoder",
)
left, other = unidl.Input((8, 8, 1), name="left"), unidl.Input((8, 8, 1), name="right")
model = unidl.Model([left, other], Distance()([encoder(left), encoder(other)]), name="siamese")
model.compile(unidl.optimizers.Adam(2e-3), loss=contrastive, metrics=[right])

known = random.permutation(np.flatnonzero(labels < 8))
train, test, never = known[:1100], known[1100:], np.flatnonzero(labels >= 8)
x, y = pairs(train, 2000 if FAST else 6000)
model.fit(x, y, batch_size=64, epochs=EPOCHS, verbose=2)

for what, members in (("new pictures", test), ("digits never seen", never)):
    x, y = pairs(members, 600)
    distance, same = model.predict(x, verbose=0), y == 1
    found = np.mean((distance < MARGIN / 2) == same)
    near, far = distance[same].mean(), distance[~same].mean()
    print(f"{what}: same {near:.2f} apart, different {far:.2f}; right {found:.3f}")
print(f"backend {unidl.backend.backend()}: the encoder has {encoder.count_params()} numbers, used twice")
