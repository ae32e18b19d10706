"""NumPy as a backend of unidl: what each op means, and inference without any engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.backend.contract import Backend
from unidl.backend.control import control_table
from unidl.backend.variables import VariableMixin
from unidl_numpy import bits, complex, elementwise, fft, linalg, random, reduce, rnn, scatter, search, shape, windows
from unidl_numpy.dtypes import DTYPES, NAMES, dtype_name
from unidl_numpy.kernel import plain


class Variable(VariableMixin, np.ndarray):
    """An array that knows its path. What NumPy computes from it are plain arrays."""

    trainable: bool = True
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        if out is not None:
            named["out"] = tuple(plain(o) for o in out)
        return getattr(ufunc, method)(*[plain(x) for x in inputs], **named)

    def __deepcopy__(self, memo: Any) -> Variable:
        if id(self) not in memo:
            memo[id(self)] = clone = plain(self).copy().view(Variable)
            clone.__dict__.update(self.__dict__)
        return memo[id(self)]


class Module:
    """What layers derive from."""


class NumPyBackend(Backend):
    """See `unidl.backend.contract.Backend` for what each method means."""

    name = "numpy"
    engine = "numpy"
    Module = Module
    Variable = Variable
    dtypes = DTYPES
    tensor_types = frozenset({np.ndarray, Variable})
    trains = False
    detours = {"float16": ("float32",), "bfloat16": ("float32",)}

    def __init__(self) -> None:
        self.table = {
            **elementwise.TABLE, **reduce.TABLE, **shape.TABLE, **windows.TABLE, **rnn.TABLE, **random.TABLE,
            **bits.TABLE, **complex.TABLE, **search.TABLE, **scatter.TABLE, **linalg.TABLE, **fft.TABLE,
        }  # fmt: skip
        self.table.update(control_table(self))

    @property
    def engine_version(self) -> str:
        return np.__version__

    def devices(self) -> list[str]:
        return ["cpu:0"]

    def is_tensor(self, value: object) -> bool:
        return isinstance(value, np.ndarray) and value.dtype in NAMES

    def to_tensor(self, value: Any, dtype: str | None = None) -> np.ndarray:
        array = np.asarray(value, None if dtype is None else DTYPES[dtype])
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def to_numpy(self, tensor: Any) -> np.ndarray:
        return plain(tensor)

    def shape(self, tensor: Any) -> tuple[int, ...]:
        return tensor.shape

    def dtype(self, tensor: Any) -> str:
        return dtype_name(tensor)

    def make_variable(self, value: np.ndarray, *, trainable: bool, name: str) -> Any:
        variable = np.array(value, order="C").view(Variable)
        variable.trainable, variable._name = trainable, name
        return variable

    def assign(self, variable: Any, value: Any) -> None:
        plain(variable)[...] = value

    def set_seed(self, seed: int) -> None:
        random.set_seed(seed)


backend = NumPyBackend()
