"""Train, test and predict steps: recorded once for each signature of the data, then replayed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

from unidl import tree
from unidl._objects import Cache
from unidl._state import collector_paused
from unidl.backend import active
from unidl.errors import OpError, UntraceableError
from unidl.graph.folding import normalization_folded
from unidl.graph.graph import Graph
from unidl.graph.replay import replay
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace
from unidl.layers._base import structure
from unidl.training.data._convert import length


class StepCache:
    """The steps of one model.

    Attributes:
        functions: (kind, signature) to the function of the batch's flat tensors.
        latest_inputs: the inputs of the latest batch, for diagnosis.
        labels: all targets of the present `fit`, if they are at hand, to be checked once.
        output_shape: that of the model's output when the latest step was recorded.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.functions = Cache()
        self.version = -1
        self.latest_inputs: Any = None
        self.labels: Any = None
        self.output_shape: Any = None

    def clear(self) -> None:
        self.functions.clear()

    def _overridden(self, *names: str) -> bool:
        from unidl.training.trainer import Trainer

        return any(getattr(type(self.model), n) is not getattr(Trainer, n) for n in names)

    # -- functions of a batch ---------------------------------------------------------------

    def train_function(self) -> Callable[[Any], Any]:
        """``step(batch)``; what a custom train step returned, or None."""
        model = self.model
        if not active.trains:
            raise active.no_training_error("training")
        if self._overridden("train_step", "compute_metrics") or model.run_eagerly:
            return self._custom("train_step", model.train_step)
        return self._recorded("train", self._make_train)

    def test_function(self) -> Callable[[Any], Any]:
        model = self.model
        if self._overridden("test_step", "compute_metrics") or model.run_eagerly:
            return self._custom("test_step", model.test_step)
        return self._recorded("test", self._make_test)

    def predict_function(self) -> Callable[[Any], Any]:
        model = self.model
        if self._overridden("predict_step") or model.run_eagerly:
            return self._custom("predict_step", model.predict_step)
        return self._recorded("predict", self._make_predict)

    def _custom(self, name: str, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A step written by the user, compiled by engines that trace Python."""
        from unidl.utils._symbolic import pack_x_y_sample_weight

        self._refresh()
        key = (name, self.model.run_eagerly)
        if key not in self.functions:

            def step(batch: Any) -> Any:
                self._try_build(batch)
                x, y, sample_weight = batch
                return method(pack_x_y_sample_weight(x, y, sample_weight))

            self.functions[key] = active.jit(step) if active.traces_python and not self.model.run_eagerly else step
        return self.functions[key]

    def prepare(self, batch: Any) -> None:
        """Make what a training step on `batch` makes when it is first recorded: metrics, and weights if need be."""
        flat = [t for t in tree.flatten(batch) if t is not None]
        if not self.model.built:
            self._build(batch)
        if self._overridden("train_step", "compute_metrics") or self.model.run_eagerly:
            self._try_build(batch)
        else:
            with contextlib.suppress(OpError, UntraceableError):
                self._trace("train", batch, [TensorSpec(tuple(active.shape(t)), active.dtype(t)) for t in flat])

    def _refresh(self) -> None:
        if self.version != structure["version"]:
            self.functions.clear()
            self.version = structure["version"]

    def _recorded(self, kind: str, make: Callable[..., Callable[..., Any]]) -> Callable[[Any], Any]:
        self._refresh()
        functions = self.functions
        shape, dtype, flatten = active.shape, active.dtype, tree.flatten
        static = active.static_shapes
        # One entry is looked up without building a signature: batches of an epoch are mostly alike.
        latest: list[Any] = [None, None]

        def step(batch: Any) -> Any:
            flat = (
                [t for t in batch if t is not None]
                if _is_plain(batch)
                else [t for t in flatten(batch) if t is not None]
            )
            alike = tuple([(t.dtype, t.shape) for t in flat])
            if alike != latest[0]:
                key = (kind, _layout(batch), tuple((dtype(t), _signature(tuple(shape(t)), static)) for t in flat))
                if key not in functions:
                    functions[key] = _undisturbed(make, batch, flat)
                latest[:] = [alike, functions[key]]
            self.latest_inputs = batch[0]
            try:
                return latest[1](*flat)
            except Exception as error:
                raise self._explained(kind, batch, error) from error

        return step

    # -- recording --------------------------------------------------------------------------

    def _trace(self, kind: str, batch: Any, specs: list[TensorSpec]) -> Graph:
        model = self.model
        x, y, sample_weight = batch
        leaves = iter(specs)
        x, y, sample_weight = (
            tree.map_structure(lambda t: None if t is None else next(leaves), part) for part in (x, y, sample_weight)
        )
        if kind == "predict":
            return trace(lambda x: model(x, training=False), (x,), owner=model, name=f"{model.name} predict")
        training = kind == "train"

        def forward(x: Any, y: Any, sample_weight: Any) -> Any:
            loss = model._forward_train(x, y, sample_weight, training)
            return model.optimizer.scale_loss(loss) if training else loss

        return trace(forward, (x, y, sample_weight), owner=model, name=f"{model.name} {kind}")

    def _graph(self, kind: str, batch: Any, flat: list[Any]) -> Graph:
        """Record for any batch size if the code allows, else for this very shape."""
        specs = [TensorSpec(tuple(active.shape(t)), active.dtype(t)) for t in flat]
        if not self.model.built:
            self._build(batch)
        graph = self._any_batch(kind, batch, specs) or self._trace(kind, batch, specs)
        if kind != "predict":
            _check_labels(self.model, batch[1] if self.labels is None else self.labels, self.output_shape)
        return graph

    def _any_batch(self, kind: str, batch: Any, specs: list[TensorSpec]) -> Graph | None:
        """The graph for an unknown batch size; None if the code needs it as a number, or does not fit."""
        if not active.static_shapes:
            open_specs = [TensorSpec(_signature(s.shape, False), s.dtype) for s in specs]
            try:
                return self._trace(kind, batch, open_specs)
            except (OpError, UntraceableError, TypeError):
                return None  # recording for the real shapes says what is wrong, if anything
        return None

    def _build(self, batch: Any) -> None:
        """Make the weights of a model that has not seen data, from one call on this batch's shapes."""
        model = self.model
        x = batch[0]
        specs = [TensorSpec(tuple(active.shape(t)), active.dtype(t)) for t in tree.flatten(x)]
        shapes = tree.map_structure(lambda t: tuple(active.shape(t)), x)
        from unidl.models.sequential import Sequential

        if isinstance(model, Sequential):
            model.build(shapes)
            return
        leaves = iter(specs)
        trace(lambda v: model(v, training=False), (tree.map_structure(lambda _: next(leaves), x),), owner=model)
        model._seen_specs = specs
        model._assign_paths()

    def _try_build(self, batch: Any) -> None:
        """Make weights and metrics before the user's step asks for them, if the model can be called on the batch."""
        model = self.model
        metrics, loss = model._compiled_metrics, model._compiled_loss
        wanted = metrics is not None and metrics.groups is None and (metrics.given or metrics.given_weighted)
        if model.built and not wanted:
            return

        def complete(x: Any, y: Any) -> Any:
            y_pred = model(x, training=False)
            if loss.given is not None and loss.losses is None:
                loss.build(y, y_pred)
            metrics.build(y, y_pred, loss)
            return y_pred

        with contextlib.suppress(Exception):  # what is wrong comes up where the step calls the model
            if not model.built:
                self._build(batch)
            if wanted and batch[1] is not None:
                x, y = tree.map_structure(lambda t: TensorSpec(tuple(active.shape(t)), active.dtype(t)), batch[:2])
                trace(complete, (x, y), owner=model)

    def _make_train(self, batch: Any, flat: list[Any]) -> Callable[..., Any]:
        model = self.model
        graph = self._graph("train", batch, flat)
        loss = graph.outputs[0]
        if len(loss.shape):
            raise ValueError(
                f"The loss of model {model.name!r} must be a scalar, not of shape {loss.shape}: reduce it."
            )
        variables = _reached(graph, model.trainable_variables)
        if not variables and not model.trainable_variables:
            warnings.warn(f"Model {model.name!r} has no trainable weights: fit() only computes its loss.", stacklevel=2)
            return self._without_result(graph)
        if not variables:
            raise ValueError(f"Model {model.name!r} has no trainable weight on which its loss depends.")
        forward = active.executable(graph, jit=model.jit_compile)
        optimizer = model.optimizer
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        apply = update = optimizer.updater(variables)
        if model.jit_compile and active.compiles_updates and (recorded := optimizer.graph(variables)) is not None:
            replayed = replay(recorded, active)
            apply = lambda gradients: replayed(*gradients)
        run = active.train_step(forward, variables, apply, jit=model.jit_compile, slots=update.slots)

        def step(*tensors: Any) -> None:
            run(*tensors)

        return step

    def _make_test(self, batch: Any, flat: list[Any]) -> Callable[..., Any]:
        return self._without_result(normalization_folded(self._graph("test", batch, flat), _rows(flat)))

    def _without_result(self, graph: Graph) -> Callable[..., Any]:
        run = active.executable(graph, jit=self.model.jit_compile)

        def step(*tensors: Any) -> None:
            run(*tensors)

        return step

    def _make_predict(self, batch: Any, flat: list[Any]) -> Callable[..., Any]:
        x = batch[0]
        graph = self._graph("predict", (x, None, None), [t for t in tree.flatten(x) if t is not None])
        run = active.executable(normalization_folded(graph, _rows(flat)), jit=self.model.jit_compile)
        count = len(graph.inputs)
        return lambda *tensors: graph.pack(run(*tensors[:count]))

    def _explained(self, kind: str, batch: Any, error: Exception) -> Exception:
        """What recording for the real shapes complains of, if anything; else the engine's error."""
        if isinstance(error, OpError):
            return error
        try:
            specs = [TensorSpec(tuple(active.shape(t)), active.dtype(t)) for t in tree.flatten(batch) if t is not None]
            self._trace(kind, batch, specs)
        except OpError as better:
            return better
        except Exception:  # recording cannot explain it: the engine's own error stands
            return error
        return error


def _rows(flat: list[Any]) -> int:
    """The number of samples in a batch."""
    return max([length(t) for t in flat if active.shape(t)], default=0)


@collector_paused()
def _undisturbed(make: Callable[..., Any], *args: Any) -> Any:
    """``make(*args)`` that draws no random numbers: recording runs native code, and must not change what follows."""
    before = active.random_state()
    made = make(*args)
    if before is not None:
        active.set_random_state(before)
    return made


def _is_plain(batch: Any) -> bool:
    return not any(isinstance(part, (list, tuple, dict)) for part in batch)


def _layout(batch: Any) -> Any:
    """The nesting of a batch, as something hashable."""

    def layout(value: Any) -> Any:
        if isinstance(value, dict):
            return tuple((k, layout(value[k])) for k in sorted(value))
        if isinstance(value, (list, tuple)):
            return tuple(layout(v) for v in value)
        return value is None

    return layout(batch)


def _signature(shape: tuple[int | None, ...], static: bool) -> tuple[int | None, ...]:
    return shape if static or not shape else (None, *shape[1:])


def _reached(graph: Graph, variables: list[Any]) -> list[Any]:
    """Those variables on which the graph's first output depends."""
    needed = graph.needed(graph.outputs[:1])
    ids = {id(t.value) for n in graph.nodes if id(n) in needed for t in n.inputs() if t.value is not None}
    if graph.opaque:  # native code may use any of them
        return list(variables)
    return [v for v in variables if id(v) in ids]


def _check_labels(model: Any, y: Any, output_shape: Any) -> None:
    """Integer class labels outside the outputs' range are an error on every backend."""
    from unidl.losses import SparseCategoricalCrossentropy

    losses = model._compiled_loss.losses or []
    if len(losses) != 1 or not isinstance(losses[0], SparseCategoricalCrossentropy):
        return
    if not isinstance(output_shape, tuple) or output_shape[-1] is None or not hasattr(y, "dtype"):
        return
    labels = active.to_numpy(y) if active.is_tensor(y) else y
    classes = output_shape[-1]
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"Labels range from {labels.min()} to {labels.max()}, but model {model.name!r} puts out {classes} classes "
            f"(0 to {classes - 1}). Renumber the labels, or give the last layer more units."
        )
