"""How the cost of a model grows: with its depth, and with the batch.

usage: python benchmarks/growth.py [--backend torch] [--depths 10 100 1000] [--batches 1 16 256]

For each depth of a net of small dense layers: seconds to build it, seconds of its first training step (which records
and compiles it), and the CPU time of a step after that. Then the CPU time of a step for each batch size.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

WIDTH, REPEATS = 16, 20


def cpu(function: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def net(depth: int) -> Any:
    import unidl
    from unidl import layers

    x = inputs = unidl.Input((WIDTH,))
    for _ in range(depth):
        x = layers.Dense(WIDTH, activation="relu")(x)
    model = unidl.Model(inputs, x)
    model.compile("adam", "mse")
    return model


def steps(model: Any, batch: int, count: int) -> float:
    """CPU seconds of a training step."""
    x = np.zeros((batch * count, WIDTH), "float32")
    return cpu(lambda: model.fit(x, x, batch_size=batch, verbose=0)) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--depths", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 256])
    args = parser.parse_args()
    os.environ["UNIDL_BACKEND"] = args.backend
    import unidl

    print(f"{unidl.backend.backend()}\n")
    print("| layers | build | first step | step | step per layer |\n|---|---|---|---|---|")
    for depth in args.depths:
        made: list[Any] = []
        build = cpu(lambda depth=depth, made=made: made.append(net(depth)))  # type: ignore[misc]
        first = steps(made[0], 32, 1)
        steps(made[0], 32, 2)
        later = steps(made[0], 32, REPEATS)
        print(f"| {depth} | {build:.2f} s | {first:.2f} s | {later * 1e3:.2f} ms | {later / depth * 1e6:.1f} µs |")
    print("\n| batch | step |\n|---|---|")
    model = net(10)
    for batch in args.batches:
        steps(model, batch, 2)
        print(f"| {batch} | {steps(model, batch, 5 * REPEATS) * 1e3:.3f} ms |")


if __name__ == "__main__":
    main()
