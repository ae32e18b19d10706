"""What the training loop sees of any source of data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Batch = tuple[Any, Any, Any]


class Adapter:
    """A source of batches, one pass after another.

    Attributes:
        num_batches: batches in an epoch; None if it is not known beforehand.
        batch_size: samples in a batch (the last may be smaller); None if the source decides.
        finite: False if the source has no end, or none that can be known: an epoch then needs `steps`.
        steps: batches in an epoch if the caller limits it, else None.
        restarts: whether a new pass begins at the start of the data. Iterators do not restart.
        shuffle_index: which random order the data has, where unidl shuffles it.
    """

    num_batches: int | None = None
    batch_size: int | None = None
    finite: bool = True
    steps: int | None = None
    restarts: bool = True
    shuffle_index: int = 0
    _running: Iterator[Batch] | None = None
    _passes: int = 0

    def _pass(self, epoch: int) -> Iterator[Batch]:
        """One pass over the data."""
        raise NotImplementedError

    def _limit(self, steps: int | None) -> None:
        """Set the number of batches of an epoch."""
        if steps is None:
            return
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"The number of steps must be a positive int, not {steps!r}.")
        self.steps = self.num_batches = steps

    def batches(self, epoch: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, as (x, y, sample_weight) of native tensors.

        With `steps`, an epoch goes on where the one before stopped, and a source that can restart
        does so when it is used up. An iterator that is used up ends the epoch early.
        """
        return self._pass(epoch) if self.steps is None else self._stepped(self.steps)

    def go_on(self, initial: int, epoch: int, shuffle_index: int) -> None:
        """Stand where a run that began at epoch `initial` stood before `epoch`, with its order of the data."""
        self.shuffle_index = shuffle_index
        if self.steps is not None or not self.restarts:
            for past in range(initial, epoch):
                for _ in self.batches(past):
                    pass

    def _stepped(self, steps: int) -> Iterator[Batch]:
        done, idle = 0, False
        while done < steps:
            if self._running is None:
                self._running = self._pass(self._passes)
                self._passes += 1
            batch = next(self._running, None)
            if batch is None:
                self._running = None
                if idle or not self.restarts:
                    return
                idle = True  # a pass without any batch must not be repeated for ever
                continue
            idle = False
            done += 1
            yield batch
