"""One measured process: ``python benchmarks/worker.py BACKEND CONTENDER CASE``.

It serves repetitions: a line on standard input runs one and is answered by its CPU and wall seconds per step, and the
peak memory of the process in MB. CONTENDER is ``unidl``, ``native``, ``best`` or ``keras``; CASE is a workload, or
``call`` and ``predict``: one row through the perceptron of the workload "tiny".
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import WORKLOADS, data, model

ROWS = 300


def shaped(case: str, backend: str, contender: str) -> Callable[[], Any]:
    """One epoch, or one row, with unidl or Keras."""
    if contender == "keras":
        import keras
    else:
        import unidl as keras
    net = model(keras, "tiny" if case in ("call", "predict") else case)
    if case in WORKLOADS:
        x, y = data(case)
        return lambda: net.fit(x, y, batch_size=WORKLOADS[case].batch, verbose=0).history["loss"][-1]
    row = np.random.rand(1, *WORKLOADS["tiny"].shape).astype("float32")
    if case == "predict":
        return lambda: net.predict(row, verbose=0)
    tensor = keras.ops.convert_to_tensor(row)
    if backend == "torch":
        import torch

        with torch.no_grad():
            net(tensor)

        def run() -> Any:
            with torch.no_grad():
                return net(tensor)

        return run
    if backend == "mxnet":

        def run_and_wait() -> Any:
            out = net(tensor)
            out.wait_to_read()
            return out

        return run_and_wait
    return lambda: net(tensor)


def make(backend: str, contender: str, case: str) -> tuple[Callable[[], Any], int]:
    """What to repeat, and how many steps it has."""
    if contender in ("unidl", "keras"):
        run = shaped(case, backend, contender)
    else:
        native = importlib.import_module(f"native.{backend}")
        run = native.epoch(case, contender == "best") if case in WORKLOADS else getattr(native, case)()
    if case in WORKLOADS:
        return run, WORKLOADS[case].steps

    def rows() -> None:
        for _ in range(repeats):
            run()

    repeats = ROWS // 30 if contender == "keras" else ROWS
    return rows, repeats


def main() -> None:
    backend, contender, case = sys.argv[1:4]
    if backend == "torch":
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
    run, steps = make(backend, contender, case)
    run()
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(cpu / steps, wall / steps, peak, flush=True)


if __name__ == "__main__":
    main()
