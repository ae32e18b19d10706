"""Models and examples for the tests of ONNX, and what runs their files."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import unidl
import unidl.onnx
from unidl import layers, ops
from unidl.interchange.onnx.exporting._parity import difference, run
from unidl.training.trainer import Trainer

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
#: What cannot be written: no tensors come into it, or no model of unidl does.
NOT_EXAMPLES = {"inside_torch.py": "its model is PyTorch's", "custom_backend": "it is a backend"}


def image_net() -> Any:
    """Convolutions with batch normalization, a residual connection, pooling."""
    x = inputs = unidl.Input((None, None, 3), name="picture")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="first")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    y = layers.SeparableConv2D(8, 3, padding="same")(x)
    x = layers.Add()([x, layers.BatchNormalization()(y)])
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    return unidl.Model(inputs, layers.Dense(4, activation="softmax", name="kinds")(x), name="image_net")


def text_net() -> Any:
    """Words as numbers, 0 for padding; masks, an LSTM in both directions, two outputs."""
    words = unidl.Input((None,), dtype="int32", name="words")
    x = layers.Embedding(20, 6, mask_zero=True, name="embed")(words)
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="both")(x)
    last = layers.GRU(4, name="last")(x)
    each = layers.TimeDistributed(layers.Dense(3))(x)
    return unidl.Model(words, {"score": layers.Dense(1, name="value")(last), "tags": each}, name="text_net")


def attention_net() -> Any:
    """A block of a transformer that sees only what came before."""
    x = inputs = unidl.Input((None, 8), name="steps")
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, name="attention")(y, y, use_causal_mask=True)])
    y = layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x))
    return unidl.Model(inputs, layers.Add()([x, layers.Dropout(0.5)(layers.Dense(8)(y))]), name="attention_net")


NETS: dict[str, Callable[[], Any]] = {"image": image_net, "text": text_net, "attention": attention_net}


def data_for(name: str, batch: int, time: int) -> np.ndarray:
    """An array for one of `NETS`; `time` is also half the width of pictures."""
    rng = np.random.default_rng(batch + time)
    if name == "image":
        return rng.standard_normal((batch, 9, 2 * time, 3)).astype("float32")
    if name == "text":
        words = rng.integers(0, 20, (batch, time)).astype("int32")
        words[:, 0] = 0
        return words
    return rng.standard_normal((batch, time, 8)).astype("float32")


def shaken(model: Any) -> Any:
    """The model with other weights than those it starts from, moving averages included."""
    rng = np.random.default_rng(3)
    model.set_weights(
        [w + (0.1 + np.abs(rng.standard_normal(w.shape)) * 0.3).astype(w.dtype) for w in model.get_weights()]
    )
    return model


def agrees(path: Path, model: Any, *arrays: np.ndarray, tolerance: float = 1e-4) -> None:
    """Check onnxruntime's outputs for these inputs against the model's."""
    from unidl import tree

    given = [ops.convert_to_tensor(a) for a in arrays]
    want = tree.flatten(model(given[0] if len(given) == 1 else given))
    for i, (a, b) in enumerate(zip(run(path, arrays), want, strict=True)):
        error = difference(a, np.asarray(ops.convert_to_numpy(b)))
        assert error <= tolerance, f"output {i} differs by {error}"


class _Enough(Exception):
    """The example has built its first model."""


def models_of(example: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[Any]:
    """The models of an example, which runs up to where it would train the first of them."""

    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise _Enough

    monkeypatch.setattr(Trainer, "fit", fit)
    monkeypatch.setattr(sys, "argv", [str(example)])
    monkeypatch.setattr(os, "environ", os.environ.copy())  # an example may set variables, for itself
    monkeypatch.setenv("UNIDL_EXAMPLE_FAST", "1")
    monkeypatch.setenv("MPLCONFIGDIR", str(folder))
    monkeypatch.chdir(folder)
    found: list[Any] = []
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            found += runpy.run_path(str(example), run_name="__main__").values()
        except (_Enough, RuntimeError) as error:  # a loop of its own asks for gradients, which not all backends have
            trace = error.__traceback__
            while trace is not None:
                if trace.tb_frame.f_code.co_filename == str(example):
                    found += [*trace.tb_frame.f_globals.values(), *trace.tb_frame.f_locals.values()]
                trace = trace.tb_next
    parts = [p for v in found if isinstance(v, unidl.Model) for p in (v, *v._flatten_layers())]
    return list({id(p): p for p in parts if getattr(p, "_net", None) is not None}.values())


# -- models of nodes ----------------------------------------------------------------------------------


def reference(model: bytes, *inputs: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)})


def built(
    nodes: Any, inputs: Any, outputs: Any, weights: Any = (), opset: int = 13, domains: Any = (), **kwargs: Any
) -> bytes:
    """A model of nodes; inputs and outputs are name → shape (float32)."""

    def values(given: Any) -> Any:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in given.items()]

    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in dict(weights).items()]
    graph = helper.make_graph(list(nodes), "graph", values(inputs), values(outputs), tensors)
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(
        graph, opset_imports=imports, ir_version=kwargs.pop("ir_version", 8), **kwargs
    ).SerializeToString()
