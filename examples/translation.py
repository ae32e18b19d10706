"""Dates as people write them, translated to ISO form by a small encoder and decoder with attention.

    UNIDL_BACKEND=tensorflow python examples/translation.py

"tuesday, 5 march 1974" becomes "1974-03-05". The data are made by a generator. The encoder reads characters of
lines of different lengths; the decoder writes one character after the other, seeing what it has written so far
(`use_causal_mask`) and, by attention, the line. Padding is masked, on both ways.
"""

from __future__ import annotations

import datetime
import os
from typing import Any

import numpy as np

import unidl
from unidl import layers, ops

FAST = os.environ.get("UNIDL_EXAMPLE_FAST") == "1"
COUNT, EPOCHS = (2400, 9) if FAST else (9000, 14)
FORMS = ["{d} {month} {y}", "{month} {d}, {y}", "{weekday}, {d} {month} {y}", "{d}/{m}/{y}", "{mon} {d} {y}"]
WIDTH, HEADS = 48, 4

unidl.utils.set_random_seed(4)


def make(count: int) -> tuple[list[str], list[str]]:
    """Lines, and the same dates in ISO form."""
    random = np.random.default_rng(4)
    first = datetime.date(1950, 1, 1).toordinal()
    lines, wanted = [], []
    for day in random.integers(first, first + 29000, count):
        date = datetime.date.fromordinal(int(day))
        month, weekday = date.strftime("%B").lower(), date.strftime("%A").lower()
        form = FORMS[int(random.integers(len(FORMS)))]
        lines.append(form.format(d=date.day, m=date.month, y=date.year, month=month, mon=month[:3], weekday=weekday))
        wanted.append(date.isoformat())
    return lines, wanted


class Positions(layers.Layer):  # type: ignore[misc]
    """Characters as vectors, with the place of each added; 0 is padding."""

    def __init__(self, characters: int, length: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.characters = layers.Embedding(characters, width, mask_zero=True)
        self.places = layers.Embedding(length, width)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self.characters.build(input_shape)
        self.places.build((None,))

    def call(self, tokens: Any) -> Any:
        return ops.add(self.characters(tokens), self.places(ops.arange(ops.shape(tokens)[1])))

    def compute_mask(self, tokens: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(tokens, 0)


def block(x: Any, name: str, memory: Any = None) -> Any:
    """Attention inside `x`, over `memory` if there is one, then two dense layers; each added to its input."""
    own = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}_self")
    x = layers.LayerNormalization()(layers.Add()([x, own(x, x, use_causal_mask=memory is not None)]))
    if memory is not None:
        across = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}_across")(x, memory)
        x = layers.LayerNormalization()(layers.Add()([x, across]))
    wide = layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation="gelu")(x))
    return layers.LayerNormalization()(layers.Add()([x, wide]))


lines, wanted = make(COUNT)
letters = sorted({c for text in (*lines, *wanted) for c in text})
number = {c: i for i, c in enumerate(letters, 2)}  # 0 is padding, 1 begins the output
LENGTH, OUT = max(map(len, lines)), len("2000-01-01")
source = unidl.utils.pad_sequences([[number[c] for c in t] for t in lines], maxlen=LENGTH, padding="post")
target = np.array([[number[c] for c in t] for t in wanted], "int32")
written = np.concatenate([np.ones((COUNT, 1), "int32"), target[:, :-1]], 1)  # what was there before each character

line = unidl.Input((None,), dtype="int32", name="line")
before = unidl.Input((None,), dtype="int32", name="before")
memory = block(Positions(len(letters) + 2, LENGTH, WIDTH)(line), "encoder")
decoded = block(Positions(len(letters) + 2, OUT, WIDTH)(before), "decoder", memory)
scores = layers.Dense(len(letters) + 2)(decoded)
model = unidl.Model({"line": line, "before": before}, scores, name="translator")
model.compile(
    optimizer=unidl.optimizers.Adam(4e-3),
    loss=unidl.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["sparse_categorical_accuracy"],
)

split = COUNT - 200
data = {"line": source, "before": written}
model.fit({k: v[:split] for k, v in data.items()}, target[:split], batch_size=64, epochs=EPOCHS, verbose=2)


def translate(source: np.ndarray) -> list[str]:
    """One character after the other, always the likeliest."""
    written = np.zeros((len(source), OUT), "int32")
    written[:, 0] = 1
    for place in range(OUT):
        found = model.predict({"line": source, "before": written}, batch_size=200, verbose=0)[:, place].argmax(-1)
        if place + 1 < OUT:
            written[:, place + 1] = found
    texts = np.concatenate([written[:, 1:], found[:, None]], 1)
    return ["".join(letters[n - 2] if n > 1 else "?" for n in text) for text in texts]


found = translate(source[split:])
for text, date in list(zip(lines[split:], found, strict=True))[:4]:
    print(f"{text!r:32} {date}")
right = np.mean([a == b for a, b in zip(found, wanted[split:], strict=True)])
print(f"backend {unidl.backend.backend()}: {right:.3f} of the dates are right in all {OUT} characters")
