"""Activations, normalization and losses that mxnet has kernels for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from unidl import config
from unidl_mxnet.kernels._common import FLOATS, axes_of, in_float32, noted, reduced, reshape_to
from unidl_mxnet.kernels._products import is_of_many_rows, permuted
from unidl_mxnet.kernels.creation import ones, zeros
from unidl_mxnet.kernels.elementwise import add, cast, maximum, multiply, where
from unidl_mxnet.kernels.linalg import matmul
from unidl_mxnet.kernels.reduce import logsumexp


def _activation(kind: str, plain: str) -> Callable[..., Any]:
    """oneDNN's kernel, which keeps the blocked layout of convolutions; it takes no 0-d or empty tensors."""

    def kernel(F: Any, x: Any) -> Any:
        shape = F.shape(x)
        if shape == () or 0 in shape:
            return getattr(F, plain)(x)
        return F.Activation(x, act_type=kind)

    return kernel


sigmoid = _activation("sigmoid", "_npx_sigmoid")
tanh = _activation("tanh", "_npi_tanh")
_relu = _activation("relu", "_npx_relu")


def relu(F: Any, x: Any) -> Any:
    if F.dtype(x) not in FLOATS:
        return maximum(F, x, 0)
    # oneDNN's kernel makes 0 of NaN. It is worth that between compiled convolutions, whose layout it keeps.
    return _relu(F, x) if F.symbolic and len(F.shape(x)) > 3 else F._npx_relu(x)


def softplus(F: Any, x: Any) -> Any:
    if F.shape(x) == ():
        return F._np_reshape(softplus(F, F._np_reshape(x, newshape=(1,))), newshape=())
    return F.Activation(x, act_type="softrelu") if 0 not in F.shape(x) else F._np_copy(x)


def softsign(F: Any, x: Any) -> Any:
    return F._npi_true_divide(x, F._npi_add_scalar(F._npi_absolute(x), scalar="1.0"))


def leaky_relu(F: Any, x: Any, negative_slope: float = 0.2) -> Any:
    if 0 in F.shape(x) or F.shape(x) == () or F.dtype(x) == "float64":
        return where(F, F._npi_greater_scalar(x, scalar="0"), x, F._npi_multiply_scalar(x, scalar=repr(negative_slope)))
    return F.LeakyReLU(x, act_type="leaky", slope=repr(float(negative_slope)))


def softmax(F: Any, x: Any, axis: Any = -1) -> Any:
    return _over_axis(F, "_npx_softmax", x, axis)


def log_softmax(F: Any, x: Any, axis: Any = -1) -> Any:
    return _over_axis(F, "_npx_log_softmax", x, axis)


def _over_axis(F: Any, operator: str, x: Any, axis: Any) -> Any:
    shape = F.shape(x)
    axes = axes_of(axis, len(shape))
    if not all(hasattr(a, "__index__") for a in axes):
        raise TypeError("an axis is an int")
    if 0 in shape:
        return F._np_copy(x)
    if len(axes) == 1:
        if F.dtype(x) == "float16":  # mxnet would sum in float16
            return in_float32(F, lambda y: getattr(F, operator)(y, axis=axes[0]), x)
        return getattr(F, operator)(x, axis=axes[0])
    logs = F._npi_subtract(x, logsumexp(F, x, axes, True))
    return logs if operator == "_npx_log_softmax" else F._npi_exp(logs)


def linear(F: Any, x: Any, kernel: Any, bias: Any = None) -> Any:
    shape = F.shape(x)
    if len(F.shape(kernel)) != 2 or (bias is not None and F.shape(bias) != F.shape(kernel)[1:]):
        raise ValueError("a matrix and a vector are expected")  # others would broadcast
    units = F.shape(kernel)[1]
    if F.symbolic and is_of_many_rows(shape, F.dtype(x)) and shape[-1] and units:
        # oneDNN's kernel has the kernel's axes the other way round: with many rows that is worth it.
        turned = kernel.turned or permuted(F, kernel, (1, 0))
        tensors = (x, turned, *(() if bias is None else (bias,)))
        return F.FullyConnected(*tensors, num_hidden=units, no_bias=bias is None, flatten=False)
    product = matmul(F, x, kernel)
    if bias is None:
        return product
    return add(F, noted(F, product, (*shape[:-1], units), F.dtype(x)), bias)


