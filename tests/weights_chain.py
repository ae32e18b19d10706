"""One link of the chain in test_exchange.py: ``python weights_chain.py FOLDER FROM TO`` reads and writes all models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from exchange_models import CASES, classes

import unidl
from unidl.backend import active


def state(model: Any) -> list[np.ndarray]:
    """The weights, then the optimizer's variables."""
    optimizer = model.optimizer.variables if model.optimizer is not None else []
    return [np.array(active.to_numpy(v)) for v in (*model.weights, *optimizer)]


def write(model: Any, name: str, folder: Path, who: str) -> None:
    model.save(folder / f"{who}_{name}.keras")
    model.save_weights(folder / f"{who}_{name}.safetensors")
    np.savez(folder / f"{who}_{name}.npz", *state(model))


def forward(folder: Path, previous: str, who: str) -> None:
    """Read what `previous` wrote, and write it again: the archive, and the weights file with a model of its own."""
    classes(unidl)
    for name, case in CASES.items():
        write(unidl.saving.load_model(folder / f"{previous}_{name}.keras"), name, folder, who)
        model = case.build(unidl)
        model.load_weights(folder / f"{previous}_{name}.safetensors")
        model.save_weights(folder / f"{who}_{name}.safetensors")
        np.savez(folder / f"{who}_{name}.weights.npz", *state(model))


if __name__ == "__main__":
    forward(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
