"""Layers refuse wrong inputs, sizes and arguments in words: the layer, what came, the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from layer_cases import BY_NAME, data, make

from unidl import layers, ops, tree


def ones(*shape: int) -> Any:
    return ops.ones(shape)


def symbolic_call(layer: Any, *shape: int | None) -> Any:
    return layer(layers.Input(batch_shape=shape))


@pytest.mark.parametrize(
    ("make_layer", "shape", "words"),
    [
        (lambda: layers.Dense(3), (None, None), ["features", "unknown", "fixed size"]),
        (lambda: layers.Conv2D(3, 3), (None, 8, 8), ["4 dimensions", "(None, 8, 8)"]),
        (lambda: layers.Conv2D(3, 3), (None, 2, 2, 3), ["window", "padding='same'"]),
        (lambda: layers.Conv2D(4, 3, groups=2), (None, 8, 8, 3), ["groups", "3 channels"]),
        (lambda: layers.MaxPooling2D(), (None, 8), ["4 dimensions"]),
        (lambda: layers.LSTM(3), (None, 8), ["3 dimensions", "(batch, time, features)"]),
        (lambda: layers.Reshape((5,)), (None, 4), ["4 elements"]),
        (lambda: layers.Permute((2, 1)), (None, 4), ["3 dimensions"]),
        (lambda: layers.GroupNormalization(3), (None, 4), ["groups", "4 channels"]),
        (lambda: layers.Cropping1D(3), (None, 5, 2), ["leaves nothing"]),
        (lambda: layers.Add(), (None, 5), ["list"]),
        (lambda: layers.GroupNormalization(8), (None, 4), ["more than the number of channels", "8 groups"]),
        (lambda: layers.Dropout(0.5, noise_shape=(None, 1)), (None, 4, 3), ["noise_shape", "2 dimensions"]),
    ],
)  # fmt: skip
def test_a_wrong_input_is_refused_with_layer_shape_and_remedy(make_layer: Any, shape: Any, words: list[str]) -> None:
    layer = make_layer()
    with pytest.raises(ValueError) as caught:
        symbolic_call(layer, *shape)
    for word in [layer.name, *words]:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("recorded", [False, True], ids=["eager", "recorded"])
@pytest.mark.parametrize(
    ("case", "shape", "words"),
    [
        ("dense", (2, 6), ["5 elements along axis -1", "(2, 6)"]),
        ("dense", (6,), ["at least 2 dimensions"]),
        ("conv2d_valid_1", (2, 7, 6, 4), ["3 elements along axis -1"]),
        ("conv2d_valid_1", (2, 7, 3), ["expected ndim=4"]),
        ("lstm", (2, 5, 3), ["4 elements along axis 2"]),
        ("batch_normalization", (2, 7, 6, 5), ["4 elements along axis -1"]),
        ("layer_normalization", (2, 5, 3), ["4 elements along axis -1"]),
        ("prelu", (2, 4), ["5 elements along axis 1"]),
    ],
)
def test_a_built_layer_refuses_another_size_or_rank(case: str, shape: Any, words: list[str], recorded: bool) -> None:
    kind = BY_NAME[case]
    layer, (inputs, tensors) = make(kind, layers), data(kind)
    layer(tree.map_structure(ops.convert_to_tensor, inputs), **tensors, **kind.flags)
    with pytest.raises(ValueError) as caught:
        symbolic_call(layer, *shape) if recorded else layer(ops.zeros(shape))
    for word in [layer.name, *words]:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: layers.Dense(0), "units"),
        (lambda: layers.Dense(3, activation="nonsense"), "nonsense"),
        (lambda: layers.Dense(3, kernel_initializer="nonsense"), "nonsense"),
        (lambda: layers.Dense(3, colour="red"), "colour"),
        (lambda: layers.Dense(3, lora_rank=0), "rank of LoRA"),
        (lambda: layers.Conv2D(3, 3, padding="causal"), "padding"),
        (lambda: layers.Conv2D(3, 3, strides=2, dilation_rate=2), "both exceed 1"),
        (lambda: layers.SeparableConv2D(3, 3, depth_multiplier=0), "depth_multiplier"),
        (lambda: layers.DepthwiseConv1D(3, depth_multiplier=0), "depth_multiplier"),
        (lambda: layers.Conv2D(3, 3, data_format="nchw"), "channels_first"),
        (lambda: layers.Conv2D(3, (3, 3, 3)), "kernel_size"),
        (lambda: layers.Conv2DTranspose(3, 3, strides=2, output_padding=2), "output_padding"),
        (lambda: layers.Dropout(1.5), "rate"),
        (lambda: layers.Permute((1, 3)), "dims"),
        (lambda: layers.GroupNormalization(0), "argument `groups`"),
        (lambda: layers.Reshape((-1, -1)), "at most one unknown"),
        (lambda: layers.Reshape((-2, 3)), "non-negative"),
        (lambda: layers.RepeatVector(0), "`n`"),
        (lambda: layers.UpSampling1D(-1), "`size`"),
        (lambda: layers.Cropping1D((1,)), "`cropping`"),
        (lambda: layers.Add().compute_mask(ones(2, 3), [None]), "`inputs` should be a list"),
        (lambda: layers.Add().compute_mask([ones(2, 3)], [None, None]), "same length"),
        (lambda: layers.Subtract()([ones(2, 3)]), "exactly 2 inputs"),
        (lambda: layers.Concatenate()([ones(2, 3), ones(3, 3)]), "matching shapes"),
        (lambda: layers.Softmax()(ones(2, 3), mask=ones(2, 2)), "broadcastable"),
        (lambda: layers.SpectralNormalization(layers.Dense(2), 0), "power_iterations"),
        (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"r": 1}), "Received invalid keys"),
        (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"rmin": 1, "rmax": 0}), "rmax should be"),
        (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"dmax": -1}), "dmax should be non-negative"),
        (lambda: layers.Dropout(0.5, noise_shape=(2, 0)), "noise_shape"),
        (lambda: layers.ReLU(threshold=None), "threshold"),
        (lambda: layers.Dot(axes=0), "axis 0"),
        (lambda: layers.Bidirectional(layers.Dense(3)), "LSTM"),
        (lambda: layers.MultiHeadAttention(0, 3), "num_heads"),
        (lambda: layers.LSTM(-1), "units"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
