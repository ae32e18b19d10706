"""mxnet arrays from and to the host, and variables."""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl.backend.variables import VariableMixin
from unidl.errors import OpError
from unidl_mxnet._engine import mx, runs_at_once
from unidl_mxnet._invoke import ARRAYS, DTYPES, NAMES

_LIB = mx.base._LIB
_check = mx.base.check_call
_GRAD_WRITE, _GRAD_NULL = 1, 0


class Variable(VariableMixin, mx.np.ndarray):
    """An `mx.np.ndarray` that knows its path; a trainable one has a gradient buffer, as gluon's have.

    Attributes:
        gradient: that buffer, which `backward` overwrites; None without one.
        turned: what has turned the memory of a matrix for the time being (`unidl_mxnet.turned`).
    """

    gradient: Any = None
    turned: Any = None
    _trainable = False

    @property
    def handle(self) -> Any:
        """What mxnet's functions take: to ask for it is to look at the memory."""
        if self.turned is not None:
            self.turned.turn_back()
        return _HANDLE.__get__(self)

    @handle.setter
    def handle(self, value: Any) -> None:
        _HANDLE.__set__(self, value)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        wanted = self._trainable and self.dtype in _DIFFERENTIABLE
        if wanted and self.gradient is None:
            self.gradient = attach_gradient(self)
        elif not wanted and self.gradient is not None:
            mark(self, self.gradient, _GRAD_NULL)
            self.gradient = None

    def numpy(self, *args: Any, **kwargs: Any) -> np.ndarray:
        return VariableMixin.numpy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        clone = variable_of(self.asnumpy(), self._trainable)
        memo[id(self)] = clone
        kept = {k: v for k, v in self.__dict__.items() if k not in _OWN}
        clone.__dict__.update(copy.deepcopy(kept, memo))
        return clone

    def __reduce__(self) -> Any:
        kept = {k: v for k, v in self.__dict__.items() if k not in _OWN}
        return variable_of, (self.asnumpy(), self._trainable), kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    __hash__ = object.__hash__


#: What a copy does not take over.
_OWN = ("gradient", "turned", "_trainable", "_parameter")
_HANDLE: Any = mx.np.ndarray.handle
_DIFFERENTIABLE = frozenset(DTYPES[name] for name in ("float16", "float32", "float64"))


def mark(array: Any, gradient: Any, request: int = _GRAD_WRITE) -> None:
    """Have `backward` write the gradient by `array` to `gradient` (or not, with request 0)."""
    _check(
        _LIB.MXAutogradMarkVariables(
            1, ctypes.pointer(array.handle), ctypes.pointer(mx.base.mx_uint(request)), ctypes.pointer(gradient.handle)
        )
    )


def alias(array: Any, shape: Sequence[int] | None = None) -> Any:
    """A plain array on the memory of `array`, in another shape if wanted."""
    handle = mx.base.NDArrayHandle()
    sizes = tuple(array.shape if shape is None else shape)
    _check(
        _LIB.MXNDArrayReshape64(
            array.handle, len(sizes), (ctypes.c_int64 * len(sizes))(*sizes), False, ctypes.byref(handle)
        )
    )
    return mx.np.ndarray(handle)


def attach_gradient(array: Any) -> Any:
    """A gradient buffer of zeros for `array`."""
    gradient = ARRAYS.zeros_like(array)
    mark(array, gradient)
    return gradient


def from_host(value: np.ndarray, dtype: str | None = None, kind: type = mx.np.ndarray) -> Any:
    """A copy of `value` on the current device.

    Raises:
        OpError: if mxnet lacks the dtype.
    """
    array = np.asarray(value, dtype=DTYPES.get(dtype, dtype) if dtype is not None else None, order="C")
    name = array.dtype.name
    if name not in DTYPES:
        raise OpError(
            f"mxnet has no dtype {name!r} (array of shape {list(array.shape)}); it has {', '.join(DTYPES)}. "
            "Cast the array first, e.g. `x.astype('int32')`."
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    # Empty arrays get no memory, and none is asked for.
    handle = mx.nd.ndarray._new_alloc_handle(array.shape, mx.context.current_context(), False, DTYPES[name])
    if array.size:
        _check(_LIB.MXNDArraySyncCopyFromCPU(handle, ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.size)))
    return kind(handle)


#: Dtypes that mxnet knows by the same layout as NumPy.
_LENT = frozenset(("uint8", "int32", "int64", "float16", "float32", "float64"))


