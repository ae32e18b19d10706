"""Fourier transforms, windows, mel weights, random numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops, random
from unidl.interchange.onnx._reading import dtype_name
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator
from unidl.interchange.onnx.importing._values import dtype_of, rank_of, shape_of
from unidl.interchange.onnx.importing.casting import cast, target


def _waves(count: int, length: int, inverse: bool, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines (count, length) of a Fourier transform, as factors for products of matrices."""
    angles = 2 * np.pi * (np.outer(np.arange(count), np.arange(length)) % length) / length
    scale = 1 / length if inverse else 1.0
    sign = 1 if inverse else -1
    return (np.cos(angles) * scale).astype(dtype), (sign * np.sin(angles) * scale).astype(dtype)


def _transformed(x: Any, axis: int, length: int, count: int, inverse: bool) -> Any:
    """The transform of `x` (…, 1 or 2 for real and imaginary parts) along `axis`, fitted to `length`."""
    size = shape_of(x)[axis]
    key = (*[slice(None)] * axis, slice(0, min(size, length)))
    x = ops.getitem(x, key)
    if size < length:
        x = ops.pad(x, tuple((0, length - size) if i == axis else (0, 0) for i in range(rank_of(x))))
    cosines, sines = (w.T for w in _waves(count, length, inverse, dtype_of(x)))
    moved = ops.moveaxis(x, axis, -1)  # (…, parts, length)
    real = ops.getitem(moved, (..., 0, slice(None)))
    if shape_of(x)[-1] == 1:
        parts = [ops.matmul(real, cosines), ops.matmul(real, sines)]
    else:
        imaginary = ops.getitem(moved, (..., 1, slice(None)))
        parts = [
            ops.subtract(ops.matmul(real, cosines), ops.matmul(imaginary, sines)),
            ops.add(ops.matmul(real, sines), ops.matmul(imaginary, cosines)),
        ]
    return ops.moveaxis(ops.stack(parts, -2), -1, axis)


@operator("DFT", 20)
def _dft(call: Call, x: Any, length: Any = None, axis: Any = None) -> Any:
    place = -2 if axis is None else int(call.number(axis, "the axis"))
    return _dft_along(call, x, length, place)


@operator("DFT", 17)
def _dft_attribute(call: Call, x: Any, length: Any = None) -> Any:
    return _dft_along(call, x, length, call.get("axis", 1))


