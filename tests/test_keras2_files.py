"""Whole models in the HDF5 files of Keras 1 and 2: what they compute, against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras2_files as k2
import numpy as np
import pytest

import unidl
from unidl.backend import active

X = np.random.default_rng(3).normal(size=(4, 3)).astype("float32")
SERIES = np.random.default_rng(4).normal(size=(3, 5, 4)).astype("float32")
IMAGES = np.random.default_rng(5).normal(size=(2, 6, 7, 2)).astype("float32")


def check(path: Path, x: Any, want: Any, **options: Any) -> Any:
    model = unidl.saving.load_model(path, **options)
    found = model.predict(x, verbose=0)
    for mine, theirs in zip(found if isinstance(found, list) else [found], want if isinstance(want, list) else [want]):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    return model


def two_dense() -> tuple[list[Any], dict[str, Any], np.ndarray]:
    w1, b1, w2, b2 = k2.array(3, 4), k2.array(4), k2.array(4, 2), k2.array(2)
    layers = [
        k2.dense("dense_1", 4, "relu", batch_input_shape=[None, 3]),
        {"class_name": "Dropout", "config": {"name": "dropout_1", "trainable": True, "rate": 0.5, "noise_shape": None}},
        k2.dense("dense_2", 2),
    ]  # fmt: skip
    weights = {
        "dense_1": k2.named("dense_1", kernel=w1, bias=b1), "dropout_1": [],
        "dense_2": k2.named("dense_2", kernel=w2, bias=b2),
    }  # fmt: skip
    return layers, weights, np.maximum(X @ w1 + b1, 0) @ w2 + b2


@pytest.mark.parametrize("version", ["2.0.8", "2.2.4-tf", "2.3.1"])
def test_a_stack(version: str, tmp_path: Path) -> None:
    layers, weights, want = two_dense()
    inner: Any = layers if version == "2.0.8" else {"name": "sequential_1", "layers": layers}
    path = k2.write(tmp_path / "m.h5", {"class_name": "Sequential", "config": inner}, weights, version, names_in=2)
    check(path, X, want)


def test_a_stack_that_says_only_what_it_was_built_for(tmp_path: Path) -> None:
    layers, weights, want = two_dense()
    del layers[0]["config"]["batch_input_shape"]
    config = {"name": "s", "layers": layers, "build_input_shape": [None, 3]}
    check(k2.write(tmp_path / "m.hdf5", {"class_name": "Sequential", "config": config}, weights), X, want)


@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
def test_convolutions_and_normalization(backend: str, tmp_path: Path) -> None:
    kernel, bias, w = k2.array(3, 3, 2, 3), k2.array(3), k2.array(12, 2)
    gamma, beta, mean, variance = k2.array(3), k2.array(3), k2.array(3), k2.array(3) ** 2 + 1
    normal = {
        "class_name": "BatchNormalizationV1",
        "config": {
            "name": "bn",
            "trainable": True,
            "axis": [3],
            "momentum": 0.99,
            "epsilon": 0.001,
            "center": True,
            "scale": True,
            "beta_initializer": k2.ZEROS,
            "gamma_initializer": {"class_name": "Ones", "config": {}},
            "moving_mean_initializer": k2.ZEROS,
            "moving_variance_initializer": {"class_name": "Ones", "config": {}},
            "beta_regularizer": None,
            "gamma_regularizer": None,
            "beta_constraint": None,
            "gamma_constraint": None,
        },
    }
    pool = {"pool_size": [2, 2], "padding": "valid", "strides": [2, 2], "data_format": "channels_last"}
    layers = [
        k2.conv2d("conv", 3, batch_input_shape=[None, 6, 7, 2]),
        normal,
        {"class_name": "MaxPooling2D", "config": {"name": "pool", "trainable": True, **pool}},
        {"class_name": "Flatten", "config": {"name": "flatten", "trainable": True, "data_format": "channels_last"}},
        k2.dense("dense", 2, use_bias=False),
    ]
    weights = {
        "conv": k2.named("conv", kernel=kernel[::-1, ::-1] if backend == "theano" else kernel, bias=bias),
        "bn": k2.named("bn", gamma=gamma, beta=beta, moving_mean=mean, moving_variance=variance),
        "pool": [], "flatten": [], "dense": k2.named("dense", kernel=w),
    }  # fmt: skip
    y = np.maximum(k2.correlate(IMAGES, kernel, bias), 0)
    y = (y - mean) / np.sqrt(variance + 0.001) * gamma + beta
    y = y[:, :4, :4].reshape(2, 2, 2, 2, 2, 3).max((2, 4)).reshape(2, -1) @ w
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    check(k2.write(tmp_path / "m.h5", config, weights, backend=backend), IMAGES, y)


def test_recurrent_layers(tmp_path: Path) -> None:
    table, w, v, b = k2.array(9, 4), [k2.array(4, 12), k2.array(3, 12), k2.array(12)], k2.array(3, 2), k2.array(2)
    embedding = {
        "name": "embed",
        "trainable": True,
        "batch_input_shape": [None, 5],
        "dtype": "float32",
        "input_dim": 9,
        "output_dim": 4,
        "embeddings_initializer": {
            "class_name": "RandomUniform",
            "config": {"minval": -0.05, "maxval": 0.05, "seed": None},
        },
        "embeddings_regularizer": None,
        "activity_regularizer": None,
        "embeddings_constraint": None,
        "mask_zero": False,
        "input_length": 5,
    }
    inner = k2.dense("dense", 2)
    layers = [
        {"class_name": "Embedding", "config": embedding},
        k2.recurrent("LSTM", "lstm", 3, return_sequences=True),
        {"class_name": "TimeDistributed", "config": {"name": "each", "trainable": True, "layer": inner}},
    ]
    weights = {
        "embed": k2.named("embed", embeddings=table),
        "lstm": k2.named("lstm", kernel=w[0], recurrent_kernel=w[1], bias=w[2]),
        "each": k2.named("each", kernel=v, bias=b),
    }
    words = np.random.default_rng(0).integers(0, 9, (4, 5))
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    want = k2.lstm(table[words], w)[0] @ v + b
    model = check(k2.write(tmp_path / "m.h5", config, weights), words, want)
    model.save(tmp_path / "again.keras")  # the old hard_sigmoid goes into new files
    check(tmp_path / "again.keras", words, want)


def test_both_directions(tmp_path: Path) -> None:
    f, b = ([k2.array(4, 9), k2.array(3, 9), k2.array(9)] for _ in range(2))
    inner = k2.recurrent("GRU", "gru", 3, return_sequences=True)
    del inner["config"]["reset_after"]  # before 2.1.3
    config = {
        "name": "both",
        "trainable": True,
        "batch_input_shape": [None, 5, 4],
        "layer": inner,
        "merge_mode": "concat",
    }
    weights = {
        "both": [
            (f"both/{way}_gru/{name}:0", value)
            for way, arrays in (("forward", f), ("backward", b))
            for name, value in zip(("kernel", "recurrent_kernel", "bias"), arrays, strict=True)
        ]
    }
    want = np.concatenate([k2.gru(SERIES, f), k2.gru(SERIES[:, ::-1], b)[:, ::-1]], -1)
    whole = {"class_name": "Sequential", "config": [{"class_name": "Bidirectional", "config": config}]}
    check(k2.write(tmp_path / "m.h5", whole, weights, "2.1.1"), SERIES, want)


@pytest.mark.parametrize("kind", ["CuDNNLSTM", "CuDNNGRU"])
def test_cudnn_layers(kind: str, tmp_path: Path) -> None:
    gates = 4 if kind == "CuDNNLSTM" else 3
    kernels, recurrents = [k2.array(4, 3) for _ in range(gates)], [k2.array(3, 3) for _ in range(gates)]
    # cuDNN's weights are (out, in) matrices, which Keras showed as (in, out) without moving them.
    stored = [np.concatenate([k.T.reshape(4, 3) for k in kernels], 1), np.concatenate([r.T for r in recurrents], 1)]
    bias = k2.array(2 * gates * 3)
    w = [np.concatenate(kernels, 1), np.concatenate(recurrents, 1), bias.reshape(2, -1).sum(0)]
    config = {
        "name": "rnn",
        "trainable": True,
        "batch_input_shape": [None, 5, 4],
        "units": 3,
        "return_sequences": False,
    }
    whole = {"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": kind, "config": config}]}}
    weights = {"rnn": k2.named("rnn", kernel=stored[0], recurrent_kernel=stored[1], bias=bias)}
    path = k2.write(tmp_path / "m.h5", whole, weights)
    if kind == "CuDNNLSTM":
        check(path, SERIES, k2.lstm(SERIES, w, k2.sigmoid)[1])
        return
    h = np.zeros((3, 3))
    for step in range(5):  # the reset gate is applied after the product
        a, u = SERIES[:, step] @ w[0] + bias[:9], h @ w[1] + bias[9:]
        z, r = k2.sigmoid(a[:, :3] + u[:, :3]), k2.sigmoid(a[:, 3:6] + u[:, 3:6])
        h = z * h + (1 - z) * np.tanh(a[:, 6:] + r * u[:, 6:])
    check(path, SERIES, h)


@pytest.mark.parametrize("first", [0, 1])
def test_functional_models_with_models_inside(first: int, tmp_path: Path) -> None:
    """A layer called twice, a Sequential and a Model inside; calls of these were counted from 1 in Keras 2.3."""
    shared, bias, w, gamma, mean, v = (
        k2.array(3, 4),
        k2.array(4),
        k2.array(4, 4),
        k2.array(4),
        k2.array(4),
        k2.array(8, 1),
    )
    stack = {
        "class_name": "Sequential",
        "config": {
            "name": "stack",
            "layers": [k2.dense("inner", 4, "tanh", use_bias=False, batch_input_shape=[None, 4])],
        },
    }
    normal = {
        "class_name": "BatchNormalization",
        "config": {
            "name": "bn",
            "trainable": True,
            "axis": -1,
            "momentum": 0.99,
            "epsilon": 0.001,
            "center": False,
            "scale": True,
        },
    }
    net = k2.functional(
        "net",
        [k2.called(k2.input_layer("a", 4)), k2.called(normal, [["a", 0, 0]])],
        [["a", 0, 0]], [["bn", 0, 0]],
    )  # fmt: skip
    layers = [
        k2.called(k2.input_layer("left", 3)),
        k2.called(k2.input_layer("right", 3)),
        k2.called(k2.dense("shared", 4), [["left", 0, 0]], [["right", 0, 0]]),
        k2.called(stack, [["shared", 0, 0]]),
        k2.called(net, [["shared", 1, 0]]),
        k2.called(
            {"class_name": "Concatenate", "config": {"name": "join", "trainable": True, "axis": -1}},
            [["stack", first, 0], ["net", first, 0]],
        ),
        k2.called(k2.dense("score", 1, use_bias=False), [["join", 0, 0]]),
    ]
    config = k2.functional("whole", layers, [["left", 0, 0], ["right", 0, 0]], [["score", 0, 0]])
    weights = {
        "left": [], "right": [], "shared": k2.named("shared", kernel=shared, bias=bias),
        "stack": k2.named("inner", kernel=w), "join": [], "score": k2.named("score", kernel=v),
        "net": k2.named("bn", gamma=gamma, moving_mean=mean, moving_variance=np.ones(4, "float32")),
    }  # fmt: skip
    left, right = X @ shared + bias, -X @ shared + bias
    want = np.concatenate([np.tanh(left @ w), (right - mean) / np.sqrt(1.001) * gamma], 1) @ v
    check(k2.write(tmp_path / "m.h5", config, weights, "2.2.4"), [X, -X], want)


@pytest.mark.parametrize("style", ["Keras 2", "tf.keras"])
def test_states_from_another_layer(style: str, tmp_path: Path) -> None:
    reader, writer = ([k2.array(4, 12), k2.array(3, 12), k2.array(12)] for _ in range(2))
    states = [["reader", 0, 1], ["reader", 0, 2]]
    call = [["x", 0, 0], *states] if style == "Keras 2" else [["x", 0, 0, {"initial_state": states}]]
    layers = [
        k2.called(k2.input_layer("x", 5, 4)),
        k2.called(k2.recurrent("LSTM", "reader", 3, return_state=True), [["x", 0, 0]]),
        k2.called(k2.recurrent("LSTM", "writer", 3), call),
    ]
    config = k2.functional("m", layers, [["x", 0, 0]], [["writer", 0, 0], ["reader", 0, 0]], "Functional")
    names = ("kernel", "recurrent_kernel", "bias")
    weights = {
        "x": [],
        "reader": k2.named("reader", **dict(zip(names, reader))),
        "writer": k2.named("writer", **dict(zip(names, writer))),
    }
    _, h, c = k2.lstm(SERIES, reader)
    want = [k2.lstm(SERIES, writer, start=(h, c))[1], h]
    check(k2.write(tmp_path / "m.h5", config, weights, "2.4.0"), SERIES, want)


def test_keras_1(tmp_path: Path) -> None:
    """Other names of arguments, a gate's weights apart, and no version in the file."""
    kernel, bias, dense = k2.array(3, 3, 2, 4), k2.array(4), k2.array(4, 3)
    gates = [[k2.array(4, 3), k2.array(3, 3), k2.array(3)] for _ in range(4)]  # input, forget, cell, output
    common: dict[str, Any] = {
        "trainable": True,
        "init": "glorot_uniform",
        "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.01},
        "b_regularizer": None,
        "activity_regularizer": None,
        "W_constraint": None,
        "b_constraint": None,
        "bias": True,
    }
    conv = {
        "name": "convolution2d_1",
        "nb_filter": 4,
        "nb_row": 3,
        "nb_col": 3,
        "subsample": [1, 1],
        "border_mode": "valid",
        "dim_ordering": "tf",
        "activation": "linear",
        **common,
    }
    pool = {"name": "pool", "trainable": True, "dim_ordering": "tf"}
    rnn = {
        "name": "lstm_1",
        "trainable": True,
        "input_dtype": "float32",
        "output_dim": 3,
        "init": "glorot_uniform",
        "inner_init": "orthogonal",
        "forget_bias_init": "one",
        "activation": "tanh",
        "inner_activation": "hard_sigmoid",
        "W_regularizer": None,
        "U_regularizer": None,
        "b_regularizer": None,
        "dropout_W": 0.0,
        "dropout_U": 0.0,
        "consume_less": "cpu",
        "return_sequences": False,
        "go_backwards": False,
        "stateful": False,
        "unroll": False,
        "input_dim": 4,
        "input_length": None,
    }
    last = {"name": "dense_1", "output_dim": 3, "input_dim": 4, "activation": "linear", **common, "bias": False}
    merge = {
        "name": "merge_1",
        "mode": "sum",
        "concat_axis": -1,
        "dot_axes": -1,
        "output_shape": None,
        "output_mask": None,
        "arguments": {},
        "mode_type": "raw",
        "output_shape_type": "raw",
        "output_mask_type": "raw",
    }
    old_input = {"batch_input_shape": [None, 6, 7, 2], "input_dtype": "float32", "sparse": False}
    layers = [
        k2.called({"class_name": "InputLayer", "config": {**old_input, "name": "image"}}),
        k2.called(
            {"class_name": "InputLayer", "config": {**old_input, "batch_input_shape": [None, 5, 4], "name": "series"}}
        ),
        k2.called({"class_name": "Convolution2D", "config": conv}, [["image", 0, 0]]),
        k2.called({"class_name": "GlobalAveragePooling2D", "config": pool}, [["convolution2d_1", 0, 0]]),
        k2.called({"class_name": "Dense", "config": last}, [["pool", 0, 0]]),
        k2.called({"class_name": "LSTM", "config": rnn}, [["series", 0, 0]]),
        k2.called({"class_name": "Merge", "config": merge}, [["dense_1", 0, 0], ["lstm_1", 0, 0]]),
        k2.called(
            {"class_name": "Dropout", "config": {"name": "dropout_1", "trainable": True, "p": 0.5}}, [["merge_1", 0, 0]]
        ),
    ]
    config = k2.functional("model_1", layers, [["image", 0, 0], ["series", 0, 0]], [["dropout_1", 0, 0]])
    apart = [
        (f"lstm_1_{part}_{gate}", value)
        for gate, n in (("i", 0), ("c", 2), ("f", 1), ("o", 3))
        for part, value in zip("WUb", gates[n])
    ]
    weights = {
        "convolution2d_1": [("convolution2d_1_W", kernel), ("convolution2d_1_b", bias)],
        "dense_1": [("dense_1_W", dense)],
        "lstm_1": apart,
    }
    image, series = IMAGES[:2], SERIES[:2]
    joined = [np.concatenate([g[part] for g in gates], -1) for part in range(3)]
    want = k2.correlate(image, kernel, bias).mean((1, 2)) @ dense + k2.lstm(series, joined)[1]
    check(k2.write(tmp_path / "m.h5", config, weights, version=None), [image, series], want)


