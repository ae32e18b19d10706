"""Apache MXNet as a backend of unidl."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unidl.backend.contract import Backend
from unidl.backend.control import control_table
from unidl_mxnet import compiled, gradients, optimizers, tensors, turned
from unidl_mxnet._engine import mx
from unidl_mxnet._invoke import ARRAYS, DTYPES, NAMES
from unidl_mxnet.gluon import Module
from unidl_mxnet.kernels import TABLE
from unidl_mxnet.tensors import Variable


class MXNetBackend(Backend):
    """See `unidl.backend.contract.Backend` for what each method means."""

    name = "mxnet"
    engine = "mxnet"
    table = TABLE
    dtypes = DTYPES
    tensor_types = frozenset({mx.np.ndarray, Variable})
    Module = Module
    Variable = Variable
    static_shapes = True
    detours = {
        "bool": ("int32", "float32"), "int8": ("int32", "float32"), "uint8": ("int32", "float32"),
        "int32": ("int64", "float64"), "float16": ("float32",),
    }  # fmt: skip

    @property
    def engine_version(self) -> str:
        return mx.__version__

    def devices(self) -> list[str]:
        return ["cpu:0", *(f"gpu:{i}" for i in range(mx.context.num_gpus()))]

    def device(self, name: str) -> Any:
        kind, _, number = name.partition(":")
        return mx.Context(kind, int(number))

    def set_seed(self, seed: int) -> None:
        mx.random.seed(seed % 2**31)

    # -- tensors ----------------------------------------------------------------------------

    def is_tensor(self, value: object) -> bool:
        return isinstance(value, mx.np.ndarray)

    def to_tensor(self, value: Any, dtype: str | None = None) -> Any:
        if isinstance(value, mx.np.ndarray):
            return value if dtype is None else self.cast(value, dtype)
        return tensors.from_host(value, dtype)

    def borrow(self, array: np.ndarray) -> Any:
        return tensors.borrow(array)

    def to_numpy(self, tensor: Any) -> np.ndarray:
        return tensor.asnumpy()

    def host_view(self, tensor: Any) -> np.ndarray:
        return tensors.host_view(tensor)

    def shape(self, tensor: Any) -> tuple[int, ...]:
        return tensor.shape

    def dtype(self, tensor: Any) -> str:
        return NAMES[tensor.dtype]

    def cut(self, tensor: Any, count: int) -> list[Any]:
        size = tensor.shape[0] // count
        return [tensor._slice(i * size, (i + 1) * size) for i in range(count)]

    def rows(self, tensor: Any, index: Any) -> Any:
        return ARRAYS._npi_take(tensor, index, axis=0, mode="clip")

    def no_grad(self) -> contextlib.AbstractContextManager[Any]:
        return mx.autograd.pause(train_mode=mx.autograd.is_training())

    # -- variables --------------------------------------------------------------------------

    def make_variable(self, value: np.ndarray, *, trainable: bool, name: str) -> Any:
        variable = tensors.variable_of(value, trainable)
        variable._name = name
        return variable

    def assign(self, variable: Any, value: Any) -> None:
        tensors.assign(variable, value)

    def fill(self, variable: Any, value: np.ndarray) -> None:
        tensors.fill(variable, value)

    def increment(self, variable: Any) -> None:
        tensors.increment(variable)

    # -- the engine's own modules -----------------------------------------------------------

    native_modules = ((mx.gluon.Block, "gluon"),)

    def native_module(self, kind: str, **what: Any) -> Any:
        if kind != "gluon":
            return super().native_module(kind, **what)
        from unidl_mxnet.modules import GluonBlock

        return GluonBlock(what["block"])

    # -- gradients --------------------------------------------------------------------------

    def differentiate(
        self, fn: Callable[..., Any], tensors: Sequence[Any], variables: Sequence[Any]
    ) -> tuple[Any, list[Any], list[Any]]:
        return gradients.differentiate(fn, tensors, variables)

    def custom_gradient(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *inputs: gradients.with_gradient(fn, inputs)

    # -- running graphs ---------------------------------------------------------------------

    def executable(self, graph: Any, *, jit: bool = False) -> Callable[..., Any]:
        return compiled.executable(graph, self)

    export_formats = ("mxnet",)

    def export(self, format: str, path: Path, archive: Any, options: dict[str, Any]) -> list[Path]:
        from unidl_mxnet.exporting import symbol_and_params

        return symbol_and_params(self, path, archive, options)

    def train_step(
        self,
        forward: Callable[..., tuple[Any, ...]],
        variables: Sequence[Any],
        apply: Callable[[list[Any]], None],
        *,
        jit: bool = False,
        slots: Mapping[str, Sequence[Any]] | None = None,
    ) -> Callable[..., tuple[Any, ...]]:
        return compiled.train_step(forward, variables, apply, slots)

    def training_loop(self, steps: int | None) -> contextlib.AbstractContextManager[None]:
        return turned.training_loop(steps)

    def optimizer_kernel(
        self, name: str, optimizer: Any, variables: Sequence[Any]
    ) -> Callable[[list[Any]], None] | None:
        make = optimizers.KERNELS.get(name)
        return None if make is None or not variables else make(optimizer, list(variables))


backend = MXNetBackend()
TABLE.update(control_table(backend))
