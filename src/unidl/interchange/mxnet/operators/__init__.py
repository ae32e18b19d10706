"""What each MXNet operator is in ONNX, one module for each family; importing this fills the table."""

from unidl.interchange.mxnet.operators import (
    activations,
    convolution,
    creation,
    detection,
    elementwise,
    indexing,
    joining,
    normalization,
    own,
    pooling,
    products,
    recurrent,
    reductions,
    searching,
    sequences,
    shapes,
    slicing,
)

__all__ = [
    "activations", "convolution", "creation", "detection", "elementwise", "indexing", "joining", "normalization",
    "own", "pooling", "products", "recurrent", "reductions", "searching", "sequences", "shapes", "slicing",
]  # fmt: skip
