"""Channels-first inside, channels-last outside: transposes go to the edges of a compiled graph.

mxnet's convolutions are channels-first. While a symbol is built from a channels-last graph, the
results of convolutions stay as they come, and each op that can work on that form does: only an op
that cannot gets the transposed tensor. A symbol whose `native` is None exists only as `first`, its
channels-first form, until then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.config import checked_data_format
from unidl_mxnet._invoke import Symbol

_WINDOWS = {"conv": 4, "conv_bias": 5, "depthwise_conv": 4, "conv_transpose": 5, "max_pool": 4, "average_pool": 4}
_UNARY = {
    "relu", "sigmoid", "tanh", "leaky_relu", "softplus", "softsign", "exp", "negative", "absolute", "square", "sqrt",
    "cast", "copy", "stop_gradient", "random_dropout", "erf", "round", "reciprocal",
}  # fmt: skip
_BINARY = {
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "greater", "greater_equal", "less", "less_equal",
}  # fmt: skip
_REDUCE = {"mean", "max", "min", "sum"}


def first_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A channels-last shape with its channels on axis 1."""
    return (shape[0], shape[-1], *shape[1:-1])


def channels_as_recorded(F: Any, x: Symbol) -> Symbol:
    """`x` with its `native` form, transposed from the other if need be."""
    if x.native is None:
        rank = len(x.shape or ())
        x.native = F._np_transpose(x.first, axes=(0, *range(2, rank), 1)).native
    return x


def _first(F: Any, x: Symbol) -> Symbol:
    """The channels-first form of `x`."""
    if x.first is None:
        rank, shape = len(F.shape(x)), first_shape(F.shape(x))
        x.first = Symbol(F._np_transpose(x, axes=(0, rank - 1, *range(1, rank - 1))).native, shape, F.dtype(x))
    return x.first


def _lazy(x: Any) -> bool:
    return type(x) is Symbol and x.native is None


def _wrap(x: Symbol) -> Symbol:
    result = Symbol(None)
    result.first = x
    return result


def call(F: Any, name: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """``function(F, *args)``, on channels-first forms where `function` (the op `name`) allows it."""
    if name in _WINDOWS:
        where = _WINDOWS[name]
        if checked_data_format(args[where]) == "channels_last":
            rest = tuple(channels_as_recorded(F, a) if type(a) is Symbol else a for a in args[1:])
            args = (_first(F, args[0]), *rest[: where - 1], "channels_first", *rest[where:])
            return _wrap(function(F, *args))
    operands = args[0] if name == "concatenate" else args
    lazy = [a for a in operands if _lazy(a)]
    if lazy:
        result = _without_transpose(F, name, function, args, lazy[0].shape)
        if result is not None:
            return result
    return function(F, *[_plain(F, a) for a in args])


def _plain(F: Any, value: Any) -> Any:
    if type(value) is Symbol:
        return channels_as_recorded(F, value)
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(F, v) for v in value)
    return value


def _without_transpose(
    F: Any, name: str, function: Callable[..., Any], args: tuple[Any, ...], shape: tuple[int, ...]
) -> Any:
    rank, x = len(shape), args[0]
    if name in _UNARY and _lazy(x) and not any(type(a) is Symbol for a in args[1:]):
        return _wrap(function(F, x.first, *args[1:]))
    if name in _BINARY:
        sides = [_side(F, a, shape) for a in args]
        return None if None in sides else _wrap(function(F, *sides))
    if name in ("batch_normalization_training", "batch_normalization") and _lazy(x):
        axis = args[1 if name.endswith("training") else 3]
        if axis % rank != rank - 1:
            return None
        rest = [_plain(F, a) for a in args[1:]]
        rest[0 if name.endswith("training") else 2] = 1
        results = function(F, x.first, *rest)
        return (_wrap(results[0]), *results[1:]) if name.endswith("training") else _wrap(results)
    if name == "concatenate" and args[1] % rank == rank - 1:
        return _wrap(function(F, [_first(F, t) for t in x], 1))
    if name in _REDUCE and _lazy(x):
        axis, keepdims = args[1], args[2]
        if isinstance(axis, (tuple, list)) and not keepdims:
            if sorted(a % rank for a in axis) == list(range(1, rank - 1)):
                return function(F, x.first, tuple(range(2, rank)), *args[2:])
    return None


def _side(F: Any, x: Any, shape: tuple[int, ...]) -> Any:
    """An operand of a broadcast op in channels-first form, None if it has none that is cheap."""
    if type(x) is not Symbol:
        return x
    if x.native is None or tuple(x.shape or ()) == tuple(shape):
        return _first(F, x) if tuple(x.shape or ()) == tuple(shape) else None
    if x.shape == ():
        return x
    if x.shape is not None and len(x.shape) == 1 and x.shape[0] == shape[-1]:
        wide = (shape[-1], *(1,) * (len(shape) - 2))
        return Symbol(F._np_reshape(x, newshape=wide).native, wide, x.dtype)
    return None
