"""`fit`, `evaluate`, `predict`: one loop for every backend.

A step is recorded once for each signature of the data (`unidl.training.steps`) and then replayed.
What happens per batch is: fetch the batch, call the step, tell callbacks that asked.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from unidl import ops, tree
from unidl.backend import active
from unidl.config import limited_epochs, limited_steps
from unidl.training._session import Session
from unidl.training.learner import Learner, unpack_x_y_sample_weight

#: Which loop a kind of step belongs to, as in `stop_training`.
_LOOPS = {"train": "training", "test": "evaluating", "predict": "predicting"}


class Trainer(Learner):
    """The training half of `Model`.

    Attributes:
        history: the `History` of the latest `fit`.
    """

    history: Any = None
    _session: Session | None = None

    # -- loops ------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Train for `epochs` passes over the data.

        Args:
            x, y, sample_weight: arrays, tensors or structures of them; or `x` alone a generator,
                `PyDataset`, `tf.data.Dataset` or torch `DataLoader` that yields (x, y[, sample_weight]).
            batch_size: samples a step, 32 by default; not for sources that batch themselves.
            validation_split: the last part of the arrays that is kept for validation.
            validation_data: (x, y[, sample_weight]) or a source, evaluated after each epoch.
            shuffle: a new order at each epoch, the same on every backend for one seed.
            class_weight: class index to weight.
            steps_per_epoch, validation_steps: needed for sources without an end.

        Returns:
            A `History`: ``.history`` holds a list for each metric, ``.plot()`` draws them.

        An error or an interrupt by Ctrl-C passes through, and `on_train_end` is not called then; ``model.history``
        keeps the epochs that were finished.
        """
        from unidl.callbacks import CallbackList
        from unidl.training.data import adapt, split_validation

        self._require_compiled("fit()")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation(x, y, sample_weight, validation_split)
        adapter = adapt(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            class_weight=class_weight,
            steps=steps_per_epoch,
        )
        validation = None
        if validation_data is not None:
            validation = adapt(
                *unpack_validation(validation_data),
                batch_size=validation_batch_size or batch_size,
                steps=validation_steps,
            )
        steps_per_epoch = limited_steps(steps_per_epoch, adapter.num_batches)
        epochs = limited_epochs(epochs)
        if validation is not None:
            validation_steps = limited_steps(validation_steps, validation.num_batches)
        steps = steps_per_epoch or adapter.num_batches
        hooks = CallbackList(
            callbacks,
            model=self,
            add_history=True,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
        )
        self.history = next((c for c in hooks.callbacks if type(c).__name__ == "History"), None)
        self.stop_training = False
        self._steps.labels = y
        step = self.make_train_function()
        self._session = session = Session(self, adapter, validation, hooks.callbacks)
        logs: dict[str, float] = {}
        try:
            hooks.on_train_begin()
            resume = session.resume
            if resume is not None:
                initial_epoch, logs = resume.epoch, resume.state["logs"]
                session.move_data()
                if not resume.batch:
                    session.restore()
                    epochs = initial_epoch if self.stop_training else epochs
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                hooks.on_epoch_begin(epoch)
                seen = resume.batch if resume is not None and epoch == resume.epoch else 0
                logs = self._run_epoch(adapter, step, hooks, "train", epoch, steps_per_epoch, seen)
                if validation is not None and _is_due(validation_freq, epoch):
                    logs.update(self._validated(validation, hooks, validation_steps))
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            self.optimizer.finalize_variable_values(self.trainable_variables)  # type: ignore[attr-defined]
        finally:
            self._steps.labels = self._session = None
            hooks.close()
        hooks.on_train_end(logs)
        return self.history

    def _run_epoch(
        self, adapter: Any, step: Callable[[Any], Any], hooks: Any, kind: str, epoch: int, limit: int | None,
        seen: int = 0,
    ) -> dict[str, float]:  # fmt: skip
        """All batches of one pass but those that have been `seen`; the metrics' values afterwards."""
        begin, end = getattr(hooks, f"on_{kind}_batch_begin"), getattr(hooks, f"on_{kind}_batch_end")
        wants_begin = getattr(hooks, f"wants_{kind}_batch_begin")
        wants_end = getattr(hooks, f"wants_{kind}_batch_end")
        progress = hooks.progress(kind)
        group, stop = self.steps_per_execution, f"stop_{_LOOPS[kind]}"
        result: Any = None

        def logs() -> dict[str, float]:
            return self._logs(result)

        batches = self._resumed(adapter, epoch, seen) if seen else adapter.batches(epoch)
        count = seen
        over = seen and (seen == limit or getattr(self, stop))
        undisturbed = kind == "train" and adapter.resident and not (wants_begin or wants_end)
        with active.training_loop(limit or adapter.num_batches) if undisturbed else nullcontext():
            for count, batch in enumerate(() if over else batches, seen + 1):
                if wants_begin and (count - 1) % group == 0:
                    begin(count - 1)
                result = step(batch)
                if wants_end and count % group == 0:
                    end(count - 1, self._logs(result))
                if progress is not None:
                    progress(count, logs)
                # What ended a fit must not end the validation after it, nor a later evaluation.
                if count == limit or getattr(self, stop):
                    break
        if seen and count == seen and self._session is not None and self._session.resume is not None:
            return dict(self._session.resume.state["logs"])
        if wants_end and count % group:  # the last group is smaller
            end(count - 1, self._logs(result))
        if count == 0:
            raise ValueError("The data yielded no batch: it is empty, or a generator that has been used up.")
        if limit is not None and count < limit and not getattr(self, stop):
            warnings.warn(
                f"The data ended after {count} of {limit} batches; "
                "a generator must yield steps_per_epoch * epochs batches.",
                stacklevel=3,
            )
        return self._logs(result)

    def _resumed(self, adapter: Any, epoch: int, seen: int) -> Iterator[Any]:
        """The batches of an epoch after those that have been `seen`, everything being as it was when they had been."""
        batches = iter(adapter.batches(epoch, seen - 1))
        latest = next(batches, None)
        if latest is None:
            raise ValueError(
                f"The checkpoint was saved after {seen} batches of epoch {epoch}, but the data has fewer: give fit() "
                "the data that it had."
            )
        self._steps.prepare(latest)
        assert self._session is not None
        self._session.restore()
        return batches

    def _logs(self, result: Any) -> dict[str, float]:
        """Numbers for callbacks: the metrics, and what a custom step returned."""
        if isinstance(result, dict):
            return {k: float(active.to_numpy(ops.convert_to_tensor(v))) for k, v in result.items()}
        return self.get_metrics_result()

    def _validated(self, adapter: Any, hooks: Any, steps: int | None) -> dict[str, float]:
        self.reset_metrics()
        self.stop_evaluating = False
        adapter.rewind()  # every epoch is measured by the same batches
        hooks.on_test_begin()
        with active.no_grad():
            logs = self._run_epoch(adapter, self.make_test_function(), hooks, "test", 0, steps)
        hooks.on_test_end(logs)
        return {f"val_{k}": v for k, v in logs.items()}

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics over the data: a list in the order of `metrics_names`, one number if it is alone.

        Arguments as in `fit`; `return_dict` gives names to values instead.
        """
        from unidl.callbacks import CallbackList
        from unidl.training.data import adapt

        if kwargs:
            raise TypeError(f"evaluate() does not take {sorted(kwargs)}.")
        self._require_compiled("evaluate()")
        adapter = adapt(x, y, sample_weight, batch_size=batch_size, steps=steps)
        steps = limited_steps(steps, adapter.num_batches)
        hooks = CallbackList(
            callbacks, model=self, add_history=False, add_progbar=verbose != 0, verbose=verbose, epochs=1,
            steps=steps or adapter.num_batches,
        )  # fmt: skip
        self.reset_metrics()
        self.stop_evaluating = False
        hooks.on_test_begin()
        with active.no_grad(), hooks:
            logs = self._run_epoch(adapter, self.make_test_function(), hooks, "test", 0, steps)
        hooks.on_test_end(logs)
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for all of `x`, as NumPy arrays."""
        from unidl.callbacks import CallbackList
        from unidl.training.data import adapt

        adapter = adapt(x, batch_size=batch_size, steps=steps)
        steps = limited_steps(steps, adapter.num_batches)
        hooks = CallbackList(
            callbacks, model=self, add_history=False, add_progbar=verbose != 0, verbose=verbose, epochs=1,
            steps=steps or adapter.num_batches,
        )  # fmt: skip
        step = self.make_predict_function()
        self.stop_predicting = False
        group = self.steps_per_execution
        progress = hooks.progress("predict")
        parts: list[list[np.ndarray]] = []
        outputs: Any = None
        hooks.on_predict_begin()
        with active.no_grad(), hooks:
            for count, batch in enumerate(adapter.batches(), 1):
                if hooks.wants_predict_batch_begin and (count - 1) % group == 0:
                    hooks.on_predict_batch_begin(count - 1)
                outputs = step(batch)
                parts.append([active.to_numpy(t) for t in tree.flatten(outputs)])
                if hooks.wants_predict_batch_end and count % group == 0:
                    hooks.on_predict_batch_end(count - 1, {"outputs": outputs})
                if progress is not None:
                    progress(count, dict)
                if count == steps or self.stop_predicting:
                    break
            if hooks.wants_predict_batch_end and parts and len(parts) % group:
                hooks.on_predict_batch_end(len(parts) - 1, {"outputs": outputs})
        hooks.on_predict_end()
        if not parts:
            raise ValueError("The data yielded no batch: it is empty, or a generator that has been used up.")
        whole = [
            np.concatenate(column) if len(column) > 1 else np.array(column[0]) for column in zip(*parts, strict=True)
        ]
        return tree.pack_sequence_as(outputs, whole)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step on one batch; its loss and metrics, in the order of `metrics_names`."""
        self._require_compiled("train_on_batch()")
        self.reset_metrics()
        batch = self._one_batch(x, y, sample_weight, class_weight)
        return self._scores(self.make_train_function()(batch), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch, in the order of `metrics_names`."""
        self._require_compiled("test_on_batch()")
        self.reset_metrics()
        batch = self._one_batch(x, y, sample_weight, None)
        with active.no_grad():
            return self._scores(self.make_test_function()(batch), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        batch = self._one_batch(x, None, None, None)
        with active.no_grad():
            return tree.map_structure(active.to_numpy, self.make_predict_function()(batch))

    def _one_batch(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Any:
        from unidl.training.data import adapt

        size = len(next(leaf for leaf in tree.flatten(x) if leaf is not None))
        return next(iter(adapt(x, y, sample_weight, batch_size=max(size, 1), class_weight=class_weight).batches()))

    def _scores(self, result: Any, return_dict: bool) -> Any:
        logs = self._logs(result)
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    def diagnose_nonfinite(self, x: Any = None) -> str:
        """Which layer first puts out NaN or infinity, for `x` or the latest batch, in words."""
        from unidl.graph.inspect import first_nonfinite

        if x is None:
            x = self._steps.latest_inputs
        flat = [] if x is None else [ops.convert_to_tensor(v) for v in tree.flatten(x)]
        if not flat:
            return "No batch has been seen yet: give diagnose_nonfinite(x) some data."
        from unidl.graph.trace import spec_of

        graph = self._graph([spec_of(t) for t in flat], training=False)  # type: ignore[attr-defined]
        return first_nonfinite(graph, flat)


def unpack_validation(data: Any) -> tuple[Any, Any, Any]:
    """`validation_data` as arguments for a data adapter."""
    return unpack_x_y_sample_weight(data) if isinstance(data, (tuple, list)) else (data, None, None)


def _is_due(frequency: Any, epoch: int) -> bool:
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency
