"""`OrbaxCheckpoint`: numbered checkpoints in a folder, of which the latest few are kept."""

from __future__ import annotations

import os
from typing import Any

from unidl.callbacks._base import Logs
from unidl.callbacks._checkpoint import ModelCheckpoint
from unidl.saving.checkpoints import latest_checkpoint, numbered_checkpoints


class OrbaxCheckpoint(ModelCheckpoint):
    """Saves numbered checkpoints and keeps the latest `max_to_keep`.

    Named as in Keras, so that scripts run; the files are unidl's own (``step-12.safetensors`` for weights,
    ``step-12.keras`` for whole models), which every backend reads: ``model.load_weights(directory)`` and
    ``unidl.saving.load_model(directory)`` take the latest. The package orbax is not used.

    Args:
        directory: where to; made if need be.
        monitor: metric for `save_best_only`.
        verbose: 1 prints what it does.
        save_best_only: save only when the metric has improved.
        mode: "min", "max", or "auto" (by the metric's name).
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: a metric worse than this is not saved.
        max_to_keep: number of checkpoints kept; None keeps all.
        save_on_background: accepted as in Keras; a checkpoint is whole when the hook returns.
        save_weights_only: save weights instead of the model.

    Raises:
        ValueError: for a `max_to_keep` below 1, or a bad `save_freq`.
    """

    def __init__(
        self,
        directory: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
    ) -> None:
        if max_to_keep is not None and (isinstance(max_to_keep, bool) or max_to_keep < 1):
            raise ValueError(f"OrbaxCheckpoint: `max_to_keep` must be a positive int or None, not {max_to_keep!r}.")
        self.directory = os.fspath(directory)
        self.max_to_keep, self.save_on_background = max_to_keep, save_on_background
        self._step = 0
        ending = "safetensors" if save_weights_only else "keras"
        super().__init__(
            os.path.join(self.directory, f"step-{{step}}.{ending}"), monitor, verbose, save_best_only,
            save_weights_only, mode, save_freq, initial_value_threshold,
        )  # fmt: skip

    def on_train_begin(self, logs: Logs | None = None) -> None:
        os.makedirs(self.directory, exist_ok=True)
        self._step = max((number for number, _ in numbered_checkpoints(self.directory)), default=-1) + 1

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_step": self._step}

    @property
    def latest(self) -> str | None:
        """The path of the newest checkpoint; None if there is none."""
        return latest_checkpoint(self.directory)

    def is_multihost_enabled(self) -> bool:
        """Whether several machines train together: unidl runs on one."""
        return False

    def is_primary_host(self) -> bool:
        """Whether this process is the one that saves."""
        return True

    def wait_until_finished(self) -> None:
        """Return when all checkpoints are on the disk, which they are when the hook that saves returns."""

    def _path(self, epoch: int, batch: int | None, logs: Logs | None) -> str:
        path = self.filepath.replace("{step}", str(self._step))
        self._step += 1
        return path

    def _save(self, epoch: int, batch: int | None, logs: Logs | None) -> None:
        super()._save(epoch, batch, logs)
        if self.max_to_keep is not None:
            for _, path in numbered_checkpoints(self.directory)[: -self.max_to_keep]:
                os.unlink(path)
