"""`BackupAndRestore`: goes on with a `fit` that was interrupted, as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from typing import Any

import numpy as np

from unidl import _seed
from unidl.backend import active
from unidl.callbacks._base import Callback, Logs
from unidl.saving.weights import weight_names


class BackupAndRestore(Callback):
    """Backs up the state of training, and makes a later `fit` go on from there.

    The backup holds weights, optimizer, metrics, the seed and the place in the data: epoch and batch. A `fit` of the
    same model on the same data then ends with the same weights as one that was never interrupted: the epochs before
    are left out, and so are the batches of its epoch that have been seen. What draws random numbers in the model
    (dropout) goes on exactly on PyTorch and MXNet; on TensorFlow its stream begins anew.

    It is one file, which is replaced as a whole: a crash during a backup leaves the one before. Other callbacks'
    state (the patience of `EarlyStopping`) is not part of it.

    Args:
        backup_dir: a folder for this run alone; made if need be, and deleted after training.
        save_freq: "epoch", or a number of batches after which to save (those of all epochs are counted).
        double_checkpoint: keep the backup before the latest as well, and use it if the latest cannot be read.
        delete_checkpoint: delete the folder when training has ended without error.

    Raises:
        ValueError: for an empty `backup_dir` or a bad `save_freq`; in `fit`, if the model has not been built or the
            backup is another model's or damaged.

    Example:
        >>> import tempfile, unidl
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(1)])
        >>> backup = unidl.callbacks.BackupAndRestore(tempfile.mkdtemp() + "/run", save_freq=100)
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: int | str = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
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
        self._weights_path = os.path.join(self.backup_dir, "latest.safetensors")
        self._prev_weights_path = os.path.join(self.backup_dir, "previous.safetensors")
        self._current_epoch = 0
        self._last_batch_seen = 0
        self._unsaved = 0

    def overrides(self, hook: str) -> bool:
        if hook == "on_train_batch_end" and self.save_freq == "epoch":
            return False
        return super().overrides(hook)

    # -- saving -------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._last_batch_seen = batch
        self._unsaved += 1
        if self.save_freq != "epoch" and self._unsaved >= int(self.save_freq):
            self._unsaved = 0
            self._save(self._current_epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._current_epoch, self._last_batch_seen = epoch + 1, 0
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint and os.path.exists(self.backup_dir):
            shutil.rmtree(self.backup_dir)

    def _save(self, epoch: int, batch: int) -> None:
        from safetensors.numpy import save_file

        model = self.model
        state = {
            "epoch": epoch, "batch": batch, "seed": _seed.snapshot(), "shuffle_index": model._shuffle_index,
        }  # fmt: skip
        arrays = {f"model.{name}": active.to_numpy(v) for name, v in weight_names(model).items()}
        store: dict[str, Any] = {}
        model.optimizer.save_own_variables(store)
        arrays |= {f"optimizer.{name}": value for name, value in store.items()}
        if batch:
            arrays |= {f"metrics.{i}": active.to_numpy(v) for i, v in enumerate(_metric_variables(model))}
        os.makedirs(self.backup_dir, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.backup_dir, suffix=".tmp")
        os.close(handle)
        try:
            save_file({k: np.asarray(v, order="C") for k, v in arrays.items()}, temporary, {"state": json.dumps(state)})
            if self.double_checkpoint and os.path.exists(self._weights_path):
                os.replace(self._weights_path, self._prev_weights_path)
            os.replace(temporary, self._weights_path)
        except BaseException:
            os.unlink(temporary)
            raise
        _reseed(epoch, batch)

    # -- restoring ----------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._unsaved = 0
        found = [p for p in (self._weights_path, self._prev_weights_path) if os.path.exists(p)]
        for path in found:
            try:
                state, arrays = _read(path)
            except ValueError as error:
                if path == found[-1]:
                    raise
                warnings.warn(f"{error} Training goes on from the backup before it.", stacklevel=2)
                continue
            self._restore(path, state, arrays)
            return

    def _restore(self, path: str, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        from unidl.training.trainer import Resume

        model = self.model
        if not model.built:
            raise ValueError(
                f"BackupAndRestore has found the backup {path!r}, but model {model.name!r} is not built: begin it with "
                "an Input, or call it on a batch, before fit()."
            )
        names = weight_names(model)
        model.optimizer.build(model.trainable_variables)
        mine: dict[str, Any] = {}
        model.optimizer.save_own_variables(mine)
        want = {**{f"model.{n}": tuple(active.shape(v)) for n, v in names.items()},
                **{f"optimizer.{n}": np.shape(v) for n, v in mine.items()}}  # fmt: skip
        have = {n: a.shape for n, a in arrays.items() if not n.startswith("metrics.")}
        if want != have:
            differ = sorted(n for n in want.keys() | have.keys() if want.get(n) != have.get(n))
            raise ValueError(
                f"The backup {path!r} is of another model or optimizer: {', '.join(differ[:8])} differ. Delete the "
                "folder to train from the beginning."
            )
        for name, variable in names.items():
            variable.assign(arrays[f"model.{name}"])
        model.optimizer.load_own_variables({n: arrays[f"optimizer.{n}"] for n in mine})
        metrics = [arrays[f"metrics.{i}"] for i in range(sum(n.startswith("metrics.") for n in arrays))]

        def restore() -> None:
            for variable, value in zip(_metric_variables(model) if metrics else [], metrics, strict=True):
                variable.assign(value)
            _reseed(state["epoch"], state["batch"])

        _seed.restore(state["seed"])
        self._current_epoch, self._last_batch_seen = state["epoch"], max(state["batch"] - 1, 0)
        model._resume = Resume(state["epoch"], state["batch"], restore, state["shuffle_index"])


def _metric_variables(model: Any) -> list[Any]:
    return [v for metric in model.metrics for v in metric.variables]


def _reseed(epoch: int, batch: int) -> None:
    """Start the engine's generator from a number that depends on the seed and the place in training."""
    active.set_seed(int(_seed.stream("backup", epoch, batch).integers(0, 2**31 - 1)))


def _read(path: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            state = json.loads(file.metadata()["state"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        return {key: state[key] for key in ("epoch", "batch", "seed", "shuffle_index")}, arrays
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"The backup {path!r} cannot be read: {error}. Delete the folder to train from the beginning."
        ) from None
