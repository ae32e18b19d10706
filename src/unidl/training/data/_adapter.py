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
        resident: whether the data are native tensors, so that nobody else's code runs for a batch.
        restarts: whether a new pass begins at the start of the data. Iterators do not restart.
        shuffle_index: which random order the data has, where unidl shuffles it.
        remembers: whether `position` will be asked for, so that what it needs must be noted.
    """

    num_batches: int | None = None
    batch_size: int | None = None
    finite: bool = True
    steps: int | None = None
    resident: bool = False
    restarts: bool = True
    shuffle_index: int = 0
    remembers: bool = False
    _running: Iterator[Batch] | None = None
    _passes: int = 0
    _given: int = 0

    def _pass(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """One pass over the data, without its first `start` batches."""
        raise NotImplementedError

    def _repeat(self, passes: int) -> None:
        """Have the source stand where so many whole passes have been made, if it has a state."""

    def _limit(self, steps: int | None) -> None:
        """Set the number of batches of an epoch."""
        if steps is None:
            return
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"The number of steps must be a positive int, not {steps!r}.")
        self.steps = self.num_batches = steps

    def batches(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, as (x, y, sample_weight) of native tensors, without the first `start`.

        With `steps`, an epoch goes on where the one before stopped. Where the data ends the epoch does, and the next
        begins at the start of a source that can restart.
        """
        if self.steps is not None:
            return self._stepped(self.steps, start)
        self._passes += 1
        return self._pass(epoch, start)

    def position(self, batch: int) -> dict[str, Any]:
        """Where the source stands after `batch` batches of an epoch: a state for `go_on`."""
        given = batch if self.steps is None else self._given
        return {"shuffle_index": self.shuffle_index, "passes": self._passes, "batch": given}

    def go_on(self, position: dict[str, Any], again: int = 0) -> None:
        """Stand where `position` was taken, in an adapter of the same data, or `again` batches before.

        Without `steps` it is the caller who then begins in the middle of an epoch, by ``batches(epoch, start)``.
        """
        self.shuffle_index = position["shuffle_index"]
        passes, batch = position["passes"], position["batch"]
        self._repeat(passes - 1 if batch else passes)
        self._passes, self._given = passes, batch - again
        if self.steps is None:
            self._passes -= 1 if batch else 0
        elif batch:
            self._running = self._pass(passes - 1, self._given)

    def rewind(self) -> None:
        """Begin the next epoch at the start of the data, if the source can."""
        if self.restarts:
            self._running = None

    def _stepped(self, steps: int, done: int) -> Iterator[Batch]:
        idle = False
        while done < steps:
            if self._running is None:
                self._running = self._pass(self._passes)
                self._passes += 1
                self._given = 0
            batch = next(self._running, None)
            if batch is None:
                self._running = None
                if done or idle or not self.restarts:
                    return
                idle = True  # the epoch before ended with the data; a pass without any batch is not repeated
                continue
            done += 1
            self._given += 1
            yield batch
