"""Layers of Keras 1 and 2 that Keras 3 has no more: what they compute, against NumPy."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras2_files as k2
import numpy as np
import pytest

import unidl
from unidl.backend import active
from unidl.saving.legacy import LocallyConnected1D

RNG = np.random.default_rng(9)
SERIES = RNG.normal(size=(3, 7, 4)).astype("float32")
IMAGES = RNG.normal(size=(2, 5, 6, 3)).astype("float32")
NEAR: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}


def local(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, window: Any, strides: Any, first: bool) -> np.ndarray:
    """Place by place; `x` and the result have channels last, `first` says how a patch is flattened."""
    places = [(n - w) // s + 1 for n, w, s in zip(x.shape[1:-1], window, strides)]
    out = np.zeros((len(x), *places, kernel.shape[-1]))
    for number, place in enumerate(itertools.product(*map(range, places))):
        key = (slice(None), *(slice(p * s, p * s + w) for p, s, w in zip(place, strides, window)))
        part = x[key]
        patch = np.moveaxis(part, -1, 1) if first else part
        out[(slice(None), *place)] = patch.reshape(len(x), -1) @ kernel[number] + bias[place]
    return out


def described(kind: str, name: str, shape: Any, **more: Any) -> dict[str, Any]:
    config = {
        "name": name, "trainable": True, "batch_input_shape": [None, *shape], "dtype": "float32", "padding": "valid",
        "data_format": "channels_last", "activation": "tanh", "use_bias": True, "kernel_initializer": k2.GLOROT,
        "bias_initializer": k2.ZEROS, "kernel_regularizer": None, "bias_regularizer": None,
        "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None, "implementation": 1,
    }  # fmt: skip
    return {"class_name": kind, "config": {**config, **more}}


def whole(*layers: Any) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


def check(path: Path, x: Any, want: Any) -> Any:
    model = unidl.saving.load_model(path)
    model.save(path.with_suffix(".keras"))
    for one in (model, unidl.saving.load_model(path.with_suffix(".keras"))):
        np.testing.assert_allclose(one.predict(x, verbose=0), want, **NEAR)
    return model


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_local_convolutions_of_images(form: str, tmp_path: Path) -> None:
    kernel, bias, window, strides = k2.array(2 * 5, 3 * 2 * 3, 4), k2.array(2, 5, 4), (3, 2), (2, 1)
    x = IMAGES if form == "channels_last" else IMAGES.transpose(0, 3, 1, 2)
    layer = described(
        "LocallyConnected2D", "local", x.shape[1:], filters=4, kernel_size=[3, 2], strides=[2, 1], data_format=form
    )
    path = k2.write(tmp_path / "m.h5", whole(layer), {"local": k2.named("local", kernel=kernel, bias=bias)})
    want = np.tanh(local(IMAGES, kernel, bias, window, strides, form == "channels_first"))
    model = check(path, x, want if form == "channels_last" else want.transpose(0, 3, 1, 2))
    assert model.output_shape == (None, *((2, 5, 4) if form == "channels_last" else (4, 2, 5)))


@pytest.mark.parametrize("version", ["1.2.2", "2.3.1"])
def test_local_convolutions_of_series(version: str, tmp_path: Path) -> None:
    kernel, bias, v = k2.array(5, 12, 2), k2.array(5, 2), k2.array(10, 1)
    layer = described("LocallyConnected1D", "local", (7, 4), filters=2, kernel_size=[3], strides=[1])
    names = "kernel", "bias"
    if version == "1.2.2":
        names = "W", "b"
        old = {
            "name": "local", "trainable": True, "batch_input_shape": [None, 7, 4], "input_dtype": "float32",
            "nb_filter": 2, "filter_length": 3, "subsample_length": 1, "border_mode": "valid", "activation": "tanh",
            "init": "glorot_uniform", "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None,
            "W_constraint": None, "b_constraint": None, "bias": True, "input_dim": 4, "input_length": 7,
        }  # fmt: skip
        layer = {"class_name": "LocallyConnected1D", "config": old}
    flat = {"class_name": "Flatten", "config": {"name": "flat", "trainable": True}}
    config = whole(layer, flat, k2.dense("last", 1, use_bias=False))
    weights = {
        "local": list(zip((f"local_{names[0]}", f"local_{names[1]}"), (kernel, bias))), "flat": [],
        "last": k2.named("last", kernel=v),
    }  # fmt: skip
    want = np.tanh(local(SERIES, kernel, bias, (3,), (1,), False)).reshape(3, -1) @ v
    check(k2.write(tmp_path / "m.h5", config, weights, version), SERIES, want)


@pytest.mark.skipif(not active.trains, reason="needs training")
def test_local_convolutions_are_trained() -> None:
    layer = LocallyConnected1D(2, 3, strides=2, use_bias=False, data_format="channels_last")
    layer.build((None, 7, 4))
    kernel = k2.array(3, 12, 2)
    layer.set_weights([kernel])
    outer = RNG.normal(size=(3, 3, 2)).astype("float32")
    x, other = unidl.ops.convert_to_tensor(SERIES), unidl.ops.convert_to_tensor(outer)
    _, (gradient,) = unidl.value_and_grad(lambda: unidl.ops.sum(layer(x) * other), [layer.kernel])()
    patches = np.stack([SERIES[:, 2 * p : 2 * p + 3].reshape(3, -1) for p in range(3)], 1)
    np.testing.assert_allclose(active.to_numpy(gradient), np.einsum("bpk,bpf->pkf", patches, outer), **NEAR)


def test_local_convolutions_that_are_refused(tmp_path: Path) -> None:
    for more, words in (
        ({"padding": "same", "implementation": 2}, "padding='same' and implementation=2; only 'valid' and 1 are read"),
        ({"kernel_size": [3, 3]}, r"`kernel_size` must be a positive int or 1 of them, not \[3, 3\]"),
        ({"kernel_size": [9]}, r"a window of \(9,\) does not fit into an input of shape \(None, 7, 4\)"),
        ({"filters": 0}, "`filters` must be a positive integer"),
        ({"batch_input_shape": [None, None, 4]}, "needs to know the number of places"),
        ({"batch_input_shape": [None, 7]}, "takes inputs of 3 dimensions"),
    ):
        given = {"filters": 2, "kernel_size": [3], "strides": [1], **more}
        layer = described("LocallyConnected1D", "local", (7, 4), **given)
        with pytest.raises(ValueError, match=words):
            unidl.saving.load_model(k2.write(tmp_path / "m.h5", whole(layer), {"local": []}))


# -- Keras 1: stacks that begin with a Merge of others ----------------------------------------------------------------


def dense_1(name: str, units: int, size: int | None = None) -> dict[str, Any]:
    """A dense layer as Keras 1.2 described it."""
    config = {"name": name, "output_dim": units, "activation": "tanh", "bias": True, "init": "glorot_uniform"}
    first = {"batch_input_shape": [None, size], "input_dtype": "float32", "input_dim": size} if size else {}
    return {"class_name": "Dense", "config": {**config, **first}}


def merge(name: str, mode: str, *models: Any) -> dict[str, Any]:
    config = {
        "name": name, "layers": list(models), "mode": mode, "concat_axis": -1, "dot_axes": -1, "output_shape": None,
        "output_mask": None, "arguments": {}, "mode_type": "raw", "output_shape_type": "raw", "output_mask_type": "raw",
    }  # fmt: skip
    return {"class_name": "Merge", "config": config}


def stack_1(*layers: Any) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": list(layers)}


def test_merged_stacks(tmp_path: Path) -> None:
    """One of the branches is merged of two again, which share a layer."""
    w = {name: (k2.array(*shape), k2.array(shape[1])) for name, shape in
         {"left": (3, 4), "shared": (4, 2), "last": (7, 1), "own": (3, 4), "narrow": (3, 3)}.items()}  # fmt: skip
    inner = merge(
        "sum",
        "sum",
        stack_1(dense_1("left", 4, 3), dense_1("shared", 2)),
        stack_1(dense_1("own", 4, 3), dense_1("shared", 2)),
    )
    outer = merge("join", "concat", stack_1(inner), stack_1(dense_1("narrow", 3, 3)))
    config = stack_1(outer, {"class_name": "Dropout", "config": {"name": "drop", "p": 0.5}}, dense_1("last", 1))
    w["last"] = k2.array(5, 1), k2.array(1)
    weights = {name: [(f"{name}_W", kernel), (f"{name}_b", bias)] for name, (kernel, bias) in w.items()}
    path = k2.write(tmp_path / "m.h5", config, {**weights, "join": [], "drop": []}, "1.2.2")
    a, b, c = (RNG.normal(size=(4, 3)).astype("float32") for _ in range(3))

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ w[name][0] + w[name][1])

    joined = dense("shared", dense("left", a)) + dense("shared", dense("own", b))
    check(path, [a, b, c], dense("last", np.concatenate([joined, dense("narrow", c)], -1)))


def test_merged_stacks_that_are_refused(tmp_path: Path) -> None:
    one = stack_1(dense_1("a", 2, 3))
    for first, words in (
        (
            merge("m", "concat", one, {"class_name": "Model", "config": {}}),
            "a model of class 'Model'; only those of Seq",
        ),
        (merge("m", "concat", one, stack_1(dense_1("b", 2))), "'b' begins a branch of a Merge and says nothing of its"),
        (merge("m", "concat", one, stack_1()), "which is no list of layers"),
        (merge("m", "lambda", one, stack_1(dense_1("b", 2, 3))), "not with mode='lambda'"),
    ):
        with pytest.raises(ValueError, match=words):
            unidl.saving.load_model(k2.write(tmp_path / "m.h5", stack_1(first), {}, "1.2.2"))
