"""Write docs/support.md: which op takes which dtype on which engine, as the conformance kit finds it.

    python scripts/support_matrix.py [BACKEND ...]

Runs the kit's dtype tests once per backend, each in a process of its own, and draws the table from what they report.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "support.md"
BACKENDS = ("torch", "tensorflow", "mxnet", "numpy")
SHORT = {
    "bool": "bool", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "u8", "uint16": "u16",
    "uint32": "u32", "float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64", "complex64": "c64",
    "complex128": "c128",
}  # fmt: skip
HEAD = """# Which op takes which dtype

`scripts/support_matrix.py` wrote this page from a run of the conformance kit; do not edit it.

A dtype that is listed under *takes* was tried on each engine that has it; all others are refused by the op's rule, with
the same error on every engine. A dtype that an engine lacks altogether is in the first table. What an engine has and
cannot do for an op, of that the last column tells, with the tests that `known_gaps.txt` lists for it.

i: signed integer, u: unsigned, f: float, bf16: bfloat16, c: complex, each with its bits.
"""


def report(backend: str, folder: Path) -> dict[str, Any]:
    """What the kit reports of `backend`."""
    path = folder / f"{backend}.json"
    environment = {**os.environ, "UNIDL_BACKEND": backend, "UNIDL_KIT_REPORT": str(path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", f"backends/{backend}/tests/test_conformance.py"]
    run = subprocess.run([*command, "-k", "test_dtypes"], cwd=ROOT, env=environment, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"the kit fails on {backend}:\n{run.stdout[-3000:]}{run.stderr[-1000:]}")
    return json.loads(path.read_text(encoding="utf-8"))


def words(dtypes: Iterable[str]) -> str:
    """Dtypes in short; runs of all of a kind in one word."""
    have = set(dtypes)
    groups = {
        "every integer": {d for d in SHORT if "int" in d},
        "every float": {d for d in SHORT if "float" in d},
        "complex": {d for d in SHORT if d.startswith("complex")},
    }
    parts = []
    for word, group in groups.items():
        if group <= have:
            parts.append(word)
            have -= group
    single = [SHORT[d] for d in SHORT if d in have]
    return ", ".join(single + parts) or "none"


def page(reports: list[dict[str, Any]]) -> str:
    """The page as text."""
    lines = [HEAD, "| engine | lacks |", "|---|---|"]
    lines += [f"| {r['backend']} | {words(set(SHORT) - set(r['dtypes']))} |" for r in reports]
    gaps = {
        r["backend"]: sorted({test.partition("[")[2].split("-")[0].rstrip("]") for test in r["gaps"]}) for r in reports
    }
    lines += ["", "| op | takes | known gaps |", "|---|---|---|"]
    ops = sorted({key.rpartition("-")[0] for r in reports for key in r["accepted"]})
    for op in ops:
        takes = {d for r in reports for d in SHORT if r["accepted"].get(f"{op}-{d}")}
        where = ", ".join(name for name, found in gaps.items() if op in found)
        lines.append(f"| `{op}` | {words(takes)} | {where} |")
    totals = ", ".join(f"{len(r['gaps'])} on {r['backend']}" for r in reports)
    return "\n".join([*lines, "", f"{len(ops)} ops with tensors. Known gaps, in tests of the kit: {totals}.", ""])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        reports = [report(backend, Path(folder)) for backend in sys.argv[1:] or BACKENDS]
    PAGE.write_text(page(reports), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
