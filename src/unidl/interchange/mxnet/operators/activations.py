"""Activations, softmaxes, and the heads of networks, which in inference do no more than an activation."""

from __future__ import annotations

import math

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value

_ACTIVATIONS = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus", "softsign": "Softsign",
    "mish": "Mish",
}  # fmt: skip


@operator("Activation _npx_activation", keeps_shape=True)
def _activation(c: Call, x: Value) -> Value:
    kind = c.choice("act_type", "", *_ACTIVATIONS, "log_sigmoid")
    if kind == "log_sigmoid":
        return c.w.node("Neg", c.w.node("Softplus", c.w.node("Neg", x)))
    return c.w.node(_ACTIVATIONS[kind], x)


@operator("LeakyReLU _npx_leaky_relu", keeps_shape=True)
def _leaky_relu(c: Call, x: Value, gamma: Value | None = None) -> Value:
    kind = c.choice("act_type", "leaky", "leaky", "prelu", "elu", "selu", "gelu", "rrelu")
    slope = c.real("slope", 0.25)
    if kind == "prelu":
        return _prelu(c, x, gamma)
    if kind == "elu":
        return c.w.node("Elu", x, alpha=slope)
    if kind in ("selu", "gelu"):
        return c.w.node({"selu": "Selu", "gelu": "Gelu"}[kind], x)
    if kind == "rrelu":
        slope = (c.real("lower_bound", 0.125) + c.real("upper_bound", 0.334)) / 2
    return c.w.node("LeakyRelu", x, alpha=slope)


def _prelu(c: Call, x: Value, gamma: Value | None) -> Value:
    """A slope for each channel, or one for all."""
    if gamma is None:
        raise c.error("act_type 'prelu' needs the input gamma")
    rank = c.rank(x)
    if gamma.shape is not None and len(gamma.shape) == 1 and rank > 2 and gamma.shape[0] != 1:
        gamma = c.w.reshape(gamma, [-1, *[1] * (rank - 2)])
    return c.w.node("PRelu", x, gamma)


@operator("hard_sigmoid", keeps_shape=True)
def _hard_sigmoid(c: Call, x: Value) -> Value:
    return c.w.node("HardSigmoid", x, alpha=c.real("alpha", 0.2), beta=c.real("beta", 0.5))


@operator("smooth_l1 _npx_smooth_l1", keeps_shape=True)
def _smooth_l1(c: Call, x: Value) -> Value:
    """Quadratic near 0, linear elsewhere; they meet at ``1 / scalar²``."""
    w, square = c.w, c.real("scalar", 1.0) ** 2
    size = w.node("Abs", x)
    near = w.node("Mul", w.node("Mul", x, x), w.number(square / 2, x))
    far = w.node("Sub", size, w.number(0.5 / square, x))
    return w.node("Where", w.node("Less", size, w.number(1 / square, x)), near, far)


# -- softmaxes -------------------------------------------------------------------------------------


@operator("softmax _npx_softmax", keeps_shape=True, op="Softmax")
@operator("log_softmax _npx_log_softmax", keeps_shape=True, op="LogSoftmax")
@operator("softmin", keeps_shape=True, op="Softmax", sign=-1.0)
def _softmax(c: Call, x: Value, length: Value | None = None, op: str = "", sign: float = 1.0) -> Value:
    w, axis = c.w, c.integer("axis", -1)
    factor = sign / c.real("temperature", 1.0)
    x = w.cast(x, c.dtype(x.dtype if x.dtype.startswith(("float", "bfloat")) else "float32"))
    if factor != 1.0:
        x = w.node("Mul", x, w.number(factor, x))
    if length is None or not c.flag("use_length"):
        return w.node(op, x, axis=axis)
    axis = c.axis(axis, c.rank(x))
    inside = within(c, x, length, axis)
    y = w.node(op, w.node("Where", inside, x, w.number(-math.inf, x)), axis=axis)
    return w.node("Where", inside, y, w.number(0.0, x))


def within(c: Call, x: Value, length: Value, axis: int) -> Value:
    """Whether a place along an axis of `x` is before the length that belongs to the other axes."""
    w, rank = c.w, c.rank(x)
    count = w.size(x, axis)
    end = w.constant(count, "int64") if isinstance(count, int) else w.squeeze(count, 0)
    places = w.node("Range", w.constant(0), end, w.constant(1))
    places = w.reshape(places, [-1, *[1] * (rank - 1 - axis)])
    return w.node("Less", places, w.unsqueeze(w.cast(length, "int64"), axis))


@operator("SoftmaxActivation", keeps_shape=True)
def _softmax_activation(c: Call, x: Value) -> Value:
    kind = c.choice("mode", "instance", "instance", "channel")
    return c.w.node("Softmax", x, axis=1 if kind == "channel" else -1)


def _over_all(c: Call, x: Value) -> Value:
    """Softmax over all elements of an example."""
    w = c.w
    if x.shape is not None and len(x.shape) <= 2:
        return w.node("Softmax", x, axis=-1)
    flat = w.node("Softmax", w.node("Flatten", x, axis=1), axis=-1)
    result = w.node("Reshape", flat, w.node("Shape", x))
    result.shape = x.shape
    return result


@operator("SoftmaxOutput Softmax", keeps_shape=True)
def _softmax_output(c: Call, x: Value) -> Value:
    if c.flag("multi_output"):
        return c.w.node("Softmax", x, axis=1)
    return c.w.node("Softmax", x, axis=-1) if c.flag("preserve_shape") else _over_all(c, x)


@operator("LogisticRegressionOutput _sparse_LogisticRegressionOutput", keeps_shape=True)
def _logistic_output(c: Call, x: Value) -> Value:
    return c.w.node("Sigmoid", x)


@operator(
    "LinearRegressionOutput MAERegressionOutput SVMOutput MakeLoss make_loss BlockGrad stop_gradient identity _copy "
    "_sparse_LinearRegressionOutput _sparse_MAERegressionOutput _sparse_make_loss _sparse_stop_gradient _np_copy "
    "IdentityAttachKLSparseReg _contrib_gradientmultiplier Dropout _npx_dropout _CrossDeviceCopy _npi_share_memory",
    keeps_shape=True,
)
def _as_it_is(c: Call, x: Value, *more: Value) -> Value:
    return x