def _dft_along(call: Call, x: Any, length: Any, axis: int) -> Any:
    axis = call.axis(axis, rank_of(x))
    inverse, half = bool(call.get("inverse", 0)), bool(call.get("onesided", 0))
    size = shape_of(x)[axis]
    if inverse and half:  # the missing half mirrors the one that is there
        n = 2 * (size - 1) if length is None else int(call.number(length, "the length"))
        back = ops.flip(ops.getitem(x, (*[slice(None)] * axis, slice(1, n - size + 1))), axis)
        x = ops.concatenate([x, ops.multiply(back, np.array([1, -1], dtype_of(x)))], axis)
        return ops.getitem(_transformed(x, axis, n, n, True), (..., slice(0, 1)))
    n = size if length is None else int(call.number(length, "the length"))
    return _transformed(x, axis, n, n // 2 + 1 if half else n, inverse)


@operator("STFT")
def _stft(call: Call, x: Any, step: Any, window: Any = None, length: Any = None) -> Any:
    hop = int(call.number(step, "the step"))
    if length is not None:
        size = int(call.number(length, "the frame length"))
    elif window is not None:
        size = shape_of(window)[0]
    else:
        raise call.error("neither a window nor a frame length is given")
    if hop < 1 or size < 1:
        raise call.error(f"frame length {size} and step {hop} must be positive")
    if rank_of(x) == 2:
        x = ops.expand_dims(x, -1)
    samples = shape_of(x)[1]
    count = (samples - size) // hop + 1
    places = np.arange(count)[:, None] * hop + np.arange(size)
    frames = ops.take(x, places.reshape(-1).astype(np.int64), 1)
    frames = ops.reshape(frames, (shape_of(x)[0], count, size, shape_of(x)[-1]))
    if window is not None:
        frames = ops.multiply(frames, ops.reshape(window, (-1, 1)))
    half = bool(call.get("onesided", 1)) and shape_of(x)[-1] == 1
    return _transformed(frames, 2, size, size // 2 + 1 if half else size, False)


#: Weights of the cosines of 0, 1 and 2 turns.
_WINDOWS = {
    "HannWindow": (0.5, 0.5, 0.0),
    "HammingWindow": (25 / 46, 21 / 46, 0.0),
    "BlackmanWindow": (0.42, 0.5, 0.08),
}


def _taper(a0: float, a1: float, a2: float) -> Any:
    def entry(call: Call, size: Any) -> Any:
        n = int(call.number(size, "the size"))
        call.room([n])
        turns = 2 * np.pi * np.arange(n) / max(n if call.get("periodic", 1) else n - 1, 1)
        values = a0 - a1 * np.cos(turns) + a2 * np.cos(2 * turns)
        return cast(values.astype(np.float32), target(call, call.get("output_datatype", 1)))

    return entry


for _name, _factors in _WINDOWS.items():
    operator(_name)(_taper(*_factors))


@operator("MelWeightMatrix")
def _mel_weight_matrix(call: Call, bins: Any, length: Any, rate: Any, lower: Any, upper: Any) -> Any:
    """Triangles on the mel scale over the bins of a spectrum."""
    count, size = int(call.number(bins, "the bins")), int(call.number(length, "the length"))
    call.room([size // 2 + 1, count])
    low, high = (2595 * np.log10(1 + call.number(f, "a frequency") / 700) for f in (lower, upper))
    edges = 700 * (10 ** ((np.arange(count + 2) * ((high - low) / (count + 2)) + low) / 2595) - 1)
    places = ((size + 1) * edges / call.number(rate, "the rate")).astype(np.int64)
    weights = np.zeros((size // 2 + 1, count), np.float64)
    for i in range(count):
        left, centre, right = places[i : i + 3]
        if centre == left:
            weights[centre, i] = 1
        else:
            for j in range(left, centre + 1):
                weights[j, i] = (j - left) / (centre - left)
        for j in range(centre, right):
            weights[j, i] = (right - j) / (right - centre)
    return cast(weights.astype(np.float32), target(call, call.get("output_datatype", 1)))


# -- random numbers --------------------------------------------------------------------------------


def _seed(call: Call) -> int | None:
    seed = call.get("seed")
    return None if seed is None else abs(int(seed)) if math.isfinite(seed) else 0


def _drawn(call: Call, shape: Any, dtype: str, normal: bool) -> Any:
    shape = call.room(shape)
    if normal:
        values = random.normal(shape, call.get("mean", 0.0), call.get("scale", 1.0), seed=_seed(call))
    else:
        values = random.uniform(shape, call.get("low", 0.0), call.get("high", 1.0), seed=_seed(call))
    return cast(values, dtype)


def _random(normal: bool) -> None:
    name = "RandomNormal" if normal else "RandomUniform"

    def of_shape(call: Call) -> Any:
        return _drawn(call, call.need("shape"), target(call, call.get("dtype", 1)), normal)

    def like(call: Call, x: Any) -> Any:
        dtype = dtype_name(call.get("dtype")) if call.has("dtype") else dtype_of(x)
        return _drawn(call, shape_of(x), dtype, normal)

    operator(name, apart=True)(of_shape)
    operator(f"{name}Like", apart=True)(like)


_random(True)
_random(False)


@operator("Bernoulli", apart=True)
def _bernoulli(call: Call, x: Any) -> Any:
    dtype = dtype_name(call.get("dtype")) if call.has("dtype") else dtype_of(x)
    # In float32: a number below 1 may be 1 in fewer bits, and what has the probability 1 always happens.
    drawn = random.uniform(shape_of(x), seed=_seed(call))
    return cast(ops.less(drawn, cast(x, "float32")), dtype)


@operator("Multinomial", apart=True)
def _multinomial(call: Call, x: Any) -> Any:
    drawn = random.categorical(x, call.get("sample_size", 1), seed=_seed(call))
    return cast(drawn, target(call, call.get("dtype", 6)))