def borrow(array: np.ndarray) -> Any:
    """An array of mxnet on the memory of `array`, where mxnet can read it as it is; else a copy."""
    lent = array.dtype.name in _LENT and array.dtype.isnative and array.flags.c_contiguous and array.size
    if not lent or mx.context.current_context().device_type != "cpu":
        return from_host(array)
    # A view, because mxnet's function has it locked against writing.
    return mx.nd.from_numpy(array.view(), array_cls=mx.np.ndarray)


def variable_of(value: np.ndarray, trainable: bool) -> Variable:
    """A variable with the value of `value`."""
    variable = from_host(value, kind=Variable)
    variable.trainable = trainable
    return variable


def assign(variable: Any, value: Any) -> None:
    """Overwrite in place, whether or not autograd is recording."""
    recording = ctypes.c_int()
    _LIB.MXAutogradIsRecording(ctypes.byref(recording))
    if recording.value:
        with mx.autograd.pause(train_mode=mx.autograd.is_training()):
            ARRAYS._copyto(value, out=(variable,))
    else:
        ARRAYS._copyto(value, out=(variable,))


def fill(variable: Any, value: np.ndarray) -> None:
    """Overwrite with an array of the same shape and dtype, from its memory to that of the variable."""
    array = np.asarray(value, order="C")
    if array.size:
        _check(
            _LIB.MXNDArraySyncCopyFromCPU(
                variable.handle, ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.size)
            )
        )


def host_view(tensor: Any) -> np.ndarray:
    """The memory of an array on the host; a copy of one elsewhere."""
    if tensor.ctx.device_type != "cpu" or not tensor.size:
        return tensor.asnumpy()
    _check(_LIB.MXNDArrayWaitToRead(tensor.handle))
    return _memory(tensor, _address(tensor))


def _address(tensor: Any) -> int:
    """Where the elements are, in their order: mxnet moves them there if a kernel left them in another one."""
    address = ctypes.c_void_p()
    _check(_LIB.MXNDArrayGetData(tensor.handle, ctypes.byref(address)))
    return address.value or 0


def _memory(tensor: Any, address: int) -> np.ndarray:
    memory = (ctypes.c_char * (tensor.size * tensor.dtype.itemsize)).from_address(address)
    memory.owner = tensor  # keeps it alive
    return np.frombuffer(memory, tensor.dtype).reshape(tensor.shape)


class HostBlocks:
    """The memory of an array on the host, in blocks; for an engine that has finished when a call returns."""

    def __init__(self, tensor: Any, size: int) -> None:
        self.tensor, self.size = tensor, size
        self.address = 0
        self.blocks: list[tuple[np.ndarray, int]] = []

    def read(self) -> list[tuple[np.ndarray, int]]:
        """Flat parts of so many elements, the last one of the rest, each with its address."""
        address = _address(self.tensor)
        if address != self.address:
            flat = _memory(self.tensor, address).reshape(-1)
            places = range(0, len(flat), self.size)
            self.blocks = [(flat[i : i + self.size], address + i * flat.itemsize) for i in places]
            self.address = address
        return self.blocks


def increment(variable: Any) -> None:
    """Add 1 in place; never recorded."""
    with mx.autograd.pause(train_mode=mx.autograd.is_training()):
        ARRAYS._npi_add_scalar(variable, out=(variable,), scalar="1")


def dtype_name(tensor: Any) -> str:
    return NAMES[tensor.dtype]


_C_TYPES: dict[str, Any] = {
    "float32": ctypes.c_float, "float64": ctypes.c_double, "int32": ctypes.c_int32, "int64": ctypes.c_int64,
}  # fmt: skip


class HostNumber:
    """The value of a 0-d variable in the host's memory, read without a copy.

    On a device it is fetched.
    """

    def __init__(self, variable: Any) -> None:
        self.variable = variable
        self.pointer: Any = None
        if variable.ctx.device_type == "cpu":
            address = ctypes.c_void_p(_address(variable))
            self.pointer = ctypes.cast(address, ctypes.POINTER(_C_TYPES[dtype_name(variable)]))
        self.wait = not runs_at_once()

    def read(self) -> Any:
        if self.pointer is None:
            return self.variable.asnumpy().item()
        if self.wait:
            _check(_LIB.MXNDArrayWaitToRead(self.variable.handle))
        return self.pointer[0]
