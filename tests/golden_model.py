"""The model in the golden files, and what it is asked: see scripts/write_golden.py. It must never change."""

from __future__ import annotations

from typing import Any

import numpy as np

import unidl
from unidl import layers

DATA = {
    "words": np.array([[1, 2, 0, 0], [3, 1, 2, 0], [4, 4, 1, 2], [2, 0, 0, 0]], "int32"),
    "sizes": np.array([[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0], [0.0, 1.0]], "float32"),
}


def build() -> Any:
    words, sizes = unidl.Input((4,), dtype="int32", name="words"), unidl.Input((2,), name="sizes")
    x = layers.Embedding(5, 3, mask_zero=True)(words)
    x = layers.Bidirectional(layers.LSTM(2))(x)
    y = layers.Normalization(mean=[0.5, 0.25], variance=[1.0, 4.0])(sizes)
    x = layers.BatchNormalization(momentum=0.5)(layers.Concatenate()([x, y]))
    return unidl.Model({"words": words, "sizes": sizes}, layers.Dense(2, name="scores")(x))
