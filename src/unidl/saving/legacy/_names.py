"""What Keras 1 and 2 called classes and arguments, and what they are called today."""

from __future__ import annotations

#: Classes.
CLASSES = {
    "Model": "Functional", "Network": "Functional", "Container": "Functional", "Graph": "Functional",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization", "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU", "LSTMV1": "LSTM",
    "LSTMV2": "LSTM", "GRUV1": "GRU", "GRUV2": "GRU", "UnifiedLSTM": "LSTM", "UnifiedGRU": "GRU",
    "Deconvolution2D": "Conv2DTranspose", "Deconvolution3D": "Conv3DTranspose",
    "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D", "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D", "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D",
    "SeparableConvolution1D": "SeparableConv1D", "SeparableConvolution2D": "SeparableConv2D",
    "ThresholdedReLU": "ReLU", "LSTMCellV2": "LSTMCell", "GRUCellV2": "GRUCell",
}  # fmt: skip

RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional"})

#: Arguments of Keras 1, of any class that has the new one.
_RENAMED = {
    "output_dim": "units", "init": "kernel_initializer", "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation", "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer", "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint",
    "U_constraint": "recurrent_constraint", "b_constraint": "bias_constraint", "bias": "use_bias",
    "dropout_W": "dropout", "dropout_U": "recurrent_dropout", "nb_filter": "filters", "filter_length": "kernel_size",
    "border_mode": "padding", "subsample": "strides", "subsample_length": "strides", "pool_length": "pool_size",
    "stride": "strides", "length": "size", "atrous_rate": "dilation_rate", "p": "rate", "sigma": "stddev",
    "gamma_init": "gamma_initializer", "beta_init": "beta_initializer", "depthwise_init": "depthwise_initializer",
    "pointwise_init": "pointwise_initializer", "dim_ordering": "data_format", "alpha": "negative_slope",
    "theta": "threshold", "maximum": "max_value",
}  # fmt: skip
_OF_EMBEDDINGS = {
    "init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
    "W_constraint": "embeddings_constraint",
}  # fmt: skip
#: Arguments that only said how to compute, or that are known otherwise by now: dropped where a class lacks them.
OBSOLETE = frozenset(
    {
        "adjustment", "batch_input_shape", "cache_enabled", "consume_less", "data_format", "dynamic", "filters",
        "forget_bias_init", "fused", "groups", "implementation", "input_dim", "input_dtype", "input_length",
        "input_shape", "kernel_constraint", "kernel_initializer", "kernel_regularizer", "mode", "rank",
        "renorm_clipping", "renorm_momentum", "time_major", "virtual_batch_size",
    }
)  # fmt: skip
#: Initializers by name.
INITIALIZERS = {"uniform": "random_uniform", "normal": "random_normal", "zero": "zeros", "one": "ones"}
#: Modes of the layer Merge of Keras 1.
MERGES = {
    "sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum", "min": "Minimum",
    "dot": "Dot", "cos": "Dot",
}  # fmt: skip


def renamed(kind: str, name: str) -> str:
    """Today's name of an argument of a class."""
    if kind == "Embedding" and name in _OF_EMBEDDINGS:
        return _OF_EMBEDDINGS[name]
    if name == "output_dim" and kind == "Embedding":
        return name
    if name == "alpha" and kind != "LeakyReLU":
        return name
    if name == "length" and not kind.startswith("UpSampling"):
        return name
    if name == "init" and kind == "PReLU":
        return "alpha_initializer"
    return _RENAMED.get(name, name)
