"""Reductions over segments: elements with the same number."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.dtypes import FLOATS
from unidl.graph.symbolic import Dim
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, composite, need_dtype, need_rank, require, same_dim
from unidl.ops.statistics import number, occurrences


def _lowest(dtype: str) -> Any:
    """What every number of `dtype` is at least."""
    if dtype in FLOATS:
        return -math.inf
    return 0 if dtype == "bool" or dtype[0] == "u" else -(2 ** (int(dtype[3:]) - 1))


def _highest(dtype: str) -> Any:
    """What every number of `dtype` is at most."""
    if dtype in FLOATS:
        return math.inf
    bits = 1 if dtype == "bool" else int(dtype.lstrip("uint"))
    return 2 ** (bits - (dtype[0] == "i")) - 1


def _combined(data: Any, segment_ids: Any, num_segments: Any, reduction: str, start: Any) -> Any:
    need_dtype(segment_ids, "segment_ids", "integer")
    need_rank(data, "data", 1)
    need_rank(segment_ids, "segment_ids", 1, len(data.shape))
    rank = len(segment_ids.shape)
    for a, b in zip(segment_ids.shape, data.shape[:rank], strict=True):
        same_dim(a, b, f"the first sizes of `data` {list(data.shape)} and those of `segment_ids`")
    require(
        num_segments is None
        or isinstance(num_segments, Dim)
        or active.is_tensor(num_segments)
        or (hasattr(num_segments, "__index__") and int(num_segments) >= 0),
        f"`num_segments` is {num_segments!r}; an int of at least 0 is expected.",
    )
    ids = ops.reshape(segment_ids, (-1,))
    n = ops.shape(occurrences(ids))[0] if num_segments is None else num_segments
    # What belongs to no segment is collected in one before the first, which is dropped.
    outside = ops.logical_or(ops.less(ids, 0), ops.greater_equal(ids, ops.cast(number(n, "int32"), dtype_of(ids))))
    places = ops.add(ops.where(outside, ops.full_like(ids, -1), ids), 1)
    rest = tuple(ops.shape(data)[rank:])
    flat = ops.reshape(data, (ops.shape(ids)[0], *rest))
    table = ops.full((n + 1, *rest), start, dtype_of(data))
    return ops.getitem(ops.scatter_update(table, ops.expand_dims(places, -1), flat, reduction), slice(1, None))


@composite
def segment_sum(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The sum of each segment; 0 for a segment without elements.

    Args:
        data: numbers.
        segment_ids: the segment of each element, or slice, of `data`: integers whose shape is that of the first
            dimensions of `data`. What is negative, or not below `num_segments`, is dropped.
        num_segments: how many segments there are. None: as many as the largest id needs.
        sorted: whether `segment_ids` ascend. Nothing depends on it.

    Returns:
        The dtype of `data`; dimensions of `segment_ids` are replaced by one of size `num_segments`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.segment_sum([1, 2, 10, 20, 100], [0, 0, 2, 2, -1], 4)))
        [ 3  0 30  0]
    """
    need_dtype(data, "data", "numeric")
    return _combined(data, segment_ids, num_segments, "add", 0)


@composite
def segment_prod(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The product of each segment; 1 for a segment without elements. Arguments as for `segment_sum`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.segment_prod([1, 2, 10, 20, 100], [0, 0, 2, 2, -1], 4)))
        [  2   1 200   1]
    """
    need_dtype(data, "data", "numeric")
    return _combined(data, segment_ids, num_segments, "mul", 1)


@composite
def segment_max(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The maximum of each segment. Arguments as for `segment_sum`.

    A segment without elements gives -inf, or the lowest integer of the dtype.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.segment_max([1.0, 2.0, 10.0, 20.0], [0, 0, 2, 2], 3)))
        [  2. -inf  20.]
    """
    need_dtype(data, "data", "real")
    return _combined(data, segment_ids, num_segments, "max", _lowest(dtype_of(data)))


@composite
def segment_min(data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """The minimum of each segment. Arguments as for `segment_sum`.

    A segment without elements gives inf, or the highest integer of the dtype.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.segment_min([1.0, 2.0, 10.0, 20.0], [0, 0, 2, 2], 3)))
        [ 1. inf 10.]
    """
    need_dtype(data, "data", "real")
    return _combined(data, segment_ids, num_segments, "min", _highest(dtype_of(data)))


__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]
