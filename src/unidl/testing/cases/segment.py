"""Cases of reductions over segments."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.draw import ANY, NUMBER, SMALL, Draw, Tolerance, add


def _segments(r: Draw) -> tuple[Any, ...]:
    ids = r.shape(1, 2)
    data = r.array((*ids, *r.shape(0, 1)), low=-2, high=2)
    if r.smooth:  # without empty segments, whose extremes are infinite
        count = r.integer(1, min(int(np.prod(ids)), 4))
        return data, r.numbers.permutation(np.arange(int(np.prod(ids))) % count).reshape(ids).astype("int32"), count
    numbers = r.array(ids, r.choice("int32", "int64"), -1, 5)
    if r.flag():
        numbers = np.sort(numbers, None).reshape(ids)
    return (data, numbers, r.integer(1, 6)) if r.flag() else (data, numbers)


add("segment_sum", _segments, (*NUMBER, *SMALL), gradient="data", tolerance=Tolerance(2, True))
add("segment_prod", _segments, (*NUMBER, *SMALL), gradient="data", tolerance=Tolerance(4))
add("segment_max segment_min", _segments, (*ANY, *SMALL), gradient="data")
