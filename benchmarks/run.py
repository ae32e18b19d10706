"""unidl against native code and Keras 3, side by side: time of a training step, and of one row.

usage: python benchmarks/run.py [--backend torch] [--case cnn] [--against native best keras] [--rounds 5]
                                [--processes 3] [--cores 0] [--write]

All contenders of a case run in processes of their own, pinned to the same cores, taking turns round by round, so that
a machine whose speed drifts slows them all. They are started several times: where the system happens to place the
memory of a process makes single kernels up to half as fast again, for as long as it lives. A ratio is the median over
all rounds of unidl's time divided by the other's: below 1 unidl is faster. ``--cores 0 0-1`` measures on one pinned
core, then on two. ``--write`` puts the tables into benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from workloads import WORKLOADS

HERE = Path(__file__).resolve().parent
BACKENDS = ("torch", "tensorflow", "mxnet")
RIVALS = ("native", "best", "keras")
#: What does not exist: Keras has no MXNet, and some models nobody writes by hand.
MISSING = {
    ("mxnet", "keras", "*"),
    ("mxnet", "native", "transformer"), ("mxnet", "best", "transformer"),
    ("tensorflow", "native", "lstm"), ("tensorflow", "best", "lstm"),
    ("tensorflow", "native", "resnet"), ("tensorflow", "best", "resnet"),
}  # fmt: skip
LATENCY = ("call", "predict")


class Sample(NamedTuple):
    """One repetition: seconds for a step, and the peak memory so far in MB."""

    cpu: float
    wall: float
    peak: float


class Worker:
    """A process that repeats one case when asked."""

    def __init__(self, backend: str, contender: str, case: str, cores: list[int]) -> None:
        count = str(len(cores))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), count)
        environment = {**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment |= {"UNIDL_BACKEND": backend, "KERAS_BACKEND": backend}
        command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, str(HERE / "worker.py")]
        self.process = subprocess.Popen(
            [*command, backend, contender, case],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        self.what = f"{contender} on {backend}, {case}"

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.what}: ended with status {self.process.wait()}; run benchmarks/worker.py by hand.")
        return line

    def wait(self) -> None:
        while "ready" not in self._line():
            pass

    def repeat(self) -> Sample:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return Sample(*map(float, self._line().split()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def exists(backend: str, contender: str, case: str) -> bool:
    return not {(backend, contender, case), (backend, contender, "*")} & MISSING


class Plan(NamedTuple):
    """How often to measure: times that each contender is started, and rounds in each of its lives."""

    processes: int
    rounds: int


def measure(backend: str, case: str, rivals: list[str], plan: Plan, cores: list[int]) -> dict[str, list[Sample]]:
    contenders = ["unidl", *(r for r in rivals if exists(backend, r, case))]
    if case in LATENCY:
        contenders = [c for c in contenders if c != "best"]
    samples: dict[str, list[Sample]] = {c: [] for c in contenders}
    for _ in range(plan.processes):
        for contender, found in once(backend, case, contenders, plan.rounds, cores).items():
            samples[contender] += found
    return samples


def once(backend: str, case: str, contenders: list[str], rounds: int, cores: list[int]) -> dict[str, list[Sample]]:
    """The rounds of one process for each contender."""
    workers = {c: Worker(backend, c, case, cores) for c in contenders}
    try:
        for worker in workers.values():
            worker.wait()
        samples: dict[str, list[Sample]] = {c: [] for c in contenders}
        for _ in range(rounds):
            for contender, worker in workers.items():
                samples[contender].append(worker.repeat())
    finally:
        for worker in workers.values():
            worker.close()
    return samples


def ratio(ours: list[Sample], theirs: list[Sample], what: str) -> float:
    return statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(ours, theirs, strict=True))


def cell(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


def report(backend: str, cases: list[str], rivals: list[str], plan: Plan, cores: list[int]) -> list[str]:
    """Lines of a Markdown table, printed as they come."""
    head = ["case", "unidl"]
    for rival in rivals:
        head += [rival, "CPU ratio", "wall ratio", "memory ratio"]
    lines = [f"### {backend}, {len(cores)} core{'s' * (len(cores) > 1)}", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    print("\n".join(lines), flush=True)
    found: dict[str, list[float]] = {rival: [] for rival in rivals}
    for case in cases:
        samples = measure(backend, case, rivals, plan, cores)
        ours = samples["unidl"]
        row = [case, cell(statistics.median(s.cpu for s in ours))]
        for rival in rivals:
            theirs = samples.get(rival)
            if theirs is None:
                row += ["–"] * 4
                continue
            cpu = ratio(ours, theirs, "cpu")
            if case in WORKLOADS:
                found[rival].append(cpu)
            row += [cell(statistics.median(s.cpu for s in theirs)), f"**{cpu:.2f}**"]
            row += [f"{ratio(ours, theirs, 'wall'):.2f}", f"{ours[-1].peak / theirs[-1].peak:.2f}"]
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    means = [f"{r} {math.exp(statistics.fmean(map(math.log, v))):.2f}" for r, v in found.items() if v]
    if means:
        lines += ["", f"Geometric mean of the training steps' CPU ratios: {', '.join(means)}.", ""]
        print("\n".join(lines[-3:]), flush=True)
    return lines


def machine() -> list[str]:
    """Facts about the machine and the versions, for a reader of the results."""

    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "none"

    packages = ("torch", "tensorflow-cpu", "mxnet", "keras", "numpy")
    cpu = next((n.split(":")[1].strip() for n in _lines("/proc/cpuinfo") if n.startswith("model name")), "unknown CPU")
    return [
        f"{datetime.date.today()}, {cpu}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {', '.join(f'{p} {of(p)}' for p in packages)}.",
        "",
    ]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def core_list(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", nargs="+", default=list(BACKENDS), choices=BACKENDS)
    parser.add_argument("--case", nargs="+", default=[*WORKLOADS, *LATENCY], choices=[*WORKLOADS, *LATENCY])
    parser.add_argument("--against", nargs="+", default=list(RIVALS), choices=RIVALS)
    parser.add_argument("--rounds", type=int, default=5, help="in each process")
    parser.add_argument("--processes", type=int, default=3, help="how many times each contender is started")
    parser.add_argument("--cores", nargs="+", default=["0"], help="such as 0 or 0-3; several for several tables")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    args = parser.parse_args()
    title, _usage, explanation = (__doc__ or "").strip().split("\n\n")
    command = " ".join(["benchmarks/run.py", *sys.argv[1:]])
    lines = [title, "", explanation, "", f"By `python {command}`, on:", "", *machine()]
    for backend in args.backend:
        rivals = [r for r in args.against if (backend, r, "*") not in MISSING]
        for cores in args.cores:
            lines += report(backend, args.case, rivals, Plan(args.processes, args.rounds), core_list(cores))
    if args.write:
        (HERE / "RESULTS.md").write_text("\n".join(["# Results", "", *lines]).rstrip() + "\n")


if __name__ == "__main__":
    main()
