"""Data for the training loop: any source, as batches of native tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from unidl.backend import active
from unidl.training.data._adapter import Adapter
from unidl.training.data._arrays import ArrayAdapter, split_validation
from unidl.training.data._convert import ACCEPTED, checked_class_weight, is_lazy
from unidl.training.data._sources import (
    DatasetAdapter,
    IterableAdapter,
    IteratorAdapter,
    PyDatasetAdapter,
    TFDatasetAdapter,
)
from unidl.utils._dataset import Dataset
from unidl.utils._pydataset import PyDataset


def adapt(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: dict[int, float] | None = None,
    steps: int | None = None,
) -> Adapter:
    """An adapter that makes batches of native tensors from any source.

    Args:
        x: arrays (NumPy, memory-mapped, native tensors, another engine's tensors, lists of numbers, h5py
            datasets) or dicts, tuples and lists of them; or a source of batches (a generator or another
            iterator, an iterable such as torch's `DataLoader`, a `tf.data.Dataset`, a `PyDataset` or `Dataset`), which
            yields x, (x,), (x, y) or (x, y, sample_weight).
        y, sample_weight: likewise arrays; not for sources of batches.
        batch_size: samples in a batch, 32 by default; not for sources of batches.
        shuffle: True for a new order of samples in every epoch, "batch" to keep batches together.
            `PyDataset` shuffles its batches; True means nothing to other sources of batches.
        class_weight: class index to weight; multiplied with `sample_weight`.
        steps: batches in an epoch; needed for sources without an end.

    Raises:
        ValueError: if the data is empty, of different lengths, of strings or objects, or ragged; or if an
            argument does not go with the source.
        TypeError: if `x` is nothing that data can be made of.
    """
    if shuffle not in (True, False, "batch"):
        raise ValueError(f"`shuffle` must be True, False or 'batch', not {shuffle!r}.")
    if batch_size is not None and (
        isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1
    ):
        raise ValueError(f"`batch_size` must be a positive int, not {batch_size!r}.")
    weights = checked_class_weight(class_weight)
    if x is None:
        raise ValueError(f"`x` is None. {ACCEPTED}")
    if not _makes_batches(x):
        return ArrayAdapter(
            x,
            y,
            sample_weight,
            batch_size=batch_size and int(batch_size),
            shuffle=shuffle,
            class_weight=weights,
            steps=steps,
        )
    kind = type(x).__name__
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        if given is not None:
            raise ValueError(
                f"`{name}` cannot be given with a {kind}, which yields it with each batch: (x, y, sample_weight)."
            )
    if batch_size is not None:
        raise ValueError(f"`batch_size` cannot be given with a {kind}, which makes its own batches.")
    if isinstance(x, PyDataset):
        return PyDatasetAdapter(x, shuffle, weights, steps)
    if shuffle == "batch":
        raise ValueError(f"shuffle='batch' cannot be given with a {kind}, which decides on its own order.")
    if _is_tf_dataset(x):
        return TFDatasetAdapter(x, weights, steps)
    if isinstance(x, Dataset):
        return DatasetAdapter(x, weights, steps)
    if isinstance(x, Iterator):
        return IteratorAdapter(x, weights, steps)
    return IterableAdapter(x, weights, steps)


def _is_tf_dataset(x: Any) -> bool:
    return any(c.__name__ == "DatasetV2" and c.__module__.startswith("tensorflow.") for c in type(x).__mro__)


def _makes_batches(x: Any) -> bool:
    """Whether `x` yields batches, rather than being an array or a structure of arrays."""
    if isinstance(x, (PyDataset, Dataset, Iterator)) or _is_tf_dataset(x):
        return True
    if isinstance(x, (list, tuple, Mapping, Set, str, bytes)) or active.is_tensor(x) or is_lazy(x):
        return False
    if hasattr(x, "__array__") or hasattr(x, "asnumpy") or hasattr(x, "toarray"):
        return False
    return hasattr(x, "__iter__")


__all__ = ["Adapter", "PyDataset", "adapt", "split_validation"]
