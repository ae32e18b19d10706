"""`TensorBoard`: logs for the program of that name."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np

from unidl.backend import active
from unidl.callbacks import _events
from unidl.callbacks._base import Callback, Logs
from unidl.errors import OpError, UntraceableError


class TensorBoard(Callback):
    """Writes metrics, histograms of weights and the model's graph for TensorBoard, without TensorFlow.

    ``tensorboard --logdir LOG_DIR`` shows them. Training goes into the folder ``train``, validation and evaluation
    into ``validation``.

    Args:
        log_dir: the folder; no other callback may use it.
        histogram_freq: epochs between histograms of all weights; 0: none.
        write_graph: write the model's graph once.
        write_images: with `histogram_freq`: show weights as pictures, too.
        write_steps_per_second: log the speed.
        update_freq: "epoch", "batch", or a number of batches after which to log training metrics as well.
        profile_batch: not supported: anything but 0 is ignored with a warning.
        embeddings_freq: epochs between writings of the weights of `Embedding` layers for the projector; 0: none.
        embeddings_metadata: file with a label for each row: one for all layers, or a dict by layer name.

    Raises:
        ValueError: for a bad `update_freq`, or metadata for a layer that is not there.

    Example:
        >>> import tempfile, unidl
        >>> logs = unidl.callbacks.TensorBoard(tempfile.mkdtemp(), histogram_freq=1)
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        frequency = 1 if update_freq == "batch" else update_freq
        if frequency != "epoch" and (isinstance(frequency, bool) or not isinstance(frequency, int) or frequency < 1):
            raise ValueError(
                f"TensorBoard: `update_freq` must be 'epoch', 'batch' or a positive int, not {update_freq!r}."
            )
        if profile_batch not in (0, None, False):
            warnings.warn(
                f"TensorBoard: profile_batch={profile_batch!r} is ignored: unidl has no profiler of its own; use the "
                "engine's (torch.profiler, tf.profiler, mx.profiler) around fit().",
                stacklevel=2,
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq, self.write_graph, self.write_images = histogram_freq, write_graph, write_images
        self.write_steps_per_second, self.update_freq = write_steps_per_second, frequency
        self.embeddings_freq, self.embeddings_metadata = embeddings_freq, embeddings_metadata
        self._train_dir = os.path.join(self.log_dir, "train")
        self._val_dir = os.path.join(self.log_dir, "validation")
        self._writers: dict[str, _events.EventWriter] = {}
        self._batches = 0
        self._clock = (0.0, 0)
        self._graph_pending = False

    @property
    def summary(self) -> _events.EventWriter:
        """What writes into the folder of training: ``summary.scalar(name, number, step)``, `histogram`, `image`."""
        return self._writer(self._train_dir)

    def overrides(self, hook: str) -> bool:
        if hook == "on_train_batch_end" and self.update_freq == "epoch":
            return False
        return super().overrides(hook)

    # -- hooks ------------------------------------------------------------------------------

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._graph_pending = self.write_graph
        if self.embeddings_freq:
            self._write_projector_config()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._batches = 0
        self._clock = (time.perf_counter(), self._iterations())

    def state_dict(self) -> dict[str, Any]:
        return {"_batches": self._batches, "_graph_pending": self._graph_pending}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._clock = (time.perf_counter(), self._iterations())

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self.update_freq == "epoch" or self._batches % int(self.update_freq):
            return
        values = [_events.scalar(f"batch_{name}", float(value)) for name, value in _numbers(logs)]
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._clock[0], 1e-9)
            values.append(_events.scalar("batch_steps_per_second", (batch + 1) / seconds))
        self._writer(self._train_dir).summaries(self._batches - 1, values)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        numbers = _numbers(logs)
        train = [(name, value) for name, value in numbers if not name.startswith("val_")]
        shown = {name for name, _ in train}
        train += [(name, rate) for name, rate in self._learning_rates().items() if name not in shown]
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._clock[0], 1e-9)
            train.append(("steps_per_second", (self._iterations() - self._clock[1]) / seconds))
        validation = [(name.removeprefix("val_"), value) for name, value in numbers if name.startswith("val_")]
        for folder, found in ((self._train_dir, train), (self._val_dir, validation)):
            if found:
                self._writer(folder).summaries(epoch, [_events.scalar(f"epoch_{n}", float(v)) for n, v in found])
        if self._graph_pending:
            self._write_graph()
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs: Logs | None = None) -> None:
        values = [_events.scalar(f"evaluation_{n}_vs_iterations", float(v)) for n, v in _numbers(logs)]
        if values and getattr(self.model, "optimizer", None) is not None:
            writer = self._writer(self._val_dir)
            writer.summaries(self._iterations(), values)
            writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        for writer in self._writers.values():
            writer.close()

    # -- what is written ----------------------------------------------------------------------

    def _writer(self, folder: str) -> _events.EventWriter:
        return self._writers.setdefault(folder, _events.EventWriter(folder))

    def _iterations(self) -> int:
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        return 0 if iterations is None else int(active.to_numpy(iterations))

    def _learning_rates(self) -> dict[str, float]:
        """The learning rate by its name in logs; several of a `MultiOptimizer`."""
        optimizer = getattr(self.model, "optimizer", None)
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        parts = getattr(optimizer, "optimizers", None)
        named = {"learning_rate": optimizer} if parts is None else {f"learning_rate_{o.name}": o for o in parts}
        rates = {name: getattr(o, "learning_rate", None) for name, o in named.items()}
        return {name: float(active.to_numpy(rate)) for name, rate in rates.items() if rate is not None}

    def _write_graph(self) -> None:
        self._graph_pending = False
        try:
            graph = self.model.graph()
        except (ValueError, OpError, UntraceableError):  # a model whose code cannot be recorded has no graph to show
            return
        self._writer(self._train_dir).graph(_events.graph_definition(graph))

    def _write_weights(self, epoch: int) -> None:
        values = []
        for variable in self.model.weights:
            array = active.to_numpy(variable).astype(np.float32)
            values.append(_events.histogram(f"{variable.path}/histogram", array))
            if self.write_images and (pixels := _as_image(array)) is not None:
                values.append(_events.image(f"{variable.path}/image", pixels))
        self._writer(self._train_dir).summaries(epoch, values)

    def _embedding_layers(self) -> list[Any]:
        from unidl.layers import Embedding

        return [layer for layer in self.model._flatten_layers() if isinstance(layer, Embedding)]

    def _write_projector_config(self) -> None:
        layers = self._embedding_layers()
        metadata = self.embeddings_metadata
        if isinstance(metadata, dict) and (unknown := sorted(set(metadata) - {layer.name for layer in layers})):
            raise ValueError(
                f"TensorBoard: `embeddings_metadata` names the layers {unknown}; the model's Embedding layers are "
                f"{[layer.name for layer in layers]}."
            )
        text = ""
        for layer in layers:
            labels = metadata.get(layer.name) if isinstance(metadata, dict) else metadata
            text += f'embeddings {{\n  tensor_name: "{layer.name}"\n  tensor_path: "{_file_of(layer)}"\n'
            text += f'  metadata_path: "{os.fspath(labels)}"\n' if labels else ""
            text += "}\n"
        os.makedirs(self.log_dir, exist_ok=True)
        with open(os.path.join(self.log_dir, "projector_config.pbtxt"), "w", encoding="utf-8") as file:
            file.write(text)

    def _write_embeddings(self) -> None:
        for layer in self._embedding_layers():
            if layer.built:
                path = os.path.join(self.log_dir, _file_of(layer))
                np.savetxt(path, active.to_numpy(layer.embeddings).astype(np.float32), "%.6g", "\t")


def _file_of(layer: Any) -> str:
    return f"{layer.name}.tsv"


def _numbers(logs: Logs | None) -> list[tuple[str, Any]]:
    """The metrics that are single numbers."""
    return [(name, value) for name, value in (logs or {}).items() if np.ndim(value) == 0]


def _as_image(array: np.ndarray) -> np.ndarray | None:
    """Weights as a picture, scaled to 0…255: kernels as a mosaic; None for more than four dimensions."""
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 0 or array.ndim > 4 or not array.size:
        return None
    if array.ndim == 1:
        array = array[None]
    if array.ndim > 2:
        array = array.reshape(-1, array.shape[-1])
    low, high = float(array.min()), float(array.max())
    scaled = (array - low) / (high - low if high > low else 1.0) * 255.0
    return scaled.astype(np.uint8)[:, :, None]
