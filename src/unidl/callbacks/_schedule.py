"""`LearningRateScheduler`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from unidl.callbacks._base import Callback, Logs
from unidl.callbacks._monitor import learning_rates
from unidl.training.progress import tell


class LearningRateScheduler(Callback):
    """Sets the learning rate before every epoch.

    Args:
        schedule: ``schedule(epoch, learning_rate)`` (or ``schedule(epoch)``) returns the new rate.
        verbose: 1 prints it.

    The logs get the entry ``learning_rate``; for a `MultiOptimizer` one ``learning_rate_<name>`` each.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: `schedule` must be a function, not {schedule!r}.")
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _accepts_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        for name, variable in learning_rates(self).items():
            new: Any = self.schedule(epoch, float(variable.numpy())) if self._takes_rate else self.schedule(epoch)
            try:
                rate = float(new)
            except (TypeError, ValueError):
                raise ValueError(f"LearningRateScheduler: the schedule must return a number, not {new!r}.") from None
            if not math.isfinite(rate):
                raise ValueError(f"LearningRateScheduler: the schedule returned {rate} for epoch {epoch}.")
            variable.assign(rate)
            if self.verbose > 0:
                words = name.replace("_", " ", 1)
                tell(f"Epoch {epoch + 1}: LearningRateScheduler sets the {words} to {rate:.6g}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs.update({name: float(variable.numpy()) for name, variable in learning_rates(self).items()})


def _accepts_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except (TypeError, ValueError):
        return False
    return True
