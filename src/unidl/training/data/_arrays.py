"""Arrays and tensors, cut into batches.

What fits is handed to the engine once, without a copy where the engine can read the array's own memory. Several small
batches are gathered and cut by one native call each, so that a batch costs far less than a call into the engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from unidl import _seed, tree
from unidl.backend import active
from unidl.training.data._adapter import Adapter, Batch
from unidl.training.data._convert import (
    arrays_of,
    check_lengths,
    is_lazy,
    is_native,
    packer,
    to_native,
    weight_native,
    with_class_weight,
)

#: Arrays that together need more than this stay on the host and are moved batch by batch.
RESIDENT_BYTES = 2 * 2**30
#: Batches are gathered together up to this: more, and engines start threads for it, which costs more than it saves.
CHUNK_BYTES = 2**17
CHUNK_BATCHES = 64


class ArrayAdapter(Adapter):
    """Batches of arrays.

    Attributes:
        samples: their number.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        *,
        batch_size: int | None,
        shuffle: bool | str,
        class_weight: dict[int, float] | None,
        steps: int | None,
    ) -> None:
        x, y, sample_weight = arrays_of(x, "x"), arrays_of(y, "y"), arrays_of(sample_weight, "sample_weight")
        self.samples = check_lengths(x, y, sample_weight)
        if class_weight is not None:
            sample_weight = with_class_weight(y, sample_weight, class_weight)
        self.batch_size = 32 if batch_size is None else batch_size
        self.num_batches = math.ceil(self.samples / self.batch_size)
        self.shuffle = shuffle
        self.shuffle_index = _seed.next_index("shuffle") if shuffle else 0
        self._pack = packer((x, y, sample_weight))
        data = [leaf for leaf in tree.flatten((x, y)) if leaf is not None]
        weights = [leaf for leaf in tree.flatten(sample_weight) if leaf is not None]
        # Where they are not, rows are read batch by batch.
        self.resident = not any(is_lazy(a) or isinstance(a, np.memmap) for a in data) and (
            sum(map(_bytes, data)) < RESIDENT_BYTES
        )
        # Shuffled rows are copied into each batch, so nobody gets hold of the arrays themselves.
        native = [to_native(a, borrow=bool(shuffle)) for a in data] if self.resident else data
        self._leaves = native + [weight_native(a) for a in weights]
        batch_bytes = sum(map(_bytes, data)) / self.samples * self.batch_size
        self._chunk = max(1, min(CHUNK_BATCHES, int(CHUNK_BYTES / max(1.0, batch_bytes))))
        self._limit(steps)

    # -- order --------------------------------------------------------------------------------

    def _order(self, epoch: int) -> np.ndarray | None:
        """The samples' order in this epoch, the same on every backend; None if it is their own."""
        if not self.shuffle:
            return None
        generator = _seed.stream("shuffle", self.shuffle_index, epoch)
        size = self.batch_size or 1
        if self.shuffle == "batch":
            full = self.samples // size
            starts = generator.permutation(full)[:, None] * size
            order = (starts + np.arange(size)).reshape(-1)
            order = np.concatenate([order, np.arange(full * size, self.samples)])
        else:
            order = generator.permutation(self.samples)
        return order.astype(np.int32 if self.samples < 2**31 else np.int64)

    # -- batches ------------------------------------------------------------------------------

    def _pass(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = self._order(epoch)
        return iter(self._pack(self._native_rows(order, start) if self.resident else self._host_rows(order, start)))

    def _native_rows(self, order: np.ndarray | None, start: int) -> Iterator[tuple[Any, ...]]:
        rows_of, cut, to_tensor = active.rows, active.cut, active.to_tensor
        leaves, size, chunk, samples = self._leaves, self.batch_size or 1, self._chunk, self.samples
        if samples <= size and order is None:
            if start == 0:
                yield tuple(leaves)
            return

        def taken(part: slice) -> list[Any]:
            if order is None:
                return [t[part] for t in leaves]
            index = to_tensor(order[part])
            return [rows_of(t, index) for t in leaves]

        full = samples // size
        for first in range(start, full, chunk):
            count = min(chunk, full - first)
            rows = taken(slice(first * size, (first + count) * size))
            if count == 1:
                yield tuple(rows)
            else:
                yield from zip(*[cut(t, count) for t in rows], strict=True)
        if full * size < samples and start <= full:
            yield tuple(taken(slice(full * size, samples)))

    def _host_rows(self, order: np.ndarray | None, start: int) -> Iterator[tuple[Any, ...]]:
        size = self.batch_size or 1
        for first in range(start * size, self.samples, size):
            part = slice(first, first + size)
            if order is None:
                yield tuple([to_native(a[part]) for a in self._leaves])
                continue
            # Read in rising order: files are faster so, and h5py accepts nothing else.
            picked = order[part]
            rising = np.argsort(picked)
            back = np.argsort(rising)
            sorted_rows = picked[rising]
            yield tuple([self._picked(a, picked, sorted_rows, back) for a in self._leaves])

    @staticmethod
    def _picked(array: Any, picked: np.ndarray, rising: np.ndarray, back: np.ndarray) -> Any:
        if is_native(array):
            return active.table["take"](array, active.to_tensor(picked), 0)
        return to_native(np.asarray(array[rising])[back])


def _bytes(array: Any) -> float:
    """Memory of an array, in bytes."""
    if not is_native(array):
        return math.prod(array.shape) * array.dtype.itemsize
    dtype = active.dtype(array)
    width = 1 if dtype == "bool" else 16 if dtype == "string" else int("".join(c for c in dtype if c.isdigit())) / 8
    return math.prod(d or 0 for d in active.shape(array)) * width


def split_validation(
    x: Any, y: Any = None, sample_weight: Any = None, fraction: float = 0.0
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """(x, y, sample_weight) for training and for validation, which gets the last `fraction` of the samples.

    The samples are not shuffled before, as in Keras.

    Raises:
        ValueError: if `fraction` is not between 0 and 1, or leaves either part empty.
        TypeError: if the data is not of arrays.
    """
    if isinstance(fraction, bool) or not 0 < fraction < 1:
        raise ValueError(f"`validation_split` must be a number between 0 and 1 (exclusive), not {fraction!r}.")
    try:
        parts = arrays_of(x, "x"), arrays_of(y, "y"), arrays_of(sample_weight, "sample_weight")
    except TypeError as error:
        raise TypeError(f"`validation_split` needs arrays; give `validation_data` for other sources. {error}") from None
    samples = check_lengths(*parts)
    border = math.floor(samples * (1.0 - fraction))
    if border in (0, samples):
        raise ValueError(
            f"`validation_split={fraction}` of {samples} samples leaves {border} for training and "
            f"{samples - border} for validation; both must have some."
        )

    def cut(part: slice) -> tuple[Any, Any, Any]:
        x, y, w = (tree.map_structure(lambda a: None if a is None else a[part], structure) for structure in parts)
        return x, y, w

    return cut(slice(0, border)), cut(slice(border, samples))
