"""How each op is tested: one case for every op in the table, as data beside a builder of arguments."""

from unidl.testing.cases import (
    activations,
    bits,
    complex,
    creation,
    elementwise,
    fft,
    image,
    linalg,
    nn,
    products,
    random,
    reduce,
    rnn,
    scatter,
    shape,
    windows,
)
from unidl.testing.draw import CASES

__all__ = [
    "CASES",
    "activations",
    "bits",
    "complex",
    "creation",
    "elementwise",
    "fft",
    "image",
    "linalg",
    "nn",
    "products",
    "random",
    "reduce",
    "rnn",
    "scatter",
    "shape",
    "windows",
]
