"""Which customers come back? A table of numbers, words and categories, encoded by a `FeatureSpace`.

    UNIDL_BACKEND=torch python examples/structured.py

The table is made here: whether somebody comes back depends on the price in a bent way, on the plan, and on the plan
and the city together. One column has words that the training rows lack, as tables in use have. The feature space
learns from the training rows only; the model trains on what it puts out; then it is used on rows as they are.
"""

from __future__ import annotations

import os

import numpy as np

import unidl
from unidl import layers
from unidl.utils import FeatureSpace

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
ROWS = 800 if FAST else 4000

unidl.utils.set_random_seed(5)


def table(rows: int, seed: int, cities: tuple[str, ...]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns by name, and 1 for those who came back."""
    rng = np.random.default_rng(seed)
    columns = {
        "price": rng.uniform(5, 95, rows).astype("float32"),
        "visits": rng.poisson(4, rows).astype("float32"),
        "plan": rng.integers(1, 5, rows).astype("int32") * 100,
        "city": rng.choice(cities, rows),
        "campaign": rng.choice([f"mail-{i}" for i in range(200)], rows),
    }
    score = 2.5 * np.cos(columns["price"] / 15) + 0.25 * (columns["visits"] - 4)
    score += np.where(columns["plan"] == 300, 1.5, -0.5)
    score += np.where((columns["plan"] == 100) & (columns["city"] == "Oslo"), 3.0, 0.0)
    return columns, (score + rng.logistic(scale=0.4, size=rows) > 0).astype("int32")


train, came_back = table(ROWS, 0, ("Oslo", "Bonn", "Rome"))
later, answers = table(ROWS // 2, 1, ("Oslo", "Bonn", "Rome", "Nuuk"))

space = FeatureSpace(
    features={
        "price": FeatureSpace.float_discretized(num_bins=12),
        "visits": "float_normalized",
        "plan": "integer_categorical",
        "city": "string_categorical",
        "campaign": FeatureSpace.string_hashed(num_bins=16),
    },
    crosses=[("plan", "city")],
    crossing_dim=24,
)
space.adapt(train)
print("cities:", space.preprocessors["city"].get_vocabulary())
print("a row becomes", space(train).shape[1], "numbers")

features = space.get_encoded_features()
hidden = layers.Dense(24, activation="relu")(features)
model = unidl.Model(features, layers.Dense(1, activation="sigmoid")(layers.Dropout(0.1)(hidden)))
model.compile(unidl.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
model.fit(space(train), came_back, batch_size=64, epochs=12, verbose=0)
loss, accuracy = model.evaluate(space(later), answers, verbose=0)
print(f"commonest answer: {max(answers.mean(), 1 - answers.mean()):.3f}")
print(f"test accuracy {accuracy:.3f}")

row = {"price": 30.0, "visits": 6.0, "plan": 300, "city": "Nuuk", "campaign": "mail-7"}
chance = float(model.predict(space({k: [v] for k, v in row.items()}), verbose=0)[0, 0])
print(f"a new customer of an unknown city comes back with probability {chance:.2f}")
