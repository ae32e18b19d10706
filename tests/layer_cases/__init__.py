"""One table of layer calls: for the properties that every layer has, and for comparison with Keras.

Each family is a module with a function `cases`.
"""

from __future__ import annotations

from layer_cases import (
    activation,
    attention,
    convolution,
    core,
    image,
    merging,
    normalization,
    pooling,
    preprocessing,
    recurrent,
    regularization,
    reshaping,
)
from layer_cases._case import OTHER_SIZES, SIZES, Case, array, data, dims, dtype, make, structure, weight_value

FAMILIES = (
    core, activation, merging, normalization, reshaping, regularization, convolution, pooling, recurrent, attention,
    preprocessing, image,
)  # fmt: skip
CASES = [case for family in FAMILIES for case in family.cases()]
BY_NAME = {case.name: case for case in CASES}
assert len(BY_NAME) == len(CASES)

_WITH_WEIGHTS = {
    *("Dense", "Embedding", "PReLU", "MultiHeadAttention", "LSTM", "GRU", "SimpleRNN", "Bidirectional"),
    *("RNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"),
    *("TimeDistributed", "BatchNormalization", "LayerNormalization", "GroupNormalization"),
    *("EinsumDense", "ReversibleEmbedding", "GroupQueryAttention", "AdditiveAttention", "Attention"),
    *("RMSNormalization", "SpectralNormalization"),
    *(case.layer for case in CASES if "Conv" in case.layer),
}
#: Cases of layers whose weights are trained, and whose outputs in training are not random.
TRAINED = [case for case in CASES if case.layer in _WITH_WEIGHTS and not case.random]

__all__ = [
    "BY_NAME", "CASES", "OTHER_SIZES", "SIZES", "TRAINED", "Case", "array", "data", "dims", "dtype", "make",
    "structure", "weight_value",
]  # fmt: skip
