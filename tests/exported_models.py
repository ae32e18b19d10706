"""Runs exported files in the plain engine: ``python -I exported_models.py ENGINE FOLDER`` (see test_export.py).

unidl must not be importable. The folder has ``<name>.npz`` with the inputs by place, and a file for each format;
outputs go to ``<name>.<format>.npz``.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np


def torch_runners() -> dict[str, Any]:
    import torch

    def run(program: Any) -> Any:
        return lambda *values: program(*map(torch.from_numpy, values))

    return {
        "torch": lambda path: run(torch.export.load(path.with_suffix(".pt2")).module()),
        "torchscript": lambda path: run(torch.jit.load(path.with_suffix(".pt"))),
    }


def tensorflow_runners() -> dict[str, Any]:
    import tensorflow as tf

    def run(path: Path) -> Any:
        loaded = tf.saved_model.load(str(path))  # holds the variables
        return lambda *values: loaded.serve(*values)

    return {"tf_saved_model": run}


def mxnet_runners() -> dict[str, Any]:
    np.bool = bool  # mxnet's last release was written for NumPy's of that time
    import mxnet as mx

    mx.npx.set_np()

    def run(path: Path) -> Any:
        symbol = mx.sym.load(f"{path}-symbol.json")
        parameters = f"{path}-0000.params"
        stored = {n.partition(":")[2] for n in mx.npx.load(parameters)}
        inputs = sorted(n for n in symbol.list_inputs() if n not in stored)
        block = mx.gluon.SymbolBlock.imports(f"{path}-symbol.json", inputs, parameters)
        return lambda *values: block(*(mx.np.array(v, dtype=v.dtype) for v in values))

    return {"mxnet": run}


def flat(value: Any) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in flat(value[key])]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flat(item)]
    if hasattr(value, "detach"):
        value = value.detach()
    return [value.asnumpy() if hasattr(value, "asnumpy") else np.asarray(value)]


def main(engine: str, folder: Path) -> None:
    assert importlib.util.find_spec("unidl") is None, "unidl is importable: this run would show nothing"
    runners = {"torch": torch_runners, "tensorflow": tensorflow_runners, "mxnet": mxnet_runners}[engine]()
    for inputs in sorted(folder.glob("*.in.npz")):
        name = inputs.name.removesuffix(".in.npz")
        with np.load(inputs) as stored:
            values = [stored[str(i)] for i in range(len(stored))]
        for format, load in runners.items():
            outputs = flat(load(folder / f"{name}_{format}")(*values))
            np.savez(folder / f"{name}.{format}.npz", *outputs)
    assert not [m for m in sys.modules if m.startswith("unidl")]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
