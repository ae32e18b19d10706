"""`compile`, `fit`, `evaluate`, `predict`: one loop for every backend.

A step is recorded once for each signature of the data (`unidl.training.steps`) and then replayed.
What happens per batch is: fetch the batch, call the step, tell callbacks that asked.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from unidl import ops, tree
from unidl.backend import active
from unidl.training.compiled import CompiledLoss, CompiledMetrics
from unidl.training.steps import StepCache


class Resume(NamedTuple):
    """Where an interrupted `fit` goes on: what a callback may set as ``model._resume`` in `on_train_begin`.

    Attributes:
        epoch: the epoch to go on with.
        batches: how many of its batches have been seen.
        restore: sets the metrics; called when they exist and the epoch's first batch is about to be seen.
        shuffle_index: which random order the data had, for sources that unidl shuffles.
    """

    epoch: int
    batches: int
    restore: Callable[[], None]
    shuffle_index: int


class Trainer:
    """The training half of `Model`.

    Attributes:
        optimizer: what `compile` was given, None before.
        stop_training: set by callbacks to end `fit` after the epoch.
        history: the `History` of the latest `fit`.
    """

    def _init_trainer(self) -> None:
        self.optimizer: Any = None
        self.loss: Any = None
        self.stop_training = False
        self.history: Any = None
        self.compiled = False
        self.run_eagerly = False
        self.jit_compile = False
        self._compiled_loss: CompiledLoss | None = None
        self._compiled_metrics: CompiledMetrics | None = None
        self._loss_mean: Any = None
        self._resume: Resume | None = None
        self._shuffle_index = 0
        self._steps = StepCache(self)

    # -- compile ----------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train.

        Args:
            optimizer: an optimizer or its name.
            loss: a loss, its name or a function ``(y_true, y_pred)``; for several outputs a list, or a
                dict by output name.
            loss_weights: number, list or dict, by which the outputs' losses are multiplied.
            metrics, weighted_metrics: likewise; only the second see sample weights.
            run_eagerly: call the layers one by one at every step instead of replaying (for debugging).
            steps_per_execution: accepted for compatibility; a step has no fixed cost to spread.
            jit_compile: True compiles the recorded step with the engine's compiler (`torch.compile`,
                XLA); "auto" and False do not.
            auto_scale_loss: put a `LossScaleOptimizer` around the optimizer of a model that computes in float16.
        """
        from unidl import metrics as known
        from unidl import optimizers

        self.optimizer = optimizers.get(optimizer)
        in_float16 = self.dtype_policy.name == "mixed_float16"  # type: ignore[attr-defined]
        if auto_scale_loss and in_float16 and isinstance(self.optimizer, optimizers.Optimizer):
            if not isinstance(self.optimizer, optimizers.LossScaleOptimizer):
                self.optimizer = optimizers.LossScaleOptimizer(self.optimizer, name="loss_scale_optimizer")
        self.loss = loss
        self.run_eagerly = bool(run_eagerly)
        self.jit_compile = jit_compile is True
        names = self.output_names  # type: ignore[attr-defined]
        self._compiled_loss = CompiledLoss(loss, loss_weights, names)
        self._compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names)
        self._loss_mean = known.Mean(name="loss")
        self._steps.clear()
        self.compiled = True

    def _require_compiled(self, what: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"{what} needs to know the loss and the optimizer: call "
                f"model.compile(optimizer, loss, metrics=…) on {self.name!r} first."  # type: ignore[attr-defined]
            )

    @property
    def metrics(self) -> list[Any]:
        """Loss, compiled metrics, and metrics that are attributes of the model or its layers."""
        own: list[Any] = [] if self._loss_mean is None else [self._loss_mean]
        if self._compiled_loss is not None:
            own += self._compiled_loss.trackers
        if self._compiled_metrics is not None:
            own += self._compiled_metrics.metrics
        known = {id(m) for m in own}
        return own + [m for m in super().metrics if id(m) not in known]  # type: ignore[misc]

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        """Set all metrics to their starting values."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The metrics' present values, fetched from the device: floats, and arrays of metrics that have several."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            for name, item in value.items() if isinstance(value, dict) else ((metric.name, value),):
                found = active.to_numpy(ops.convert_to_tensor(item))
                results[name] = float(found) if found.ndim == 0 else found
        return results

    # -- what a step computes: override to train differently ----------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The scalar that training minimizes: compiled loss, `add_loss`, and regularizers."""
        from unidl._state import state

        total = None
        if self._compiled_loss is not None and self._compiled_loss.given is not None:
            total = self._compiled_loss(y, y_pred, sample_weight)
        if state.trace is not None:
            added = state.trace.losses
        else:
            added = [v for layer in self._flatten_layers() for v in layer._losses]  # type: ignore[attr-defined]
        for item in [*added, *self._regularization()]:  # type: ignore[attr-defined]
            item = ops.sum(item) if len(ops.shape(item)) else item
            total = item if total is None else ops.add(total, item)
        if total is None:
            raise ValueError(
                f"Model {self.name!r} has nothing to minimize: give compile() a `loss`, or call add_loss in a layer."  # type: ignore[attr-defined]
            )
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the compiled metrics with one batch."""
        if y is not None and self._compiled_metrics is not None and self._compiled_loss is not None:
            self._compiled_metrics.update(y, y_pred, sample_weight, self._compiled_loss)

    def _forward_train(self, x: Any, y: Any, sample_weight: Any, training: bool = True) -> Any:
        """Loss of one batch, metrics updated: what the recorded step consists of."""
        y_pred = self(x, training=training)  # type: ignore[operator]
        self._steps.output_shape = getattr(y_pred, "shape", None)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **self._told_training(training))
        self._loss_mean.update_state(loss, sample_weight=_batch_size(x))
        self.compute_metrics(x, y, y_pred, sample_weight)
        return loss

    def _told_training(self, training: bool) -> dict[str, bool]:
        """`training` for a `compute_loss` that takes it; one written by the user need not."""
        parameters = inspect.signature(self.compute_loss).parameters
        takes = "training" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        return {"training": training} if takes else {}

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training on a batch. Override it to train in another way.

        Write it with `unidl.value_and_grad` and it runs on every backend.

        Args:
            data: (x, y, sample_weight); entries may be None.

        Returns:
            Names and values to show: metrics' results.
        """
        from unidl.gradients import value_and_grad

        x, y, sample_weight = unpack_x_y_sample_weight(data)
        variables = self.trainable_variables  # type: ignore[attr-defined]
        scale = self.optimizer.scale_loss
        _, gradients = value_and_grad(lambda: scale(self._forward_train(x, y, sample_weight)), variables)()
        self.optimizer.apply(gradients, variables)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, data: Any) -> dict[str, Any]:
        """Loss and metrics of one batch. Override it to evaluate in another way."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        self._forward_train(x, y, sample_weight, training=False)
        return {m.name: m.result() for m in self.metrics}

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch. Override it to predict in another way."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)  # type: ignore[operator]

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
        self._shuffle_index = adapter.shuffle_index
        self.stop_training = False
        self._steps.labels = y
        step = self._steps.train_function()
        self._resume = None
        logs: dict[str, float] = {}
        try:
            hooks.on_train_begin()
            if self._resume is not None:
                adapter.go_on(initial_epoch, self._resume.epoch, self._resume.shuffle_index)
                initial_epoch = self._resume.epoch
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                hooks.on_epoch_begin(epoch)
                logs = self._run_epoch(adapter, step, hooks, "train", epoch, steps_per_epoch)
                if validation is not None and _is_due(validation_freq, epoch):
                    logs.update(self._validated(validation, hooks, validation_steps))
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            self.optimizer.finalize_variable_values(self.trainable_variables)  # type: ignore[attr-defined]
        finally:
            self._steps.labels = None
            hooks.close()
        hooks.on_train_end(logs)
        return self.history

    def _run_epoch(
        self, adapter: Any, step: Callable[[Any], Any], hooks: Any, kind: str, epoch: int, limit: int | None
    ) -> dict[str, float]:
        """All batches of one pass; the metrics' values afterwards."""
        begin, end = getattr(hooks, f"on_{kind}_batch_begin"), getattr(hooks, f"on_{kind}_batch_end")
        wants_begin = getattr(hooks, f"wants_{kind}_batch_begin")
        wants_end = getattr(hooks, f"wants_{kind}_batch_end")
        progress = hooks.progress(kind)
        count = 0
        result: Any = None

        def logs() -> dict[str, float]:
            return self._logs(result)

        done, self._resume = self._resume if kind == "train" else None, None
        for count, batch in enumerate(adapter.batches(epoch), 1):
            if done is not None:
                if count <= done.batches:
                    continue
                self._steps.prepare(batch)
                done.restore()
                done = None
            if wants_begin:
                begin(count - 1)
            result = step(batch)
            if wants_end:
                end(count - 1, self._logs(result))
            if progress is not None:
                progress(count, logs)
            # What ended a fit must not end the validation after it, nor a later evaluation.
            if count == limit or (self.stop_training and kind == "train"):
                break
        if done is not None and count:  # every batch of the epoch had been seen
            self._steps.prepare(batch)
            done.restore()
        if count == 0:
            raise ValueError("The data yielded no batch: it is empty, or a generator that has been used up.")
        if limit is not None and count < limit and not (self.stop_training and kind == "train"):
            warnings.warn(
                f"The data ended after {count} of {limit} batches; "
                "a generator must yield steps_per_epoch * epochs batches.",
                stacklevel=3,
            )
        return self._logs(result)

    def _logs(self, result: Any) -> dict[str, float]:
        """Numbers for callbacks: the metrics, and what a custom step returned."""
        if isinstance(result, dict):
            return {k: float(active.to_numpy(ops.convert_to_tensor(v))) for k, v in result.items()}
        return self.get_metrics_result()

    def _validated(self, adapter: Any, hooks: Any, steps: int | None) -> dict[str, float]:
        self.reset_metrics()
        hooks.on_test_begin()
        with active.no_grad():
            logs = self._run_epoch(adapter, self._steps.test_function(), hooks, "test", 0, steps)
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
        hooks = CallbackList(
            callbacks, model=self, add_history=False, add_progbar=verbose != 0, verbose=verbose, epochs=1,
            steps=steps or adapter.num_batches,
        )  # fmt: skip
        self.reset_metrics()
        hooks.on_test_begin()
        with active.no_grad(), hooks:
            logs = self._run_epoch(adapter, self._steps.test_function(), hooks, "test", 0, steps)
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
        hooks = CallbackList(
            callbacks, model=self, add_history=False, add_progbar=verbose != 0, verbose=verbose, epochs=1,
            steps=steps or adapter.num_batches,
        )  # fmt: skip
        step = self._steps.predict_function()
        progress = hooks.progress("predict")
        parts: list[list[np.ndarray]] = []
        outputs: Any = None
        hooks.on_predict_begin()
        with active.no_grad(), hooks:
            for count, batch in enumerate(adapter.batches(), 1):
                if hooks.wants_predict_batch_begin:
                    hooks.on_predict_batch_begin(count - 1)
                outputs = step(batch)
                parts.append([active.to_numpy(t) for t in tree.flatten(outputs)])
                if hooks.wants_predict_batch_end:
                    hooks.on_predict_batch_end(count - 1, {"outputs": outputs})
                if progress is not None:
                    progress(count, dict)
                if count == steps:
                    break
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
        """One step on one batch; the metrics since the last reset."""
        self._require_compiled("train_on_batch()")
        batch = self._one_batch(x, y, sample_weight, class_weight)
        return self._scores(self._steps.train_function()(batch), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch; the metrics since the last reset."""
        self._require_compiled("test_on_batch()")
        batch = self._one_batch(x, y, sample_weight, None)
        with active.no_grad():
            return self._scores(self._steps.test_function()(batch), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        batch = self._one_batch(x, None, None, None)
        with active.no_grad():
            return tree.map_structure(active.to_numpy, self._steps.predict_function()(batch))

    def _one_batch(self, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> Any:
        from unidl.training.data import adapt

        size = len(tree.flatten(x)[0])
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


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """A batch as (x, y, sample_weight), None for what is missing."""
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"A batch is x, (x,), (x, y) or (x, y, sample_weight), not a tuple of {len(data)}.")
    return (*data, *(None,) * (3 - len(data)))  # type: ignore[return-value]


def unpack_validation(data: Any) -> tuple[Any, Any, Any]:
    """`validation_data` as arguments for a data adapter."""
    return unpack_x_y_sample_weight(data) if isinstance(data, (tuple, list)) else (data, None, None)


def _batch_size(x: Any) -> Any:
    """The number of samples, as a float32 scalar on the device."""
    return ops.axis_size(next(leaf for leaf in tree.flatten(x) if leaf is not None))


def _is_due(frequency: Any, epoch: int) -> bool:
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency
