"""What one step of training computes: `compile`, losses, metrics, and the steps that users override."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from unidl import ops, tree
from unidl._state import state
from unidl.backend import active
from unidl.training.compiled import CompiledLoss, CompiledMetrics
from unidl.training.steps import StepCache


class Learner:
    """The part of `Model` that says what a step does; `Trainer` adds the loops over data.

    Attributes:
        optimizer: what `compile` was given, None before.
        stop_training, stop_evaluating, stop_predicting: set by callbacks to end the loop after the batch.
        compiled: whether `compile` has been called.
        run_eagerly: whether layers are called one by one at every step.
        jit_compile: whether recorded steps go through the engine's compiler.
        steps_per_execution: after how many batches the callbacks of batches are called.
    """

    optimizer: Any = None
    loss: Any = None
    compiled: bool = False
    run_eagerly: bool = False
    jit_compile: bool = False
    steps_per_execution: int = 1
    _compile_arguments: dict[str, Any]
    stop_training: bool = False
    stop_evaluating: bool = False
    stop_predicting: bool = False

    def _init_trainer(self) -> None:
        object.__setattr__(self, "_compile_arguments", {})
        self._compiled_loss: CompiledLoss | None = None
        self._compiled_metrics: CompiledMetrics | None = None
        self._loss_mean: Any = None
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
            steps_per_execution: after how many batches `on_*_batch_begin` and `on_*_batch_end` are called; a step has
                no fixed cost to spread.
            jit_compile: True compiles the recorded step with the engine's compiler (`torch.compile`,
                XLA); "auto" and False do not.
            auto_scale_loss: put a `LossScaleOptimizer` around the optimizer of a model that computes in float16.
        """
        from unidl import metrics as known
        from unidl import optimizers

        if steps_per_execution < 1:
            raise ValueError(f"`steps_per_execution` must be at least 1, not {steps_per_execution!r}.")
        arguments = {
            "optimizer": optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution, "jit_compile": jit_compile,
        }  # fmt: skip
        object.__setattr__(self, "_compile_arguments", arguments)  # metrics in it are not the model's
        self.optimizer = optimizers.get(optimizer)
        in_float16 = self.dtype_policy.name == "mixed_float16"  # type: ignore[attr-defined]
        if auto_scale_loss and in_float16 and isinstance(self.optimizer, optimizers.Optimizer):
            if not isinstance(self.optimizer, optimizers.LossScaleOptimizer):
                self.optimizer = optimizers.LossScaleOptimizer(self.optimizer, name="loss_scale_optimizer")
        self.loss = loss
        self.steps_per_execution = int(steps_per_execution)
        self.run_eagerly = bool(run_eagerly)
        self.jit_compile = jit_compile is True
        names = self.output_names  # type: ignore[attr-defined]
        self._compiled_loss = CompiledLoss(loss, loss_weights, names)
        self._compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names)
        self._loss_mean = known.Mean(name="loss")
        self._steps.clear()
        self.compiled = True

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as plain data, for `compile_from_config`; empty before `compile`."""
        from unidl.saving.objects import serialize_keras_object

        if not self.compiled:
            return {}
        return serialize_keras_object({**self._compile_arguments, "optimizer": self.optimizer})

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Call `compile` as `get_compile_config` describes; the optimizer gets its variables.

        Raises:
            TypeError: for losses, metrics or optimizers that are neither unidl's nor registered.
        """
        from unidl.saving.objects import deserialize_keras_object

        if type(self).compile is not Learner.compile:
            warnings.warn(
                f"{type(self).__name__} has a compile() of its own, which is not called while the model is read. Call "
                "it, or write compile_from_config() and get_compile_config() for it.",
                stacklevel=3,
            )
            return
        self.compile(**deserialize_keras_object(config))
        if self.optimizer is not None and self.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def _require_compiled(self, what: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"{what} needs to know the loss and the optimizer: call "
                f"model.compile(optimizer, loss, metrics=…) on {self.name!r} first."  # type: ignore[attr-defined]
            )

    @property
    def metrics(self) -> list[Any]:
        """Loss, compiled metrics, and metrics that are attributes of the model or its layers.

        What models inside it were compiled with is not part of it: it is not this model that updates that.
        """
        own: list[Any] = [] if self._loss_mean is None else [self._loss_mean]
        if self._compiled_loss is not None:
            own += self._compiled_loss.trackers
        if self._compiled_metrics is not None:
            own += self._compiled_metrics.metrics
        inner = [v for v in self._flatten_layers() if v is not self and isinstance(v, Learner)]  # type: ignore[attr-defined]
        known = {id(m) for m in own}
        known |= {id(m) for v in inner for m in (v._loss_mean, *tree.flatten(getattr(v, "_compile_arguments", {})))}
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
        total = None
        if self._compiled_loss is not None and self._compiled_loss.given is not None:
            total = self._compiled_loss(y, y_pred, sample_weight)
        if state.trace is not None:
            added = [loss for _, loss in state.trace.losses]
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

    def stateless_compute_loss(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        metrics_variables: Any,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tuple[Any, tuple[list[Any], list[Any], list[Any]]]:
        """`compute_loss` with these values of all variables; the model itself stays as it is.

        Returns:
            The loss, and the values afterwards: of the trained, the other and the metrics' variables.
        """
        from unidl._scopes import StatelessScope

        groups = (self.trainable_variables, self.non_trainable_variables, self.metrics_variables)  # type: ignore[attr-defined]
        pairs = self._with_values(trainable_variables, non_trainable_variables)  # type: ignore[attr-defined]
        pairs += zip(groups[2], metrics_variables, strict=True)
        with StatelessScope(pairs) as scope:
            told = self._told_training(training)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **told)
        trained, others, shown = ([scope.get(v) for v in group] for group in groups)
        return loss, (trained, others, shown)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the compiled metrics with one batch; the results to show, empty while a graph is being recorded."""
        if y is not None and self._compiled_metrics is not None and self._compiled_loss is not None:
            self._compiled_metrics.update(y, y_pred, sample_weight, self._compiled_loss)
        return {} if state.trace is not None else self._results()

    def _results(self) -> dict[str, Any]:
        """The metrics' values, on the device."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    def _forward_train(self, x: Any, y: Any, sample_weight: Any, training: bool = True) -> Any:
        """Loss of one batch, metrics updated: what the recorded step consists of."""
        loss, y_pred = self._loss_of(x, y, sample_weight, training)
        self.compute_metrics(x, y, y_pred, sample_weight)
        return loss

    def _loss_of(self, x: Any, y: Any, sample_weight: Any, training: bool) -> tuple[Any, Any]:
        """Loss and outputs of one batch, the running mean of the loss updated."""
        y_pred = self(x, training=training)  # type: ignore[operator]
        self._steps.output_shape = getattr(y_pred, "shape", None)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **self._told_training(training))
        self._loss_mean.update_state(loss, sample_weight=_batch_size(x))
        return loss, y_pred

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
        outputs: list[Any] = []

        def loss() -> Any:
            value, y_pred = self._loss_of(x, y, sample_weight, training=True)
            outputs[:] = [y_pred]
            return scale(value)

        _, gradients = value_and_grad(loss, variables)()
        self.optimizer.apply(gradients, variables)
        return self.compute_metrics(x, y, outputs[0], sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Loss and metrics of one batch. Override it to evaluate in another way."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        _, y_pred = self._loss_of(x, y, sample_weight, training=False)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch. Override it to predict in another way."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)  # type: ignore[operator]

    # -- the functions that the loops call --------------------------------------------------

    def make_train_function(self, force: bool = False) -> Any:
        """The function of a batch (x, y, sample_weight) that trains; made anew if `force`."""
        return self._made("train", force)

    def make_test_function(self, force: bool = False) -> Any:
        """The function of a batch that evaluates."""
        return self._made("test", force)

    def make_predict_function(self, force: bool = False) -> Any:
        """The function of a batch that predicts."""
        return self._made("predict", force)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles are made of: not the functions, which belong to this model's variables, nor `fit`."""
        made = ("train_function", "test_function", "predict_function", "_session")
        return {name: value for name, value in vars(self).items() if name not in made}

    def _made(self, kind: str, force: bool) -> Any:
        if force:
            self._steps.clear()
        function = getattr(self._steps, f"{kind}_function")()
        setattr(self, f"{kind}_function", function)
        return function


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """A batch as (x, y, sample_weight), None for what is missing."""
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"A batch is x, (x,), (x, y) or (x, y, sample_weight), not a tuple of {len(data)}.")
    return (*data, *(None,) * (3 - len(data)))  # type: ignore[return-value]


def _batch_size(x: Any) -> Any:
    """The number of samples, as a float32 scalar on the device."""
    return ops.axis_size(next(leaf for leaf in tree.flatten(x) if leaf is not None))
