"""`LearningRateScheduler`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from unidl.callbacks._base import Callback, Logs
from unidl.callbacks._monitor import learning_rate_variable


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    Args:
        schedule: ``schedule(epoch, learning_rate)`` (or ``schedule(epoch)``) returns the new rate.
        verbose: 1 prints it.

    The logs get the entry ``learning_rate``.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: `schedule` must be a function, not {schedule!r}.")
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _accepts_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        variable = learning_rate_variable(self)
        new: Any = self.schedule(epoch, float(variable.numpy())) if self._takes_rate else self.schedule(epoch)
        try:
            rate = float(new)
        except (TypeError, ValueError):
            raise ValueError(f"LearningRateScheduler: the schedule must return a number, not {new!r}.") from None
        if not math.isfinite(rate):
            raise ValueError(f"LearningRateScheduler: the schedule returned {rate} for epoch {epoch}.")
        variable.assign(rate)
        if self.verbose > 0:
            print(f"Epoch {epoch + 1}: LearningRateScheduler sets the learning rate to {rate:.6g}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(learning_rate_variable(self).numpy())


def _accepts_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except (TypeError, ValueError):
        return False
    return True