@pytest.mark.skipif(not active.trains, reason="needs training")
def test_the_optimizer_goes_on(tmp_path: Path) -> None:
    layers, weights, _ = two_dense()
    arrays = [value for one in weights.values() for _, value in one]
    m, v = [k2.array(*a.shape) for a in arrays], [k2.array(*a.shape) ** 2 for a in arrays]
    state = [np.array(7, "int64"), *m, *v, *(np.zeros(1, "float32") for _ in arrays)]  # the last: amsgrad is off
    old = {"lr": 0.01, "beta_1": 0.9, "beta_2": 0.999, "decay": 0.1, "epsilon": 1e-07, "amsgrad": False}
    training = {
        "optimizer_config": {"class_name": "Adam", "config": old}, "loss": "mean_squared_error", "metrics": ["mae"],
        "weighted_metrics": None, "sample_weight_mode": None, "loss_weights": None,
    }  # fmt: skip
    del layers[1], weights["dropout_1"]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    path = k2.write(tmp_path / "m.h5", config, weights, training=training, optimizer=state)
    model = unidl.saving.load_model(path)
    y = np.ones((4, 2), "float32")
    hidden = np.maximum(X @ arrays[0] + arrays[1], 0)
    error = (hidden @ arrays[2] + arrays[3] - y) / y.size * 2
    back = error @ arrays[2].T * (hidden > 0)
    gradients = [X.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]
    rate = 0.01 / (1 + 0.1 * 7) * np.sqrt(1 - 0.999**8) / (1 - 0.9**8)
    model.fit(X, y, epochs=1, batch_size=4, verbose=0)
    assert int(active.to_numpy(model.optimizer.iterations)) == 8
    for found, w, g, m1, v1 in zip(model.get_weights(), arrays, gradients, m, v, strict=True):
        want = w - rate * (0.9 * m1 + 0.1 * g) / (np.sqrt(0.999 * v1 + 0.001 * g * g) + 1e-7)
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
    assert not unidl.saving.load_model(path, compile=False).compiled


