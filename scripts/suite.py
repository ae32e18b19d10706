"""Lint, type check, and the test suite once per backend, each in a process of its own.

    python scripts/suite.py [--lint-only] [BACKEND ...]

Everything runs even if something before it fails; the exit status is then 1. Checks and suites run two at a time, with
as many engine threads as leaves each suite its share of the cores, and their output is shown one after another. The
last lines are a table of what passed, and the sum of all suites in pytest's words.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("torch", "tensorflow", "mxnet", "numpy")
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
}
#: Tests that do not depend on the backend run in one suite: the shortest.
ONCE = "numpy"
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|xfailed|xpassed|errors?)\b")


def check(command: list[str], log: Path) -> int:
    """Run a module of Python, write what it prints to `log`, return the exit status."""
    with log.open("wb") as out:
        return subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
        ).returncode


def suite(backend: str, threads: int, once: bool, log: Path) -> int:
    """Run the tests with `backend`, write what they print to `log`, return the exit status.

    What does not depend on the backend is computed in one suite, for all: see `keras_results` in the tests.
    """
    limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    environment = {**os.environ, **dict.fromkeys(limits, str(threads)), "UNIDL_BACKEND": backend}
    environment["UNIDL_TEST_SHARED"] = str(log.parent)
    own = f"backends/{backend}/tests"
    command = [sys.executable, "-m", "pytest", "tests", *([own] if (ROOT / own).is_dir() else [])]
    command += [
        "--color=no",
        "--continue-on-collection-errors",
        "-o",
        f"cache_dir=.pytest_cache/{backend}",
        *([] if once else ["-m", "not once"]),
    ]
    with log.open("wb") as out:
        return subprocess.run(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT).returncode


def follow(log: Path, run: Future[int]) -> str:
    """Print what a run writes while it writes it; all of it is returned."""
    shown = ""
    while True:
        ended = run.done()
        text = log.read_text(errors="replace") if log.exists() else ""
        print(text[len(shown) :], end="", flush=True)
        shown = text
        if ended:
            return shown
        time.sleep(0.5)


def counts(output: str, status: int) -> Counter[str]:
    """The numbers of pytest's closing line; a run that broke off counts as one error."""
    lines = [line for line in output.splitlines() if _COUNT.search(line) and " in " in line]
    found: Counter[str] = Counter()
    for number, word in _COUNT.findall(lines[-1]) if lines else ():
        found["errors" if word == "error" else word] = int(number)
    if status and not found["failed"] and not found["errors"]:
        found["errors"] = 1
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backends", nargs="*", metavar="BACKEND", default=list(BACKENDS))
    parser.add_argument("--lint-only", action="store_true", help="ruff and mypy only")
    arguments = parser.parse_args()
    backends = [] if arguments.lint_only else arguments.backends
    table: list[tuple[str, str]] = []
    failed = False
    total: Counter[str] = Counter()
    start, cores = time.monotonic(), os.cpu_count() or 1
    jobs = min(2, cores)
    threads = max(1, cores // min(jobs, len(backends) or 1))
    once = ONCE if ONCE in backends else next(iter(backends), None)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        runs: dict[str, Future[int]] = {}
        logs = {name: Path(folder, f"{name}.log") for name in (*CHECKS, *backends)}
        for name, command in CHECKS.items():
            runs[name] = pool.submit(check, command, logs[name])
        for name in backends:
            runs[name] = pool.submit(suite, name, threads, name == once, logs[name])
        for name, run in runs.items():
            print(f"== {name}" if name in CHECKS else f"== tests with UNIDL_BACKEND={name}", flush=True)
            output = follow(logs[name], run)
            failed |= run.result() != 0
            outcome = "FAILED" if run.result() else "ok"
            if name in CHECKS:
                table.append((name, outcome))
                continue
            result = counts(output, run.result())
            total += result
            table.append((name, f"{outcome} ({', '.join(f'{n} {word}' for word, n in result.items())})"))
    print("== summary")
    for name, outcome in table:
        print(f"{name:12} {outcome}")
    if not backends:
        return int(failed)
    rest = "".join(f", {total[word]} {word}" for word in ("errors", "skipped", "xfailed", "xpassed") if total[word])
    print(f"{total['passed']} passed, {total['failed']} failed{rest} in {time.monotonic() - start:.0f}s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
