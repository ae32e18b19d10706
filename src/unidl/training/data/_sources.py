"""Sources that make their own batches: iterators, loaders of the engines, `PyDataset`."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from unidl import _seed
from unidl.backend import active
from unidl.saving._random_state import random_state, set_random_state
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
        self._taken = 0
        self._limit(steps)

    def _pass(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for item in self.iterator:
            self._taken += 1
            yield native_batch(item, self.class_weight)

    def position(self, batch: int) -> dict[str, Any]:
        return {"taken": self._taken}

    def go_on(self, position: dict[str, Any], again: int = 0) -> None:
        """Take as many items as had been taken: an iterator can stand elsewhere in no other way."""
        self._taken = position["taken"] - again
        _skipped(self.iterator, self._taken)


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
        self._before: dict[str, Any] | None = None
        self._again = False
        self._limit(steps)

    def _pass(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if self._again and self._before is not None:
            set_random_state(self._before["random"])
            self._set_generators(self._before["generators"])
        elif self.remembers:
            self._before = {"random": random_state(), "generators": self._states()}
        self._again = False
        items = _skipped(iter(self.loader), start)
        return (native_batch(item, self.class_weight) for item in items)

    def position(self, batch: int) -> dict[str, Any]:
        # A pass that has been begun is begun again with the random numbers of then, so that its order is the same.
        return {**super().position(batch), "before": self._before, "generators": self._states()}

    def go_on(self, position: dict[str, Any], again: int = 0) -> None:
        self._before, self._again = position["before"], position["batch"] > 0
        self._set_generators(position["generators"])
        super().go_on(position, again)

    def _generators(self) -> list[Any]:
        """Random generators of the loader's own, as torch's have them."""
        sampler = getattr(self.loader, "batch_sampler", None)
        owners = (self.loader, getattr(self.loader, "sampler", None), sampler, getattr(sampler, "sampler", None))
        found = {id(g): g for o in owners if (g := getattr(o, "generator", None)) is not None}
        return [g for g in found.values() if hasattr(g, "get_state") and hasattr(g, "set_state")]

    def _states(self) -> list[np.ndarray]:
        return [np.array(generator.get_state()) for generator in self._generators()]

    def _set_generators(self, states: list[np.ndarray]) -> None:
        for generator, state in zip(self._generators(), states, strict=False):
            generator.set_state(generator.get_state().new_tensor(state))  # a tensor of torch, whatever the engine


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

    def _pass(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        items = _skipped(self.dataset.iterate(epoch), start)
        return (native_batch(item, self.class_weight) for item in items)


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

    def _pass(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        dataset = self.dataset.skip(start) if start else self.dataset
        for item in dataset if active.name == "tensorflow" else dataset.as_numpy_iterator():
            yield native_batch(item, self.class_weight)

    def _repeat(self, passes: int) -> None:
        for _ in range(passes):  # each iterator draws the seed of its order, if there is one
            iter(self.dataset)


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

    def _indices(self, epoch: int, start: int) -> Iterable[int]:
        count = self.dataset.num_batches
        if count is None:
            return itertools.count(start)
        if not self.shuffle:
            return range(start, count)
        return _seed.stream("shuffle", self.shuffle_index, epoch).permutation(count).tolist()[start:]

    def _pass(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        self.dataset.on_epoch_begin()
        return self._items(self._indices(epoch, start))

    def _repeat(self, passes: int) -> None:
        for _ in range(passes):
            self.dataset.on_epoch_begin()
            self.dataset.on_epoch_end()

    def _items(self, indices: Iterable[int]) -> Iterator[Batch]:
        dataset = self.dataset
        if dataset.workers > 1 or (dataset.use_multiprocessing and dataset.workers > 0):
            items = _made_ahead(dataset, indices)
        else:
            items = (dataset[i] for i in indices)
        for item in items:
            yield native_batch(item, self.class_weight)
        dataset.on_epoch_end()


def _skipped(items: Iterator[Any], count: int) -> Iterator[Any]:
    """An iterator after its first `count` items have been taken."""
    for _ in range(count):
        next(items, None)
    return items


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
