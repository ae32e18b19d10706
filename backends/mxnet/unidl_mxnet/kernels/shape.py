"""Kernels that rearrange, join, cut and pick elements. Shapes are known when they run."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.backend.attributes import copied_places, pad_pairs
from unidl.dtypes import dtype_name
from unidl_mxnet._invoke import ARRAYS
from unidl_mxnet.kernels._common import FLOATS, axes_of, broadcast, cast_to, noted, reshape_to
from unidl_mxnet.kernels._products import permuted
from unidl_mxnet.kernels.creation import zeros
from unidl_mxnet.tensors import from_host


def reshape(F: Any, x: Any, newshape: Any) -> Any:
    want = tuple(newshape) if hasattr(newshape, "__len__") else (newshape,)
    if -1 in want:
        known = math.prod(d for d in want if d != -1)
        rest = math.prod(F.shape(x)) // known  # an error if -1 could stand for any size
        want = tuple(rest if d == -1 else d for d in want)
    return reshape_to(F, x, want)


def ravel(F: Any, x: Any) -> Any:
    return reshape_to(F, x, (math.prod(F.shape(x)),))


def transpose(F: Any, x: Any, axes: Any = None) -> Any:
    rank = len(F.shape(x))
    order = tuple(range(rank))[::-1] if axes is None else tuple(a % rank for a in axes)
    if order == tuple(range(rank)):
        return x
    result = _transpose(F, x, order)
    if F.symbolic and order == (*range(rank - 2), rank - 1, rank - 2):
        result.turned = x
    return result


def _transpose(F: Any, x: Any, order: tuple[int, ...]) -> Any:
    if F.dtype(x) == "bool":  # which mxnet cannot transpose
        return cast_to(F, F._np_transpose(cast_to(F, x, "int8"), axes=order), "bool")
    return permuted(F, x, order) if F.symbolic else F._np_transpose(x, axes=order)


def expand_dims(F: Any, x: Any, axis: Any) -> Any:
    places = axis if isinstance(axis, (tuple, list)) else [axis]
    dims = list(F.shape(x))
    at = sorted(range(len(dims) + len(places))[a] for a in places)
    if len(set(at)) < len(at):
        raise ValueError("an axis twice")
    for a in at:
        dims.insert(a, 1)
    return reshape_to(F, x, tuple(dims))


def squeeze(F: Any, x: Any, axis: Any = None) -> Any:
    shape = F.shape(x)
    gone = [i for i, d in enumerate(shape) if d == 1] if axis is None else axes_of(axis, len(shape))
    if any(shape[i] != 1 for i in gone):
        raise ValueError(f"dimensions {axis} of shape {shape} are not all of size 1")
    return reshape_to(F, x, tuple(d for i, d in enumerate(shape) if i not in gone))


def broadcast_to(F: Any, x: Any, shape: Any) -> Any:
    want = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    return F._npi_broadcast_to(x, shape=want)


# -- joining and cutting ---------------------------------------------------------------------------


def concatenate(F: Any, xs: Any, axis: int = 0) -> Any:
    if F.symbolic and len(xs) > 1 and len(F.shape(xs[0])) > 3 and F.dtype(xs[0]) == "float32":
        return F.Concat(*xs, num_args=len(xs), dim=axis)  # keeps the blocked layout of convolutions
    if len(xs) == 1:
        range(len(F.shape(xs[0])))[axis]  # which the engine would check
        return F._np_copy(xs[0])
    return F._npi_concatenate(*xs, num_args=len(xs), axis=axis)


def stack(F: Any, x: Any, axis: int = 0) -> Any:
    if any(F.shape(v) != F.shape(x[0]) for v in x):
        raise ValueError("shapes differ")
    return F._npi_stack(*x, num_args=len(x), axis=axis)


def split(F: Any, x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    shape = F.shape(x)
    axis = range(len(shape))[axis]
    n = shape[axis]
    if not hasattr(indices_or_sections, "__len__"):
        count = indices_or_sections
        if n % count:
            raise ValueError(f"dimension {axis} of size {n} cannot be cut into {count} equal parts")
        cuts = [n // count * i for i in range(1, count)]
    else:
        cuts = [int(i) for i in indices_or_sections]
    front = (slice(None),) * axis
    return tuple(getitem(F, x, (*front, slice(a, b))) for a, b in zip([0, *cuts], [*cuts, None], strict=True))


def pad(F: Any, x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    shape, dtype = F.shape(x), F.dtype(x)
    pairs = pad_pairs(pad_width, len(shape))
    inside = len(shape) in (4, 5) and not any(map(any, pairs[:2])) and 0 not in shape
    if mode == "constant" and dtype in FLOATS and inside:
        flat = tuple(n for pair in pairs for n in pair)
        return F.Pad(x, mode="constant", pad_width=flat, constant_value=repr(float(constant_values or 0)))
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            x = _pad_axis(F, x, list(shape), axis, before, after, mode, constant_values or 0)
            shape = (*shape[:axis], shape[axis] + before + after, *shape[axis + 1 :])
            x = noted(F, x, shape, dtype)
    return x


def _pad_axis(F: Any, x: Any, shape: list[int], axis: int, before: int, after: int, mode: str, value: Any) -> Any:
    """One axis padded by joining pieces: mxnet's own operator knows fewer dtypes, ranks and modes."""
    n = shape[axis]
    if mode == "constant":

        def piece(size: int) -> Any:
            filled = zeros(F, (*shape[:axis], size, *shape[axis + 1 :]), F.dtype(x))
            if not value:
                return filled
            return F._npi_logical_not(filled) if F.dtype(x) == "bool" else F._npi_add_scalar(filled, scalar=repr(value))

        parts = [piece(before)] * (before > 0) + [x] + [piece(after)] * (after > 0)
        return concatenate(F, parts, axis)
    return _pick_rows(F, x, copied_places(n, before, after, mode), axis)


