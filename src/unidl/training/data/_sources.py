"""Sources that make their own batches: iterators, loaders of the engines, `PyDataset`."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from unidl import _seed
from unidl.backend import active
from unidl.training.data._adapter import Adapter, Batch
from unidl.training.data._convert import native_batch
from unidl.utils._dataset import Dataset
from unidl.utils._pydataset import PyDataset

_ENDLESS = (itertools.count, itertools.cycle, itertools.repeat)


class IteratorAdapter(Adapter):
    """A generator or iterator, consumed across epochs without being restarted."""

    restarts = False

    def __init__(self, iterator: Iterator[Any], class_weight: dict[int, float] | None, steps: int | None) -> None:
        if isinstance(iterator, _ENDLESS) and steps is None:
            raise ValueError(f"{type(iterator).__name__} has no end: say how many batches an epoch has (steps).")
        self.iterator, self.class_weight = iterator, class_weight
        self.finite = steps is not None
        self._limit(steps)

    def _pass(self, epoch: int) -> Iterator[Batch]:
        for item in self.iterator:
            yield native_batch(item, self.class_weight)


class IterableAdapter(Adapter):
    """A loader: something that yields batches each time it is iterated over.

    Torch's `DataLoader` and gluon's are such, whatever the backend.
    """

    def __init__(self, loader: Iterable[Any], class_weight: dict[int, float] | None, steps: int | None) -> None:
        self.loader, self.class_weight = loader, class_weight
        try:
            self.num_batches = len(loader)  # type: ignore[arg-type]
        except (TypeError, NotImplementedError):
            self.num_batches = None
        if self.num_batches == 0:
            raise ValueError(f"The data is empty: {type(loader).__name__} has 0 batches.")
        size = getattr(loader, "batch_size", None)
        self.batch_size = size if isinstance(size, int) else None
        self._limit(steps)

    def _pass(self, epoch: int) -> Iterator[Batch]:
        for item in self.loader:
            yield native_batch(item, self.class_weight)


class DatasetAdapter(Adapter):
    """A `utils.Dataset`, whose random order depends on the epoch's number."""

    def __init__(self, dataset: Dataset, class_weight: dict[int, float] | None, steps: int | None) -> None:
        self.dataset, self.class_weight = dataset, class_weight
        count = dataset.cardinality()
        if count == 0:
            raise ValueError("The data is empty: the Dataset has 0 batches.")
        self.num_batches = count if count > 0 else None
        if count == -1 and steps is None:
            raise ValueError("The Dataset repeats for ever: say how many batches an epoch has (steps).")
        self._limit(steps)

    def _pass(self, epoch: int) -> Iterator[Batch]:
        for item in self.dataset.iterate(epoch):
            yield native_batch(item, self.class_weight)


class TFDatasetAdapter(Adapter):
    """A `tf.data.Dataset` that yields batches; other engines get its batches as NumPy arrays."""

    def __init__(self, dataset: Any, class_weight: dict[int, float] | None, steps: int | None) -> None:
        self.dataset, self.class_weight = dataset, class_weight
        # TensorFlow's own constants: -1 has no end, -2 is not known.
        count = int(dataset.cardinality())
        if count == 0:
            raise ValueError("The data is empty: the tf.data.Dataset has 0 batches.")
        self.num_batches = count if count > 0 else None
        self.finite = count != -1 or steps is not None
        if not self.finite:
            raise ValueError("The tf.data.Dataset repeats for ever: say how many batches an epoch has (steps).")
        self._limit(steps)

    def _pass(self, epoch: int) -> Iterator[Batch]:
        for item in self.dataset if active.name == "tensorflow" else self.dataset.as_numpy_iterator():
            yield native_batch(item, self.class_weight)


class PyDatasetAdapter(Adapter):
    """A `PyDataset`; with more than one worker its batches are made ahead by threads, in order."""

    def __init__(
        self, dataset: PyDataset, shuffle: bool | str, class_weight: dict[int, float] | None, steps: int | None
    ) -> None:
        self.dataset, self.class_weight = dataset, class_weight
        count = dataset.num_batches
        if count == 0:
            raise ValueError(f"The data is empty: {type(dataset).__name__} has 0 batches.")
        self.num_batches = count
        self.finite = count is not None or steps is not None
        if not self.finite:
            raise ValueError(
                f"{type(dataset).__name__} has no length: define __len__, or say how many batches an epoch has (steps)."
            )
        self.shuffle = bool(shuffle) and count is not None
        self.shuffle_index = _seed.next_index("shuffle") if self.shuffle else 0
        self._limit(steps)

    def _indices(self, epoch: int) -> Iterable[int]:
        count = self.dataset.num_batches
        if count is None:
            return itertools.count()
        if not self.shuffle:
            return range(count)
        return _seed.stream("shuffle", self.shuffle_index, epoch).permutation(count).tolist()

    def _pass(self, epoch: int) -> Iterator[Batch]:
        dataset, indices = self.dataset, self._indices(epoch)
        dataset.on_epoch_begin()
        if dataset.workers > 1 or (dataset.use_multiprocessing and dataset.workers > 0):
            items = _made_ahead(dataset, indices)
        else:
            items = (dataset[i] for i in indices)
        for item in items:
            yield native_batch(item, self.class_weight)
        dataset.on_epoch_end()


def _made_ahead(dataset: PyDataset, indices: Iterable[int]) -> Iterator[Any]:
    """``dataset[i]`` for all `indices` in order, at most `max_queue_size` of them made ahead."""
    queue: deque[Future[Any]] = deque()
    executor = ThreadPoolExecutor(dataset.workers, thread_name_prefix="unidl-data")
    try:
        for index in indices:
            queue.append(executor.submit(dataset.__getitem__, index))
            if len(queue) >= max(1, dataset.max_queue_size):
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
