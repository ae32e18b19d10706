"""Keras's side of test_saving.py: ``python keras_archives.py FOLDER`` writes models, and reads those of unidl."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np


def models(k: Any) -> dict[str, Any]:
    """The same models made by Keras or unidl, as `k`."""
    layers = k.layers
    stack = [
        k.Input((8, 8, 2)), layers.Conv2D(3, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(2),
        layers.Flatten(), layers.Dropout(0.2), layers.Dense(2),
    ]  # fmt: skip
    words = k.Input((5,), dtype="int32", name="words")
    x = layers.Embedding(7, 4)(words)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.LayerNormalization()(x * 2.0)
    reader = k.Model(words, {"score": layers.Dense(2, name="score")(layers.GlobalAveragePooling1D()(x))})
    return {"stack": k.Sequential(stack, name="stack"), "reader": reader}


def data(name: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.random((4, 8, 8, 2)).astype("float32") if name == "stack" else rng.integers(0, 7, (4, 5)).astype("int32")


def trained(model: Any, name: str) -> Any:
    target: Any = np.ones((4, 2), "float32")
    model.compile("adam", "mse")
    model.fit(data(name), target if name == "stack" else {"score": target}, epochs=2, verbose=0)
    return model


WEIGHTS = (".weights.h5", ".weights.json")


def write(model: Any, folder: Path, name: str) -> None:
    """The model in each of the forms that Keras and unidl share."""
    model.save(folder / f"{name}.keras")
    model.save(folder / name, zipped=False)
    model.save(folder / f"{name}.h5")  # after which Keras has forgotten its optimizer
    model.save_weights(folder / f"{name}.weights.h5")
    model.save_weights(folder / f"{name}.weights.json", max_shard_size=4e-7)


def predicted(model: Any, name: str) -> np.ndarray:
    found = model.predict(data(name), verbose=0)
    return found["score"] if isinstance(found, dict) else found


def main(folder: Path) -> None:
    report = {}
    for name, model in models(keras).items():
        write(trained(model, name), folder, f"keras_{name}")
        np.save(folder / f"keras_{name}.npy", predicted(model, name))
        theirs = keras.saving.load_model(folder / f"unidl_{name}.keras")
        want = np.load(folder / f"unidl_{name}.npy")
        differences = [np.abs(predicted(theirs, name) - want).max()]
        for end in WEIGHTS:
            theirs.set_weights([w * 0 for w in theirs.get_weights()])
            theirs.load_weights(folder / f"unidl_{name}{end}")
            differences.append(np.abs(predicted(theirs, name) - want).max())
        for whole in (folder / f"unidl_{name}.h5", folder / f"unidl_{name}"):
            differences.append(np.abs(predicted(keras.saving.load_model(whole), name) - want).max())
        report[name] = [float(max(differences)), int(theirs.optimizer.iterations)]
    (folder / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
