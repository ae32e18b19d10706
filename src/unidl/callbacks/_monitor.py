"""Callbacks that watch one metric: `EarlyStopping`, `ReduceLROnPlateau`, and what they share."""

from __future__ import annotations

import math
import warnings
from typing import Any

from unidl.callbacks._base import Callback, Logs
from unidl.training.progress import tell

_RISING = ("acc", "auc", "precision", "recall", "sensitivity", "specificity", "f1", "iou", "dice", "r2", "similarity")


class Monitor(Callback):
    """Watches the metric `monitor`.

    Attributes:
        monitor: name of the metric.
        mode: "min", "max" or "auto", which judges by the metric's name.
        min_delta: a change of at most this much is no improvement.
        best: the best value so far, None before the first.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            kind = type(self).__name__
            warnings.warn(f"{kind} mode {mode!r} is unknown; 'auto' is taken in place of it.", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self.best: float | None = None

    def rising(self) -> bool:
        """Whether larger is better; no if nothing tells."""
        return bool(self._direction())

    def _direction(self) -> bool | None:
        """Whether larger is better, by the mode, the metric or its name; None if nothing tells."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_").lower()
        for metric in getattr(self.model, "metrics", None) or ():
            direction = getattr(metric, "_direction", None)
            if getattr(metric, "name", None) == name and direction in ("up", "down"):
                return direction == "up"
        if "loss" in name or "error" in name:
            return False
        return True if any(part in name for part in _RISING) else None

    @property
    def monitor_op(self) -> Any:
        """The op that says whether one value is better than another: `ops.greater` or `ops.less`."""
        from unidl import ops

        return ops.greater if self.rising() else ops.less

    def _is_named(self, metric: Any) -> bool:
        return getattr(metric, "name", None) == self.monitor.removeprefix("val_")

    def improves(self, value: float, over: float | None) -> bool:
        """Whether `value` is better than `over` by more than `min_delta`. NaN is never better."""
        if math.isnan(value):
            return False
        if over is None:
            return True
        return value - self.min_delta > over if self.rising() else value + self.min_delta < over

    def get_monitor_value(self, logs: Logs | None) -> float | None:
        """The watched metric; None, with a warning, if the logs lack it."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = ", ".join(logs or {}) or "none"
            hint = " Give fit() validation_data." if self.monitor.startswith("val_") else ""
            if self._direction() is None and not any(self._is_named(m) for m in getattr(self.model, "metrics", ())):
                raise ValueError(
                    f"{type(self).__name__} watches monitor={self.monitor!r}, which is no metric of the model "
                    f"({known}), and mode='auto' cannot tell whether it should be large or small. Correct the name, "
                    "or give mode='min' or 'max'."
                )
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not among the metrics of this epoch "
                f"({known}).{hint}",
                stacklevel=4,
            )
            return None
        return float(value)


class EarlyStopping(Monitor):
    """Ends training when a metric no longer improves.

    Args:
        monitor: name of the metric.
        min_delta: a change of at most this much is no improvement.
        patience: epochs without improvement after which training ends.
        verbose: 1 prints what it does.
        mode: "min", "max", or "auto" (by the metric's name).
        baseline: a value that must be beaten, for the patience to begin anew.
        restore_best_weights: set the weights of the best epoch when training ends.
        start_from_epoch: epochs before it are not judged.

    Attributes:
        best, best_epoch: of the best epoch.
        stopped_epoch: the epoch at which it ended training, 0 if it did not.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best, self.best_weights = None, None

    def state_dict(self) -> dict[str, Any]:
        names = ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            tell(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                tell(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when a metric no longer improves.

    Args:
        monitor: name of the metric.
        factor: below 1.
        patience: epochs without improvement after which it acts.
        verbose: 1 prints what it does.
        mode: "min", "max", or "auto" (by the metric's name).
        min_delta: a change of at most this much is no improvement.
        cooldown: epochs after acting during which it does not count.
        min_lr: the learning rate does not fall below.

    The logs get the entry ``learning_rate``.

    Raises:
        ValueError: if `factor` is not between 0 and 1.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 <= factor < 1:
            raise ValueError(f"ReduceLROnPlateau: `factor` must be at least 0 and below 1, not {factor!r}.")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = None
        self.wait = self.cooldown_counter = 0
        learning_rates(self)

    def state_dict(self) -> dict[str, Any]:
        return {"wait": self.wait, "cooldown_counter": self.cooldown_counter, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def in_cooldown(self) -> bool:
        """Whether it waits after having acted."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        rates = learning_rates(self)
        present = {name: float(variable.numpy()) for name, variable in rates.items()}
        value = self.get_monitor_value(logs)
        if logs is not None:
            logs.update(present)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best = value
            self.wait = 0
            return
        if self.in_cooldown():
            return
        self.wait += 1
        if self.wait < self.patience:
            return
        self.wait = 0
        for name, rate in present.items():
            # The variable is float32: a rate that only rounding sets apart from the lower bound is at it.
            if rate > self.min_lr and not math.isclose(rate, self.min_lr, rel_tol=1e-6):
                new = max(rate * self.factor, self.min_lr)
                rates[name].assign(new)
                self.cooldown_counter = self.cooldown
                if self.verbose > 0:
                    tell(f"Epoch {epoch + 1}: ReduceLROnPlateau sets the {name.replace('_', ' ', 1)} to {new:.6g}.")


def learning_rates(callback: Callback) -> dict[str, Any]:
    """The optimizer's learning rate as a variable that can be set, by its name in logs; several of a `MultiOptimizer`.

    Raises:
        ValueError: if there is none.
        TypeError: if a schedule decides on it.
    """
    optimizer = getattr(callback.model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    parts = getattr(optimizer, "optimizers", None)
    names = ["learning_rate"] if parts is None else [f"learning_rate_{part.name}" for part in parts]
    return {
        name: _learning_rate(callback, part)
        for name, part in zip(names, [optimizer] if parts is None else parts, strict=True)
    }


def _learning_rate(callback: Callback, optimizer: Any) -> Any:
    if getattr(optimizer, "_schedule", None) is not None:
        raise TypeError(
            f"{type(callback).__name__} sets the learning rate. This optimizer was created with a "
            "`LearningRateSchedule`, which decides on it: compile the model with a plain number."
        )
    rate = getattr(optimizer, "learning_rate", None)
    if not callable(getattr(rate, "assign", None)):
        why = "the model has no optimizer" if rate is None else f"it is a {type(rate).__name__}"
        raise ValueError(
            f"{type(callback).__name__} sets the optimizer's learning rate, but {why}. "
            "Compile the model with a plain number as learning rate."
        )
    return rate
