"""`ModelCheckpoint`."""

from __future__ import annotations

import math
import os
from typing import Any

from unidl.callbacks._base import Logs
from unidl.callbacks._monitor import Monitor
from unidl.training.progress import tell


class ModelCheckpoint(Monitor):
    """Saves the model, or its weights, while it is trained.

    Args:
        filepath: where to; may hold the fields ``{epoch}`` (counted from 1), ``{batch}`` and metrics,
            e.g. ``"best-{epoch:02d}-{val_loss:.3f}.safetensors"``. Missing folders are made.
        monitor: metric for `save_best_only`.
        verbose: 1 prints what it does.
        save_best_only: save only when the metric has improved.
        save_weights_only: call ``model.save_weights`` (suffix ``.safetensors`` or ``.weights.h5``) instead of
            ``model.save`` (``.keras``).
        mode: "min", "max", or "auto" (by the metric's name).
        save_freq: "epoch", or a number of batches (training metrics only are known then).
        initial_value_threshold: a metric worse than this is not saved.

    Raises:
        ValueError: for a suffix that is not supported, a bad `save_freq`, or a field that is no metric.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only, self.save_freq = save_best_only, save_weights_only, save_freq
        self.initial_value_threshold = self.best = initial_value_threshold
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"ModelCheckpoint: Unrecognized save_freq {save_freq!r}: `save_freq` is 'epoch' or a positive int."
            )
        if save_weights_only and not self.filepath.endswith((".safetensors", ".weights.h5")):
            raise ValueError(
                "ModelCheckpoint(save_weights_only=True): `filepath` must end in '.safetensors' or '.weights.h5', "
                f"not {self.filepath!r}."
            )
        self._epoch = 0
        self._batches = 0

    def overrides(self, hook: str) -> bool:
        if hook == "on_train_batch_end" and self.save_freq == "epoch":
            return False
        return super().overrides(hook)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "_batches": self._batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Logs | None) -> None:
        if self.save_best_only:
            value = self.get_monitor_value(logs)
            # What cannot be judged is saved, as in Keras; the warning has said so.
            if value is not None and not self.improves(value, self.best):
                if self.verbose > 0:
                    tell(f"Epoch {epoch + 1}: {self.monitor} did not improve from {_text(self.best)}.")
                return
            before = self.best
            self.best = self.best if value is None else value
        path = self._path(epoch, batch, logs)
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose > 0:
            why = f"{self.monitor} improved from {_text(before)} to {_text(self.best)}, " if self.save_best_only else ""
            tell(f"Epoch {epoch + 1}: {why}saved to {path}")

    def _path(self, epoch: int, batch: int | None, logs: Logs | None) -> str:
        fields = {**(logs or {}), "epoch": epoch + 1}
        if batch is not None:
            fields["batch"] = batch + 1
        try:
            return self.filepath.format(**fields)
        except KeyError as error:
            raise ValueError(
                f"ModelCheckpoint: `filepath` {self.filepath!r} has the field {error}; "
                f"there is only {', '.join(fields)}."
            ) from None


def _text(value: float | None) -> str:
    return "nothing" if value is None or math.isinf(value) else f"{value:.5f}"
