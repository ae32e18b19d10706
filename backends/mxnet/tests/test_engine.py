"""mxnet is imported beside a recent NumPy without anybody noticing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from unidl import ops
from unidl.errors import OpError
from unidl_mxnet._engine import _OldNumPy, _version, processor_has, threads
from unidl_mxnet._invoke import ARRAYS

SCRIPT = """
import numpy
before = set(vars(numpy))
import unidl
from unidl import ops
ops.zeros((2,))
added = set(vars(numpy)) - before
import types
assert all(isinstance(getattr(numpy, name), types.ModuleType) for name in added), added
import sys
assert sys.modules["numpy"] is numpy and "torch" not in sys.modules and "tensorflow" not in sys.modules
try:
    from distutils.version import StrictVersion
except ImportError:
    pass
else:
    assert StrictVersion.__name__ == "StrictVersion"
"""


def test_numpy_is_left_as_it_is_and_nothing_is_printed() -> None:
    environment = {**os.environ, "UNIDL_BACKEND": "mxnet"}
    environment.pop("MXNET_ENGINE_TYPE", None)
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "engine" not in result.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["bool", "PZERO", "NAN", "product", "msort", "in1d", "alltrue"])
def test_mxnet_sees_the_names_that_numpy_removed(name: str) -> None:
    assert hasattr(_OldNumPy(), name)
    assert _OldNumPy().float32 is np.float32


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_removed_functions_mean_what_they_did() -> None:
    old = _OldNumPy()
    assert old.product([2, 3]) == 6
    assert old.msort([[2, 1], [1, 2]]).tolist() == [[1, 1], [2, 2]]
    assert old.in1d([[1], [5]], [5]).tolist() == [False, True]


def test_versions_compare_by_number() -> None:
    assert _version("1.10.0") > _version("1.9.3")
    assert _version("2.0") < _version("2.0.1")


def test_numpy_semantics_hold_in_every_thread() -> None:
    shapes: list[tuple[int, ...]] = []

    def work() -> None:
        shapes.append(ops.sum(ops.zeros((0, 3))).shape)
        shapes.append(ops.zeros((0, 3)).shape)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert shapes == [(), (0, 3)]


def test_a_missing_dtype_says_what_there_is() -> None:
    with pytest.raises(OpError, match=r"no dtype 'uint16'.*int32.*astype"):
        ops.convert_to_tensor(np.zeros((2, 3), "uint16"))


def test_an_unknown_operator_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_operator"):
        ARRAYS.no_such_operator


@pytest.mark.skipif(not processor_has("avx2", "fma"), reason="a processor without AVX2")
def test_openblas_takes_its_kernels_of_today_and_other_libraries_are_not_told() -> None:
    script = """
import ctypes, os, pathlib
import unidl, mxnet
blas = ctypes.CDLL(str(next(pathlib.Path(mxnet.__file__).parent.glob("libopenblas*"))))
blas.openblas_get_corename.restype = ctypes.c_char_p
print(blas.openblas_get_corename().decode(), os.environ.get("OPENBLAS_CORETYPE"))
"""
    for asked, expected in ((None, "Haswell None"), ("Prescott", "Prescott Prescott")):
        environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"} | {"UNIDL_BACKEND": "mxnet"}
        environment |= {"OPENBLAS_CORETYPE": asked} if asked else {}
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == expected, done.stderr


def test_threads_are_those_asked_for_or_half_of_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MXNET_OMP_MAX_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    assert threads() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # as on other systems than Linux
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert threads() == 4
    monkeypatch.setenv("MXNET_OMP_MAX_THREADS", "2")
    assert threads() == 2