def layer_normalization(
    F: Any, x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    shape, dtype = F.shape(x), F.dtype(x)
    axes = axes_of(axis, len(shape))
    small = repr(config.epsilon() if epsilon is None else epsilon)
    if len(axes) == 1 and gamma is not None and beta is not None and 0 not in shape and dtype != "float16":
        if F.trains and axes[0] == len(shape) - 1 and dtype == "float32":
            return _layer_normalization_training(F, x, gamma, beta, small)
        return F._npx_layer_norm(x, gamma, beta, axis=axes[0], eps=small)
    centred = F._npi_subtract(x, F._npi_mean(x, axis=axes, keepdims=True))
    variance = F._npi_mean(F._npi_square(centred), axis=axes, keepdims=True)
    result = F._npi_multiply(centred, F.rsqrt(F._npi_add_scalar(variance, scalar=small)))
    wide = tuple(d if i in axes else 1 for i, d in enumerate(shape))
    if gamma is not None:
        result = F._npi_multiply(result, reshape_to(F, gamma, wide))
    return result if beta is None else F._npi_add(result, reshape_to(F, beta, wide))


def _layer_normalization_training(F: Any, x: Any, gamma: Any, beta: Any, epsilon: str) -> Any:
    """Over the last axis, as batch normalization of so many channels as there are rows: its gradient is the faster."""
    shape, dtype = F.shape(x), F.dtype(x)
    width = shape[-1]
    rows = math.prod(shape[:-1])
    moments = [F.scratch(name, (rows,), dtype) for name in ("mean", "variance")]
    result = F.BatchNorm(
        reshape_to(F, x, (1, rows, 1, width)), ones(F, (rows,), dtype), zeros(F, (rows,), dtype), *moments,
        eps=epsilon, momentum="1.0", fix_gamma=True,
    )  # fmt: skip
    result = reshape_to(F, noted(F, result, (1, rows, 1, width), dtype), shape)
    return add(F, noted(F, multiply(F, result, gamma), shape, dtype), beta)


# -- losses ----------------------------------------------------------------------------------------


def sparse_categorical_crossentropy(F: Any, target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    from unidl.config import epsilon

    shape, dtype = F.shape(output), F.dtype(output)
    axis %= len(shape)
    rest = reduced(shape, axis, False)
    target = reshape_to(F, cast(F, target, "int32"), rest)
    if rest == ():  # for which mxnet's pick has no rule
        pair = reshape_to(F, target, (1,)), reshape_to(F, output, (1, *shape))
        return reshape_to(F, sparse_categorical_crossentropy(F, *pair, from_logits, -1), ())
    if from_logits:
        logs = noted(F, log_softmax(F, output, axis), shape, dtype)
        return F._npi_negative(F._npx_pick(logs, target, axis=axis, keepdims=False, mode="wrap"))
    # Only the one probability that counts is divided and limited.
    picked = F._npx_pick(output, target, axis=axis, keepdims=False, mode="wrap")
    p = F._npi_true_divide(picked, F._np_sum(output, axis=axis, keepdims=False))
    p = F._npi_clip(p, a_min=repr(epsilon()), a_max=repr(1.0 - epsilon()))
    return F._npi_negative(F._npi_log(p))


def batch_normalization(
    F: Any, x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    shape = F.shape(x)
    wide = tuple(d if i == axis % len(shape) else 1 for i, d in enumerate(shape))
    factor = F.rsqrt(F._npi_add_scalar(variance, scalar=repr(epsilon)))
    factor = factor if scale is None else F._npi_multiply(factor, scale)
    shift = F._npi_multiply(mean, factor)
    shift = F._npi_negative(shift) if offset is None else F._npi_subtract(offset, shift)
    return F._npi_add(F._npi_multiply(x, F._np_reshape(factor, newshape=wide)), F._np_reshape(shift, newshape=wide))


def batch_statistics_normalization(
    F: Any, x: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """`batch_normalization_training` by mxnet's own kernel: no gradient flows into mean and variance.

    Compiled graphs use it where these two only go into moving averages.
    """
    shape, dtype = F.shape(x), F.dtype(x)
    channels = (shape[axis % len(shape)],)
    scale = ones(F, channels, dtype) if scale is None else scale
    offset = zeros(F, channels, dtype) if offset is None else offset
    result, mean, inverse = F.BatchNorm(
        x, scale, offset, F.scratch("mean", channels, dtype), F.scratch("variance", channels, dtype),
        eps=repr(epsilon), momentum="1.0", fix_gamma=False, output_mean_var=True, axis=axis % len(shape),
    )[:3]  # fmt: skip
    # The third output is 1 / sqrt(variance + epsilon).
    variance = F._npi_add_scalar(F._npi_reciprocal(F._npi_square(inverse)), scalar=repr(-epsilon))
    return result, mean, F._npi_maximum_scalar(variance, scalar="0.0")
