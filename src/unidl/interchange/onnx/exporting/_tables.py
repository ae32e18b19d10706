"""The tables of all families: op name to the function that writes it as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.interchange.onnx.exporting import (
    activations,
    control,
    elementwise,
    indexing,
    normalization,
    products,
    recurrent,
    reductions,
    searching,
    shapes,
    windows,
)

TABLE: dict[str, Callable[..., Any]] = {
    **activations.TABLE, **control.TABLE, **elementwise.TABLE, **indexing.TABLE, **normalization.TABLE,
    **products.TABLE, **recurrent.TABLE, **reductions.TABLE, **searching.TABLE, **shapes.TABLE, **windows.TABLE,
}  # fmt: skip

_MATRICES = "ONNX has no operators that factorize matrices or solve equations"
_COMPLEX = "ONNX has no operators for complex numbers"
#: Primitives that cannot be written, and why.
LACKING = {
    **dict.fromkeys(
        ("cholesky", "qr", "svd", "eigh", "eig", "lu_factor", "slogdet", "solve", "solve_triangular", "pinv"), _MATRICES
    ),
    "view_as_complex": _COMPLEX,
    "view_as_real": _COMPLEX,
    "view": "onnxruntime has no operator that reads the bytes of one dtype as another",
    "nextafter": "ONNX has no operator for the neighbours of a number",
    "ctc_beam_search": "ONNX has no operator for it, and the search is not made of ops",
    "random_gamma": "ONNX draws uniform and normal numbers only",
    "random_binomial": "ONNX draws uniform and normal numbers only",
}
