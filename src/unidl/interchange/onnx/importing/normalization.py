"""Normalization."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, rank_of, shape_of


def _channelwise(v: Any, x: Any) -> Any:
    """A vector over channels, in the shape in which it meets `x`."""
    return ops.reshape(v, (-1, *[1] * (rank_of(x) - 2)))


@operator("BatchNormalization SpatialBN")
def _batch_normalization(call: Call, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    epsilon = call.get("epsilon", 1e-5)
    # MXNet wrote spatial=0 with one mean for each channel all the same.
    if call.version < 9 and not call.get("spatial", 1) and rank_of(mean) > 1:  # one mean for each element
        spread = ops.sqrt(ops.add(variance, epsilon))
        return ops.add(ops.multiply(ops.divide(ops.subtract(x, mean), spread), scale), bias)
    if not _trains(call):
        y = ops.batch_normalization(x, mean, variance, 1, bias, scale, epsilon)
        return (y, mean, variance, mean, variance)[: len(call.node.outputs)]
    axes = tuple(i for i in range(rank_of(x)) if i != 1)
    wide = ops.cast(x, dtype_of(mean))
    now = ops.mean(wide, axes)
    spread = ops.mean(ops.square(ops.subtract(wide, _channelwise(now, x))), axes)
    y = ops.batch_normalization(x, ops.cast(now, dtype_of(x)), ops.cast(spread, dtype_of(x)), 1, bias, scale, epsilon)
    momentum = call.get("momentum", 0.9)

    def moved(old: Any, new: Any) -> Any:
        return ops.add(ops.multiply(old, momentum), ops.multiply(new, 1 - momentum))

    # Before opset 14 what the batch has comes last, too.
    return tuple([y, moved(mean, now), moved(variance, spread), now, spread][: len(call.node.outputs)])


def _trains(call: Call) -> bool:
    """Whether it takes the mean of the batch: said by an attribute since opset 14, before by extra outputs."""
    if call.version >= 14:
        return bool(call.get("training_mode", 0))
    return call.wants(1) and not call.get("is_test", 0)


@operator("InstanceNormalization")
def _instance_normalization(call: Call, x: Any, scale: Any, bias: Any) -> Any:
    axes = tuple(range(2, rank_of(x)))
    y = _standardized(x, axes, call.get("epsilon", 1e-5))
    return ops.add(ops.multiply(y, _channelwise(scale, x)), _channelwise(bias, x))


def _standardized(x: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    mean = ops.mean(x, axes, True)
    centred = ops.subtract(x, mean)
    return ops.multiply(centred, ops.rsqrt(ops.add(ops.mean(ops.square(centred), axes, True), epsilon)))


@operator("GroupNormalization", 21)
def _group_normalization(call: Call, x: Any, scale: Any, bias: Any) -> Any:
    return _grouped(call, x, lambda y: ops.add(ops.multiply(y, _channelwise(scale, x)), _channelwise(bias, x)))


@operator("GroupNormalization", 18)
def _group_normalization_per_group(call: Call, x: Any, scale: Any, bias: Any) -> Any:
    size = shape_of(x)[1] // call.need("num_groups")
    scale, bias = ops.repeat(scale, size), ops.repeat(bias, size)
    return _grouped(call, x, lambda y: ops.add(ops.multiply(y, _channelwise(scale, x)), _channelwise(bias, x)))


def _grouped(call: Call, x: Any, finish: Any) -> Any:
    groups, shape = call.need("num_groups"), shape_of(x)
    parts = ops.reshape(x, (shape[0], groups, shape[1] // groups, *shape[2:]))
    return finish(ops.reshape(_standardized(parts, tuple(range(2, rank_of(parts))), call.get("epsilon", 1e-5)), shape))


@operator("GroupNorm", domain=MICROSOFT)
def _group_norm(call: Call, x: Any, gamma: Any, beta: Any) -> Any:
    last = call.get("channels_last", 1)
    shape = shape_of(x)
    rank = rank_of(x)
    first = ops.moveaxis(x, -1, 1) if last else x
    parts_shape = (shape[0], call.need("groups"), -1, *shape_of(first)[2:])
    parts = ops.reshape(first, parts_shape)
    y = ops.reshape(_standardized(parts, tuple(range(2, rank + 1)), call.get("epsilon", 1e-5)), shape_of(first))
    y = ops.add(ops.multiply(y, _channelwise(gamma, first)), _channelwise(beta, first))
    if call.get("activation", 0):
        y = ops.silu(y)
    return ops.moveaxis(y, 1, -1) if last else y


@operator("LayerNormalization")
@operator("LayerNormalization", domain=MICROSOFT)
def _layer_normalization(call: Call, x: Any, scale: Any, bias: Any = None) -> Any:
    axis = call.axis(call.get("axis", -1), rank_of(x))
    return _layer_normalized(call, x, scale, bias, tuple(range(axis, rank_of(x))))


def _layer_normalized(call: Call, x: Any, scale: Any, bias: Any, axes: tuple[int, ...]) -> Any:
    epsilon = call.get("epsilon", 1e-5)
    if (
        not (call.wants(1) or call.wants(2))
        and shape_of(scale) == tuple(shape_of(x)[a] for a in axes)
        and bias is not None
        and shape_of(bias) == shape_of(scale)
    ):
        return ops.layer_normalization(x, scale, bias, axes if len(axes) > 1 else axes[0], epsilon)
    wide = ops.cast(x, "float32") if dtype_of(x) in ("float16", "bfloat16") else x
    mean = ops.mean(wide, axes, True)
    centred = ops.subtract(wide, mean)
    inverse = ops.rsqrt(ops.add(ops.mean(ops.square(centred), axes, True), epsilon))
    y = ops.multiply(ops.cast(ops.multiply(centred, inverse), dtype_of(x)), scale)
    y = y if bias is None else ops.add(y, bias)
    return (y, mean, inverse) if call.wants(1) or call.wants(2) else y


@operator("RMSNormalization")
def _rms_normalization(call: Call, x: Any, scale: Any) -> Any:
    axis = call.axis(call.get("axis", -1), rank_of(x))
    return _rms(x, scale, tuple(range(axis, rank_of(x))), call.get("epsilon", 1e-5))


def _rms(x: Any, scale: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    wide = ops.cast(x, "float32") if dtype_of(x) in ("float16", "bfloat16") else x
    y = ops.multiply(wide, ops.rsqrt(ops.add(ops.mean(ops.square(wide), axes, True), epsilon)))
    return ops.multiply(ops.cast(y, dtype_of(x)), scale)


@operator("SimplifiedLayerNormalization")
@operator("SimplifiedLayerNormalization", domain=MICROSOFT)
def _simplified_layer_normalization(call: Call, x: Any, scale: Any) -> Any:
    return _rms(x, scale, (rank_of(x) - 1,), call.get("epsilon", 1e-5))


@operator("SkipLayerNormalization", domain=MICROSOFT)
def _skip_layer_normalization(call: Call, x: Any, skip: Any, gamma: Any, beta: Any = None, bias: Any = None) -> Any:
    total = ops.add(x, skip) if bias is None else ops.add(ops.add(x, skip), bias)
    centred = ops.subtract(total, ops.mean(total, -1, True))
    epsilon = call.get("epsilon", 1e-12)
    y = ops.multiply(ops.multiply(centred, ops.rsqrt(ops.add(ops.mean(ops.square(centred), -1, True), epsilon))), gamma)
    y = y if beta is None else ops.add(y, beta)
    return (y, None, None, total) if call.wants(3) else y


@operator("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def _skip_simplified_layer_normalization(call: Call, x: Any, skip: Any, gamma: Any, bias: Any = None) -> Any:
    total = ops.add(x, skip) if bias is None else ops.add(ops.add(x, skip), bias)
    y = _rms(total, gamma, (rank_of(x) - 1,), call.get("epsilon", 1e-5))
    return (y, None, None, total) if call.wants(3) else y


@operator("LRN")
def _lrn(call: Call, x: Any) -> Any:
    """Each element divided by a power of the mean square over channels around it."""
    size = call.need("size")
    alpha, beta, k = call.get("alpha", 1e-4), call.get("beta", 0.75), call.get("bias", 1.0)
    shape = shape_of(x)
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    if not isinstance(shape[1], Dim):  # what lies beyond all channels adds nothing
        before, after = min(before, shape[1]), min(after, shape[1])
    squares = ops.pad(ops.square(x), ((0, 0), (before, after), *[(0, 0)] * (rank_of(x) - 2)))
    channels = shape[1]
    total = ops.getitem(squares, (slice(None), slice(0, channels)))
    for i in range(1, before + after + 1):
        total = ops.add(total, ops.getitem(squares, (slice(None), slice(i, i + channels))))
    return ops.divide(x, ops.power(ops.add(ops.multiply(total, alpha / size), k), beta))


def _narrowed(x: Any, scale: Any, epsilon: float) -> Any:
    """The last axis in groups of as many elements as `scale` has, each divided by its root mean square."""
    groups = ops.reshape(x, (*shape_of(x)[:-1], -1, shape_of(scale)[-1]))
    return ops.reshape(_rms(groups, scale, (rank_of(groups) - 1,), epsilon), shape_of(x))


@operator("GatedRMSNorm", domain=MICROSOFT)
def _gated_rms_norm(call: Call, x: Any, scale: Any, gate: Any) -> Any:
    name = call.get("activation", "silu")
    opened = ops.sigmoid(gate) if name == "sigmoid" else ops.silu(gate)
    return ops.multiply(_narrowed(x, scale, call.get("epsilon", 1e-5)), opened)


@operator("BranchwiseRMSNorm", domain=MICROSOFT)
def _branchwise_rms_norm(call: Call, x: Any, scale: Any = None) -> Any:
    """Root mean squares of each branch: along the last axis, which holds `num_branches` of them if that is given."""
    count = call.get("num_branches", 0)
    branches = ops.reshape(x, (*shape_of(x)[:-1], count, shape_of(x)[-1] // count)) if count else x
    size = shape_of(branches)[-1]
    if scale is None:
        scale = ops.ones((size,), dtype_of(x))
    elif rank_of(scale) == 1 and shape_of(scale)[0] != size:
        scale = ops.reshape(scale, (-1, size))
    return ops.reshape(_rms(branches, scale, (rank_of(branches) - 1,), call.get("epsilon", 1e-5)), shape_of(x))
