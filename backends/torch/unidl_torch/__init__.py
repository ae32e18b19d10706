"""PyTorch as a backend of unidl."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from unidl.backend.contract import Backend, ProgramInputs
from unidl.backend.control import control_table
from unidl.backend.variables import VariableMixin
from unidl_torch import (
    bits,
    compiled,
    complex,
    elementwise,
    fft,
    image,
    linalg,
    nn,
    random,
    reduce,
    rnn,
    scatter,
    search,
    shape,
    training,
)
from unidl_torch.device import default_device, on_device
from unidl_torch.dtypes import DTYPES, NAMES


def _as_kernel(tensor: Tensor) -> Tensor:
    """`tensor` with the memory that oneDNN and cuDNN like of a kernel (*window, channels, filters), if it may be one.

    That is filters, window, channels: the view that convolutions take is then `channels_last`, and nothing is copied.
    """
    n = tensor.dim() - 2
    if n not in (2, 3):
        return tensor
    return tensor.permute(n + 1, *range(n), n).contiguous().permute(*range(1, n + 1), n + 1, 0)


class Variable(VariableMixin, torch.nn.Parameter):
    """A `torch.nn.Parameter` that knows its path."""

    _trainable: bool

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self.requires_grad_(self._trainable and self.dtype.is_floating_point)

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        if id(self) not in memo:
            memo[id(self)] = clone = _variable(self.data.clone(memory_format=torch.preserve_format), self._trainable)
            clone.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return memo[id(self)]


def _variable(data: Tensor, trainable: bool) -> Variable:
    variable = torch.Tensor._make_subclass(Variable, data, trainable and data.dtype.is_floating_point)
    variable._trainable = trainable
    return variable


def _adopted(tensor: Tensor, name: str, trainable: bool) -> Variable:
    """A parameter or buffer of a module as a variable: the same object, which the module keeps."""
    if not isinstance(tensor, Variable):
        tensor.__class__ = Variable
        tensor._trainable, tensor._name = trainable, name  # type: ignore[attr-defined]
    return tensor  # type: ignore[return-value]


class Module(torch.nn.Module):
    """What layers derive from: a module that starts in evaluation mode, as Keras's layers do."""

    def __init__(self) -> None:
        super().__init__()
        self.training = False

    def adopt(self, variables: dict[str, Tensor], children: dict[str, torch.nn.Module]) -> None:
        """Register what PyTorch has not seen as an attribute: layers in lists, weights kept elsewhere."""
        known = {id(v) for v in (*self._parameters.values(), *self._modules.values())}
        for name, variable in variables.items():
            if id(variable) in known or name in self._parameters:
                continue
            if isinstance(inspect.getattr_static(type(self), name, None), property):
                self._parameters[name] = variable  # the attribute is computed from it (LoRA): only PyTorch looks here
            elif not hasattr(type(self), name):
                self.register_parameter(name, variable)
        for name, child in children.items():
            if id(child) not in known and name not in self._modules:
                taken = name in self.__dict__ or hasattr(type(self), name)
                self.add_module(f"{name}_layer" if taken else name, child)

    def __getattr__(self, name: str) -> Any:
        """Parameters and modules; what a property complains of is not hidden by PyTorch's own message."""
        state = self.__dict__
        for store in ("_parameters", "_buffers", "_modules"):
            if store in state and name in state[store]:
                return state[store][name]
        found = inspect.getattr_static(type(self), name, None)
        if isinstance(found, property) and found.fget is not None:
            return found.fget(self)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class TorchBackend(Backend):
    """See `unidl.backend.contract.Backend` for what each method means."""

    name = "torch"
    engine = "torch"
    Module = Module
    Variable = Variable
    dtypes = DTYPES
    tensor_types = frozenset({Tensor, torch.nn.Parameter, Variable})
    detours = {
        "bool": ("uint8",), "int8": ("int32", "float32"), "int16": ("int32", "float32"), "int32": ("int64", "float64"),
        "uint8": ("int32", "float32"), "uint16": ("int32", "float32"), "uint32": ("int64", "float64"),
        "float16": ("float32",), "bfloat16": ("float32",),
    }  # fmt: skip

    def __init__(self) -> None:
        self.table = {
            **elementwise.TABLE, **reduce.TABLE, **shape.TABLE, **nn.TABLE, **rnn.TABLE, **random.TABLE,
            **bits.TABLE, **complex.TABLE, **search.TABLE, **scatter.TABLE, **linalg.TABLE, **fft.TABLE, **image.TABLE,
        }  # fmt: skip
        self.table.update(control_table(self))

    @property
    def compiles_updates(self) -> bool:  # type: ignore[override]
        return compiled.takes_gradients()

    @property
    def engine_version(self) -> str:
        return torch.__version__

    def devices(self) -> list[str]:
        return ["cpu:0", *(f"gpu:{i}" for i in range(torch.cuda.device_count()))]

    @contextlib.contextmanager
    def device(self, name: str) -> Iterator[None]:
        with on_device(torch.device(name.replace("gpu", "cuda"))):
            yield

    # -- tensors ----------------------------------------------------------------------------

    def is_tensor(self, value: object) -> bool:
        return isinstance(value, Tensor)

    def to_tensor(self, value: Any, dtype: str | None = None) -> Tensor:
        if isinstance(value, Tensor):
            return value if dtype is None else value.to(DTYPES[dtype])
        array = np.asarray(value)
        if array.dtype.name == "bfloat16":
            tensor = torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
        elif array.dtype.isnative:
            tensor = torch.from_numpy(np.array(array, order="C"))
        else:
            tensor = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        return tensor.to(device=default_device(), dtype=None if dtype is None else DTYPES[dtype])

    def borrow(self, array: np.ndarray) -> Tensor:
        if not _readable(array):
            return self.to_tensor(array)
        return torch.from_numpy(np.asarray(_Unlocked(array))).to(default_device())

    def to_numpy(self, tensor: Tensor) -> np.ndarray:
        tensor = tensor.detach().cpu().resolve_conj()
        if tensor.dtype is torch.bfloat16:
            from unidl.ops._bind import numpy_dtype

            return tensor.view(torch.int16).numpy().view(numpy_dtype("bfloat16"))
        return Tensor.numpy(tensor)

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        return tuple(tensor.shape)

    def dim(self, tensor: Tensor, axis: int) -> int:
        return tensor.shape[axis]

    def dtype(self, tensor: Tensor) -> str:
        return NAMES[tensor.dtype]

    def cast(self, tensor: Tensor, dtype: str) -> Tensor:
        return tensor.to(DTYPES[dtype])

    def no_grad(self) -> contextlib.AbstractContextManager[Any]:
        return torch.no_grad()

    # -- variables --------------------------------------------------------------------------

    def make_variable(self, value: np.ndarray, *, trainable: bool, name: str) -> Any:
        variable = _variable(_as_kernel(self.to_tensor(value)), trainable)
        variable._name = name
        return variable

    def assign(self, variable: Any, value: Tensor) -> None:
        if not torch.is_grad_enabled():  # in a step: entering the context costs more than a small copy
            variable.copy_(value)
            return
        with torch.no_grad():
            variable.copy_(value)

    def assign_add(self, variable: Any, value: Any) -> None:
        if not torch.is_grad_enabled():
            variable.add_(value)
            return
        with torch.no_grad():
            variable.add_(value)

    def fill(self, variable: Any, value: np.ndarray) -> None:
        if not _readable(value):
            return super().fill(variable, value)
        self.assign(variable, torch.from_numpy(np.asarray(_Unlocked(value))))

    # -- the engine's own modules -----------------------------------------------------------

    native_modules = ((torch.nn.Module, "torch"),)

    def native_module(self, kind: str, **what: Any) -> Any:
        if kind != "torch":
            return super().native_module(kind, **what)
        from unidl_torch.modules import TorchModule

        return TorchModule(what["module"], _adopted)

    # -- gradients --------------------------------------------------------------------------

    def differentiate(
        self, fn: Callable[..., Any], tensors: Sequence[Tensor], variables: Sequence[Any]
    ) -> tuple[Any, list[Tensor | None], list[Tensor | None]]:
        nested = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
        with torch.enable_grad():
            inputs = [
                t.view_as(t)
                if nested and t.requires_grad
                else t.detach().requires_grad_()
                if t.is_floating_point()
                else t
                for t in tensors
            ]
            loss, aux = fn(*inputs)
            wanted = [*inputs, *variables]
            floating = [t for t in wanted if t.requires_grad]
            if not loss.requires_grad:
                found: Sequence[Tensor | None] = [None] * len(floating)
            else:
                found = torch.autograd.grad(loss, floating, allow_unused=True, create_graph=nested)
        by_id = {id(t): g for t, g in zip(floating, found, strict=True)}
        gradients = [by_id.get(id(t)) for t in wanted]
        loss = loss if nested else loss.detach()
        return (loss, aux), gradients[: len(inputs)], gradients[len(inputs) :]

    def custom_gradient(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *tensors: _with_gradient(fn, tensors)

    def rematerialized(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return functools.partial(checkpoint, fn, use_reentrant=False)

    def vectorized(self, fn: Callable[..., Sequence[Tensor]], tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        try:
            return torch.func.vmap(lambda *slices: tuple(fn(*slices)))(*tensors)
        except (RuntimeError, ValueError):  # it looks at values, or at an empty axis
            return None

    def jvp(
        self, fn: Callable[..., Sequence[Tensor]], primals: Sequence[Tensor], tangents: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        try:
            outputs, derivatives = torch.func.jvp(lambda *values: tuple(fn(*values)), tuple(primals), tuple(tangents))
        except NotImplementedError:  # some operator has no forward mode
            return super().jvp(fn, primals, tangents)
        return outputs, derivatives

    def train_step(
        self,
        forward: Callable[..., tuple[Any, ...]],
        variables: Sequence[Any],
        apply: Callable[[list[Tensor | None]], None],
        *,
        jit: bool = False,
        slots: Mapping[str, Sequence[Any]] | None = None,
    ) -> Callable[..., tuple[Any, ...]]:
        parameters = tuple(variables)
        gradient = torch.autograd.grad
        if jit and self.compiles_updates and isinstance(forward, compiled.Forward) and forward.whole:
            return compiled.step(forward, parameters, apply)

        def step(*inputs: Tensor) -> tuple[Any, ...]:
            outputs = forward(*inputs)
            apply(gradient(outputs[0], parameters, allow_unused=True))
            return outputs

        return step

    def executable(self, graph: Any, *, jit: bool = False) -> Callable[..., Any]:
        function = super().executable(graph)
        return compiled.Forward(function, graph) if jit else function

    export_formats = ("torch", "torchscript")

    def export(self, format: str, path: Path, archive: Any, options: dict[str, Any]) -> list[Path]:
        from unidl_torch.exporting import WRITERS

        return WRITERS[format](self, path, archive, options)

    def write_onnx(self, source: Path, target: Path, inputs: ProgramInputs) -> None:
        from unidl_torch.converting import write_onnx

        write_onnx(source, target, inputs)

    def optimizer_kernel(
        self, name: str, optimizer: Any, variables: Sequence[Any]
    ) -> Callable[[list[Tensor]], None] | None:
        make = training.KERNELS.get(name)
        return None if make is None or not variables else make(optimizer, list(variables))

    def set_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def random_state(self) -> dict[str, np.ndarray]:
        states = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            states |= {f"cuda:{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
        if torch.backends.mps.is_available():
            states["mps"] = torch.mps.get_rng_state()
        return {name: state.numpy().copy() for name, state in states.items()}

    def set_random_state(self, state: dict[str, np.ndarray]) -> None:
        for name, values in state.items():
            bits = torch.tensor(values)
            if name == "cpu":
                torch.set_rng_state(bits)
            elif name.startswith("cuda") and int(name[5:]) < torch.cuda.device_count():
                torch.cuda.set_rng_state(bits, name)
            elif name == "mps" and torch.backends.mps.is_available():
                torch.mps.set_rng_state(bits)


def _readable(array: np.ndarray) -> bool:
    """Whether PyTorch can read the memory of an array as it is."""
    known = array.dtype.name in DTYPES and array.dtype.name != "bfloat16" and array.dtype.isnative
    return known and min(array.strides, default=0) >= 0


class _Unlocked:
    """Memory of an array that PyTorch is to read only: it warns of arrays that cannot be written to."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.__array_interface__["data"][0], False)}


def _with_gradient(fn: Callable[..., Any], tensors: Sequence[Tensor]) -> Any:
    """Run `fn` inside an autograd function whose backward is the `grad` that `fn` returns."""
    from unidl import tree

    structure: list[Any] = []

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Any:
            outputs, ctx.unidl_grad = fn(*inputs)
            structure.append(outputs)
            return tuple(tree.flatten(outputs))

        @staticmethod
        def backward(ctx: Any, *upstream: Tensor) -> Any:
            gradients = ctx.unidl_grad(*upstream)
            return tuple(gradients) if isinstance(gradients, (tuple, list)) else gradients

    results = Function.apply(*tensors)
    return tree.pack_sequence_as(structure[0], results)


backend = TorchBackend()
