"""Cases of ops that write into places."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.draw import ANY, COMPLEX, SMALL, SPECIALS, Draw, Tolerance, add


def _places(r: Draw, shape: tuple[int, ...]) -> np.ndarray:
    """Indices (…, k) into the first dimensions of `shape`, some of them twice, some from the end."""
    k = r.integer(1, len(shape))
    lead = r.choice((), (3,), (5,), (2, 2), (0,)) if 0 not in shape[:k] and not r.smooth else (0,)
    lead = r.choice((), (3,), (5,), (2, 2)) if r.smooth else lead
    columns = [r.numbers.integers(-n if n else 0, max(n, 1), lead) for n in shape[:k]]
    return np.stack(columns, -1).astype(r.choice("int32", "int64"))


def _scatter_update(r: Draw) -> tuple[Any, ...]:
    shape = r.shape(1, 3)
    reductions = (None, "add", "mul") if r.dtype in COMPLEX else (None, "add", "max", "min", "mul")
    indices = _places(r, shape)
    new = (*indices.shape[:-1], *shape[indices.shape[-1] :])
    inputs = r.array(shape, specials=SPECIALS, distinct=r.smooth)
    updates = r.array(new if r.smooth or r.die(4) else r.broadcasting(new), specials=SPECIALS)
    if not r.smooth and r.dtype == "float32" and r.die(8) == 0:
        updates = updates.astype("float64")
    return inputs, indices, updates, r.choice(*reductions)


def _gather_nd(r: Draw) -> tuple[Any, ...]:
    shape = r.shape(1, 3)
    return r.array(shape), _places(r, shape)


def _scatter(r: Draw) -> tuple[Any, ...]:
    shape = r.shape(1, 3)
    indices = _places(r, shape)
    return indices, r.array((*indices.shape[:-1], *shape[indices.shape[-1] :])), shape


_LOOSE = Tolerance(2.0, scaled=True)
add(
    "scatter_update",
    _scatter_update,
    (*ANY, *SMALL, *COMPLEX),
    gradient="inputs updates",
    refuses=True,
    partial=True,
    tolerance=_LOOSE,
)
add("gather_nd", _gather_nd, (*ANY, *SMALL, *COMPLEX), gradient="x", refuses=True, partial=True)
add("scatter", _scatter, (*ANY, *SMALL, *COMPLEX), gradient="values", refuses=True, partial=True, tolerance=_LOOSE)


def _block(r: Draw) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...]]:
    x = r.tensor(0, 3)
    sizes = tuple(r.integer(1 if r.smooth else 0, d) if d else 0 for d in x.shape)
    return x, tuple(r.integer(-d - 1, d + 1) for d in x.shape), sizes


def _slice(r: Draw) -> tuple[Any, ...]:
    x, starts, sizes = _block(r)
    return (
        x,
        starts,
        tuple(-1 if r.die(5) == 0 and s <= d else n for s, n, d in zip(starts, sizes, x.shape, strict=True)),
    )


def _slice_update(r: Draw) -> tuple[Any, ...]:
    x, starts, sizes = _block(r)
    return x, starts, r.array(sizes)


def _tensor_starts(r: Draw, build: Any) -> tuple[Any, ...]:
    x, starts, last = build(r)
    if isinstance(last, tuple):
        last = tuple(max(n, 0) for n in last)
    return x, np.asarray(starts, r.choice("int32", "int64")).reshape(x.ndim), last


add("slice", _slice, (*ANY, *SMALL, *COMPLEX), gradient="inputs")
add("slice_update", _slice_update, (*ANY, *SMALL, *COMPLEX), gradient="inputs updates")
add("dynamic_slice", lambda r: _tensor_starts(r, _slice), (*ANY, *SMALL, *COMPLEX), gradient="inputs")
add("dynamic_slice_update", lambda r: _tensor_starts(r, _slice_update), (*ANY, *SMALL), gradient="inputs updates")
