"""Normalizations that are one node in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.config import epsilon as default_epsilon
from unidl.interchange.onnx.exporting._emit import Emit, since
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.ops._declare import axes_tuple


def _trailing(x: Value, axis: Any) -> int | None:
    """The first of the normalized axes if all that follow are normalized too and have known sizes."""
    shape = x.shape
    axes = axes_tuple(axis, len(shape))
    fits = axes and axes == tuple(range(axes[0], len(shape))) and None not in shape[axes[0] :]
    return axes[0] if fits else None


def _number(value: float | None) -> float:
    return float(default_epsilon() if value is None else value)


@since(17)
def layer_normalization(
    w: Writer, x: Value, gamma: Value | None = None, beta: Value | None = None, axis: Any = -1, epsilon: Any = None
) -> Value:
    first = _trailing(x, axis)
    if first is None:
        return NotImplemented
    scale = w.constant(np.ones(x.shape[first:]), x.dtype) if gamma is None else gamma
    return w.node("LayerNormalization", x, scale, beta, axis=first, epsilon=_number(epsilon))


@since(23)
def rms_normalization(w: Writer, x: Value, scale: Value | None = None, axis: Any = -1, epsilon: Any = None) -> Value:
    first = _trailing(x, axis)
    shape = x.shape[first:]
    if first is None or (scale is not None and scale.shape != shape):
        return NotImplemented
    weights = w.constant(np.ones(shape), x.dtype) if scale is None else scale
    return w.node("RMSNormalization", x, weights, axis=first, epsilon=_number(epsilon))


def batch_normalization(
    w: Writer,
    x: Value,
    mean: Value,
    variance: Value,
    axis: int,
    offset: Value | None = None,
    scale: Value | None = None,
    epsilon: float = 1e-3,
) -> Value:
    """One node if the channels are axis 1."""
    rank = len(x.shape)
    if axis % rank != 1 or not w.is_float(x) or None in (mean.shape or (None,)):
        return NotImplemented
    size = mean.shape
    scale = w.constant(np.ones(size), x.dtype) if scale is None else scale
    offset = w.constant(np.zeros(size), x.dtype) if offset is None else offset
    return w.node("BatchNormalization", x, scale, offset, mean, variance, epsilon=float(epsilon))


@since(21)
def group_normalization(
    w: Writer,
    x: Value,
    groups: int,
    gamma: Value | None = None,
    beta: Value | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Value:
    shape = x.shape
    if axis % len(shape) != 1 or len(shape) < 3:
        return NotImplemented
    size = (shape[1] or 0,)
    gamma = w.constant(np.ones(size), x.dtype) if gamma is None else gamma
    beta = w.constant(np.zeros(size), x.dtype) if beta is None else beta
    return w.node("GroupNormalization", x, gamma, beta, num_groups=groups, epsilon=float(epsilon))


TABLE: dict[str, Emit] = {
    "layer_normalization": layer_normalization,
    "rms_normalization": rms_normalization,
    "batch_normalization": batch_normalization,
    "group_normalization": group_normalization,
}
