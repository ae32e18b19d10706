"""Cases of ops that change the shape of a tensor."""

from __future__ import annotations

import math
from typing import Any

from unidl.testing.draw import COMPLEX, NUMBER, SMALL, Draw, add

_MOVED = (*NUMBER, "bool", *SMALL, *COMPLEX)


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


def _expand(r: Draw) -> tuple[Any, ...]:
    x = r.tensor()
    return x, r.choice(r.integer(-x.ndim - 1, x.ndim), (0, 1), [0, -1])


def _broadcast_to(r: Draw) -> tuple[Any, ...]:
    shape = r.shape()
    return r.array(r.broadcasting(shape)), shape


def _rearrange(r: Draw) -> tuple[Any, ...]:
    a, b, c = (r.side() for _ in range(3))
    pattern, shape, lengths = r.choice(
        ("a b c -> c (a b)", (a, b, c), ()),
        ("a (b c) -> b a c", (a, b * 3), (("c", 3),)),
        ("(a b) c -> a 1 (c b)", (2 * b, c), (("a", 2),)),
        ("... c -> c ...", (a, b, c), ()),
        ("a 1 ... -> (a ...)", (a, 1, b, c), ()),
        ("b ... (h w) -> (w b) h ...", (a, b, 6), (("h", 2),)),
        ("(a b c) -> c b a", (a * 6,), (("b", 2), ("c", 3))),
        ("a b -> a b ()", (a, b), ()),
    )
    return r.array(shape), pattern, lengths


_SIZES = {"bool": 1, "int8": 1, "uint8": 1, "float16": 2, "int32": 4, "float32": 4, "int64": 8, "float64": 8}


def _view(r: Draw) -> tuple[Any, ...]:
    dtype = r.choice(*[d for d in _SIZES if d != "bool"])
    have, want = _SIZES[r.dtype], _SIZES[dtype]
    if have == want and r.flag():
        return r.tensor(), dtype
    return r.array((*r.shape(0, 2), r.side() * max(1, want // have)), low=0, high=1), dtype


def _blocks(r: Draw, small: bool) -> tuple[Any, ...]:
    n, h, w, c, size = r.side(), r.side(), r.side(), r.side(), r.integer(1, 3)
    if small:
        c *= size * size
    else:
        h, w = h * size, w * size
    last = r.flag()
    x = r.array((n, h, w, c) if last else (n, c, h, w))
    return x, size, "channels_last" if last else "channels_first"


add("reshape", _reshape, _MOVED, gradient="x")
add("transpose", _transpose, _MOVED, gradient="x")
add("swapaxes", lambda r: (x := r.tensor(1, 4), r.axis(x.ndim), r.axis(x.ndim)), _MOVED, gradient="x")
add("moveaxis", _moveaxis, _MOVED, gradient="x")
add("expand_dims", _expand, _MOVED, gradient="x")
add("squeeze", _squeeze, _MOVED, refuses=True, gradient="x")
add("ravel", lambda r: (r.tensor(),), _MOVED, gradient="x")
add("broadcast_to", _broadcast_to, _MOVED, gradient="x")
add("axis_size", lambda r: (x := r.tensor(1, side=1), r.axis(x.ndim)), ("float32", "int32"))
add("rearrange", _rearrange, _MOVED, gradient="tensor")
add("view", _view, tuple(_SIZES), refuses=True)
add("depth_to_space", lambda r: _blocks(r, True), _MOVED, gradient="x")
add("space_to_depth", lambda r: _blocks(r, False), _MOVED, gradient="x")
