"""Arrays that Keras 1, Theano or cuDNN laid out in another way, in the layout of today."""

from __future__ import annotations

from typing import Any

import numpy as np

Shapes = list[tuple[int, ...]]
_FLIPPED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D")


def converted(
    layer: Any, shapes: Shapes, arrays: list[np.ndarray], version: int, backend: str
) -> tuple[list[np.ndarray], int]:
    """Arrays for the variables of a layer, which have these `shapes`, from the first of `arrays`, and how many it were.

    The arrays are as they are if nothing is known that would make them fit.
    """
    kind = _kind(layer)
    taken = arrays[: len(shapes)]
    used = len(taken)
    if version == 1:
        gates = {"LSTM": 4, "ConvLSTM2D": 4, "GRU": 3}.get(kind, 0)
        if gates and len(arrays) >= 3 * gates and _is_apart(arrays[: 3 * gates]):
            taken, used = _joined(arrays[: 3 * gates], gates), 3 * gates
        taken = _from_keras_1(kind, shapes, taken)
    if kind in ("LSTM", "GRU") and len(taken) == 3 and len(shapes) == 3:
        taken = _from_cudnn(kind, shapes, taken)
    if backend == "theano" and kind in _FLIPPED and taken:
        kernels = 2 if kind == "ConvLSTM2D" else 1
        taken = [_flipped(a) for a in taken[:kernels]] + taken[kernels:]
    return taken, used


def _kind(layer: Any) -> str:
    """The class, for a recurrent layer's cell that of the layer: its cell holds its weights."""
    name = type(layer).__name__
    return name.removesuffix("Cell") if name in ("LSTMCell", "GRUCell", "ConvLSTM2DCell", "ConvLSTMCell") else name


def _is_apart(arrays: list[np.ndarray]) -> bool:
    """Whether each gate has its own kernels and bias."""
    return all(a.ndim == 1 for a in arrays[2::3]) and all(a.ndim > 1 for a in arrays[0::3])


def _joined(arrays: list[np.ndarray], gates: int) -> list[np.ndarray]:
    """Keras 1 had kernel, recurrent kernel and bias for each gate: of an LSTM input, cell, forget, output."""
    order = (0, 2, 1, 3) if gates == 4 else (0, 1, 2)
    return [np.concatenate([arrays[3 * gate + part] for gate in order], axis=-1) for part in range(3)]


def _from_keras_1(kind: str, shapes: Shapes, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Kernels with the axes of today: those of channels-first layers had (out, in) first."""
    if not arrays or not shapes or arrays[0].shape == shapes[0]:
        return arrays
    kernel, want = arrays[0], shapes[0]
    if kind == "Conv1D" and kernel.ndim == 4:
        kernel = kernel[:, 0] if kernel.shape[1] == 1 else kernel.transpose(2, 3, 1, 0)[:, 0]
    elif kernel.ndim == len(want) and kernel.ndim > 2:
        spatial = tuple(range(2, kernel.ndim))
        for axes in ((*spatial, 1, 0), (*spatial, 0, 1), (*range(kernel.ndim - 2), kernel.ndim - 1, kernel.ndim - 2)):
            if kernel.transpose(axes).shape == want:
                kernel = kernel.transpose(axes)
                break
    return [kernel, *arrays[1:]]


def _from_cudnn(kind: str, shapes: Shapes, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """cuDNN keeps two biases, and each gate's kernels transposed."""
    kernel, recurrent, bias = arrays
    gates = 4 if kind == "LSTM" else 3
    units = bias.size // (2 * gates)
    if recurrent.shape != (units, gates * units) or bias.shape != (2 * gates * units,) or kernel.ndim != 2:
        return arrays
    kernel = np.concatenate([gate.T.reshape(gate.shape, order="F") for gate in np.split(kernel, gates, axis=1)], axis=1)
    recurrent = np.concatenate([gate.T for gate in np.split(recurrent, gates, axis=1)], axis=1)
    both = bias.reshape(2, gates * units)
    return [kernel, recurrent, both if shapes[2] == both.shape else both.sum(axis=0)]


def _flipped(kernel: np.ndarray) -> np.ndarray:
    """Theano convolved where others correlate."""
    return kernel[tuple(slice(None, None, -1) for _ in range(kernel.ndim - 2))]
