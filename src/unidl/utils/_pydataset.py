"""`PyDataset`: data that is made batch by batch, in Python."""

from __future__ import annotations

from typing import Any


class PyDataset:
    """Derive from it and define ``__getitem__(index)``, which makes one batch, and ``__len__``.

    A batch is x, (x, y) or (x, y, sample_weight). Without ``__len__`` the data has no end.

    Args:
        workers: threads that make batches ahead; 0 or 1 makes each when it is needed.
            ``__getitem__`` must then be safe to call from several threads at once.
        use_multiprocessing: accepted as in Keras. Threads are used all the same: reading, decoding
            and NumPy release the interpreter, and nothing need be picklable.
        max_queue_size: batches made ahead at most.
    """

    # Class attributes, so that a subclass that forgets super().__init__() works.
    _workers: int = 1
    _use_multiprocessing: bool = False
    _max_queue_size: int = 10

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    @property
    def workers(self) -> int:
        """Threads that make batches."""
        return self._workers

    @workers.setter
    def workers(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"`workers` must be an int >= 0, not {value!r}.")
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """As given; threads are used in any case."""
        return self._use_multiprocessing

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = bool(value)

    @property
    def max_queue_size(self) -> int:
        """Batches made ahead at most."""
        return self._max_queue_size

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"`max_queue_size` must be an int >= 0, not {value!r}.")
        self._max_queue_size = value

    @property
    def num_batches(self) -> int | None:
        """``len(self)``; None if the class has no ``__len__``: the data then has no end."""
        return len(self) if hasattr(self, "__len__") else None

    def __getitem__(self, index: int) -> Any:
        """The batch at `index`."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index), which makes one batch.")

    def on_epoch_begin(self) -> None:
        """Called before each pass over the data."""

    def on_epoch_end(self) -> None:
        """Called after each full pass over the data, e.g. to shuffle."""


Sequence = PyDataset
