"""Permutations, broadcasts and sums by the operators of mxnet that are fast.

mxnet's own loops for broadcasts and sums divide an index at each element, the gradient of a broadcast most of all: that
of a bias costs more than the product before it. In compiled graphs both are products with ones instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unidl_mxnet._engine import processor_has
from unidl_mxnet.kernels._common import noted, reshape_to

#: Below this many elements mxnet's own operator costs no more than the product.
_WORTH = 1024
#: Sums of more terms keep mxnet's compensated summation.
_TERMS = 2**16
_KINDS = ("float32", "float64")
#: From so many rows on a product gains more by oneDNN's kernel than turning its matrix, and the gradient, costs. It
#: gains where oneDNN has wider vectors than MXNet's OpenBLAS, which knows none beyond AVX2.
_MANY_ROWS = 64 if processor_has("avx512f") else math.inf


def is_of_many_rows(shape: Sequence[int], dtype: str) -> bool:
    """Whether a tensor like this is better multiplied by oneDNN."""
    return dtype == "float32" and math.prod(shape[:-1]) >= _MANY_ROWS


def permuted(F: Any, x: Any, order: Sequence[int]) -> Any:
    """`x` with its axes in this order: by the operator that oneDNN serves where it takes the tensor."""
    shape, dtype = F.shape(x), F.dtype(x)
    wanted = tuple(shape[i] for i in order)
    fast = dtype == "float32" and 1 < len(shape) <= 6 and 0 not in shape
    result = (F.transpose if fast else F._np_transpose)(x, axes=tuple(order))
    return noted(F, result, wanted, dtype)


def _ones(F: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return noted(F, F._npi_ones(shape=shape, dtype=dtype, ctx=F.context()), shape, dtype)


def _run(axes: Sequence[int], shape: Sequence[int]) -> tuple[int, int, int] | None:
    """Sizes before, along and after `axes`, None if they do not follow each other."""
    axes = [a for a in axes if shape[a] != 1]
    if not axes or [a for a in range(axes[0], axes[-1]) if a not in axes and shape[a] != 1]:
        return None
    first, last = axes[0], axes[-1] + 1
    return math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:])


def spread(F: Any, x: Any, shape: tuple[int, ...]) -> Any:
    """`x` broadcast to `shape`, or as it is if mxnet may as well do that itself."""
    have, dtype = F.shape(x), F.dtype(x)
    wide = (*(1,) * (len(shape) - len(have)), *have)
    sizes = None
    if dtype in _KINDS and math.prod(shape) >= _WORTH:
        sizes = _run([i for i, (a, b) in enumerate(zip(wide, shape, strict=True)) if a != b], shape)
    if sizes is None:
        return x
    before, along, after = sizes
    if before == 1:
        result = F.dot(_ones(F, (along, 1), dtype), reshape_to(F, x, (1, after)))
    elif after == 1:
        result = F.dot(reshape_to(F, x, (before, 1)), _ones(F, (1, along), dtype))
    else:
        result = F._npx_batch_dot(_ones(F, (before, along, 1), dtype), reshape_to(F, x, (before, 1, after)))
    return reshape_to(F, noted(F, result, (before, along, after), dtype), shape)


def summed(F: Any, x: Any, axes: Sequence[int], shape: tuple[int, ...]) -> Any:
    """The sum of `x` over `axes`, in `shape`; None if mxnet may as well do that itself."""
    have, dtype = F.shape(x), F.dtype(x)
    sizes = _run(axes, have) if dtype in _KINDS and math.prod(have) >= _WORTH else None
    if sizes is None or sizes[1] > _TERMS:
        return None
    before, along, after = sizes
    if before == 1:
        result = F.dot(_ones(F, (1, along), dtype), reshape_to(F, x, (along, after)))
    elif after == 1:
        result = F.dot(reshape_to(F, x, (before, along)), _ones(F, (along, 1), dtype))
    else:
        result = F._npx_batch_dot(_ones(F, (before, 1, along), dtype), reshape_to(F, x, (before, along, after)))
    return reshape_to(F, noted(F, result, (before, after), dtype), shape)
