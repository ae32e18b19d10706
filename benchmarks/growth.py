"""What grows: time of a step against depth and batch, time to record a deep model, memory over many calls.

usage: python benchmarks/growth.py [--backend torch] [--what depth batch memory] [--calls 1000]

Each line is measured in a process of its own. Times should be linear in depth and batch, memory should stay. A depth
is the number of hidden layers of 32 units. Recording is the first training step minus a later one: building the
model's weights, which comes before, is printed for itself.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BACKENDS = ("torch", "tensorflow", "mxnet")
DEPTHS = (10, 100, 1000)
BATCHES = (16, 64, 256, 1024, 4096)
WIDTH = 32


def perceptron(depth: int) -> Any:
    import unidl

    layers = [unidl.layers.Dense(WIDTH, activation="relu") for _ in range(depth)]
    net = unidl.Sequential([unidl.Input((WIDTH,)), *layers, unidl.layers.Dense(10)])
    net.compile(unidl.optimizers.Adam(1e-4), unidl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


def data(samples: int) -> Any:
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.standard_normal((samples, WIDTH)).astype("float32"), rng.integers(0, 10, samples).astype("int32")


def seconds(run: Any) -> float:
    """CPU time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def step_time(net: Any, batch: int, steps: int = 20, rounds: int = 3) -> float:
    """The least mean CPU time of a step over some epochs."""
    x, y = data(batch * steps)

    def epoch() -> None:
        net.fit(x, y, batch_size=batch, verbose=0)

    epoch()
    return min(seconds(epoch) for _ in range(rounds)) / steps


def depth(value: int) -> str:
    x, y = data(32)
    made: list[Any] = []
    building = seconds(lambda: made.append(perceptron(value)))
    recording = seconds(lambda: made[0].fit(x, y, verbose=0))
    step = step_time(made[0], 32)
    return (
        f"{value:5d} layers: built in {building:6.2f} s, recorded in {recording - step:6.2f} s, "
        f"{step * 1e3:8.3f} ms a step, {step / value * 1e6:6.1f} µs a layer"
    )


def batch(value: int) -> str:
    step = step_time(perceptron(10), value)
    return f"{value:5d} rows: {step * 1e3:8.3f} ms a step, {step / value * 1e6:6.2f} µs a row"


def resident() -> float:
    """The process's memory, in MB."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(kind: str, calls: int) -> str:
    """Memory after a tenth of the calls, and what the other nine tenths add."""
    x, y = data(64)
    net = perceptron(2)

    def fresh() -> None:
        made = perceptron(2)
        made.fit(x, y, verbose=0)
        made.predict(x[:1], verbose=0)

    runs = {
        "fit": lambda: net.fit(x, y, verbose=0),
        "predict": lambda: net.predict(x[:1], verbose=0),
        "build": fresh,
    }
    readings = []
    for part in (calls // 10, calls - calls // 10):
        for _ in range(part):
            runs[kind]()
        readings.append(resident())
    first, last = readings
    return f"{kind:8s} {calls:6d} calls: {first:7.1f} MB, then {last - first:+6.2f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", nargs="+", default=list(BACKENDS), choices=BACKENDS)
    parser.add_argument("--what", nargs="+", default=["depth", "batch", "memory"])
    parser.add_argument(
        "--calls", type=int, default=1000, help="of fit; ten times as many of predict, a tenth of builds"
    )
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        import unidl  # noqa: F401  (before any clock runs)

        kind, *values = args.one
        numbers = [int(v) for v in values]
        print(
            {"depth": depth, "batch": batch}[kind](*numbers) if kind in ("depth", "batch") else memory(kind, *numbers)
        )
        return
    kinds = {
        "depth": [["depth", str(d)] for d in DEPTHS],
        "batch": [["batch", str(b)] for b in BATCHES],
        "memory": [["fit", str(args.calls)], ["predict", str(args.calls * 10)], ["build", str(args.calls // 10)]],
    }
    for backend in args.backend:
        print(f"{backend}:", flush=True)
        for what in args.what:
            for one in kinds[what]:
                environment = {**os.environ, "UNIDL_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
                subprocess.run([sys.executable, __file__, "--one", *one], env=environment, check=True)


if __name__ == "__main__":
    main()
