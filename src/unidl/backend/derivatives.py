"""Derivatives along a direction, for engines that have reverse mode only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unidl.dtypes import FLOATS


def jvp(
    backend: Any, fn: Callable[..., Sequence[Any]], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Sequence[Any], Sequence[Any]]:
    """See `Backend.jvp`: each element of the outputs is differentiated on its own."""
    from unidl import ops

    outputs = list(fn(*primals))
    derivatives = []
    for place, output in enumerate(outputs):
        dtype, shape = backend.dtype(output), tuple(backend.shape(output))
        if dtype not in FLOATS:
            derivatives.append(ops.zeros_like(output))
            continue
        slopes = np.zeros(shape, "float64")
        for index in np.ndindex(shape):

            def element(*values: Any, place: int = place, index: tuple[int, ...] = index) -> tuple[Any, None]:
                return ops.getitem(fn(*values)[place], index), None

            _, gradients, _ = backend.differentiate(element, primals, [])
            products = [
                backend.to_numpy(ops.sum(ops.multiply(g, t)))
                for g, t in zip(gradients, tangents, strict=True)
                if g is not None
            ]
            slopes[index] = sum(float(p) for p in products)
        derivatives.append(backend.to_tensor(slopes, dtype))
    return outputs, derivatives
