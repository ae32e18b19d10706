"""Writing into places of a tensor. Shapes are known when the kernels run."""

from __future__ import annotations

import math
from typing import Any

from unidl_mxnet.kernels._common import FLOATS, cast_to, noted, reshape_to
from unidl_mxnet.kernels.creation import zeros
from unidl_mxnet.kernels.shape import broadcast_to, concatenate, getitem

_WIDER = {"bool": "int32", "int8": "int32", "uint8": "int32"}  # for dtypes that mxnet cannot accumulate
_OPERATORS = {"max": "_npi_maximum", "min": "_npi_minimum", "mul": "_npi_multiply"}


def scatter_update(F: Any, inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    shape, dtype = F.shape(inputs), F.dtype(inputs)
    wide = _WIDER.get(dtype, dtype)
    if dtype == "bool":
        reduction = {"add": "max", "mul": "min"}.get(reduction or "", reduction)
    *lead, k = F.shape(indices)
    count, height, row = math.prod(lead), math.prod(shape[:k]), math.prod(shape[k:])
    if count * height * row == 0:
        return F._np_copy(inputs)
    updates = cast_to(F, updates, dtype)
    if F.shape(updates) != (*lead, *shape[k:]):
        updates = noted(F, broadcast_to(F, updates, (*lead, *shape[k:])), (*lead, *shape[k:]), dtype)
    new = cast_to(F, reshape_to(F, updates, (count, row)), wide)
    flat = cast_to(F, reshape_to(F, inputs, (height, row)), wide)
    rows = _rows(F, indices, shape[:k], count)
    if reduction == "add":
        result = F._npi_add(flat, _sums(F, new, rows, (height, row), wide))
    else:
        result = noted(F, _by_place(F, flat, new, rows, reduction, wide), (height, row), wide)
        if reduction in ("max", "min") and dtype in FLOATS:
            result = _shared(F, result, flat, new, rows, (height, row), dtype)
    return reshape_to(F, cast_to(F, noted(F, result, (height, row), wide), dtype), shape)


def gather_nd(F: Any, x: Any, indices: Any) -> Any:
    shape, dtype = F.shape(x), F.dtype(x)
    *lead, k = F.shape(indices)
    wanted = (*lead, *shape[k:])
    if 0 in wanted:
        return zeros(F, wanted, dtype)
    flat = reshape_to(F, x, (math.prod(shape[:k]), math.prod(shape[k:])))
    found = F._npi_take(flat, _rows(F, indices, shape[:k], math.prod(lead)), axis=0, mode="clip")
    return reshape_to(F, noted(F, found, (math.prod(lead), math.prod(shape[k:])), dtype), wanted)


def _rows(F: Any, indices: Any, sizes: tuple[int, ...], count: int) -> Any:
    """The places `indices` (…, k) as int64 numbers in the flattened first k dimensions."""
    indices = cast_to(F, reshape_to(F, indices, (count, len(sizes))), "int64")
    total = None
    for axis, size in enumerate(sizes):
        place = getitem(F, indices, (slice(None), axis))
        place = F._npi_mod_scalar(place, scalar=repr(size))  # negative indices count from the end
        total = place if total is None else F._npi_add(F._npi_multiply_scalar(total, scalar=repr(size)), place)
    return noted(F, total, (count,), "int64")


def _sums(F: Any, values: Any, rows: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """Zeros of `shape` with the rows of `values` added at `rows`: what is differentiated is gathering them."""
    places = reshape_to(F, rows, (1, *F.shape(rows)))
    return noted(F, F._backward_gather_nd(values, places, shape=shape), shape, dtype)


def _by_place(F: Any, flat: Any, new: Any, rows: Any, reduction: str | None, dtype: str) -> Any:
    """`flat` with each row that is named in `rows` replaced by, or combined with, what is in `new` for it."""
    (count, row), height = F.shape(new), F.shape(flat)[0]
    # Sorted by row, and by their order within it, the updates of a row stand side by side.
    order = F._npi_arange(start="0", stop=repr(count), step="1", dtype="int64", ctx=F.context())
    keys = F._npi_add(F._npi_multiply_scalar(rows, scalar=repr(count)), order)
    places = F._npi_mod_scalar(F._npi_sort(keys, axis=0, is_ascend=True), scalar=repr(count))
    places = noted(F, places, (count,), "int64")
    rows = noted(F, F._npi_take(rows, places, axis=0, mode="clip"), (count,), "int64")
    ahead, behind = getitem(F, rows, slice(1, None)), getitem(F, rows, slice(0, -1))
    edge = noted(F, F._npi_ones(shape=(1,), dtype="bool", ctx=F.context()), (1,), "bool")
    last = (
        concatenate(F, [noted(F, F._npi_not_equal(ahead, behind), (count - 1,), "bool"), edge]) if count > 1 else edge
    )
    # For each row the place of its last update, from 1 on; 0 where there is none.
    numbers = F._npi_where(last, F._npi_add_scalar(order, scalar="1"), zeros(F, (count,), "int64"))
    ends = _sums(F, numbers, rows, (height,), "int64")
    written = F._np_reshape(F._npi_greater_scalar(ends, scalar="0"), newshape=(height, 1))
    new = F._npi_take(new, places, axis=0, mode="clip")
    if reduction is not None:
        new = _running(F, noted(F, new, (count, row), dtype), rows, _OPERATORS[reduction])
    found = F._npi_take(new, F._npi_subtract_scalar(ends, scalar="1"), axis=0, mode="clip")
    if reduction is not None:
        found = getattr(F, _OPERATORS[reduction])(flat, found)
    return F._npi_where(written, found, flat)


def _shared(F: Any, result: Any, flat: Any, new: Any, rows: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """The extremes `result`, whose gradient all that are equal to them share alike."""
    result = F.BlockGrad(result)
    zero = zeros(F, (), dtype)

    def parts(x: Any, extreme: Any) -> tuple[Any, Any]:
        """Where `x` is the extreme, as a number, and what it adds there to the sum that has the gradient."""
        equal = F._npi_where(F._npi_isfinite(x), F._npi_equal(x, extreme), zeros(F, (), "bool"))
        change = F._npi_where(equal, F._npi_subtract(x, F.BlockGrad(x)), zero)
        return F._npi_cast(equal, dtype=dtype), change

    here, change = parts(flat, result)
    there, changes = parts(new, F._npi_take(result, rows, axis=0, mode="clip"))
    count = F._npi_add(here, _sums(F, there, rows, shape, dtype))
    change = F._npi_add(change, _sums(F, changes, rows, shape, dtype))
    change = F._npi_true_divide(change, F.BlockGrad(F._npi_maximum_scalar(count, scalar="1")))
    return F._npi_add(result, F._npi_where(F._npi_greater_scalar(count, scalar="0"), change, zero))


def _running(F: Any, x: Any, rows: Any, operator: str) -> Any:
    """The rows of `x` combined with all before them that have the same number in `rows`, by doubling distances."""
    count, width = F.shape(x)
    dtype, distance = F.dtype(x), 1
    while distance < count:
        ahead, behind = slice(distance, None), slice(0, count - distance)
        same = F._npi_equal(getitem(F, rows, ahead), getitem(F, rows, behind))
        here = getitem(F, x, ahead)
        both = getattr(F, operator)(here, getitem(F, x, behind))
        tail = F._npi_where(F._np_reshape(same, newshape=(count - distance, 1)), both, here)
        x = concatenate(F, [getitem(F, x, slice(0, distance)), noted(F, tail, (count - distance, width), dtype)])
        x = noted(F, x, (count, width), dtype)
        distance *= 2
    return x
