"""The table: a native function for each op, written once for arrays and for symbols.

:data:`NATIVE` holds ``fn(F, *arguments)`` by op name, :data:`TABLE` the same bound to arrays. What a module lists in
`EAGER` are functions of arrays only, for ops whose control flow or output shapes depend on values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from unidl_mxnet._invoke import ARRAYS
from unidl_mxnet.kernels import (
    bits,
    creation,
    decompositions,
    elementwise,
    linalg,
    nn,
    random,
    reduce,
    rnn,
    scatter,
    search,
    shape,
    windows,
)


def _kernels(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The public functions that `module` itself defines."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__ and callable(value)
    }


NATIVE: dict[str, Callable[..., Any]] = {}
for _module in (
    elementwise, bits, creation, reduce, shape, scatter, search, linalg, decompositions, nn, windows, rnn, random,
):  # fmt: skip
    NATIVE.update(_kernels(_module))
del NATIVE["batch_statistics_normalization"]  # no op: `compiled` puts it in for one

TABLE: dict[str, Callable[..., Any]] = {name: functools.partial(fn, ARRAYS) for name, fn in NATIVE.items()}
for _module in (bits, search, shape, decompositions, rnn, random):
    TABLE.update(_module.EAGER)
