"""Cases of ops that pick elements, and of diagonals and triangles."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.draw import ANY, COMPLEX, NUMBER, SMALL, Draw, add

_MOVED = (*NUMBER, "bool", *SMALL, *COMPLEX)


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
            key.append(slice(r.choice(None, -1, 7), r.choice(None, 0, -9), r.choice(1, 2, -1, -2)))
        else:
            key += [None, slice(None)] if r.flag() else [slice(None)]
    if r.flag():
        key.append(Ellipsis)
        if len([k for k in key if k is not None and k is not Ellipsis]) < x.ndim and r.flag():
            key.append(r.integer(-x.shape[-1], x.shape[-1] - 1))
    return x, (key[0] if len(key) == 1 and r.flag() else tuple(key))


def _index(r: Draw) -> tuple[Any, ...]:
    """A key with index arrays that broadcast together, between ints, slices, None and ``...``."""
    x = r.tensor(1, 4, 1)
    common = r.choice((), (2,), (3, 2), (0,)) if not r.smooth else r.choice((2,), (3, 2))
    key: list[Any] = []
    arrays: list[np.ndarray] = []
    for size in x.shape[: r.integer(1, x.ndim)]:
        kind = r.integer(0, 4)
        if kind <= 1 or not key:
            key.append("array")
            arrays.append(_indices(r, size, r.broadcasting(common)))
        elif kind == 2:
            key.append(r.integer(-size, size - 1))
        elif kind == 3:
            key.append(slice(r.choice(None, 1), None, r.choice(None, -1)))
        else:
            key += [None, slice(None)]
    if r.flag():
        full = sum(k is not None for k in key) == x.ndim
        key.insert(r.integer(0, len(key)) if full else len(key), Ellipsis)
    if r.die(6) == 0:
        place = r.integer(0, len(key))
        arrays.insert(sum(isinstance(k, str) for k in key[:place]), np.zeros(1, "int32"))
        key.insert(place, "new")
    return x, arrays, tuple(key)


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
        return x, _indices(r, x.size, (r.side(),)), None
    axis = r.axis(x.ndim)
    shape = [1 if r.die(4) == 0 else d for d in x.shape]
    shape[axis] = r.side()
    return x, _indices(r, x.shape[axis], tuple(shape)), axis


def _one_hot(r: Draw) -> tuple[Any, ...]:
    x = r.array(r.shape(), low=-1, high=5)
    return (x, r.integer(1, 5)) if r.flag() else (x, 4, r.integer(-x.ndim - 1, x.ndim), r.choice(None, "int32", "bool"))


def _multi_hot(r: Draw) -> tuple[Any, ...]:
    x = r.array(r.shape(1, 3), low=-1, high=5)
    return (x, r.integer(1, 5)) if r.flag() else (x, 4, r.axis(x.ndim), r.choice(None, "int32", "bool"))


def _select(r: Draw) -> tuple[Any, ...]:
    shape, count = r.shape(), r.integer(1, 3)
    conditions = [r.array(r.broadcasting(shape), "bool") for _ in range(count)]
    choices = [r.array(r.broadcasting(shape)) for _ in range(count)]
    return (conditions, choices) if r.flag() else (conditions, choices, r.array(r.broadcasting(shape)))


def _triangle(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(2, 4)
    return (x,) if r.flag() else (x, r.integer(-5, 5))


def _diagonal(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(2, 4)
    first, second = (int(a) for a in r.numbers.permutation(x.ndim)[:2])
    return (x,) if r.flag() else (x, r.integer(-3, 3), first, second - x.ndim)


def _diag(r: Draw, low: int, high: int) -> tuple[Any, ...]:
    x = r.tensor(low, high)
    return (x,) if r.flag() else (x, r.integer(-3, 3))


add("getitem", _getitem, _MOVED, gradient="x")
add("take", _take, _MOVED, gradient="x", partial=True)
add("take_along_axis", _take_along_axis, _MOVED, gradient="x", partial=True)
add("index", _index, _MOVED, gradient="x", unknown="x", partial=True)
add("one_hot", _one_hot, ("int32", "int64", "uint8", "bool", *SMALL))
add("multi_hot", _multi_hot, ("int32", "int64", "uint8", "bool", *SMALL))
add("select", _select, _MOVED, gradient="choicelist default")
add("diagonal", _diagonal, (*ANY, *SMALL, *COMPLEX), gradient="x", refuses=True)
add("trace", _diagonal, (*ANY, *SMALL, *COMPLEX), gradient="x", refuses=True)
add("diag", lambda r: _diag(r, 1, 2), (*ANY, *SMALL, *COMPLEX), gradient="x", refuses=True)
add("diagflat", lambda r: _diag(r, 0, 2), (*ANY, *SMALL, *COMPLEX), gradient="x")
add("tril triu", _triangle, (*ANY, *SMALL, *COMPLEX), gradient="x")
