"""Cases of sorting and searching."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.ops._bind import numpy_dtype
from unidl.testing.draw import ANY, INTEGER, SMALL, Draw, add

_TIES = (float("inf"), -float("inf"), float("nan"), 0.0, -0.0, 1.0)
_ORDERED = (*ANY, *SMALL)


def _sort(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, specials=_TIES)
    return (x,) if r.flag() else (x, r.choice(None, r.axis(x.ndim)))


def _argpartition(r: Draw) -> tuple[Any, ...]:
    x = r.tensor(1, 3, 1)
    axis = r.axis(x.ndim)
    n = x.shape[axis]
    return x, r.choice(r.integer(-n, n - 1), (0, n - 1)), axis


def _top_k(r: Draw) -> tuple[Any, ...]:
    x = r.array((*r.shape(0, 2), r.integer(1, 6)), specials=_TIES)
    return x, r.integer(0 if not r.smooth else 1, x.shape[-1])


def _in_top_k(r: Draw) -> tuple[Any, ...]:
    predictions = r.array((r.side(), r.integer(1, 5)), low=-2, high=2, specials=_TIES)
    return r.array(predictions.shape[:1], r.choice("int32", "int64"), -1, 5), predictions, r.integer(0, 4)


def _searchsorted(r: Draw) -> tuple[Any, ...]:
    sequence = np.sort(r.array((r.side(),), low=-2, high=3, specials=_TIES).astype("float64")).astype(
        numpy_dtype(r.dtype)
    )
    return sequence, r.array(r.shape(), low=-2, high=3, specials=_TIES), r.choice("left", "right")


def _digitize(r: Draw) -> tuple[Any, ...]:
    sequence, x, _ = _searchsorted(r)
    return x, sequence


def _isin(r: Draw) -> tuple[Any, ...]:
    x1, x2 = r.tensor(low=-2, high=3, specials=_TIES), r.tensor(0, 2, low=-2, high=3, specials=_TIES)
    return (x1, x2) if r.flag() else (x1, x2, r.flag(), r.flag())


def _unique(r: Draw) -> tuple[Any, ...]:
    x = r.array(r.shape(1, 3), low=0, high=2, specials=_TIES)
    if "float" in r.dtype and r.flag():
        x = np.rint(x)
    flags = (r.flag(), r.flag(), r.flag())
    axis = None if 0 in x.shape else r.choice(None, r.axis(x.ndim))
    return (x,) if r.die(4) == 0 else (x, True, *flags, axis, r.choice(None, 1, 3, 6), r.choice(None, 1))


def _unravel(r: Draw) -> tuple[Any, ...]:
    shape = r.choice((4,), (2, 3), (3, 1, 2), 5, [2, 2])
    size = int(np.prod(shape))
    return r.array(r.shape(), low=-size, high=size - 1), shape


add("sort", _sort, _ORDERED, gradient="x")
add("argsort", _sort, _ORDERED)
add("argpartition", _argpartition, _ORDERED)
add("top_k", _top_k, _ORDERED, gradient="x")
add("in_top_k", _in_top_k, ("float32", "float64", "float16", "bfloat16", "int32"))
add("searchsorted", _searchsorted, _ORDERED)
add("digitize", _digitize, _ORDERED)
add("isin", _isin, (*_ORDERED, "complex64"))
add("nonzero", lambda r: (r.tensor(1, 3, low=-2, high=2, specials=_TIES),), (*_ORDERED, "complex64"))
add("unique", _unique, _ORDERED, refuses=True)
add("unravel_index", _unravel, (*INTEGER, "int8", "int16"))
