"""One table of layer calls: for the properties that every layer has, and for comparison with Keras.

Shapes are words: letters are sizes that may be unknown (b batch, t time, …), numbers are fixed sizes.
After a colon comes what the tensor holds: ``int6`` integers below 6, ``pad`` a mask that is True up to
some length, ``holes`` any mask; without it floats.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SIZES = {"b": 2, "t": 5, "s": 4, "h": 7, "w": 6, "d": 4}
OTHER_SIZES = {"b": 3, "t": 4, "s": 6, "h": 9, "w": 8, "d": 5}


@dataclass(frozen=True)
class Case:
    """A layer class, its arguments, and the tensors of a call.

    Attributes:
        name: the test's id.
        layer: class name; arguments that are a [class name, arguments] pair are layers.
        inputs: a shape, or a list of them for a layer that takes a list.
        tensors: further tensor arguments of the call.
        flags: further plain arguments of the call.
        random: whether the outputs in training are random.
        keras: whether Keras gives the same outputs (with the reason where it does not).
        masks: masks for `compute_mask`, compared with Keras; None: no comparison.
        tolerance: absolute, for values of about 1.
    """

    name: str
    layer: str
    arguments: dict[str, Any]
    inputs: Any
    tensors: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    random: bool = False
    keras: bool = True
    masks: Any = None
    tolerance: float = 2e-5


def dims(shape: str, sizes: dict[str, int] | None) -> tuple[int | None, ...]:
    """The words of a shape as sizes; letters become None without `sizes`."""
    words = shape.partition(":")[0].split()
    return tuple(int(v) if v.isdigit() else None if sizes is None else sizes[v] for v in words)


def dtype(shape: str) -> str:
    kind = shape.partition(":")[2]
    return "int32" if kind.startswith("int") else "bool" if kind else "float32"


def array(shape: str, sizes: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    size, kind = dims(shape, sizes), shape.partition(":")[2]
    if kind.startswith("int"):
        return rng.integers(0, int(kind[3:]), size).astype("int32")
    if kind == "pad":
        lengths = rng.integers(1, size[-1] + 1, (*size[:-1], 1))
        return np.arange(size[-1]) < lengths
    if kind == "holes":
        mask = rng.random(size) < 0.6
        mask[..., 0] = True
        return mask
    return rng.standard_normal(size).astype("float32")


def structure(value: Any, function: Any) -> Any:
    """`function` of each shape in a shape, list of shapes, or dict of them."""
    if isinstance(value, dict):
        return {k: structure(v, function) for k, v in value.items()}
    return [structure(v, function) for v in value] if isinstance(value, list) else function(value)


def data(case: Case, sizes: dict[str, int] | None = None) -> tuple[Any, dict[str, Any]]:
    """Arrays for the inputs and the further tensors, the same in every process."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    made = structure({"inputs": case.inputs, **case.tensors}, lambda s: array(s, sizes or SIZES, rng))
    return made.pop("inputs"), made


def make(case: Case, layers: Any) -> Any:
    """The layer, from a module of layer classes."""

    def argument(value: Any) -> Any:
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict):
            return getattr(layers, value[0])(**value[1])
        return value

    return getattr(layers, case.layer)(**{k: argument(v) for k, v in case.arguments.items()})


def weight_value(name: str, shape: tuple[int, ...], seed: str) -> np.ndarray:
    """A value for a weight: positive for variances."""
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    value = 0.5 * rng.standard_normal(shape)
    return (np.abs(value) + 0.3 if "variance" in name else value).astype("float32")


