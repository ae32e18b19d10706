"""mxnet's convolutions are channels-first: how `unidl.graph.layout` works on symbols."""

from __future__ import annotations

from typing import Any

from unidl.graph.layout import Layout, first_axes, last_axes
from unidl_mxnet._invoke import Symbol
from unidl_mxnet.kernels._products import permuted


def first_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A channels-last shape with its channels on axis 1."""
    return tuple(shape[a] for a in first_axes(len(shape)))


class ChannelsFirst(Layout):
    """The layout of one symbol in the making. A symbol whose `native` is None exists as `first` only, until then."""

    tensor = Symbol

    def __init__(self, F: Any) -> None:
        self.F = F

    def shape(self, x: Symbol) -> tuple[int, ...]:
        return x.shape or ()

    def lazy(self, x: Symbol) -> bool:
        return x.native is None

    def first(self, x: Symbol) -> Symbol:
        if x.first is None:
            x.first = permuted(self.F, x, first_axes(len(self.F.shape(x))))
        return x.first

    def recorded(self, x: Symbol) -> Symbol:
        if x.native is None:
            x.native = permuted(self.F, x.first, last_axes(len(x.shape or ()))).native
        return x

    def only_first(self, x: Symbol) -> Symbol:
        result = Symbol(None)
        result.first = x
        return result

    def side(self, x: Symbol, shape: tuple[int | None, ...]) -> Symbol | None:
        if x.native is None:
            return self.first(x) if len(x.shape or ()) == len(shape) else None
        if tuple(x.shape or ()) == tuple(shape):
            return self.first(x)
        if x.shape == ():
            return x
        if x.shape is not None and len(x.shape) == 1 and x.shape[0] == shape[-1]:
            wide = (x.shape[0], *(1,) * (len(shape) - 2))
            return Symbol(self.F._np_reshape(x, newshape=wide).native, wide, x.dtype)
        return None
