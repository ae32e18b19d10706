"""`TerminateOnNaN`."""

from __future__ import annotations

import math
import warnings
from typing import Any

from unidl.callbacks._base import Callback, Logs


class TerminateOnNaN(Callback):
    """Ends training as soon as the loss is NaN or infinite.

    Args:
        raise_error: raise a `RuntimeError` instead.
        diagnose: also say which layer first puts out a value that is not finite. The weights are kept
            from before each batch for this (the step that meets a NaN spoils them), which costs time:
            turn it on to find a fault, not always.
    """

    def __init__(self, raise_error: bool = False, diagnose: bool = False) -> None:
        super().__init__()
        self.raise_error, self.diagnose = raise_error, diagnose
        self._before: list[Any] = []

    def overrides(self, hook: str) -> bool:
        return super().overrides(hook) and (self.diagnose or hook != "on_train_batch_begin")

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        if self.diagnose and self.model.built:
            self._before = self.model.get_weights()

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        message = f"NaN or Inf loss encountered: the loss is {loss} at batch {batch} (counted from 0), training ends."
        if self.diagnose:
            message += f" {self._diagnosis()}"
        if self.raise_error:
            raise RuntimeError(message)
        warnings.warn(message, stacklevel=2)
        self.model.stop_training = True

    def _diagnosis(self) -> str:
        after = self.model.get_weights()
        if len(self._before) == len(after):
            self.model.set_weights(self._before)
        try:
            return self.model.diagnose_nonfinite()
        finally:
            self.model.set_weights(after)
