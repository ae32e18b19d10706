"""`SwapEMAWeights`: evaluate with averaged weights, train with the others."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.callbacks._base import Callback, Logs


class SwapEMAWeights(Callback):
    """Exchanges the weights with the optimizer's moving averages for evaluation.

    The optimizer must have been made with ``use_ema=True``.

    Args:
        swap_on_epoch: exchange them at the end of each epoch, for callbacks that come later in the list
            (`ModelCheckpoint`), and back at the next one's beginning. False: only around evaluation and prediction.

    Raises:
        ValueError: in `fit`, if the optimizer keeps no averages.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False
        self._means: list[Any] = []

    def _averaged(self) -> list[tuple[Any, Any]]:
        """Each weight with its moving average."""
        optimizer = getattr(self.model, "optimizer", None)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        parts = [o for o in getattr(inner, "optimizers", [inner]) if getattr(o, "use_ema", False)]
        if not parts:
            raise ValueError(
                f"SwapEMAWeights needs an optimizer with `use_ema=True`, which keeps the averages; got {optimizer!r}."
            )
        found = [(v, a) for o in parts for v, a in zip(o._trained, o.slots.get("average", []), strict=False)]
        return [(v, a) for v, a in found if a is not None]

    def _swap(self, swapped: bool) -> None:
        """Exchange weights and averages, unless they are as wanted."""
        if self._swapped is swapped or not (averaged := self._averaged()):
            return
        self._means = []
        for variable, average in averaged:
            weight, mean = ops.copy(variable), ops.copy(average)
            variable.assign(mean)
            average.assign(weight)
            self._means.append(mean)
        self._swapped = swapped

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._averaged()
        self._swapped = False

    def state_dict(self) -> dict[str, Any]:
        return {"swapped": self._swapped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._swapped = state["swapped"]
        self._means = [ops.copy(variable) for variable, _ in self._averaged()] if self._swapped else []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._swap(True)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._swapped:  # `fit` ends by copying the averages into the weights, and they were exchanged
            for (variable, average), mean in zip(self._averaged(), self._means, strict=True):
                variable.assign(mean)
                average.assign(mean)
        self._swapped, self._means = False, []

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._swap(False)
