"""`History`: what `fit` returns."""

from __future__ import annotations

from typing import Any

from unidl.callbacks._base import Callback, Logs


class History(Callback):
    """The metrics of every epoch; `fit` returns one.

    Attributes:
        history: name to the list of values, one for each epoch.
        epoch: the epochs, counted from 0.
        params: "verbose", "epochs" and "steps" of the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        model.history = self

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.epoch.append(epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": list(self.epoch), "history": {name: list(values) for name, values in self.history.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.history = state["epoch"], state["history"]

    def plot(self, path: Any = None) -> Any:
        """Draw the curves, training and validation together for each metric.

        Args:
            path: file to write; its suffix (``.png``, ``.pdf``, ``.svg`` …) says the format.

        Returns:
            A `matplotlib.figure.Figure`.

        Raises:
            ImportError: if matplotlib is not installed; says how to install it.
            ValueError: if no epoch has been finished.
        """
        from unidl.viz.curves import plot_history

        return plot_history(self.history, path, epochs=self.epoch)
