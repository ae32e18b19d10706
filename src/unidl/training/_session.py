"""A running `fit`, as a state: what callbacks that save training save besides the model, and where to go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Resume(NamedTuple):
    """Where an interrupted `fit` goes on: what a callback sets as ``model._session.resume`` in `on_train_begin`.

    Attributes:
        epoch: the epoch to go on with.
        batch: how many of its batches have been seen.
        state: what `Session.state` returned then.
        restore: sets everything else: called before the epoch, or if some of its batches have been seen, before the
            next one is fetched.
    """

    epoch: int
    batch: int
    state: dict[str, Any]
    restore: Callable[[], None]


class Session:
    """A running `fit`.

    Attributes:
        data, validation: the adapters; the second may be None.
        callbacks: all of them.
        resume: set by a callback that wants to go on where another `fit` stopped.
    """

    def __init__(self, model: Any, data: Any, validation: Any, callbacks: list[Any]) -> None:
        self.model, self.data, self.validation, self.callbacks = model, data, validation, callbacks
        self.resume: Resume | None = None
        for adapter in (data, validation):
            if adapter is not None:
                adapter.remembers = any(getattr(c, "saves_training", False) for c in callbacks)

    def state(self, batch: int, logs: dict[str, Any] | None) -> dict[str, Any]:
        """Where the data and the callbacks stand after `batch` batches of an epoch, 0 at its beginning."""
        return {
            "data": self.data.position(batch),
            "validation": None if self.validation is None else self.validation.position(0),
            "callbacks": {name: state for name, c in self._named() if (state := c.state_dict())},
            "stop_training": bool(self.model.stop_training),
            "logs": dict(logs or {}),
        }

    def move_data(self) -> None:
        """Have the data stand where `resume` says, or in the middle of an epoch one batch before."""
        if self.resume is not None:
            state = self.resume.state
            self.data.go_on(state["data"], again=1 if self.resume.batch else 0)
            if self.validation is not None and state["validation"] is not None:
                self.validation.go_on(state["validation"])

    def restore(self) -> None:
        """Have the model, the random numbers and the callbacks stand where `resume` says."""
        if self.resume is not None:
            self.resume.restore()
            state = self.resume.state
            for name, callback in self._named():
                if name in state["callbacks"]:
                    callback.load_state_dict(state["callbacks"][name])
            self.model.stop_training = state["stop_training"]

    def _named(self) -> list[tuple[str, Any]]:
        """The callbacks that have a state, by class; the second of a class is called ``EarlyStopping_1``."""
        used: dict[str, int] = {}
        named = []
        for callback in self.callbacks:
            kind = type(callback).__name__
            count = used[kind] = used.get(kind, -1) + 1
            if hasattr(callback, "state_dict") and hasattr(callback, "load_state_dict"):
                named.append((f"{kind}_{count}" if count else kind, callback))
        return named
