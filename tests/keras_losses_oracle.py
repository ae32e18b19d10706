"""Runs the cases of `loss_metric_cases` with Keras: ``python keras_losses_oracle.py FILE``; see test_keras_losses."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from loss_metric_cases import LOSSES, METRICS, loss_results, metric_results


def masked(value: Any, mask: np.ndarray) -> Any:
    value._keras_mask = tf.constant(mask)
    return value


def gradient(fn: Any, at: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = fn(at)
    return tf.convert_to_tensor(tape.gradient(value, at))


def main(file: str) -> None:
    found = {}
    for kind, cases in (("loss", LOSSES), ("metric", METRICS)):
        for case in cases:
            try:
                if kind == "loss":
                    own = loss_results(case, keras.losses, tf.constant, masked, np.asarray, gradient)
                else:
                    own = metric_results(case, keras.metrics, tf.constant, np.asarray)
            except Exception as error:
                raise RuntimeError(f"{kind} {case.id}") from error
            found |= {f"{kind}/{case.id}/{key}": value for key, value in own.items()}
    np.savez(file, **found)


if __name__ == "__main__":
    main(sys.argv[1])
