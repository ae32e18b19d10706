"""Indices of categories as vectors: with ops for layers of numbers, with NumPy for those on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import ops

Shape = tuple["int | None", ...]


def check_output(layer: str, mode: Any, allowed: Sequence[str], sparse: Any) -> str:
    """`mode` if it is one of `allowed`; sparse outputs are refused."""
    if mode not in allowed:
        raise ValueError(
            f"{layer}: Unknown arg for output_mode: {mode}. `output_mode` may be {', '.join(map(repr, allowed))}."
        )
    if sparse and mode == "int":
        raise ValueError(
            f"{layer}: `sparse=True` is for vectors, and `output_mode={mode!r}` puts out indices. Use sparse=False."
        )
    if sparse:
        raise ValueError(f"{layer}: `sparse=True` is not possible: unidl has no sparse tensors. Use sparse=False.")
    return str(mode)


def encoded_shape(shape: Shape, mode: str, depth: int | None) -> Shape:
    """The shape of what `encode` makes of indices of `shape`."""
    if mode == "int":
        return tuple(shape)
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    return (shape[0], *shape[2:], depth) if len(shape) > 1 else (depth,)


def encode(indices: Any, mode: str, depth: int, dtype: str, weights: Any = None) -> Any:
    """Indices as they are, as one vector each ("one_hot"), or as one vector a sample ("multi_hot", "count").

    A sample lies along axis 1, or is all there is in fewer dimensions. A last axis of size 1 gives way to the vector.
    Indices outside 0 … `depth` - 1 count nowhere.
    """
    if mode == "int":
        return ops.cast(indices, dtype)
    rank = len(indices.shape)
    if mode == "one_hot":
        if rank > 1 and indices.shape[-1] == 1:
            indices = ops.squeeze(indices, -1)
        return ops.one_hot(indices, depth, -1, dtype)
    vectors = ops.one_hot(indices, depth, -1, "bool" if mode == "multi_hot" else dtype)
    if weights is not None:
        vectors = ops.multiply(vectors, ops.expand_dims(ops.cast(weights, dtype), -1))
    if rank:
        vectors = ops.any(vectors, min(1, rank - 1)) if mode == "multi_hot" else ops.sum(vectors, min(1, rank - 1))
    return ops.cast(vectors, dtype)


def encode_on_host(indices: np.ndarray, mode: str, depth: int, dtype: str, weights: Any = None) -> np.ndarray:
    """The same with NumPy; mode "tf_idf" is "count" times `weights`, one for each category."""
    if mode == "int":
        return indices.astype(dtype, copy=False)
    if mode == "one_hot" and indices.ndim > 1 and indices.shape[-1] == 1:
        indices = indices[..., 0]
    flat = np.moveaxis(indices, 1, -1) if mode != "one_hot" and indices.ndim > 1 else indices
    samples = flat.reshape(-1, 1) if mode == "one_hot" or indices.ndim == 0 else flat.reshape(-1, flat.shape[-1])
    counts = np.zeros((len(samples), depth), np.float64)
    rows, _ = valid = np.nonzero((samples >= 0) & (samples < depth))
    np.add.at(counts, (rows, samples[valid]), 1)
    if mode in ("one_hot", "multi_hot"):
        counts = np.minimum(counts, 1)
    elif mode == "tf_idf":
        counts *= weights
    shape = encoded_shape(indices.shape, mode, depth) if mode != "one_hot" else (*indices.shape, depth)
    return counts.reshape(shape).astype(dtype)  # type: ignore[arg-type]