def _conv_cases() -> list[Case]:
    cases = [
        Case("conv1d", "Conv1D", {"filters": 4, "kernel_size": 3, "activation": "relu"}, "b t 3"),
        Case(
            "conv1d_causal",
            "Conv1D",
            {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
            "b t 3",
        ),
        Case("conv1d_strided", "Conv1D", {"filters": 4, "kernel_size": 2, "strides": 2, "use_bias": False}, "b t 3"),
        Case("conv2d_groups", "Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2, "padding": "same"}, "b h w 4"),
        Case("conv2d_dilated", "Conv2D", {"filters": 4, "kernel_size": [3, 2], "dilation_rate": [2, 1]}, "b h w 3"),
        Case(
            "conv3d", "Conv3D", {"filters": 2, "kernel_size": 2, "strides": [1, 2, 1], "padding": "same"}, "b d h w 2"
        ),
        Case("depthwise_conv1d", "DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, "b t 3"),
        Case("separable_conv1d", "SeparableConv1D", {"filters": 4, "kernel_size": 3, "padding": "same"}, "b t 3"),
        Case("separable_conv2d", "SeparableConv2D", {"filters": 4, "kernel_size": 3, "depth_multiplier": 2}, "b h w 3"),
        Case("conv1d_transpose", "Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}, "b t 3"),
        Case(
            "conv3d_transpose",
            "Conv3DTranspose",
            {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"},
            "b d d d 2",
        ),
        Case(
            "conv2d_transpose_output_padding",
            "Conv2DTranspose",
            {"filters": 3, "kernel_size": 3, "strides": 3, "padding": "same", "output_padding": 1},
            "b h w 2",
        ),
    ]
    for padding in ("valid", "same"):
        for strides in (1, 2):
            window = {"kernel_size": 3, "strides": strides, "padding": padding}
            tag = f"{padding}_{strides}"
            cases += [
                Case(f"conv2d_{tag}", "Conv2D", {"filters": 4, **window}, "b h w 3"),
                Case(f"conv2d_even_{tag}", "Conv2D", {"filters": 4, **window, "kernel_size": [2, 4]}, "b h w 3"),
                Case(f"depthwise_conv2d_{tag}", "DepthwiseConv2D", {"depth_multiplier": 2, **window}, "b h w 3"),
                Case(f"conv2d_transpose_{tag}", "Conv2DTranspose", {"filters": 4, **window}, "b h w 3"),
            ]
    return cases


def _pooling_cases() -> list[Case]:
    cases = [
        Case("max_pooling3d", "MaxPooling3D", {}, "b d h w 2"),
        Case("average_pooling3d", "AveragePooling3D", {"pool_size": 2}, "b d h w 2"),
        Case("global_average_pooling1d_mask", "GlobalAveragePooling1D", {}, "b t 3", {"mask": "b t:holes"}),
        Case("global_average_pooling1d_keepdims", "GlobalAveragePooling1D", {"keepdims": True}, "b t 3"),
        Case("global_max_pooling2d_keepdims", "GlobalMaxPooling2D", {"keepdims": True}, "b h w 3"),
    ]
    for padding in ("valid", "same"):
        for kind in ("Max", "Average"):
            tag = f"{kind.lower()}_{padding}"
            cases += [
                Case(f"{tag}_1d", f"{kind}Pooling1D", {"pool_size": 2, "padding": padding}, "b t 3"),
                Case(
                    f"{tag}_2d", f"{kind}Pooling2D", {"pool_size": [3, 2], "strides": 2, "padding": padding}, "b h w 3"
                ),
            ]
    for kind in ("Max", "Average"):
        for n, shape in ((1, "b t 3"), (2, "b h w 3"), (3, "b d h w 3")):
            cases.append(Case(f"global_{kind.lower()}_{n}d", f"Global{kind}Pooling{n}D", {}, shape))
    return cases


def _recurrent_cases() -> list[Case]:
    cases = [
        Case("gru_reset_before", "GRU", {"units": 3, "reset_after": False, "return_sequences": True}, "b t 4"),
        Case(
            "gru_reset_before_relu",
            "GRU",
            {"units": 3, "reset_after": False, "activation": "relu"},
            "b 5 4",
            {"mask": "b 5:holes"},
        ),
        Case("lstm_no_forget_bias", "LSTM", {"units": 3, "unit_forget_bias": False}, "b t 4"),
        Case("lstm_recurrent_dropout", "LSTM", {"units": 3, "recurrent_dropout": 0.4}, "b t 4", random=True),
        Case("gru_both_dropouts", "GRU", {"units": 3, "dropout": 0.4, "recurrent_dropout": 0.4}, "b t 4", random=True),
        Case(
            "bidirectional_lstm",
            "Bidirectional",
            {"layer": ["LSTM", {"units": 3, "return_sequences": True}]},
            "b t 4",
            masks="b t:pad",
        ),
        Case(
            "bidirectional_gru_sum",
            "Bidirectional",
            {"layer": ["GRU", {"units": 3}], "merge_mode": "sum"},
            "b t 4",
            {"mask": "b t:pad"},
        ),
        Case(
            "bidirectional_list", "Bidirectional", {"layer": ["SimpleRNN", {"units": 3}], "merge_mode": None}, "b t 4"
        ),
        Case(
            "bidirectional_states",
            "Bidirectional",
            {"layer": ["LSTM", {"units": 3, "return_state": True}], "merge_mode": "ave"},
            "b t 4",
            {"initial_state": ["b 3"] * 4},
        ),
        Case("time_distributed", "TimeDistributed", {"layer": ["Dense", {"units": 3}]}, "b t 4"),
        Case(
            "time_distributed_conv",
            "TimeDistributed",
            {"layer": ["Conv2D", {"filters": 2, "kernel_size": 3}]},
            "b t 5 6 2",
        ),
    ]
    for kind, states in (("LSTM", 2), ("GRU", 1), ("SimpleRNN", 1)):
        name = kind.lower()
        whole = {"units": 3, "return_sequences": True, "return_state": True}
        first = {"initial_state": ["b 3"] * states}
        gates = {} if kind == "SimpleRNN" else {"recurrent_activation": "hard_sigmoid"}
        cases += [
            Case(name, kind, {"units": 3}, "b t 4"),
            Case(f"{name}_sequences", kind, {"units": 3, "return_sequences": True}, "b t 4", masks="b t:pad"),
            Case(f"{name}_states", kind, whole, "b t 4", first),
            Case(f"{name}_no_bias", kind, {"units": 3, "use_bias": False}, "b t 4"),
            Case(f"{name}_backwards", kind, {**whole, "go_backwards": True}, "b t 4", {"mask": "b t:pad"}),
            Case(f"{name}_padded", kind, whole, "b t 4", {"mask": "b t:pad"}),
            Case(f"{name}_holes", kind, whole, "b t 4", {"mask": "b t:holes", **first}),
            Case(f"{name}_other", kind, {**whole, "activation": "softsign", **gates}, "b t 4", {"mask": "b t:holes"}),
            Case(f"{name}_dropout", kind, {"units": 3, "dropout": 0.4}, "b t 4", random=True),
        ]
    return cases


def _attention_cases() -> list[Case]:
    small = {"num_heads": 2, "key_dim": 3}
    everything = {"value": "b s 5", "query_mask": "b t:pad", "value_mask": "b s:holes", "attention_mask": "b t s:holes"}
    return [
        Case("attention", "MultiHeadAttention", small, "b t 4", {"value": "b s 5"}),
        Case(
            "attention_key",
            "MultiHeadAttention",
            {**small, "value_dim": 4},
            "b t 4",
            {"value": "b s 5", "key": "b s 3"},
        ),
        Case(
            "attention_output",
            "MultiHeadAttention",
            {**small, "output_shape": 7, "use_bias": False},
            "b t 4",
            {"value": "b s 5"},
        ),
        Case("attention_causal", "MultiHeadAttention", small, "b t 4", {"value": "b t 4"}, {"use_causal_mask": True}),
        Case("attention_value_mask", "MultiHeadAttention", small, "b t 4", {"value": "b s 4", "value_mask": "b s:pad"}),
        Case(
            "attention_key_mask",
            "MultiHeadAttention",
            small,
            "b t 4",
            {"value": "b s 4", "key": "b s 4", "key_mask": "b s:pad"},
        ),
        # Where nothing may be seen the two differ, on purpose: unidl gives the mean, or what the mask allows.
        Case("attention_masks", "MultiHeadAttention", small, "b t 4", everything, keras=False),
        Case(
            "attention_causal_masked",
            "MultiHeadAttention",
            small,
            "b t 4",
            {"value": "b t 4", "value_mask": "b t:pad"},
            {"use_causal_mask": True, "return_attention_scores": True},
        ),
        Case(
            "attention_scores",
            "MultiHeadAttention",
            small,
            "b t 4",
            {"value": "b s 5"},
            {"return_attention_scores": True},
        ),
        Case(
            "attention_dropout",
            "MultiHeadAttention",
            {**small, "dropout": 0.4},
            "b t 4",
            {"value": "b s 4"},
            random=True,
        ),
    ]


def _other_cases() -> list[Case]:
    pair = ["b t 4", "b t 4"]
    return [
        Case("dense", "Dense", {"units": 3, "activation": "relu"}, "b 5"),
        Case("dense_no_bias", "Dense", {"units": 3, "use_bias": False}, "b 5"),
        Case("dense_sequence", "Dense", {"units": 3, "activation": "softmax"}, "b t 5"),
        Case("dense_image", "Dense", {"units": 3}, "b h w 5"),
        Case("embedding", "Embedding", {"input_dim": 6, "output_dim": 3}, "b t:int6"),
        Case("embedding_mask", "Embedding", {"input_dim": 6, "output_dim": 3, "mask_zero": True}, "b t:int6", masks=[]),
        Case("activation", "Activation", {"activation": "gelu"}, "b t 4"),
        Case("relu", "ReLU", {}, "b t 4"),
        Case("relu_everything", "ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.3}, "b t 4"),
        Case("leaky_relu", "LeakyReLU", {}, "b t 4"),
        Case("prelu", "PReLU", {}, "b 5"),
        Case("prelu_shared", "PReLU", {"shared_axes": [1, 2]}, "b h w 3"),
        Case("elu", "ELU", {"alpha": 0.7}, "b t 4"),
        Case("softmax", "Softmax", {}, "b t 4"),
        Case("softmax_axis", "Softmax", {"axis": 1}, "b t 4"),
        Case("softmax_mask", "Softmax", {}, "b t", {"mask": "b t:pad"}),
        Case("flatten", "Flatten", {}, "b h 4 3"),
        Case("flatten_known", "Flatten", {}, "b 5 4 3"),
        Case("flatten_vector", "Flatten", {}, "b"),
        Case("flatten_channels_first", "Flatten", {"data_format": "channels_first"}, "b 3 4 2"),
        Case("reshape", "Reshape", {"target_shape": [4, 3]}, "b 2 6"),
        Case("reshape_rest", "Reshape", {"target_shape": [-1, 3]}, "b 2 6"),
        Case("reshape_unknown", "Reshape", {"target_shape": [-1, 2]}, "b t 6"),
        Case("permute", "Permute", {"dims": [3, 1, 2]}, "b h w 3"),
        Case("repeat_vector", "RepeatVector", {"n": 3}, "b 4"),
        Case("zero_padding1d", "ZeroPadding1D", {"padding": [1, 2]}, "b t 3"),
        Case("zero_padding2d", "ZeroPadding2D", {"padding": [[1, 0], [2, 3]]}, "b h w 3"),
        Case("zero_padding3d", "ZeroPadding3D", {"padding": 1}, "b d h w 2"),
        Case("cropping1d", "Cropping1D", {"cropping": [1, 0]}, "b t 3"),
        Case("cropping2d", "Cropping2D", {"cropping": [[1, 2], [0, 1]]}, "b h w 3"),
        Case("cropping3d", "Cropping3D", {}, "b d h w 2"),
        Case("up_sampling1d", "UpSampling1D", {"size": 3}, "b t 3"),
        Case("up_sampling2d", "UpSampling2D", {"size": [2, 3]}, "b h w 3"),
        Case("up_sampling2d_bilinear", "UpSampling2D", {"interpolation": "bilinear"}, "b 5 4 3"),
        Case("up_sampling3d", "UpSampling3D", {}, "b d h w 2"),
        Case("dropout", "Dropout", {"rate": 0.4}, "b t 4", random=True),
        Case("dropout_shape", "Dropout", {"rate": 0.4, "noise_shape": [None, 1, None]}, "b t 4", random=True),
        Case("dropout_nothing", "Dropout", {"rate": 0.0}, "b t 4"),
        Case("spatial_dropout1d", "SpatialDropout1D", {"rate": 0.4}, "b t 4", random=True),
        Case("spatial_dropout2d", "SpatialDropout2D", {"rate": 0.4}, "b h w 4", random=True),
        Case("spatial_dropout3d", "SpatialDropout3D", {"rate": 0.4}, "b d h w 4", random=True),
        Case("gaussian_noise", "GaussianNoise", {"stddev": 0.4}, "b t 4", random=True),
        Case("gaussian_dropout", "GaussianDropout", {"rate": 0.4}, "b t 4", random=True),
        Case("activity_regularization", "ActivityRegularization", {"l1": 0.1, "l2": 0.2}, "b 4"),
        Case("batch_normalization", "BatchNormalization", {}, "b h w 4"),
        Case("batch_normalization_vector", "BatchNormalization", {"momentum": 0.7, "epsilon": 0.01}, "8 4"),
        Case("batch_normalization_axis", "BatchNormalization", {"axis": 1, "scale": False}, "b 3 w 4"),
        Case("batch_normalization_bare", "BatchNormalization", {"center": False, "scale": False}, "b t 4"),
        Case("batch_normalization_mask", "BatchNormalization", {}, "b t 4", {"mask": "b t:holes"}),
        Case("layer_normalization", "LayerNormalization", {}, "b t 4"),
        Case("layer_normalization_axes", "LayerNormalization", {"axis": [1, 2], "center": False}, "b 5 4 3"),
        Case("layer_normalization_bare", "LayerNormalization", {"center": False, "scale": False}, "b t 4"),
        Case("group_normalization", "GroupNormalization", {"groups": 2}, "b h w 4"),
        Case("group_normalization_each", "GroupNormalization", {"groups": -1, "axis": 1}, "b 3 w 4"),
        Case("add", "Add", {}, [*pair, "b t 4"], masks=["b t:pad", "b t:pad", "b t:holes"]),
        Case("add_broadcast", "Add", {}, ["b t 4", "b 1 4"], masks=["b t:pad", None]),
        Case("add_ranks", "Add", {}, ["b t 4", "b 4"]),
        Case("subtract", "Subtract", {}, pair),
        Case("multiply", "Multiply", {}, pair),
        Case("average", "Average", {}, pair),
        Case("maximum", "Maximum", {}, pair),
        Case("minimum", "Minimum", {}, pair),
        Case("concatenate", "Concatenate", {}, ["b t 4", "b t 3"], masks=["b t:pad", None]),
        Case("concatenate_time", "Concatenate", {"axis": 1}, ["b t 4", "b s 4"], masks=["b t:pad", "b s:holes"]),
        Case("dot_vectors", "Dot", {"axes": 1}, ["b 4", "b 4"]),
        Case("dot_matrices", "Dot", {"axes": [2, 1]}, ["b t 4", "b 4 3"]),
        Case("dot_same", "Dot", {"axes": -1, "normalize": True}, ["b t 4", "b s 4"]),
        Case("masking", "Masking", {"mask_value": 0.0}, "b t 4", masks=[]),
        Case("rescaling", "Rescaling", {"scale": 0.5, "offset": -1.0}, "b h w 3"),
        Case("rescaling_bytes", "Rescaling", {"scale": 0.5}, "b h w 3:int200"),
        Case("identity", "Identity", {}, "b t 4"),
    ]


CASES = [*_other_cases(), *_conv_cases(), *_pooling_cases(), *_recurrent_cases(), *_attention_cases()]
BY_NAME = {case.name: case for case in CASES}
assert len(BY_NAME) == len(CASES)
