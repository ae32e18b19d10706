"""`Progbar`: a progress bar for loops of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from unidl.training.progress import ProgressBar, style_of_output


class Progbar:
    """Shows progress and running averages of a loop.

    Args:
        target: number of steps; None if it is not known.
        width: of the bar, in characters.
        verbose: 0 shows nothing, 1 a bar, 2 one line at the end.
        interval: seconds between two drawings at least.
        stateful_metrics: names of values that are shown as they are; others are averaged over the steps.
        stateless_metrics: names of the values to average; others are shown as they are. Instead of the former.
        unit_name: of a step.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        self.target = target
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: Only one of `stateful_metrics` and `stateless_metrics` can be given.")
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._sums: dict[str, tuple[float, float]] = {}
        self._seen = 0
        style = style_of_output(verbose)
        self._bar = ProgressBar(target, style=style, interval=interval, width=width, unit=unit_name)
        self._done = False

    def update(
        self, current: int, values: Sequence[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Say that `current` steps are done.

        Args:
            values: (name, value) pairs, each the average over the steps since the last call.
            finalize: end the bar; by default when `current` reaches the target.
        """
        steps = max(current - self._seen, 0)
        for name, value in values or ():
            value = float(np.mean(value))
            averaged = name not in self.stateful_metrics
            if self.stateless_metrics is not None:
                averaged = name in self.stateless_metrics
            if not averaged:
                self._sums[name] = (value, 1.0)
            else:
                total, count = self._sums.get(name, (0.0, 0.0))
                weight = max(steps, 1)
                self._sums[name] = (total + value * weight, count + weight)
        self._seen = current
        finish = self.target is not None and current >= self.target if finalize is None else finalize
        self._bar.update(current, self._averages)
        if finish and not self._done:
            self._done = True
            self._bar.finish(self._averages)

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Say that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _averages(self) -> dict[str, float]:
        return {name: total / count for name, (total, count) in self._sums.items()}
