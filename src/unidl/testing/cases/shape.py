"""Cases of ops that rearrange, join, cut and pick."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl.testing.draw import ANY, NUMBER, Draw, add

_MOVED = (*NUMBER, "bool")


def _reshape(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    size = math.prod(shape)
    options: list[Any] = [shape[::-1], (size,), (1, size), size]
    if size:
        options += [-1, (-1, 1), (*shape[:1], -1), [-1, *shape[1:]]]
    return r.array(shape), r.choice(*options)


def _transpose(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(0, 4)
    if r.flag():
        return (x,)
    order = tuple(int(a) for a in r.numbers.permutation(x.ndim))
    return x, order if r.flag() or not order else (*order[:-1], order[-1] - x.ndim)


def _moveaxis(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 4)
    if r.flag():
        return x, r.axis(x.ndim), r.axis(x.ndim)
    count = r.integer(1, x.ndim)
    places = [tuple(int(a) for a in r.numbers.permutation(x.ndim)[:count]) for _ in range(2)]
    return x, *places


def _squeeze(r: Draw) -> tuple[Any, ...]:
    shape = list(r.shape(0, 2))
    place = r.integer(0, len(shape))
    shape.insert(place, 1)
    x = r.array(shape)
    if r.smooth or r.flag():
        return x, r.choice(place, place - len(shape), (place,))
    return (x,)


def _concatenate(r: Draw) -> tuple[Any, ...]:
    shape = list(r.shape(1, 3))
    axis = r.axis(len(shape))
    parts = []
    for _ in range(r.integer(1, 3)):
        shape[axis] = r.side()
        parts.append(r.array(shape))
    if r.dtype != "bool" and not r.smooth and r.die(4) == 0:
        parts.append(r.array(shape, r.choice("float32", "int32")))
    return parts, axis


def _stack(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    return [r.array(shape) for _ in range(r.integer(1, 3))], r.integer(-len(shape) - 1, len(shape))


def _split(r: Draw) -> tuple[Any, ...]:
    shape = list(r.shape(1, 3))
    axis, parts = r.axis(len(shape)), r.integer(1, 3)
    shape[axis] = parts * r.side()
    x = r.array(shape)
    if r.flag() or not shape[axis]:
        return x, parts, axis
    cuts = sorted(r.integer(0, shape[axis]) for _ in range(r.integer(1, 3)))
    return x, r.choice(cuts, tuple(cuts)), axis


def _unstack(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    axis = r.axis(x.ndim)
    return x, x.shape[axis], axis


def _pad(r: Draw) -> tuple[Any, ...]:
    mode = r.choice("constant", "constant", "reflect", "symmetric", "edge")
    x = r.tensor(1, 3, 0 if mode == "constant" else 2)
    most = 3 if mode == "constant" else 1
    width = r.choice(1, (1, 1), tuple((r.integer(0, most), r.integer(0, most)) for _ in range(x.ndim)))
    return (x, width, mode, r.choice(0, 1, 2)) if mode == "constant" and r.flag() else (x, width, mode)


def _tile(r: Draw) -> tuple[Any, ...]:
    return r.tensor(), r.choice(2, (1,), (2, 1), [1, 3], (0, 2), (2, 1, 2))


def _repeat(r: Draw) -> tuple[Any, ...]:
    x = r.tensor()
    return (x, r.integer(0, 3)) if x.ndim == 0 or r.flag() else (x, r.integer(0, 3), r.axis(x.ndim))


def _roll(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3)
    return (x, r.integer(-5, 5)) if r.flag() else (x, r.integer(-5, 5), r.axis(x.ndim))


def _getitem(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    key: list[Any] = []
    for size in x.shape[: r.integer(0, x.ndim)]:
        kind = r.integer(0, 3)
        if kind == 0:
            key.append(r.integer(-size, size - 1))
        elif kind == 1:
            key.append(slice(r.choice(None, 0, 1, -2), r.choice(None, size, -1, 2)))
        elif kind == 2:
            key.append(slice(None, None, r.choice(1, 2, -1)))
        else:
            key += [None, slice(None)] if r.flag() else [slice(None)]
    if r.flag():
        key.append(Ellipsis)
        if len([k for k in key if k is not None and k is not Ellipsis]) < x.ndim and r.flag():
            key.append(r.integer(-x.shape[-1], x.shape[-1] - 1))
    return x, (key[0] if len(key) == 1 and r.flag() else tuple(key))


def _indices(r: Draw, size: int, shape: tuple[int, ...]) -> np.ndarray:
    return r.numbers.integers(-size, size, shape).astype(r.choice("int32", "int64"))


def _take(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    if r.flag():
        return x, _indices(r, x.size, r.shape(0, 2))
    axis = r.axis(x.ndim)
    return x, _indices(r, x.shape[axis], r.shape(0, 2)), axis


def _take_along_axis(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    if r.die(4) == 0:
        return x, _indices(r, x.size, (r.side(),)) % x.size, None
    axis = r.axis(x.ndim)
    shape = [1 if r.die(4) == 0 else d for d in x.shape]
    shape[axis] = r.side()
    return x, _indices(r, x.shape[axis], tuple(shape)) % x.shape[axis], axis


def _one_hot(r: Draw) -> tuple[Any, ...]:
    x = r.array(r.shape(), low=-1, high=5)
    return (x, r.integer(1, 5)) if r.flag() else (x, 4, r.integer(-x.ndim - 1, x.ndim), r.choice(None, "int32", "bool"))


def _triangle(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(2, 4)
    return (x,) if r.flag() else (x, r.integer(-3, 3))


def _expand(r: Draw) -> tuple[Any, ...]:
    x = r.tensor()
    return x, r.choice(r.integer(-x.ndim - 1, x.ndim), (0, 1), [0, -1])


def _broadcast_to(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    return r.array(r.broadcasting(shape)), shape


add("reshape", _reshape, _MOVED, gradient="x")
add("transpose", _transpose, _MOVED, gradient="x")
add("swapaxes", lambda r: (x := r.tensor(1, 4), r.axis(x.ndim), r.axis(x.ndim)), _MOVED, gradient="x")
add("moveaxis", _moveaxis, _MOVED, gradient="x")
add("expand_dims", _expand, _MOVED, gradient="x")
add("squeeze", _squeeze, _MOVED, refuses=True, gradient="x")
add("ravel", lambda r: (r.tensor(),), _MOVED, gradient="x")
add("broadcast_to", _broadcast_to, _MOVED, gradient="x")
add("concatenate", _concatenate, _MOVED, gradient="xs")
add("stack", _stack, _MOVED, gradient="x")
add("split", _split, _MOVED, gradient="x")
add("unstack", _unstack, _MOVED, gradient="x")
add("pad", _pad, _MOVED, gradient="x")
add("tile", _tile, _MOVED, gradient="x")
add("repeat", _repeat, _MOVED, gradient="x")
add("flip", lambda r: (x := r.tensor(), r.axes(x.ndim)), _MOVED, gradient="x")
add("roll", _roll, _MOVED, refuses=True, gradient="x")
add("getitem", _getitem, _MOVED, gradient="x")
add("take", _take, _MOVED, gradient="x")
add("take_along_axis", _take_along_axis, _MOVED, gradient="x")
add("one_hot", _one_hot, ("int32", "int64", "uint8"))
add("tril triu", _triangle, ANY, gradient="x")
add("axis_size", lambda r: (x := r.tensor(1, side=1), r.axis(x.ndim)), ("float32", "int32"))
