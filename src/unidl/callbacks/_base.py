"""`Callback` and `LambdaCallback`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Logs = dict[str, Any]


class Callback:
    """Something that is told what training does. Derive from it and override hooks.

    Attributes:
        model: the model being trained, evaluated or asked to predict.
        params: "verbose", "epochs" and "steps" of the running loop.

    `logs` are names to floats. Hooks of single batches make the loop fetch the metrics from the
    device after every batch, so override them only if you need them.
    """

    params: dict[str, Any]
    #: Whether it saves the state of training. Such a callback comes last, and has a method `settle`, called when `fit`
    #: ends in whatever way.
    saves_training: bool = False
    _model: Any = None

    def __init__(self) -> None:
        self.params = {}

    @property
    def model(self) -> Any:
        return self._model

    def set_model(self, model: Any) -> None:
        """Told before the loop begins."""
        self._model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Told before the loop begins."""
        self.params = params

    def overrides(self, hook: str) -> bool:
        """Whether `hook` does anything, so that it must be called."""
        method = getattr(self, hook)
        if getattr(method, "__func__", method) is not getattr(Callback, hook):
            return True
        older = _ALIASES.get(hook)
        return older is not None and self.overrides(older)

    def state_dict(self) -> dict[str, Any]:
        """What must be kept so that an interrupted `fit` goes on exactly: see `BackupAndRestore`.

        Numbers, strings, arrays, and lists, tuples and dicts of them.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to what `state_dict` returned; called after `on_train_begin`."""

    # -- training ---------------------------------------------------------------------------

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch; `logs` are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before epoch `epoch`, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation, whose results start with ``val_``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `fit`; calls `on_batch_begin`."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `fit`; calls `on_batch_end`."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Another name of `on_train_batch_end`."""

    # -- evaluation and prediction ----------------------------------------------------------

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before `evaluate`, or the validation in `fit`."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After `evaluate`, or the validation in `fit`."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `evaluate`, or of the validation in `fit`."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `evaluate`, or of the validation in `fit`."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `predict`; ``logs["outputs"]`` are its outputs."""


_ALIASES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}

BATCH_HOOKS = tuple(f"on_{kind}_batch_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end"))
HOOKS = (
    "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end",
    "on_predict_begin", "on_predict_end", "on_batch_begin", "on_batch_end", *BATCH_HOOKS,
)  # fmt: skip


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: called with ``(epoch, logs)``.
        on_train_begin, on_train_end: called with ``(logs)``.
        on_train_batch_begin, on_train_batch_end: called with ``(batch, logs)``.
        kwargs: functions for any other hook of `Callback`, by its name; names that do not begin with ``on_`` become
            attributes.

    Raises:
        TypeError: if a name looks like a hook and is none, or what is given cannot be called.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any] | None,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin,
            "on_train_end": on_train_end, "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end, **kwargs,
        }  # fmt: skip
        for hook, function in given.items():
            if hook.startswith("on_") and hook not in HOOKS:
                raise TypeError(f"LambdaCallback has no hook {hook!r}; hooks are {', '.join(HOOKS)}.")
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"LambdaCallback: `{hook}` must be a function, not {function!r}.")
            setattr(self, hook, function)
