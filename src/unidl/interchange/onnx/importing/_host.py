"""NumPy under the names of `unidl.ops`, for values on the host.

Arrays of objects, that is of sizes that are unknown while recording, take part in what NumPy does by Python's
operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.graph.symbolic import Dim


def __getattr__(name: str) -> Any:
    return getattr(np, name)


def cast(x: Any, dtype: str) -> Any:
    x = np.asarray(x)
    if x.dtype == object and any(isinstance(v, Dim) for v in x.flat):
        return x  # sizes are exact in whatever dtype they are used
    return x.astype(np_dtype(dtype))


def np_dtype(name: str) -> np.dtype:
    """The NumPy dtype of a name, those of ml_dtypes included."""
    if name == "string":
        return np.dtype(object)
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))


def shape(x: Any) -> tuple[int, ...]:
    return tuple(np.shape(x))


def getitem(x: Any, key: Any) -> Any:
    return x[key]


def unstack(x: Any, num: Any = None, axis: int = 0) -> list[Any]:
    return list(np.moveaxis(x, axis, 0))


def rsqrt(x: Any) -> Any:
    return 1 / np.sqrt(x)


def gather_nd(x: Any, indices: Any) -> Any:
    return x[tuple(np.moveaxis(indices, -1, 0))]


def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    result = inputs.copy()
    places = tuple(np.moveaxis(indices, -1, 0))
    if reduction is None:
        result[places] = updates
    else:
        _REDUCTIONS[reduction].at(result, places, updates)
    return result


_REDUCTIONS: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
