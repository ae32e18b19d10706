"""Runs the cases of `layer_cases` with Keras: ``python keras_oracle.py FOLDER`` (see test_keras_oracle.py)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from layer_cases import BY_NAME, SIZES, Case, array, data, make, structure


def flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [item for v in value for item in flat(v)]
    return [] if value is None else [value]


def weighted_sum(outputs: Any) -> Any:
    total = tf.constant(0.0)
    for output in flat(outputs):
        factors = np.cos(np.arange(int(np.prod(output.shape)), dtype="float32")).reshape(output.shape)
        total += tf.reduce_sum(tf.cast(output, "float32") * factors)
    return total


def results(case: Case, weights: list[np.ndarray]) -> dict[str, Any]:
    layer = make(case, keras.layers)
    inputs, tensors = data(case)
    call = lambda training: layer(inputs, **tensors, **case.flags, training=training)
    call(False)
    layer.set_weights(weights)
    found: dict[str, Any] = {
        "names": [np.array([w.name for w in layer.weights], "str")],
        "trainable": [np.array(len(layer.trainable_weights))],
        "inference": flat(call(False)),
    }
    with tf.GradientTape() as tape:
        outputs = call(True)
        loss = weighted_sum(outputs)
    found["training"] = flat(outputs)
    found["moved"] = layer.get_weights()
    variables = [w.value for w in layer.trainable_weights]
    found["gradients"] = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if case.masks is not None:
        rng = np.random.default_rng(7)
        masks = structure(case.masks, lambda s: None if s is None else array(s, SIZES, rng)) if case.masks else None
        tensors = structure_of_tensors(inputs)
        found["mask"] = flat(layer.compute_mask(tensors, structure_of_tensors(masks)))
    return found


def structure_of_tensors(value: Any) -> Any:
    if isinstance(value, list):
        return [structure_of_tensors(v) for v in value]
    return None if value is None else tf.constant(value)


def main(folder: Path) -> None:
    out = {}
    with np.load(folder / "weights.npz") as weights:
        for name in json.loads((folder / "cases.json").read_text()):
            own: list[np.ndarray] = []
            while f"{name}/{len(own)}" in weights:
                own.append(weights[f"{name}/{len(own)}"])
            try:
                found = results(BY_NAME[name], own)
            except Exception as error:
                raise RuntimeError(f"case {name}") from error
            for what, values in found.items():
                for i, value in enumerate(values):
                    dense = tf.convert_to_tensor(value) if isinstance(value, tf.IndexedSlices) else value
                    out[f"{name}/{what}/{i}"] = np.asarray(dense)
    np.savez(folder / "results.npz", **out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
