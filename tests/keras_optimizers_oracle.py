"""Runs the cases of `optimizer_cases` with Keras: ``python keras_optimizers_oracle.py FILE``."""

from __future__ import annotations

import sys
import warnings

import keras
import numpy as np
import tensorflow as tf
from optimizer_cases import CASES, results


def main(file: str) -> None:
    warnings.simplefilter("ignore")  # missing gradients are on purpose
    found = {}
    for case in CASES:
        try:
            own = results(case, keras.optimizers, keras.Variable, tf.constant, np.asarray)
        except Exception as error:
            raise RuntimeError(case.id) from error
        found |= {f"{case.id}/{key}": value for key, value in own.items()}
    np.savez(file, **found)


if __name__ == "__main__":
    main(sys.argv[1])
