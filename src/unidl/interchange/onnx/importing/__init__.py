"""ONNX operators in terms of `unidl.ops`: importing this package fills the table."""

from unidl.interchange.onnx.importing import (
    activations,
    attention,
    classical,
    control,
    detection,
    elementwise,
    images,
    indexing,
    losses,
    normalization,
    products,
    quantized,
    recurrent,
    reductions,
    resizing,
    shapes,
    signal,
    text,
    windows,
)
