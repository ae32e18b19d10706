"""Products of matrices and tensors."""

from __future__ import annotations

import math
from typing import Any

from unidl_mxnet.kernels._common import broadcast, cast_to, in_float32, noted, reshape_to


def matmul(F: Any, x1: Any, x2: Any) -> Any:
    a, b, dtype = F.shape(x1), F.shape(x2), F.dtype(x1)
    if dtype == "float16":
        return in_float32(F, lambda p, q: matmul(F, p, q), x1, x2)
    if dtype not in ("float32", "float64"):  # float64 holds the products of 32-bit integers exactly
        return cast_to(F, matmul(F, cast_to(F, x1, "float64"), cast_to(F, x2, "float64")), dtype)
    if len(b) == 2 and len(a) >= 2 and 0 not in a and 0 not in b:
        rows = a if len(a) == 2 else (math.prod(a[:-1]), a[-1])
        right = x2.turned if F.symbolic else None
        if right is None:
            product = F.dot(x1 if rows == a else reshape_to(F, x1, rows), x2)
        else:
            product = F.dot(x1 if rows == a else reshape_to(F, x1, rows), right, transpose_b=True)
        return product if rows == a else reshape_to(F, noted(F, product, (rows[0], b[1]), dtype), (*a[:-1], b[1]))
    if len(a) > 1 and len(b) > 1 and a[:-2] != b[:-2]:
        # mxnet's gradient is wrong where it broadcasts by itself.
        batch = broadcast(a[:-2], b[:-2])
        x1, x2 = (F._npi_broadcast_to(x, shape=(*batch, *s[-2:])) for x, s in ((x1, a), (x2, b)))
    if F.symbolic and len(a) > 2 and len(a) == len(b) and 0 not in a and 0 not in b:
        return _batched(F, x1, x2)
    return F._npi_matmul(x1, x2)


def _batched(F: Any, x1: Any, x2: Any) -> Any:
    """Products of as many pairs of matrices. mxnet's older operator takes them turned, and has the faster gradient."""
    (*batch, n, _), k = F.shape(x1), F.shape(x2)[-1]
    operands, turned = [], []
    for x in (x1, x2):
        turned.append(x.turned is not None)
        x = x.turned or x
        operands.append(reshape_to(F, x, (math.prod(batch), *F.shape(x)[-2:])))
    result = F._npx_batch_dot(*operands, transpose_a=turned[0], transpose_b=turned[1])
    return reshape_to(F, noted(F, result, (math.prod(batch), n, k), F.dtype(x1)), (*batch, n, k))
