"""Variables, and what of a value the kernels see."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.tracer import getval, isbox

from unidl.backend.variables import VariableMixin


class Variable(VariableMixin, np.ndarray):
    """An array that knows its path, and that takes part in differentiation.

    Attributes:
        box: what stands for it while a function is differentiated by it; else None.
    """

    trainable: bool = True
    box: Any = None
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
        if "out" in named:
            named["out"] = tuple(map(value, named["out"]))
        return getattr(ufunc, method)(*map(value, inputs), **named)

    def __deepcopy__(self, memo: Any) -> Variable:
        if id(self) not in memo:
            memo[id(self)] = clone = np.array(self).view(Variable)
            clone.__dict__.update(self.__dict__)
        return memo[id(self)]


def value(x: Any) -> Any:
    """`x` as autograd takes it: variables as arrays or boxes, whole numbers without a box, lists item by item."""
    if isinstance(x, Variable):
        return np.asarray(x) if x.box is None else x.box
    if type(x) in (list, tuple):
        return type(x)(map(value, x))
    return getval(x) if isbox(x) and x.dtype.kind in "biu" else x


def boxed(x: Any) -> bool:
    """Whether a derivative by `x` (or something in it) is wanted."""
    return any(map(boxed, x)) if type(x) in (list, tuple) else isbox(x)
