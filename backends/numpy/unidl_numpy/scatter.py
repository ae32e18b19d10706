"""Writing into places of a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl_numpy.kernel import kernels

_COMBINE: dict[str, np.ufunc] = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def scatter_update(inputs: np.ndarray, indices: np.ndarray, updates: np.ndarray, reduction: str | None = None) -> Any:
    result = np.array(inputs)
    places = tuple(np.moveaxis(indices, -1, 0))
    updates = np.broadcast_to(updates.astype(inputs.dtype), indices.shape[:-1] + inputs.shape[indices.shape[-1] :])
    if reduction is None:
        result[places] = updates
    else:
        _COMBINE[reduction].at(result, places, updates)
    return result


def gather_nd(x: np.ndarray, indices: np.ndarray) -> Any:
    return x[tuple(np.moveaxis(indices, -1, 0))]


TABLE: dict[str, Any] = kernels({"scatter_update": scatter_update, "gather_nd": gather_nd})