def _pick_rows(F: Any, x: Any, places: list[int], axis: int) -> Any:
    """The slices `places` of `x` along `axis`, as few joined pieces as they form runs of one step."""
    front = (slice(None),) * axis
    parts = []
    i = 0
    while i < len(places):
        step = places[i + 1] - places[i] if i + 1 < len(places) else 1
        step = step if step in (-1, 1) else 1
        j = i + 1
        while j < len(places) and places[j] - places[j - 1] == step:
            j += 1
        stop = places[j - 1] + step
        parts.append(getitem(F, x, (*front, slice(places[i], stop if stop >= 0 else None, step))))
        i = j
    return concatenate(F, parts, axis)


def tile(F: Any, x: Any, repeats: Any) -> Any:
    """Two axes at a time: MXNet broadcasts a pair of dimensions for each, five in all."""
    times = (repeats,) if isinstance(repeats, int) else tuple(repeats)
    axes = [i for i, n in enumerate(times) if n != 1]
    for start in range(0, max(len(axes), 1), 2):
        x = F._npi_tile(x, reps=tuple([n if i in axes[start : start + 2] else 1 for i, n in enumerate(times)]))
    return x


def repeat(F: Any, x: Any, repeats: int, axis: int | None = None) -> Any:
    if axis is None:
        x, axis = ravel(F, x), 0
    shape = F.shape(x)
    axis = range(len(shape))[axis]
    wide = (*shape[: axis + 1], repeats, *shape[axis + 1 :])
    wide_x = broadcast_to(F, expand_dims(F, x, axis + 1), wide)
    return reshape_to(F, noted(F, wide_x, wide, F.dtype(x)), (*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]))


def flip(F: Any, x: Any, axis: Any = None) -> Any:
    axes = axes_of(axis, len(F.shape(x)))
    if F.dtype(x) == "bool":
        return cast_to(F, flip(F, cast_to(F, x, "int8"), axes), "bool")
    return F._npi_flip(x, axis=axes) if axes else F._np_copy(x)


# -- picking ---------------------------------------------------------------------------------------


def getitem(F: Any, x: Any, key: Any) -> Any:
    shape = F.shape(x)
    items = list(key) if isinstance(key, tuple) else [key]
    used = len([k for k in items if k is not None and k is not Ellipsis])
    place = next((i for i, k in enumerate(items) if k is Ellipsis), None)
    full = [slice(None)] * (len(shape) - used)
    items = [*items, *full] if place is None else [*items[:place], *full, *items[place + 1 :]]
    begin: list[Any] = []
    end: list[Any] = []
    step: list[int] = []
    dims: list[int] = []
    cut: list[int] = []
    for k in items:
        if k is None:
            dims.append(1)
            continue
        n = shape[len(begin)]
        if isinstance(k, slice):
            a, b, s = k.indices(n)
            size = len(range(a, b, s))
            dims.append(size)
        else:
            a = int(k)
            if not -n <= a < n:
                raise IndexError(f"index {a} is out of range for dimension {len(begin)} of size {n}")
            a %= n
            b, s, size = a + 1, 1, 1
        cut.append(size)
        begin.append(a)
        end.append(b if s > 0 or b >= 0 else None)
        step.append(s)
    if 0 in cut:
        return zeros(F, tuple(dims), F.dtype(x))
    if tuple(cut) != tuple(shape) or any(s < 0 for s in step):
        x = _sliced(F, x, begin, end, step, cut)
    return x if tuple(dims) == tuple(cut) else reshape_to(F, x, tuple(dims))


def _sliced(F: Any, x: Any, begin: list[Any], end: list[Any], step: list[int], cut: list[int]) -> Any:
    """``x[begin:end:step]`` along every axis, of sizes `cut`."""
    shape, kind = F.shape(x), F.dtype(x)
    if len(shape) <= 5:
        return noted(F, F._npi_slice(x, begin=tuple(begin), end=tuple(end), step=tuple(step)), tuple(cut), kind)
    # mxnet slices up to 5 dimensions: whole ones beside each other become one.
    axes: list[list[Any]] = []
    for n, a, b, s, c in zip(shape, begin, end, step, cut, strict=True):
        whole = c == n and s == 1
        if whole and axes and axes[-1][4]:
            axes[-1][0] *= n
            axes[-1][2] *= n
        else:
            axes.append([n, a, b, s, whole])
    sizes, begin, end, step, _ = (list(column) for column in zip(*axes, strict=True))
    x = reshape_to(F, x, tuple(sizes))
    part = F._npi_slice(x, begin=tuple(begin), end=tuple(end), step=tuple(step))
    return noted(F, F._np_reshape(part, newshape=tuple(cut)), tuple(cut), kind)


