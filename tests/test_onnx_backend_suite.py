"""ONNX's own backend test suite: 2,033 cases, run by `unidl.onnx.prepare`.

What does not pass is listed, with the reason, in ``onnx_gaps.txt`` in the backend's package: one id a line. A case that
is listed and passes is an error, too, unless its reason holds "on some processors".
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import onnx_cases
import pytest

from unidl import onnx
from unidl.backend import active
from unidl.utils import set_random_seed


def _gaps() -> dict[str, str]:
    path = Path(inspect.getfile(type(active))).parent / "onnx_gaps.txt"
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name.strip(): reason.strip() for name, _, reason in (line.partition("#") for line in lines)}


GAPS = _gaps()


def _check(cases: list[Any]) -> None:
    """Run cases; those that fail must be the known gaps among them."""
    set_random_seed(0)  # what draws random numbers never passes, and must not do so by chance
    failed = {}
    for case in cases:
        try:
            with np.errstate(all="ignore"):
                run = onnx.prepare(case.model)
                for inputs, outputs in case.sets:
                    got = run([onnx_cases.plain(v) for v in inputs])
                    onnx_cases.compare(list(outputs), got, case.rtol, case.atol)
        except Exception as error:
            failed[case.name] = f"{type(error).__name__}: {error}"
    new = "\n\n".join(f"{n}: {e[:1500]}" for n, e in failed.items() if n not in GAPS)
    assert not new, new
    sure = [name for name, reason in GAPS.items() if not reason.startswith("on some processors:")]
    mended = [c.name for c in cases if c.name in sure and c.name not in failed]
    assert not mended, f"onnx_gaps.txt lists cases that pass: {mended}"


@pytest.mark.parametrize("module", onnx_cases.MODULES)
def test_operator(module: str) -> None:
    _check(onnx_cases.of_module(module))


@pytest.mark.parametrize("kind", onnx_cases.FOLDERS)
def test_models(kind: str) -> None:
    _check([onnx_cases.of_files(kind, name) for name in onnx_cases.of_folder(kind)])


def test_gaps_exist() -> None:
    names = [c.name for module in onnx_cases.MODULES for c in onnx_cases.of_module(module)]
    names += [name for kind in onnx_cases.FOLDERS for name in onnx_cases.of_folder(kind)]
    assert len(names) == 2033
    assert not set(GAPS).difference(names), (
        f"onnx_gaps.txt lists cases that do not exist: {sorted(set(GAPS).difference(names))}"
    )
    assert all(GAPS.values()), f"onnx_gaps.txt: no reason given for {[k for k, v in GAPS.items() if not v]}"
