"""`to_categorical`, `normalize`, `set_random_seed`."""

from __future__ import annotations

import random
from typing import Any

import numpy as np


def set_random_seed(seed: int) -> None:
    """Seed everything: unidl's own draws (weights, order of data), Python's, NumPy's and the engine's.

    Args:
        seed: an int from 0 to 2**32 - 1.

    Raises:
        ValueError: for anything else.
    """
    from unidl import _seed
    from unidl.backend import active

    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"A seed is an int from 0 to 2**32 - 1, not {seed!r}.")
    _seed.set_global(int(seed))
    random.seed(int(seed))
    np.random.seed(int(seed))
    active.set_seed(int(seed))


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class indices as one-hot vectors.

    Args:
        x: integers of any shape; a last dimension of size 1 is dropped.
        num_classes: by default the largest index plus 1.

    Returns:
        Shape ``(*x.shape, num_classes)``, in the default float: a tensor for a tensor, else a NumPy array.

    Raises:
        ValueError: if an index is negative or not below `num_classes`, or `x` is not of integers.
    """
    from unidl.backend import active
    from unidl.dtypes import floatx
    from unidl.ops._bind import host_array, numpy_dtype

    tensor = active.is_tensor(x)
    indices = host_array(x)
    if indices.dtype.kind == "f" and np.array_equal(indices, np.floor(indices)):
        indices = indices.astype(np.int64)
    if indices.dtype.kind not in "iub":
        raise ValueError(f"to_categorical needs integers, not {indices.dtype}.")
    if indices.ndim > 1 and indices.shape[-1] == 1:
        indices = indices[..., 0]
    if num_classes is None:
        if not indices.size:
            raise ValueError("to_categorical cannot tell the number of classes from no index: give `num_classes`.")
        num_classes = int(indices.max()) + 1
    if indices.size and (indices.min() < 0 or indices.max() >= num_classes):
        raise ValueError(
            f"to_categorical: indices range from {indices.min()} to {indices.max()}; "
            f"{num_classes} classes are 0 to {num_classes - 1}."
        )
    result = np.zeros((*indices.shape, num_classes), numpy_dtype(floatx()))
    np.put_along_axis(result, indices.astype(np.int64)[..., None], 1, axis=-1)
    return active.to_tensor(result) if tensor else result


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """`x` divided by its norm along `axis`; vectors of zeros stay.

    Args:
        x: a tensor or array-like; the result is of the same kind.
        axis: the dimension along which vectors lie.
        order: of the norm, e.g. 2 for Euclidean.
    """
    from unidl.backend import active
    from unidl.ops._bind import host_array

    array = np.atleast_1d(host_array(x))
    norm = np.atleast_1d(np.linalg.norm(array, order, axis))
    norm[norm == 0] = 1
    result = array / np.expand_dims(norm, axis)
    if array.dtype.kind == "f":
        result = result.astype(array.dtype)
    return active.to_tensor(result) if active.is_tensor(x) else result
