"""What every function of the table has in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """`value` as a plain array if it is of a subclass (a variable, a memory map); lists item by item."""
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    return [plain(v) for v in value] if type(value) is list else value


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with plain arrays in and out (NumPy makes scalars of results without dimensions).

    Infinity and NaN come out as IEEE 754 says, without warnings, as they do on the other engines.
    """

    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        with np.errstate(all="ignore"):
            result = function(*[plain(v) for v in values], **named)
        return tuple(map(np.asarray, result)) if type(result) is tuple else np.asarray(result)

    return call


def kernels(functions: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """A table with each function made a `kernel`."""
    return {name: kernel(function) for name, function in functions.items()}
