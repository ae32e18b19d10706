"""`Checkpoint`: all that training consists of, in numbered files of a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.saving import _checkpoint_file
from unidl.saving._checkpoint_file import DamagedError
from unidl.saving._random_state import begin_anew
from unidl.saving._training_state import check_fit, set_training_state, training_state

_NAME = re.compile(r"checkpoint-(\d+)\.safetensors")
_LEFT = re.compile(r"\.checkpoint-\d+\.safetensors\..*\.tmp")


class Checkpoint:
    """Saves the state of training so that it goes on exactly after the process has died, at whatever moment.

    A checkpoint holds the model's weights, optimizers, running metrics, and where all random numbers stand: those of
    unidl, of the engine (dropout), of Python's `random` and of NumPy. It is one safetensors file with a checksum,
    written beside the others and then renamed, so that a crash leaves those before it whole. The newest
    `max_to_keep` are kept. `callbacks.BackupAndRestore` does all this in `fit`; this class is for loops of your own.

    MXNet does not tell where its generator stands: `save` seeds it anew, by the global seed and the number of the
    checkpoint.

    Args:
        directory: a folder for this run alone; made when the first checkpoint is saved.
        model: a built model.
        max_to_keep: how many checkpoints are kept.
        background: `save` copies the values and returns; a thread writes them. Errors come up in the next `save`, or in
            `wait`. There is never more than one being written.
        on_error: "raise" an error if a checkpoint cannot be written (the disk is full, the folder read-only), or "warn"
            and go on. Those before it stay whole in any case.
        objects: more to save, by name: anything with `state_dict` and `load_state_dict`. A state is made of numbers,
            strings, arrays, and lists, tuples and dicts of them.

    Raises:
        ValueError: for a `max_to_keep` below 1 or another `on_error`.
        TypeError: for an object without `state_dict` and `load_state_dict`.

    Example:
        >>> import tempfile, unidl
        >>> model = unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(1)])
        >>> with unidl.saving.Checkpoint(tempfile.mkdtemp(), model) as checkpoint:
        ...     place = checkpoint.restore() or {"step": 0}
        ...     for step in range(place["step"], 10):
        ...         if step % 5 == 4:
        ...             checkpoint.save(step=step + 1)
        >>> checkpoint.restore()
        {'step': 10}
    """

    def __init__(
        self,
        directory: Any,
        model: Any,
        max_to_keep: int = 2,
        background: bool = False,
        on_error: str = "raise",
        **objects: Any,
    ) -> None:
        if isinstance(max_to_keep, bool) or not isinstance(max_to_keep, int) or max_to_keep < 1:
            raise ValueError(f"Checkpoint: `max_to_keep` must be a positive int, not {max_to_keep!r}.")
        if on_error not in ("raise", "warn"):
            raise ValueError(f"Checkpoint: `on_error` must be 'raise' or 'warn', not {on_error!r}.")
        for name, item in objects.items():
            if not callable(getattr(item, "state_dict", None)) or not callable(getattr(item, "load_state_dict", None)):
                raise TypeError(f"Checkpoint: {name}={item!r} has no `state_dict` and `load_state_dict` methods.")
        self.directory, self.model, self.objects = Path(directory), model, objects
        self.max_to_keep, self.background, self.on_error = max_to_keep, background, on_error
        self._next: int | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None

    # -- saving -------------------------------------------------------------------------------

    def save(self, **place: Any) -> None:
        """Save a checkpoint. What is passed (the step, the epoch …) is what `restore` returns.

        Raises:
            OSError: if it cannot be written; with `background`, if the one before could not.
            TypeError: if the state of an object, or `place`, holds what a checkpoint cannot.
        """
        objects = {name: item.state_dict() for name, item in self.objects.items()}
        self._save({"place": place, "objects": objects})

    def _save(self, more: dict[str, Any]) -> None:
        number = max(self._numbers(), default=-1) + 1 if self._next is None else self._next
        self._next = number + 1
        begin_anew(number)
        state = {**training_state(self.model), **more}
        if not self.background:
            self._write(number, state)
            return
        self.wait()
        state = _copied(state)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="unidl-checkpoint")
        self._writing = self._thread.submit(self._write, number, state)

    def _write(self, number: int, state: dict[str, Any]) -> None:
        path = self._path(number)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._tidy()
            _checkpoint_file.write(path, state)
            kept = sorted(n for n in self._numbers() if n <= number)[-self.max_to_keep :]
            for other in set(self._numbers()) - set(kept):
                self._path(other).unlink()
        except OSError as error:
            self._failed(path, error)

    def _failed(self, path: Path, error: OSError) -> None:
        numbers = sorted(self._numbers())
        before = f"The latest, {str(self._path(numbers[-1]))!r}, is whole." if numbers else "There is none before it."
        remedy = "Make the folder writable, or take another one"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            with contextlib.suppress(OSError):
                remedy = f"Free some space ({shutil.disk_usage(self.directory).free:,} bytes are free)"
        message = f"The checkpoint {str(path)!r} cannot be written: {error.strerror or error}. {before} {remedy}"
        if self.on_error == "raise":
            message += "; or pass on_error='warn' to train on without it."
            raise OSError(error.errno or errno.EIO, message) from error
        warnings.warn(f"{message}. Training goes on without it.", stacklevel=2)

    def wait(self) -> None:
        """Return when nothing is being written any more.

        Raises:
            OSError: if the latest checkpoint could not be written in the background.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """`wait`, and end the thread. A later `save` begins another."""
        try:
            self.wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
                self._thread = None

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        """End the thread; its own error must not hide that of the block."""
        if kind is None:
            self.close()
            return
        try:
            self.close()
        except OSError as second:
            warnings.warn(str(second), stacklevel=2)

    # -- restoring ----------------------------------------------------------------------------

    def restore(self) -> dict[str, Any] | None:
        """Have the model, its optimizers and the objects stand where the newest checkpoint was taken.

        A damaged one is left out with a warning, and the one before it taken.

        Returns:
            What `save` was given; None if there is no checkpoint.

        Raises:
            ValueError: if all are damaged, the checkpoint is of another model or optimizer, or of a later version.
        """
        state = self._latest()
        if state is None:
            return None
        self._set(state)
        for name, item in self.objects.items():
            if name in state["objects"]:
                item.load_state_dict(state["objects"][name])
        return dict(state["place"])

    def _latest(self) -> dict[str, Any] | None:
        """The newest state that can be read, checked against the model."""
        self.wait()
        numbers = sorted(self._numbers(), reverse=True)
        for number in numbers:
            path = self._path(number)
            try:
                state = _checkpoint_file.read(path)
            except (DamagedError, OSError) as error:
                if number == numbers[-1]:
                    raise ValueError(
                        f"{error} There is no other one to go on from. Delete the folder to train from the beginning."
                    ) from None
                warnings.warn(f"{error} The one before it is taken.", stacklevel=3)
                continue
            check_fit(self.model, state, str(path))
            self._next = number + 1
            return {**state, "number": number}
        return None

    def _set(self, state: dict[str, Any], metrics: bool = True) -> None:
        set_training_state(self.model, state, metrics)
        begin_anew(state["number"])

    # -- the folder ---------------------------------------------------------------------------

    def _numbers(self) -> list[int]:
        names = os.listdir(self.directory) if self.directory.is_dir() else []
        return [int(match[1]) for name in names if (match := _NAME.fullmatch(name))]

    def _path(self, number: int) -> Path:
        return self.directory / f"checkpoint-{number}.safetensors"

    def _try_folder(self) -> None:
        """Find out before hours of training whether anything can be written."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.directory).close()
        except OSError as error:
            self._failed(self._path(0), error)

    def _tidy(self) -> None:
        """Delete what a process that died while it wrote has left."""
        for name in os.listdir(self.directory):
            if _LEFT.fullmatch(name):
                (self.directory / name).unlink()

    def delete(self) -> None:
        """Delete all checkpoints, and the folder if nothing else is in it."""
        self.close()
        if self.directory.is_dir():
            self._tidy()
            for number in self._numbers():
                self._path(number).unlink()
            if not os.listdir(self.directory):
                self.directory.rmdir()
        self._next = None


def _copied(value: Any) -> Any:
    """A nested state whose arrays do not share memory with variables that go on changing."""
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(item) for item in value)
    if active.is_tensor(value):
        value = active.to_numpy(value)
    return value.copy() if isinstance(value, np.ndarray) else value
