"""`ProgbarLogger`: shows progress on the standard output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.callbacks._base import BATCH_HOOKS, Callback, Logs
from unidl.training.progress import ProgressBar, style_of_output


class ProgbarLogger(Callback):
    """Shows a bar for every epoch, evaluation and prediction; `fit` adds one unless ``verbose=0``.

    The loop tells it of batches through `updater`, so that metrics are fetched only to be drawn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar: ProgressBar | None = None
        self._style = "plain"
        self._in_fit = False
        self._steps_before: int | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._style = style_of_output(params.get("verbose", 1))

    def overrides(self, hook: str) -> bool:
        return hook not in BATCH_HOOKS and super().overrides(hook)

    def updater(self, kind: str) -> Callable[[int, Any], None] | None:
        """The function ``(steps done, logs)`` for a loop of `kind` ("train", "test", "predict").

        None if nothing shows that loop: the validation in `fit` has no bar of its own. May be asked for
        before the loop's hook begins a bar.
        """
        if kind == "test" and self._in_fit:
            return None

        def update(step: int, logs: Any = None) -> None:
            if self.bar is not None:
                self.bar.update(step, logs)

        return update if self.bar is None else self.bar.update

    def close(self) -> None:
        """End a bar that is still drawn."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _begin(self, title: str) -> None:
        self.close()
        self.bar = ProgressBar(self.params.get("steps"), title, self._style, guess=self._steps_before)

    def _end(self, logs: Logs | None) -> None:
        if self.bar is not None:
            self._steps_before = self.bar.step
            self.bar.finish(logs)
            self.bar = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._in_fit = False
        self.close()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        epochs = self.params.get("epochs")
        number = str(epoch + 1)
        self._begin(f"Epoch {number}" if epochs is None else f"Epoch {number.rjust(len(str(epochs)))}/{epochs}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._end(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if not self._in_fit:
            self._begin("Evaluate")
        elif self.bar is not None:
            self.bar.draw(note="validating")

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not self._in_fit:
            self._end(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        # A log file says what was learned; a line for every call of `predict` is asked for by verbose=1 or 2.
        if self._style != "plain" or self.params.get("verbose") != "auto":
            self._begin("Predict")

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._end(logs)
