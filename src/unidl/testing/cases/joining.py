"""Cases of ops that join, cut, pad, repeat and turn."""

from __future__ import annotations

from typing import Any

from unidl.testing.draw import COMPLEX, NUMBER, SMALL, Draw, add

_MOVED = (*NUMBER, "bool", *SMALL, *COMPLEX)


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


def _append(r: Draw) -> tuple[Any, ...]:
    if r.flag():
        return r.tensor(), r.tensor()
    shape = list(r.shape(1, 3))
    axis = r.axis(len(shape))
    first = r.array(shape)
    shape[axis] = r.side()
    return first, r.array(shape), axis


def _stacked(r: Draw, axis: int) -> tuple[Any, ...]:
    """Parts for `hstack` (axis 1), `vstack` (0) or `dstack` (2): all of few dimensions, or differing along `axis`."""
    count = r.integer(1, 3)
    if r.flag():
        n = r.side()
        rank = r.integer(0, 1)
        sizes = [() if rank == 0 else (r.side(),) if axis == 1 else (n,) for _ in range(count)]
        return ([r.array(s) for s in sizes],)
    shape = list(r.shape(max(axis + 1, 2), 3))
    parts = []
    for _ in range(count):
        shape[axis] = r.side()
        parts.append(r.array(shape))
    return (parts,)


def _split(r: Draw) -> tuple[Any, ...]:
    shape = list(r.shape(1, 3))
    axis, parts = r.axis(len(shape)), r.integer(1, 3)
    shape[axis] = parts * r.side()
    x = r.array(shape)
    return x, parts if r.flag() else _cuts(r, shape[axis]), axis


def _cuts(r: Draw, size: int) -> Any:
    """Places to cut at: in order, or any, some of them beyond the end or counted from it."""
    count = r.integer(1, 3)
    cuts = (
        [r.integer(-size - 1, size + 2) for _ in range(count)]
        if r.flag()
        else sorted(r.integer(0, size) for _ in range(count))
    )
    return r.choice(cuts, tuple(cuts))


def _split_along(r: Draw, low: int, axis: int) -> tuple[Any, ...]:
    shape = list(r.shape(low, max(low, 3)))
    axis = min(axis, len(shape) - 1)
    parts = r.integer(1, 3)
    shape[axis] = parts * r.side()
    return r.array(shape), parts if r.flag() else _cuts(r, shape[axis])


def _array_split(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3)
    axis = r.axis(x.ndim)
    return x, r.integer(1, 4) if r.die(3) else _cuts(r, x.shape[axis]), axis


def _unstack(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    axis = r.axis(x.ndim)
    return x, x.shape[axis], axis


def _pad(r: Draw) -> tuple[Any, ...]:
    mode = r.choice("constant", "constant", "reflect", "symmetric", "edge", "wrap")
    x = r.tensor(0, 3, 0 if mode == "constant" else 1)
    each = tuple((r.integer(0, 4), r.integer(0, 4)) for _ in range(x.ndim))
    width = r.choice(1, (1, 2), (2,), ((0, 3),), each or 0)
    return (x, width, mode, r.choice(0, 1, 2)) if mode == "constant" and r.flag() else (x, width, mode)


def _pad_statistic(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    each = tuple((r.integer(0, 4), r.integer(0, 4)) for _ in range(x.ndim))
    modes = ["maximum", "mean", "median", "minimum", "linear_ramp"]
    return x, r.choice(1, (1, 2), each), r.choice(*modes[: 4 if r.dtype == "bool" else 5])


def _tile(r: Draw) -> tuple[Any, ...]:
    return r.tensor(), r.choice(2, (1,), (2, 1), [1, 3], (0, 2), (2, 1, 2))


def _repeat(r: Draw) -> tuple[Any, ...]:
    x = r.tensor()
    return (x, r.integer(0, 3)) if x.ndim == 0 or r.flag() else (x, r.integer(0, 3), r.axis(x.ndim))


def _repeat_counts(r: Draw, tensor: bool) -> tuple[Any, ...]:
    x = r.tensor(1, 3)
    axis = r.axis(x.ndim)
    counts = r.numbers.integers(0, 4, x.shape[axis] if r.die(4) else 1)
    if tensor:
        return x, counts.astype(r.choice("int32", "int64")), axis
    listed = tuple(int(n) for n in counts)
    return (x, listed, axis) if r.flag() or x.ndim > 1 else (x, listed)


def _roll(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3)
    kind = r.integer(0, 3)
    if kind == 0:
        return x, r.choice(r.integer(-5, 5), (1, 2))
    if kind == 1:
        return x, r.integer(-5, 5), r.axis(x.ndim)
    axes = tuple(r.axis(x.ndim) for _ in range(r.integer(1, 3)))
    return x, r.integer(-5, 5) if kind == 2 else tuple(r.integer(-5, 5) for _ in axes), axes


def _rot90(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(2, 3)
    first, second = (int(a) for a in r.numbers.permutation(x.ndim)[:2])
    return (x, r.integer(-5, 5)) if r.flag() else (x, r.integer(-5, 5), (first, second - x.ndim))


add("concatenate", _concatenate, _MOVED, gradient="xs")
add("stack", _stack, _MOVED, gradient="x")
add("append", _append, _MOVED, gradient="x1 x2")
add("hstack", lambda r: _stacked(r, 1), _MOVED, gradient="xs")
add("vstack", lambda r: _stacked(r, 0), _MOVED, gradient="xs")
add("dstack", lambda r: _stacked(r, 2), _MOVED, gradient="xs")
add("split", _split, _MOVED, gradient="x")
add("array_split", _array_split, _MOVED, gradient="x")
add("hsplit", lambda r: _split_along(r, 1, 1), _MOVED, gradient="x")
add("vsplit", lambda r: _split_along(r, 2, 0), _MOVED, gradient="x")
add("dsplit", lambda r: _split_along(r, 3, 2), _MOVED, gradient="x")
add("unstack", _unstack, _MOVED, gradient="x")
add("pad", _pad, _MOVED, gradient="x")
add("pad_statistic", _pad_statistic, (*NUMBER, "bool", *SMALL), gradient="x")
add("tile", _tile, _MOVED, gradient="x")
add("repeat", _repeat, _MOVED, gradient="x")
add("repeat_counts", lambda r: _repeat_counts(r, False), _MOVED, gradient="x")
add("repeat_each", lambda r: _repeat_counts(r, True), _MOVED, gradient="x")
add("flip", lambda r: (x := r.tensor(), r.axes(x.ndim)), _MOVED, gradient="x")
add("fliplr", lambda r: (r.tensor(2),), _MOVED, gradient="x")
add("flipud", lambda r: (r.tensor(1),), _MOVED, gradient="x")
add("rot90", _rot90, _MOVED, gradient="array")
add("roll", _roll, _MOVED, gradient="x")