def test_weights_alone_by_place_and_by_name(tmp_path: Path) -> None:
    layers, weights, want = two_dense()
    path = k2.write(tmp_path / "m.h5", {"class_name": "Sequential", "config": layers}, weights)
    names = ("one", "two"), ("dense_2", "other")
    placed, by_name = (
        unidl.Sequential([unidl.Input((3,)), unidl.layers.Dense(4, "relu", name=a), unidl.layers.Dense(2, name=b)])
        for a, b in names
    )
    placed.load_weights(path)
    np.testing.assert_allclose(placed.predict(X, verbose=0), want, rtol=1e-4, atol=1e-5)
    before = by_name.get_weights()
    with pytest.raises(ValueError, match=r"'.*dense_2' has weights of shapes \[\(3, 4\), \(4,\)\].*\(4, 2\)"):
        by_name.load_weights(path, by_name=True)
    with pytest.warns(UserWarning, match="Left as it was"):
        by_name.load_weights(path, by_name=True, skip_mismatch=True)
    for mine, old in zip(by_name.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)
    with pytest.raises(ValueError, match="by_name"):
        by_name.load_weights(tmp_path / "m.weights.h5", by_name=True)


def test_lambdas_of_old_files_are_code(tmp_path: Path) -> None:
    """CVE-2025-9905: safe_mode holds for HDF5 files, too."""
    from unidl.saving import _code

    code = _code.dump(lambda x: x * 3)
    config = {
        "name": "triple",
        "trainable": True,
        "function": code,
        "function_type": "lambda",
        "output_shape": None,
        "output_shape_type": "raw",
        "arguments": {},
        "batch_input_shape": [None, 3],
    }
    whole = {"class_name": "Sequential", "config": [{"class_name": "Lambda", "config": config}]}
    path = k2.write(tmp_path / "m.h5", whole, {"triple": []}, "2.2.2")
    with pytest.raises(ValueError, match="safe_mode=False"):
        unidl.saving.load_model(path)
    check(path, X, 3 * X, safe_mode=False)
