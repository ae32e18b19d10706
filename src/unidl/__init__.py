"""unidl: one Keras-shaped API for deep learning on PyTorch, TensorFlow or MXNet.

The backend is chosen here, once, when the package is imported (`UNIDL_BACKEND`).
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import sys
from typing import Any

__version__ = "0.1.0"

#: Public names that live in a module which is loaded when one of them is first used.
_LAZY = {
    "Variable": "unidl.backend.variables",
    "KerasTensor": "unidl.graph.symbolic:SymbolicTensor",
    "SymbolicTensor": "unidl.graph.symbolic",
    "Layer": "unidl.layers",
    "Input": "unidl.layers",
    "Model": "unidl.models",
    "Sequential": "unidl.models",
    "Optimizer": "unidl.optimizers",
    "Loss": "unidl.losses",
    "Metric": "unidl.metrics",
    "Initializer": "unidl.initializers",
    "Regularizer": "unidl.regularizers",
    "DTypePolicy": "unidl.dtype_policies",
    "FloatDTypePolicy": "unidl.dtype_policies",
    "InputSpec": "unidl.layers",
    "Operation": "unidl.graph.operation",
    "Function": "unidl.models.function",
    "StatelessScope": "unidl._scopes",
    "SymbolicScope": "unidl._scopes",
    "name_scope": "unidl._scopes",
    "device": "unidl._scopes",
    "RematScope": "unidl._remat",
    "remat": "unidl._remat",
    "grad": "unidl.gradients",
    "value_and_grad": "unidl.gradients",
    "jit": "unidl.gradients",
    "no_grad": "unidl.gradients",
}


@functools.cache
def _modules() -> frozenset[str]:
    """The public modules of this package, which are loaded when they are first used."""
    return frozenset(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, _, attribute = _LAZY[name].partition(":")
        value = getattr(importlib.import_module(module), attribute or name)
    elif name in _modules():
        value = importlib.import_module(f"unidl.{name}")
    else:
        raise AttributeError(f"module 'unidl' has no attribute {name!r}")
    globals()[name] = value
    return value


def version() -> str:
    """The version of unidl."""
    return __version__


def __dir__() -> list[str]:
    return sorted({*_LAZY, *_modules(), "__version__", "version"})


def _is_command() -> bool:
    """Whether this import only serves the command line, which must work without any engine."""
    if sys.argv[:1] == ["-m"]:  # while `python -m NAME` looks for NAME, which need not be unidl
        return sys.orig_argv[-len(sys.argv)] in ("unidl", "-munidl")
    return os.path.basename(sys.argv[0] if sys.argv else "") in ("unidl", "unidl.exe")


if not _is_command():
    importlib.import_module("unidl.backend")
