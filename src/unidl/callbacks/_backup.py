"""`BackupAndRestore`: goes on with a `fit` that was interrupted, as if nothing had happened."""

from __future__ import annotations

import os
import warnings
from typing import Any

from unidl import _seed
from unidl.callbacks._base import Callback, Logs


class BackupAndRestore(Callback):
    """Backs up the state of training, and makes a later `fit` go on from there.

    A `fit` of the same model on the same data then ends with the same weights, optimizer, metrics and history, bit for
    bit, as one that was never interrupted, at whatever moment the process died. A backup is a
    `unidl.saving.Checkpoint` that also holds the state of the other callbacks (`Callback.state_dict`) and the place in
    the data and in the validation data: epoch, batch, and order.

    Arrays, `PyDataset` and `tf.data.Dataset` begin at the place. Iterators, loaders and `utils.Dataset` are wound
    forward: their batches are made and left out. Generators must yield the same again from their beginning; a
    `tf.data.Dataset` and a `PyDataset` that shuffles itself must be made from the same seed in the same way.

    Args:
        backup_dir: a folder for this run alone; made if need be.
        save_freq: "epoch", or a number of batches after which to save (those of all epochs are counted).
        double_checkpoint: keep two backups at least.
        delete_checkpoint: delete the backups when training has ended without error.
        max_to_keep: how many backups are kept. If the newest is damaged, the one before it is used, with a warning.
        background: copy the values and write them while training goes on; see `unidl.saving.Checkpoint`.
        on_error: "raise" an error if a backup cannot be written, or "warn" and train on; the backups before stay.

    Raises:
        ValueError: for an empty `backup_dir`, or a bad `save_freq`, `max_to_keep` or `on_error`; in `fit`, if the model
            has not been built, or the backups are another model's or damaged.
        OSError: in `fit`, if a backup cannot be written and `on_error` is "raise".

    Example:
        >>> import tempfile, unidl
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(1)])
        >>> backup = unidl.callbacks.BackupAndRestore(tempfile.mkdtemp() + "/run", save_freq=100)
    """

    saves_training = True

    def __init__(
        self,
        backup_dir: Any,
        save_freq: int | str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        max_to_keep: int = 2,
        background: bool = False,
        on_error: str = "raise",
    ) -> None:
        from unidl.saving._checkpoint import Checkpoint

        super().__init__()
        if not backup_dir:
            raise ValueError("BackupAndRestore: Empty `backup_dir` argument passed; it must name a folder.")
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"BackupAndRestore: Invalid value {save_freq!r} for `save_freq`; it is 'epoch' or a positive int."
            )
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        keep = max(max_to_keep, 2) if double_checkpoint else max_to_keep
        self._checkpoint = Checkpoint(self.backup_dir, None, keep, background, on_error)
        self._current_epoch = 0
        self._last_batch_seen = 0
        self._unsaved = 0
        self._late_error: OSError | None = None

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._checkpoint.model = model

    def overrides(self, hook: str) -> bool:
        if hook == "on_train_batch_end" and self.save_freq == "epoch":
            return False
        return super().overrides(hook)

    # -- saving -------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._current_epoch, self._last_batch_seen = epoch, 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._unsaved += batch + 1 - self._last_batch_seen
        self._last_batch_seen = batch + 1
        if self.save_freq != "epoch" and self._unsaved >= int(self.save_freq):
            self._unsaved = 0
            self._save(self._current_epoch, batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0, logs)

    def _save(self, epoch: int, batch: int, logs: Logs | None) -> None:
        session = self._session().state(batch, logs)
        self._checkpoint._save({"place": {"epoch": epoch, "batch": batch}, "session": session})

    def _session(self) -> Any:
        """The running `fit`."""
        if (session := self.model._session) is None:
            raise RuntimeError(
                "BackupAndRestore saves the state of fit(), which is not running. In a loop of your own use "
                "unidl.saving.Checkpoint."
            )
        return session

    def settle(self) -> None:
        """Have nothing being written any more."""
        try:
            self._checkpoint.close()
        except OSError as error:
            warnings.warn(str(error), stacklevel=2)
            self._late_error = error

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint:
            self._checkpoint.delete()
        elif self._late_error is not None:
            raise self._late_error

    # -- restoring ----------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs | None = None) -> None:
        from unidl.training._session import Resume

        self._unsaved, self._late_error = 0, None
        checkpoint = self._checkpoint
        checkpoint._try_folder()
        state = checkpoint._latest()
        if state is None:
            return
        if "session" not in state:
            raise ValueError(
                f"The checkpoints in {self.backup_dir!r} are not of BackupAndRestore: give it a folder of its own."
            )
        epoch, batch = state["place"]["epoch"], state["place"]["batch"]

        def restore() -> None:
            checkpoint._set(state, metrics=batch > 0)
            self._last_batch_seen = batch

        _seed.restore(state["random"]["seed"])  # the order of the data depends on it
        self._session().resume = Resume(epoch, batch, state["session"], restore)
