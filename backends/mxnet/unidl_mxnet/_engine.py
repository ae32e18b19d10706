"""Importing mxnet 1.9.1 on the Pythons and NumPys of today.

MXNet's last release was written for NumPy 1.x before 1.24 and for Pythons that have `distutils`.
Its modules are therefore executed with an `__import__` of their own, which hands them a NumPy that
still has the removed names, and the version classes of `distutils`. The real `numpy` module, and
what every other module sees, are never changed.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

# One thread that runs each op as it comes: for small models the threaded engine's hand-over costs
# as much as the work itself (a 20-32-32-10 MLP trains about twice as fast without it on a CPU).
# Convolutions and matrix products use all cores either way.
_ENGINE_TYPE = "NaiveEngine"

_CORE = "OPENBLAS_CORETYPE"


def _removed_names() -> dict[str, Any]:
    """What `numpy` used to have and mxnet asks for, by name."""
    names: dict[str, Any] = {
        "bool": bool, "int": int, "float": float, "object": object, "str": str, "complex": complex,
        "bool_": np.bool_, "float_": np.float64, "unicode_": np.str_, "string_": np.bytes_,
        "PZERO": 0.0, "NZERO": -0.0, "NAN": np.nan, "NaN": np.nan, "NINF": -np.inf, "PINF": np.inf,
        "Inf": np.inf, "Infinity": np.inf, "infty": np.inf,
        "alltrue": np.all, "sometrue": np.any, "product": np.prod, "cumproduct": np.cumprod,
        "round_": np.round, "row_stack": np.vstack, "msort": lambda a: np.sort(a, axis=0),
        "in1d": lambda a, b, **kw: np.isin(np.ravel(a), b, **kw),
        "trapz": getattr(np, "trapezoid", None), "asscalar": lambda a: np.asarray(a).item(),
    }  # fmt: skip
    for name in ("mirr", "npv", "pmt", "ppmt", "pv", "rate", "ipmt", "irr", "nper", "fv"):
        names[name] = _gone(name)
    return names


def _gone(name: str) -> Any:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"NumPy has no {name} any more: use the package numpy-financial.")

    function.__name__ = name
    return function


class _OldNumPy(types.ModuleType):
    """The `numpy` that mxnet's modules see: NumPy, and the removed names where NumPy lacks them."""

    def __init__(self) -> None:
        super().__init__("numpy", np.__doc__)
        self.__dict__["_removed"] = _removed_names()

    def __getattr__(self, name: str) -> Any:
        removed = self.__dict__["_removed"]
        if name in removed and name not in vars(np):
            return removed[name]
        return getattr(np, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(np), *self._removed})


def _version(text: str) -> tuple[Any, ...]:
    """A version as something that compares like `distutils` compared it (numbers before words)."""
    parts = str(text).replace("-", ".").split(".")
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts)


def _distutils() -> types.ModuleType:
    module = types.ModuleType("distutils")
    module.version = types.ModuleType("distutils.version")  # type: ignore[attr-defined]
    module.version.StrictVersion = module.version.LooseVersion = _version  # type: ignore[attr-defined]
    return module


def _own_builtins() -> dict[str, Any]:
    replaced = {"numpy": _OldNumPy(), "distutils": _distutils()}

    def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        top, _, rest = name.partition(".")
        if level or top not in replaced:
            return builtins.__import__(name, globals, locals, fromlist, level)
        if top == "numpy":
            real = builtins.__import__(name, globals, locals, fromlist, 0)
            return real if rest and fromlist else replaced[top]
        return getattr(replaced[top], rest) if rest and fromlist else replaced[top]

    return {**vars(builtins), "__import__": import_}


class _Loader(importlib.abc.Loader):
    """The ordinary loader of an mxnet module, executing it with its own builtins."""

    def __init__(self, loader: Any, own: dict[str, Any]) -> None:
        self._loader, self._own = loader, own

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = self._own
        self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:  # get_source and the like
        return getattr(self._loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds mxnet and its submodules, those that are imported later included."""

    def __init__(self) -> None:
        self._own = _own_builtins()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> Any:
        if fullname != "mxnet" and not fullname.startswith("mxnet."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader, self._own)
        return spec


def import_mxnet() -> Any:
    """The mxnet module, with NumPy semantics (0-d and empty arrays, `mx.np` operators) switched on."""
    if "mxnet" not in sys.modules and not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    with _recent_kernels():
        import mxnet

    if "MXNET_ENGINE_TYPE" not in os.environ and not mxnet.context.num_gpus():
        os.environ["MXNET_ENGINE_TYPE"] = _ENGINE_TYPE
    _start_engine(mxnet)
    mxnet.util.set_np(shape=True, array=True)
    previous = ctypes.c_int()
    mxnet.base.check_call(mxnet.base._LIB.MXSetIsNumpyShape(2, ctypes.byref(previous)))  # 2: in every thread
    return mxnet


def runs_at_once() -> bool:
    """Whether an operator has finished when its call returns."""
    return os.environ.get("MXNET_ENGINE_TYPE") == "NaiveEngine"


def threads() -> int:
    """How many threads an operator of mxnet uses on a CPU: half of the processors if nobody has said."""
    given = os.environ.get("MXNET_OMP_MAX_THREADS") or os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit():
        return int(given)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(processors // 2, 1)


@contextlib.contextmanager
def _recent_kernels() -> Iterator[None]:
    """Have the OpenBLAS that comes with mxnet take its kernels for AVX2 where the processor has that.

    On processors that are younger than itself it takes those of 2004, in which matrix products need two to three times
    as long. It chooses once, when it is loaded; other libraries of the process are not told.
    """
    if _CORE in os.environ or "mxnet" in sys.modules or not processor_has("avx2", "fma"):
        yield
        return
    os.environ[_CORE] = "Haswell"
    try:
        yield
    finally:
        del os.environ[_CORE]


def processor_has(*flags: str) -> bool:
    """Whether the processor has these instructions, by the names that Linux gives them; False if it cannot be said."""
    try:
        with open("/proc/cpuinfo") as file:
            return any(set(flags) <= set(line.split()) for line in file if line.startswith("flags"))
    except OSError:
        return False


def _start_engine(mxnet: Any) -> None:
    """Start the engine, without the line that it writes to stderr about its own name."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            mxnet.nd.waitall()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        caught.seek(0)
        for line in caught:
            if b"start using engine" not in line:
                os.write(2, line)


mx = import_mxnet()
