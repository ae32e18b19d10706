"""unidl against hand-written loops: CPU time of a training step, side by side.

usage: python benchmarks/run.py [--backend torch] [--rounds 7] [--samples 6400] [--cores 0]

Both run in processes of their own, pinned to the same cores, taking turns round by round, so that a
machine whose speed drifts slows both. What is printed is a ratio: the median over rounds of
unidl's time divided by the native loop's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def make_epoch(kind: str, backend: str, samples: int):  # type: ignore[no-untyped-def]
    from native import BATCH, LOOPS, data

    if kind == "native":
        return LOOPS[backend](samples)
    import unidl
    from unidl import layers

    x, y = data(samples)
    model = unidl.Sequential([unidl.Input((20,)), layers.Dense(32, "relu"), layers.Dense(32, "relu"), layers.Dense(10)])
    loss = unidl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return lambda: model.fit(x, y, batch_size=BATCH, verbose=0).history["loss"][-1]


def work(kind: str, backend: str, samples: int) -> None:
    """Serve epochs: a line on standard input runs one and answers with its CPU and wall seconds."""
    epoch = make_epoch(kind, backend, samples)
    epoch()
    epoch()
    print("ready", flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        loss = epoch()
        print(time.process_time() - cpu, time.perf_counter() - wall, loss, flush=True)


def compare(backend: str, rounds: int, samples: int, cores: str) -> None:
    def start(kind: str) -> subprocess.Popen[str]:
        count = str(len(cores.split(",")))
        env = {**os.environ, "UNIDL_BACKEND": backend, "OMP_NUM_THREADS": count, "TF_NUM_INTRAOP_THREADS": count}
        command = [sys.executable, __file__, "--work", kind, "--backend", backend, "--samples", str(samples)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        os.sched_setaffinity(process.pid, {int(c) for c in cores.split(",")})
        assert process.stdout is not None
        while "ready" not in (line := process.stdout.readline()):
            if not line:
                raise SystemExit(f"{kind} on {backend} ended with {process.wait()}")
        return process

    workers = {kind: start(kind) for kind in ("unidl", "native")}
    times: dict[str, list[tuple[float, float]]] = {"unidl": [], "native": []}
    for _ in range(rounds):
        for kind, process in workers.items():
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            cpu, wall, _loss = process.stdout.readline().split()
            times[kind].append((float(cpu), float(wall)))
    for process in workers.values():
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    steps = -(-samples // 32)
    row = [f"{backend:11}"]
    for which, what in ((0, "cpu"), (1, "wall")):
        ours, theirs = ([t[which] for t in times[k]] for k in ("unidl", "native"))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        row.append(
            f"{what}: unidl {1e6 * statistics.median(ours) / steps:7.0f} µs, native "
            f"{1e6 * statistics.median(theirs) / steps:7.0f} µs, ratio {ratio:5.2f}"
        )
    print("   ".join(row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", help="may be repeated; all three by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int, default=6400)
    parser.add_argument("--cores", default="0")
    parser.add_argument("--work", choices=("unidl", "native"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        sys.path.insert(0, HERE)
        work(args.work, args.backend[0], args.samples)
        return
    print("Training step of a 20-32-32-10 perceptron, batch 32, Adam, float32")
    for backend in args.backend or ["torch", "tensorflow", "mxnet"]:
        compare(backend, args.rounds, args.samples, args.cores)


if __name__ == "__main__":
    main()
