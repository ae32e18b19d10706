"""Normalizations as they are in inference."""

from __future__ import annotations

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value

_MOST_NEIGHBOURS = 1024


@operator("BatchNorm BatchNorm_v1 CuDNNBatchNorm _npx_batch_norm _contrib_SyncBatchNorm", keeps_shape=True)
@operator("_contrib_BatchNormWithReLU", keeps_shape=True, relu=True)
def _batch_norm(
    c: Call, x: Value, gamma: Value, beta: Value, mean: Value | None = None, variance: Value | None = None,
    relu: bool = False,
) -> Value:  # fmt: skip
    w = c.w
    if c.node.outputs > 1:
        raise c.error("the mean and variance as outputs are for training, and are not read")
    mean = _stored(c, "moving_mean") if mean is None else mean
    variance = _stored(c, "moving_var") if variance is None else variance
    if c.flag("fix_gamma", True):
        if gamma.array is None:
            raise c.error("fix_gamma is said of a gamma that is computed")
        gamma = w.derived(gamma, np.ones_like(gamma.array))
    axis = c.integer("axis", 1)
    order = None
    if axis != 1 and c.axis(axis, rank := c.rank(x)) != 1:
        axis %= rank
        order = [0, axis, *[i for i in range(1, rank) if i != axis]] if axis else None
        if order is None:
            raise c.error("axis 0 is not read")
        x = w.transpose(x, order)
    y = w.node(
        "BatchNormalization", x, gamma, beta, mean, variance, epsilon=c.real("eps", 1e-3),
        momentum=c.real("momentum", 0.9),
    )  # fmt: skip
    y = y if order is None else w.transpose(y, np.argsort(order).tolist())
    return w.node("Relu", y) if relu else y


def _stored(c: Call, what: str) -> Value:
    """Statistics that old files do not name among the inputs."""
    found = c.array(f"{c.node.name}_{what}")
    if found is None:
        raise c.error(f"the file of arrays has no {c.node.name}_{what}")
    return found


@operator("LayerNorm _npx_layer_norm", keeps_shape=True)
def _layer_norm(c: Call, x: Value, gamma: Value, beta: Value) -> Value:
    w, axis, epsilon = c.w, c.integer("axis", -1), c.real("eps", 1e-5)
    if c.node.outputs > 1:
        raise c.error("the mean and standard deviation as outputs are not read")
    if axis == -1 or c.axis(axis, c.rank(x)) == c.rank(x) - 1:
        return w.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=epsilon)
    rank = c.rank(x)
    order = [*[i for i in range(rank) if i != axis % rank], axis % rank]
    y = w.node("LayerNormalization", w.transpose(x, order), gamma, beta, axis=-1, epsilon=epsilon)
    return w.transpose(y, np.argsort(order).tolist())


@operator("InstanceNorm", keeps_shape=True)
def _instance_norm(c: Call, x: Value, gamma: Value, beta: Value) -> Value:
    return c.w.node("InstanceNormalization", x, gamma, beta, epsilon=c.real("eps", 1e-3))


@operator("GroupNorm _npx_group_norm", keeps_shape=True)
def _group_norm(c: Call, x: Value, gamma: Value, beta: Value) -> Value:
    """Scale and offset may be those of groups or of channels."""
    w, groups = c.w, c.integer("num_groups", 1)
    channels = c.known(x, 1, "GroupNorm")
    parts = []
    for value in (gamma, beta):
        if value.array is None:
            raise c.error("scale and offset that are computed are not read")
        each = channels // max(value.array.size, 1)
        parts.append(value if each == 1 else w.derived(value, np.repeat(value.array, each)))
    y = w.node("GroupNormalization", x, *parts, num_groups=groups, epsilon=c.real("eps", 1e-5))
    y.shape = x.shape
    return y


@operator("L2Normalization", keeps_shape=True)
def _l2_normalization(c: Call, x: Value) -> Value:
    w, rank = c.w, c.rank(x)
    mode = c.choice("mode", "instance", "instance", "channel", "spatial")
    axes = {"instance": range(1, rank), "channel": range(1, 2), "spatial": range(2, rank)}[mode]
    total = w.reduce("ReduceSumSquare", x, axes, True)
    return w.node("Div", x, w.node("Sqrt", w.node("Add", total, w.number(c.real("eps", 1e-10), x))))


@operator("LRN", keeps_shape=True)
def _lrn(c: Call, x: Value) -> Value:
    size = c.integer("nsize")
    if not 1 <= size <= _MOST_NEIGHBOURS:
        raise c.error(f"nsize {size} is not read; it is at most {_MOST_NEIGHBOURS}")
    return c.w.node(
        "LRN", x, size=size, alpha=c.real("alpha", 1e-4), beta=c.real("beta", 0.75),
        bias=c.real("knorm", 2.0),
    )  # fmt: skip
