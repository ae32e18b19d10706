"""Activations, softmax and its kin, dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, TABLE, Entry, operator, put
from unidl.interchange.onnx.importing._values import dtype_of, rank_of, shape_of


def _plain(function: Any) -> Any:
    return lambda call, x: function(x)


for _onnx in ("Relu", "Sigmoid", "Softplus", "Softsign"):
    put(TABLE, _onnx, "", Entry(1, _plain(getattr(ops, _onnx.lower()))))


@operator("LeakyRelu")
def _leaky_relu(call: Call, x: Any) -> Any:
    return ops.leaky_relu(x, call.get("alpha", 0.01))


@operator("Elu")
def _elu(call: Call, x: Any) -> Any:
    return ops.elu(x, call.get("alpha", 1.0))


@operator("Celu")
def _celu(call: Call, x: Any) -> Any:
    return ops.celu(x, call.get("alpha", 1.0))


@operator("Selu")
def _selu(call: Call, x: Any) -> Any:
    alpha, gamma = call.get("alpha", 1.67326319217681884765625), call.get("gamma", 1.05070102214813232421875)
    return ops.multiply(ops.elu(x, alpha), gamma)


@operator("ThresholdedRelu")
def _thresholded_relu(call: Call, x: Any) -> Any:
    return ops.threshold(x, call.get("alpha", 1.0), 0.0)


@operator("PRelu")
def _prelu(call: Call, x: Any, slope: Any) -> Any:
    if call.version < 7 and rank_of(slope) == 1 and shape_of(slope)[0] != 1:  # one for each channel
        slope = ops.reshape(slope, (-1, *[1] * (rank_of(x) - 2)))
    return ops.where(ops.less(x, ops.zeros_like(x)), ops.multiply(x, slope), x)


@operator("HardSigmoid")
def _hard_sigmoid(call: Call, x: Any) -> Any:
    line = ops.add(ops.multiply(x, call.get("alpha", 0.2)), call.get("beta", 0.5))
    return ops.clip(line, 0.0, 1.0)


@operator("HardSwish")
def _hard_swish(call: Call, x: Any) -> Any:
    return ops.hard_silu(x)


@operator("Swish")
def _swish(call: Call, x: Any) -> Any:
    alpha = call.get("alpha", 1.0)
    return ops.silu(x) if alpha == 1 else ops.multiply(x, ops.sigmoid(ops.multiply(x, alpha)))


@operator("QuickGelu", domain=MICROSOFT)
def _quick_gelu(call: Call, x: Any) -> Any:
    return ops.multiply(x, ops.sigmoid(ops.multiply(x, call.get("alpha", 1.702))))


@operator("Mish")
def _mish(call: Call, x: Any) -> Any:
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


@operator("Gelu")
@operator("Gelu", domain=MICROSOFT)
def _gelu(call: Call, x: Any) -> Any:
    return ops.gelu(x, call.get("approximate", "none") == "tanh")


@operator("BiasGelu", domain=MICROSOFT)
def _bias_gelu(call: Call, x: Any, bias: Any) -> Any:
    return ops.gelu(ops.add(x, bias), False)


@operator("FastGelu", domain=MICROSOFT)
def _fast_gelu(call: Call, x: Any, bias: Any = None) -> Any:
    return ops.gelu(x if bias is None else ops.add(x, bias), True)


@operator("SwiGLU")
def _swiglu(call: Call, gate: Any, value: Any) -> Any:
    return ops.multiply(_swish(call, gate), value)


@operator("Shrink")
def _shrink(call: Call, x: Any) -> Any:
    bias, bound = call.get("bias", 0.0), call.get("lambd", 0.5)
    dtype = dtype_of(x)
    wide = ops.cast(x, "float32") if not dtype.startswith(("float", "bfloat")) else x
    zero = ops.zeros_like(wide)
    above = ops.where(ops.greater(wide, bound), ops.subtract(wide, bias), zero)
    return ops.cast(ops.where(ops.less(wide, -bound), ops.add(wide, bias), above), dtype)


@operator("ParametricSoftplus")
def _parametric_softplus(call: Call, x: Any) -> Any:
    return ops.multiply(ops.softplus(ops.multiply(x, call.get("beta", 1.0))), call.get("alpha", 1.0))


@operator("ScaledTanh")
def _scaled_tanh(call: Call, x: Any) -> Any:
    return ops.multiply(ops.tanh(ops.multiply(x, call.get("beta", 1.0))), call.get("alpha", 1.0))


# -- over an axis ----------------------------------------------------------------------------------


def flattened(call: Call, x: Any, function: Any, axis: int) -> Any:
    """As before opset 13: over all axes from `axis` on, as if they were one."""
    axis = call.axis(axis, rank_of(x)) if axis != rank_of(x) else axis
    if axis == rank_of(x) - 1:
        return function(x, -1)
    shape = shape_of(x)
    return ops.reshape(function(ops.reshape(x, (math.prod(shape[:axis]), -1)), -1), shape)


@operator("Softmax", 13)
def _softmax(call: Call, x: Any) -> Any:
    return ops.softmax(x, call.get("axis", -1))


@operator("Softmax", 1)
def _softmax_flat(call: Call, x: Any) -> Any:
    return flattened(call, x, ops.softmax, call.get("axis", 1))


@operator("LogSoftmax", 13)
def _log_softmax(call: Call, x: Any) -> Any:
    return ops.log_softmax(x, call.get("axis", -1))


@operator("LogSoftmax", 1)
def _log_softmax_flat(call: Call, x: Any) -> Any:
    return flattened(call, x, ops.log_softmax, call.get("axis", 1))


def _hardest(x: Any, axis: int) -> Any:
    return ops.one_hot(ops.argmax(x, axis), shape_of(x)[axis], axis, dtype_of(x))


@operator("Hardmax", 13)
def _hardmax(call: Call, x: Any) -> Any:
    return _hardest(x, call.axis(call.get("axis", -1), rank_of(x)))


@operator("Hardmax", 1)
def _hardmax_flat(call: Call, x: Any) -> Any:
    return flattened(call, x, lambda v, axis: _hardest(v, rank_of(v) - 1), call.get("axis", 1))


# -- dropout ---------------------------------------------------------------------------------------


@operator("Dropout", 12)
def _dropout(call: Call, x: Any, ratio: Any = None, training: Any = None) -> Any:
    rate = 0.5 if ratio is None else call.number(ratio, "the ratio")
    active = training is not None and bool(call.number(training, "the training mode"))
    return _dropped(call, x, rate if active else 0.0)


@operator("Dropout", 1)
def _dropout_attribute(call: Call, x: Any) -> Any:
    if call.version < 10 and call.wants(1):  # the mask has the type of the data
        return x, ops.ones_like(x)
    return _dropped(call, x, 0.0)


def _dropped(call: Call, x: Any, rate: float) -> Any:
    if rate == 0.0:
        return (x, ops.ones(shape_of(x), "bool")) if call.wants(1) else x
    from unidl import random

    seed = call.get("seed")
    kept = ops.greater_equal(random.uniform(shape_of(x), seed=None if seed is None else int(seed)), rate)
    scaled = ops.multiply(ops.multiply(x, ops.cast(kept, dtype_of(x))), np.asarray(1 / (1 - rate), dtype_of(x)))
    return (scaled, kept) if call.wants(1) else scaled


@operator("ScaledSiLU", domain=MICROSOFT)
def _scaled_silu(call: Call, x: Any, scale: Any = None) -> Any:
    return ops.silu(ops.multiply(x, call.get("alpha", 1.0) if scale is None else ops.cast(scale, dtype_of(x))))
