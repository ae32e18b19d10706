"""`CallbackList`: what the training loop talks to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.callbacks._base import BATCH_HOOKS, Callback
from unidl.callbacks._history import History
from unidl.callbacks._progbar import ProgbarLogger
from unidl.training.progress import style_of_output


class CallbackList:
    """Several callbacks as one.

    Args:
        callbacks: a callback, a list of them, or None.
        add_history, add_progbar: add a `History` and a progress bar, unless the list has one.
        model: told to all callbacks.
        params: "verbose", "epochs" and "steps", told to all callbacks.

    Attributes:
        callbacks: all of them, the progress bar last: it shows what the others add to the logs. Before it those that
            save training (`Callback.saves_training`).
        wants_train_batch_begin, wants_train_batch_end, and the same of ``test`` and ``predict``: whether
            any callback but the progress bar overrides the hook. If not, the loop need not call it.

    Raises:
        TypeError: if anything in the list is no callback.
    """

    wants_train_batch_begin: bool
    wants_train_batch_end: bool
    wants_test_batch_begin: bool
    wants_test_batch_end: bool
    wants_predict_batch_begin: bool
    wants_predict_batch_end: bool

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        given = [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        for item in given:
            if isinstance(item, type):
                raise TypeError(f"A callback must be an instance: write {item.__name__}(), not {item.__name__}.")
            if not callable(getattr(item, "set_model", None)) or not callable(getattr(item, "on_epoch_end", None)):
                raise TypeError(f"{item!r} is no callback: derive its class from unidl.callbacks.Callback.")
        if add_history and not any(isinstance(c, History) for c in given):
            given.append(History())
        bars = [c for c in given if isinstance(c, ProgbarLogger)]
        if add_progbar and not bars and style_of_output(params.get("verbose", 1)) != "none":
            bars.append(ProgbarLogger())
        others = [c for c in given if not isinstance(c, ProgbarLogger)]
        # What saves training comes after all that have a state.
        others.sort(key=lambda c: bool(getattr(c, "saves_training", False)))
        self.callbacks: list[Any] = others + bars
        self._bar = bars[0] if bars else None
        self.params = params
        self.model = model
        self._batch_calls: dict[str, list[Callable[..., Any]]] = {}
        for hook in BATCH_HOOKS:
            self._batch_calls[hook] = calls = [getattr(c, hook) for c in self.callbacks if _overrides(c, hook)]
            setattr(self, "wants" + hook[2:], bool(calls))
        if params:
            self.set_params(params)
        if model is not None:
            self.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def progress(self, kind: str) -> Callable[[int, Any], None] | None:
        """The bar's function ``(steps done, logs or a function that returns them)`` for a loop of `kind`.

        None if there is no bar. A call costs about a microsecond unless it draws.
        """
        return None if self._bar is None else self._bar.updater(kind)

    def close(self) -> None:
        """End what still goes on, e.g. after an error: a bar, writing in the background. May be called again."""
        if self._bar is not None:
            self._bar.close()
        for callback in self.callbacks:
            if getattr(callback, "saves_training", False):
                callback.settle()

    def __enter__(self) -> CallbackList:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        """Give the terminal back if the loop inside failed; `on_…_end` does otherwise."""
        if kind is not None:
            self.close()

    # -- hooks ------------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_train_begin(_given(logs))

    def on_train_end(self, logs: Any = None) -> None:
        self.close()
        for callback in self.callbacks:
            callback.on_train_end(_given(logs))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, _given(logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, _given(logs))

    def on_test_begin(self, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_test_begin(_given(logs))

    def on_test_end(self, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_test_end(_given(logs))

    def on_predict_begin(self, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_predict_begin(_given(logs))

    def on_predict_end(self, logs: Any = None) -> None:
        for callback in self.callbacks:
            callback.on_predict_end(_given(logs))

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_train_batch_end(batch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        for call in self._batch_calls["on_train_batch_begin"]:
            call(batch, _given(logs))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for call in self._batch_calls["on_train_batch_end"]:
            call(batch, _given(logs))

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        for call in self._batch_calls["on_test_batch_begin"]:
            call(batch, _given(logs))

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        for call in self._batch_calls["on_test_batch_end"]:
            call(batch, _given(logs))

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        for call in self._batch_calls["on_predict_batch_begin"]:
            call(batch, _given(logs))

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        for call in self._batch_calls["on_predict_batch_end"]:
            call(batch, _given(logs))


def _given(logs: Any) -> Any:
    """The logs for a hook, which may take them for a dict also where there is nothing to tell."""
    return {} if logs is None else logs


def _overrides(callback: Any, hook: str) -> bool:
    if isinstance(callback, Callback):
        return callback.overrides(hook)
    return callable(getattr(callback, hook, None))
