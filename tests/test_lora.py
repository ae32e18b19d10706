"""LoRA: what is trained, what stays, what the layers compute, and what files hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unidl
from unidl import layers, ops
from unidl.backend import active

trains = pytest.mark.skipif(not active.trains, reason="this backend has no gradients")

LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda **k: layers.Dense(4, **k), (5,)),
    (lambda **k: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", **k), (4, 5)),
    (lambda **k: layers.EinsumDense("abcd,cde->abe", (None, 3), **k), (4, 2, 5)),
    (lambda **k: layers.EinsumDense("abc,bcd->abd", (4, 3), **k), (4, 5)),
    (lambda **k: layers.EinsumDense("ab,b->a", (), **k), (5,)),
    (lambda **k: layers.Embedding(6, 4, **k), (3,)),
    (lambda **k: layers.Conv1D(4, 3, padding="causal", **k), (6, 2)),
    (lambda **k: layers.Conv2D(4, 3, groups=2, **k), (5, 5, 2)),
    (lambda **k: layers.Conv3D(4, 2, **k), (3, 3, 3, 2)),
]
IDS = ["dense", "heads", "back", "general", "vector", "embedding", "conv1d", "conv2d", "conv3d"]


def inputs(shape: tuple[int, ...], integers: bool) -> np.ndarray:
    rng = np.random.default_rng(3)
    if integers:
        return rng.integers(0, 6, (2, *shape)).astype("int32")
    return rng.standard_normal((2, *shape)).astype("float32")


def main_weight(layer: Any) -> Any:
    return layer.embeddings if isinstance(layer, layers.Embedding) else layer.kernel


@pytest.mark.parametrize(("make", "shape"), LAYERS, ids=IDS)
def test_the_product_is_added_to_the_weight_and_to_the_outputs(make: Any, shape: tuple[int, ...]) -> None:
    layer = make()
    x = inputs(shape, isinstance(layer, layers.Embedding))
    before = ops.convert_to_numpy(layer(x))
    base = ops.convert_to_numpy(main_weight(layer))
    layer.enable_lora(2, lora_alpha=3.0)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), before, atol=1e-6)  # B starts at 0

    a, b = layer._factors
    b.assign(inputs(tuple(b.shape), False)[0])
    effective = base + 1.5 * np.matmul(ops.convert_to_numpy(a), ops.convert_to_numpy(b))
    np.testing.assert_allclose(ops.convert_to_numpy(main_weight(layer)), effective, atol=1e-5)
    plain = make()
    plain(x)
    plain.set_weights([effective, *[ops.convert_to_numpy(v) for v in layer._stored()[1:]]])
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), ops.convert_to_numpy(plain(x)), atol=1e-4)


@trains
def test_only_the_product_and_the_bias_are_trained() -> None:
    model = unidl.Sequential([unidl.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(2)])
    x = np.random.default_rng(0).standard_normal((16, 5)).astype("float32")
    model.compile("sgd", "mse")
    model.fit(x, x[:, :2], epochs=1, verbose=0)
    for layer in model.layers:
        layer.enable_lora(2)
    model.compile(unidl.optimizers.SGD(0.1), "mse")
    first = model.layers[-1]
    kernel = ops.convert_to_numpy(first._kernel)
    history = model.fit(x, x[:, :2], epochs=5, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    np.testing.assert_array_equal(ops.convert_to_numpy(first._kernel), kernel)
    assert np.abs(ops.convert_to_numpy(first.lora_kernel_b)).max() > 0

    first.trainable = False
    first.trainable = True  # the kernel stays frozen
    assert [v.name for v in first.trainable_variables] == ["bias", "lora_kernel_a", "lora_kernel_b"]


def test_lora_of_an_attention_layer() -> None:
    layer = layers.MultiHeadAttention(2, 3, use_bias=False)
    x = np.random.default_rng(0).standard_normal((2, 4, 5)).astype("float32")
    before = ops.convert_to_numpy(layer(x, x))
    layer.query_dense.enable_lora(2)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x, x)), before, atol=1e-6)
    assert (len(layer.trainable_variables), len(layer.non_trainable_variables)) == (5, 1)


def test_files_hold_merged_weights(tmp_path: Path) -> None:
    def make(**arguments: Any) -> Any:
        return unidl.Sequential([unidl.Input((5,)), layers.Dense(4, name="d", **arguments)])

    model, plain = make(lora_rank=2, lora_alpha=4), make()
    layer = model.layers[-1]
    layer.lora_kernel_b.assign(np.ones((2, 4)))
    x = inputs((5,), False)
    wanted = ops.convert_to_numpy(model(x))
    model.save_weights(tmp_path / "w.safetensors")
    plain.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_allclose(ops.convert_to_numpy(plain(x)), wanted, atol=1e-5)

    plain.save_weights(tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), wanted, atol=1e-5)
    assert not ops.convert_to_numpy(layer.lora_kernel_b).any()

    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    assert list(store) == ["0", "1"]
    fresh = make().layers[-1]
    fresh.load_own_variables(store)
    np.testing.assert_allclose(ops.convert_to_numpy(fresh(x)), wanted, atol=1e-5)
    assert layer.variable_serialization_spec == {None: ["kernel", "bias"]}


def test_lora_is_in_the_configuration() -> None:
    layer = layers.Dense(3)
    layer.build((None, 4))
    layer.enable_lora(2, lora_alpha=5)
    copy = layers.Dense.from_config(layer.get_config())
    copy.build((None, 4))
    assert (copy.lora_rank, copy.lora_alpha, copy.lora_enabled) == (2, 5, True)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'early'.* isn't built"):
        layers.Dense(3, name="early").enable_lora(2)
    constrained = layers.Dense(3, kernel_constraint="non_neg")
    constrained.build((None, 4))
    with pytest.raises(ValueError, match="incompatible with kernel constraints"):
        constrained.enable_lora(2)
    with pytest.raises(ValueError, match="incompatible with embedding constraints"):
        layers.Embedding(3, 4, embeddings_constraint="non_neg", lora_rank=2)
    layer = layers.Dense(3, lora_rank=2, name="twice")
    layer.build((None, 4))
    with pytest.raises(ValueError, match=r"'twice': lora is already enabled, with rank 2"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="positive integer, not 0"):
        layers.Conv1D(3, 2, lora_rank=0)


@pytest.mark.once
def test_quantization_is_refused() -> None:
    layer = layers.Dense(3, name="dense")
    for refused in (lambda: layer.quantize("int8"), lambda: layers.Embedding(3, 2, dtype="int8_from_float32")):
        with pytest.raises(NotImplementedError, match="quantize"):
            refused()
