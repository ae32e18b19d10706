"""Calling mxnet's operators by name, on arrays and on symbols alike.

The native functions of the table are written once, as ``fn(F, x, …)``, where `F` is
:data:`ARRAYS` (runs the operator) or a :class:`Symbols` (adds it to a symbol)::

    def square(F, x):
        return F._npi_square(x)

``F.<operator>(*inputs, **attributes)`` works for every registered operator, the NumPy ones
(``_npi_…``), those of `npx` (``_npx_…``) and the old ones, and always has NumPy semantics. It also
costs half the time of `mx.np`, whose functions go through several layers of Python.
An operator with one output returns it, one with several a list. Attributes that are numbers for
the C++ side to parse (``scalar=``) are passed as text, so that 1, 1.0 and True stay apart.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from unidl_mxnet._engine import mx

_LIB = mx.base._LIB
_Handle = mx.base.NDArrayHandle
_check = mx.base.check_call
_ndarray = mx.np.ndarray
_array_of = mx.base.c_handle_array
_PACKED_MAX = 1024

#: unidl's dtype names and mxnet's dtype objects, as `ndarray.dtype` gives them.
DTYPES: dict[str, Any] = {np.dtype(d).name: np.dtype(d) for d in mx.nd.ndarray._DTYPE_NP_TO_MX if isinstance(d, type)}
NAMES = {native: name for name, native in DTYPES.items()}


def _operator(name: str) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    _check(_LIB.NNGetOpHandle(name.encode(), ctypes.byref(handle)))
    return handle


def _forget_errno() -> None:
    """Set the C library's errno to 0: mxnet refuses an infinite attribute if an overflow has left its mark there."""
    if _errno is not None:
        _errno()[0] = 0


_errno = getattr(ctypes.CDLL(None), "__errno_location", None) if sys.platform == "linux" else None
if _errno is not None:
    _errno.restype = ctypes.POINTER(ctypes.c_int)


class _Attributes(dict):
    """Attribute lists in C form, and whether an infinity is among them, by their Python values."""

    def __missing__(self, key: tuple[tuple[str, Any], ...]) -> tuple[Any, Any, Any, bool]:
        if len(self) >= _PACKED_MAX:
            self.clear()
        keys = (ctypes.c_char_p * len(key))(*[name.encode() for name, _ in key])
        values = (ctypes.c_char_p * len(key))(*[str(value).encode() for _, value in key])
        self[key] = packed = (ctypes.c_int(len(key)), keys, values, any("inf" in str(value) for _, value in key))
        return packed


def _array_call(name: str) -> Callable[..., Any]:
    """A function that runs the operator `name`; ``out=[arrays]`` makes it write there."""
    operator, attributes = _operator(name), _Attributes()
    invoke, empty = _LIB.MXImperativeInvokeEx, ctypes.POINTER(_Handle)
    stypes_type, byref, cast, c_int = ctypes.POINTER(ctypes.c_int), ctypes.byref, ctypes.cast, ctypes.c_int

    def call(*inputs: Any, out: Any = None, **attrs: Any) -> Any:
        count, keys, values, infinite = attributes[tuple(attrs.items())]
        if infinite:
            _forget_errno()
        if out is None:
            n, results = c_int(0), empty()
        else:
            n, results = c_int(len(out)), cast(_array_of(out), empty)
        _check(
            invoke(
                operator, c_int(len(inputs)), _array_of(inputs), byref(n), byref(results), count, keys, values,
                byref(stypes_type()),
            )
        )  # fmt: skip
        if out is not None:
            return out
        if n.value == 1:
            return _ndarray(_Handle(results[0]))
        return [_ndarray(_Handle(results[i])) for i in range(n.value)]

    call.__name__ = name
    return call


class Arrays:
    """`F` for eager execution."""

    symbolic = False
    trains = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            function = _array_call(name)
        except mx.MXNetError as error:
            raise AttributeError(f"mxnet has no operator {name!r}") from error
        setattr(self, name, function)
        return function

    @staticmethod
    def context() -> str:
        """The device of tensors that are made from nothing."""
        return str(mx.context.current_context())

    @staticmethod
    def scratch(name: str, shape: tuple[int, ...], dtype: str) -> Any:
        """An array that an operator may write to, and nobody reads."""
        return ARRAYS._npi_zeros(shape=shape, dtype=dtype, ctx=ARRAYS.context())

    @staticmethod
    def shape(x: Any) -> tuple[int, ...]:
        return x.shape

    @staticmethod
    def dtype(x: Any) -> str:
        return NAMES[x.dtype]


ARRAYS = Arrays()


class Symbol:
    """An mxnet symbol with one output, and what is known of it."""

    __slots__ = ("dtype", "first", "native", "shape", "swapped", "turned")

    def __init__(self, native: Any, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> None:
        self.native, self.shape, self.dtype = native, shape, dtype
        self.first: Symbol | None = None  # see unidl_mxnet.layout
        self.turned: Symbol | None = None  # what it is with the last two axes swapped, if that is at hand
        self.swapped: Callable[[], Symbol] | None = None  # makes it with the first two axes swapped, if that is cheap


class Symbols:
    """`F` for building one symbol.

    Attributes:
        scratches: arrays that operators write to, by the names of their variables.
        specs: name of each variable of the symbol to its shape and dtype; what operators inside a
            native function return is inferred from them when asked for.
        trains: whether gradients flow through what is being added.
    """

    symbolic = True

    def __init__(self) -> None:
        self.trains = False
        self.specs: dict[str, tuple[tuple[int, ...], str]] = {}
        self.scratches: dict[str, Any] = {}

    context = staticmethod(Arrays.context)

    def scratch(self, name: str, shape: tuple[int, ...], dtype: str) -> Symbol:
        name = f"scratch_{name}_{len(self.scratches)}"
        self.scratches[name] = Arrays.scratch(name, shape, dtype)
        return self.variable(name, shape, dtype)

    def variable(self, name: str, shape: tuple[int, ...], dtype: str) -> Symbol:
        self.specs[name] = (shape, dtype)
        return Symbol(mx.sym.var(name).as_np_ndarray(), shape, dtype)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operator = _operator(name)
        symbol_class = mx.sym.np._Symbol

        def call(*inputs: Symbol, **attrs: Any) -> Any:
            handle = mx.base.SymbolHandle()
            keys = mx.base.c_str_array(attrs.keys())
            values = mx.base.c_str_array([str(v) for v in attrs.values()])
            _forget_errno()
            _check(_LIB.MXSymbolCreateAtomicSymbol(operator, len(attrs), keys, values, ctypes.byref(handle)))
            symbol = symbol_class(handle)
            handles = mx.base.c_handle_array([x.native for x in inputs])
            _check(_LIB.NNSymbolCompose(handle, None, len(inputs), None, handles))
            n = symbol.num_outputs
            return Symbol(symbol) if n == 1 else [Symbol(symbol[i]) for i in range(n)]

        setattr(self, name, call)
        return call

    def shape(self, x: Symbol) -> tuple[int, ...]:
        if x.shape is None:
            known = {n: self.specs[n][0] for n in x.native.list_inputs()}
            x.shape = tuple(x.native.infer_shape(**known)[1][0])
        return x.shape

    def dtype(self, x: Symbol) -> str:
        if x.dtype is None:
            known = {n: DTYPES[self.specs[n][1]] for n in x.native.list_inputs()}
            x.dtype = NAMES[np.dtype(x.native.infer_type(**known)[1][0])]
        return x.dtype
