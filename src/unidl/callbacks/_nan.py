"""`TerminateOnNaN`."""

from __future__ import annotations

import math
import warnings

from unidl.callbacks._base import Callback, Logs


class TerminateOnNaN(Callback):
    """Ends training as soon as the loss is NaN or infinite.

    Args:
        raise_error: raise a `RuntimeError` instead.
        diagnose: also say which layer first puts out a value that is not finite (runs the latest
            batch through the model once more).
    """

    def __init__(self, raise_error: bool = False, diagnose: bool = False) -> None:
        super().__init__()
        self.raise_error, self.diagnose = raise_error, diagnose

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        message = f"The loss is {loss} at batch {batch + 1}: training ends."
        if self.diagnose:
            message += f" {self.model.diagnose_nonfinite()}"
        if self.raise_error:
            raise RuntimeError(message)
        warnings.warn(message, stacklevel=2)
        self.model.stop_training = True