def _need_integers(F: Any, indices: Any) -> None:
    if F.dtype(indices) in ("bool", *FLOATS):
        raise TypeError(f"indices of dtype {F.dtype(indices)}")


def take(F: Any, x: Any, indices: Any, axis: int | None = None) -> Any:
    _need_integers(F, indices)
    if axis is None:
        x, axis = ravel(F, x), 0
    have, picked = F.shape(x), F.shape(indices)
    if 0 in have or 0 in picked:  # mxnet divides by zero
        axis %= len(have)
        if have[axis] == 0 and 0 not in picked:
            raise IndexError(f"dimension {axis} is empty: there is nothing to take")
        return zeros(F, (*have[:axis], *picked, *have[axis + 1 :]), F.dtype(x))
    found = F._npi_take(x, indices, axis=axis, mode="wrap")
    if F.symbolic and axis == 0 and len(F.shape(indices)) == 2:
        found.swapped = functools.cache(lambda: take(F, x, permuted(F, indices, (1, 0)), 0))
    return found


def take_along_axis(F: Any, x: Any, indices: Any, axis: int | None = None) -> Any:
    if axis is None:
        return take(F, x, indices)
    _need_integers(F, indices)
    shape, wanted, dtype = F.shape(x), F.shape(indices), F.dtype(x)
    if len(shape) != len(wanted):
        raise ValueError("ranks differ")
    if dtype == "bool":
        return cast_to(F, take_along_axis(F, cast_to(F, x, "int8"), indices, axis), "bool")
    rank = len(shape)
    axis = range(rank)[axis]
    n, k = shape[axis], wanted[axis]
    rest = broadcast(shape[:axis] + shape[axis + 1 :], wanted[:axis] + wanted[axis + 1 :])
    dims = (*rest[:axis], k, *rest[axis:])
    if rest != wanted[:axis] + wanted[axis + 1 :]:
        indices = broadcast_to(F, indices, dims)
    if rest != shape[:axis] + shape[axis + 1 :]:
        x = broadcast_to(F, x, (*rest[:axis], n, *rest[axis:]))
    if k == 1 and n and rest and 0 not in rest:
        index = reshape_to(F, noted(F, indices, dims, "int32"), rest)
        return F._npx_pick(x, index, axis=axis, keepdims=True, mode="wrap")
    order = (*(i for i in range(rank) if i != axis), axis)
    rows = math.prod(d for d in rest if d is not None)
    x = F._np_reshape(F._np_transpose(x, axes=order), newshape=(rows * n,))
    flat = F._np_reshape(F._np_transpose(cast_to(F, indices, "int64"), axes=order), newshape=(rows, k))
    flat = F._npi_mod_scalar(flat, scalar=repr(max(n, 1)))  # negative indices count from the end
    start = F._npi_arange(start=0, stop=rows * n if n else rows, step=n or 1, dtype="int64")
    flat = F._npi_add(flat, F._np_reshape(start, newshape=(rows, 1)))
    picked = F._np_reshape(F._npi_take(x, flat, axis=0, mode="clip"), newshape=(*rest, k))
    return F._np_transpose(picked, axes=tuple(order.index(i) for i in range(rank)))


def one_hot(F: Any, x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    if sparse or num_classes < 0:
        raise ValueError("no sparse tensors, and no negative sizes")
    rank = len(F.shape(x)) + 1
    axis, dtype = range(rank)[axis], dtype_name(dtype)
    result = F._npx_one_hot(cast_to(F, x, "int32"), depth=num_classes, dtype="float32" if dtype == "bool" else dtype)
    result = cast_to(F, noted(F, result, (*F.shape(x), num_classes), "float32" if dtype == "bool" else dtype), dtype)
    return result if axis == rank - 1 else _transpose(F, result, (*range(axis), rank - 1, *range(axis, rank - 1)))


# -- what needs values on the host -----------------------------------------------------------------


def _repeat_each(x: Any, repeats: Any, axis: int) -> Any:
    axis %= len(x.shape)
    counts = repeats.asnumpy().reshape(-1)
    if counts.size == 1:
        return repeat(ARRAYS, x, int(counts[0]), axis)
    return take(ARRAYS, x, from_host(np.repeat(np.arange(counts.size), counts)), axis)


def _view(x: Any, dtype: str) -> Any:
    array = np.ascontiguousarray(x.asnumpy()).reshape(x.shape)
    return from_host(array.view("uint8") != 0 if dtype == "bool" else array.view(dtype))


#: Ops on arrays only: a graph with one of them is replayed.
EAGER: dict[str, Callable[..., Any]] = {"repeat_each": _repeat_each, "view": _view}
