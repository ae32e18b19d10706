"""What `adapt` may be given: arrays, iterables of batches, datasets."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.layers.preprocessing._host import dense, host_values, is_text, tensorflow_of
from unidl.utils._pydataset import PyDataset


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or active.is_tensor(value) or tensorflow_of(value) is not None


def is_one_batch(data: Any) -> bool:
    """Whether `data` is an array, or a list that makes one; otherwise it is an iterable of batches."""
    if _is_array(data) or is_text(data) or np.isscalar(data):
        return True
    if isinstance(data, (list, tuple)) and len(data):
        first = data[0]
        while isinstance(first, (list, tuple)) and len(first):
            first = first[0]
        return not (_is_array(first) and len(first.shape))
    return not hasattr(data, "__iter__") and hasattr(data, "__array__")


def batches(data: Any, steps: int | None, layer: str) -> Iterator[Any]:
    """The batches' inputs; labels and weights beside them are left out.

    Raises:
        ValueError: if there is none.
        TypeError: if `data` is nothing that has batches.
    """
    if is_one_batch(data):
        yield data
        return
    if isinstance(data, PyDataset):
        count = data.num_batches
        items: Any = (data[i] for i in (itertools.count() if count is None else range(count)))
    elif hasattr(data, "__iter__"):
        items = iter(data)
    else:
        raise TypeError(f"Layer {layer!r}: adapt() takes arrays and iterables of batches, not {type(data).__name__}.")
    empty = True
    for item in itertools.islice(items, steps):
        empty = False
        yield dense(item[0] if isinstance(item, tuple) else item, layer)
    if empty:
        raise ValueError(f"Layer {layer!r}: adapt() was given an empty iterable: it needs at least one batch.")


def numbers(batch: Any) -> np.ndarray:
    """A batch as an array of floats."""
    return np.asarray(host_values(batch), np.float64)
