"""Products, convolutions, pooling, activations, normalization and losses."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unidl import config
from unidl.backend.attributes import geometry, output_paddings, same_padding, sized, transpose_padding
from unidl_torch.reduce import logsumexp

_CONV = (F.conv1d, F.conv2d, F.conv3d)
_CONV_TRANSPOSE = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_MAX_POOL = (F.max_pool1d, F.max_pool2d, F.max_pool3d)


def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.dtype in (torch.bool, torch.int8, torch.uint8, torch.int16, torch.float16) and x1.device.type == "cpu":
        # Narrow types have no (or a slow) CPU kernel.
        wide = torch.float32 if x1.dtype is torch.float16 else torch.int32
        return torch.matmul(x1.to(wide), x2.to(wide)).to(x1.dtype)
    return torch.matmul(x1, x2)


def einsum(subscripts: str, operands: Any) -> Tensor:
    from unidl.ops.einsum import contracted, is_plain

    inexact = operands[0].is_floating_point() or operands[0].is_complex()
    if len(operands) > 2 or not inexact or not is_plain(subscripts, tuple(tuple(o.shape) for o in operands)):
        return contracted(subscripts, operands)
    return torch.einsum(subscripts, *operands)


def linear(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    if kernel.dim() != 2 or (bias is not None and (bias.dim() != 1 or bias.shape[0] != kernel.shape[1])):
        raise ValueError("a matrix and a vector are expected")  # others would broadcast
    if bias is None:
        return torch.matmul(x, kernel)
    if x.dim() == 2:
        return torch.addmm(bias, x, kernel)
    # As rows: then the product adds the bias as it goes, and does not pass over its result again.
    return torch.addmm(bias, x.reshape(-1, x.shape[-1]), kernel).view(*x.shape[:-1], kernel.shape[1])


def _channels_first(x: Tensor) -> Tensor:
    """A view of a channels-last tensor as PyTorch takes it; its memory is `channels_last` already."""
    return x.movedim(-1, 1)


def _channels_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def _same(x: Tensor, window: Any, strides: Any, dilation: Any, value: float = 0.0) -> tuple[Tensor, Any]:
    """What "same" adds: numbers for the engine where both sides are equal, else a padded input."""
    pairs = [
        same_padding(x.shape[2 + i], w, s, d) for i, (w, s, d) in enumerate(zip(window, strides, dilation, strict=True))
    ]
    if all(a == b for a, b in pairs):
        return x, tuple(a for a, _ in pairs)
    flat = [n for pair in reversed(pairs) for n in pair]
    return F.pad(x, flat, value=value), (0,) * len(pairs)


def conv_bias(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    n = inputs.dim() - 2
    g = geometry(n, strides, padding, dilation_rate, data_format)
    x = _channels_first(inputs) if g.channels_last else inputs
    weight = kernel.permute(n + 1, n, *range(n))
    pads: Any = (0,) * n
    if g.padding == "same":
        x, pads = _same(x, kernel.shape[:n], g.strides, g.dilation)
    out = _CONV[n - 1](x, weight, bias, g.strides, pads, g.dilation, x.shape[1] // kernel.shape[n])
    return _channels_last(out) if g.channels_last else out


def conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    return conv_bias(inputs, kernel, None, strides, padding, data_format, dilation_rate)


def depthwise_conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    n = inputs.dim() - 2
    channels, multiplier = kernel.shape[-2:]
    # One group for each channel: (*window, 1, channels * multiplier).
    grouped = kernel.reshape(*kernel.shape[:n], 1, channels * multiplier)
    return conv_bias(inputs, grouped, None, strides, padding, data_format, dilation_rate)


def conv_transpose(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    n = inputs.dim() - 2
    g = geometry(n, 1, padding, dilation_rate, data_format)
    strides = sized(strides, n, "strides")
    extra = output_paddings(output_padding, n)
    x = _channels_first(inputs) if g.channels_last else inputs
    weight = kernel.permute(n + 1, n, *range(n))
    full = _CONV_TRANSPOSE[n - 1](x, weight, None, strides, 0, 0, 1, g.dilation)
    crop: list[tuple[int, int]] = []
    for window, s, d, o in zip(kernel.shape[:n], strides, g.dilation, extra, strict=True):
        before, after = transpose_padding(window, s, d, g.padding, o)
        crop.insert(0, (-before, -after))
    flat = [c for pair in crop for c in pair]
    out = F.pad(full, flat) if any(flat) else full
    return _channels_last(out) if g.channels_last else out


def max_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    n = inputs.dim() - 2
    g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
    window = sized(pool_size, n, "pool_size")
    x = _channels_first(inputs) if g.channels_last else inputs
    if not x.dtype.is_floating_point:
        if x.dtype in (torch.uint16, torch.uint32):
            return max_pool(inputs.long(), pool_size, strides, padding, data_format).to(inputs.dtype)
        if n == 1:  # there are kernels of integers for two and three dimensions
            place = 2 if g.channels_last else 3
            return max_pool(inputs.unsqueeze(place), (*window, 1), (*g.strides, 1), padding, data_format).squeeze(place)
    pads: Any = (0,) * n
    if g.padding == "same":
        low = -float("inf") if x.dtype.is_floating_point else torch.iinfo(x.dtype).min
        x, pads = _same(x, window, g.strides, g.dilation, low)
        if any(2 * p > w for p, w in zip(pads, window, strict=True)):
            x, pads = F.pad(x, [p for p in reversed(pads) for _ in (0, 1)], value=low), (0,) * n
    out = _MAX_POOL[n - 1](x, window, g.strides, pads)
    return _channels_last(out) if g.channels_last else out


def average_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    n = inputs.dim() - 2
    g = geometry(n, pool_size if strides is None else strides, padding, 1, data_format)
    window = sized(pool_size, n, "pool_size")
    x = _channels_first(inputs) if g.channels_last else inputs
    if n == 3 and x.device.type == "cpu" and x.dtype.itemsize == 2:  # there is no kernel
        return average_pool(inputs.float(), pool_size, strides, padding, data_format).to(inputs.dtype)
    pool: Any = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[n - 1]
    if g.padding == "same":
        padded, pads = _same(x, window, g.strides, g.dilation)
        if padded is x and all(2 * p <= w for p, w in zip(pads, window, strict=True)):
            out = pool(x, window, g.strides, pads, False, False)
        else:
            if padded is x:
                flat = [p for p in reversed(pads) for _ in (0, 1)]
                padded, inside = F.pad(x, flat), F.pad(torch.ones_like(x[:1, :1]), flat)
            else:
                inside, _ = _same(torch.ones_like(x[:1, :1]), window, g.strides, g.dilation)
            # Mean over the elements inside the input: both sums are divided by the window's size.
            out = pool(padded, window, g.strides) / pool(inside, window, g.strides)
    else:
        out = pool(x, window, g.strides)
    return _channels_last(out) if g.channels_last else out


def adaptive_average_pool(inputs: Tensor, output_size: Any, data_format: str | None = None) -> Tensor:
    n = inputs.dim() - 2
    last = geometry(n, 1, "valid", 1, data_format).channels_last
    if inputs.is_complex() or 0 in inputs.shape[1:]:
        raise ValueError("floats, and at least one element to pool, are expected")
    if inputs.dtype.itemsize == 2 and inputs.device.type == "cpu":  # sums in 16 bits, or no kernel
        return adaptive_average_pool(inputs.float(), output_size, data_format).to(inputs.dtype)
    pool: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[n - 1]
    out = pool(_channels_first(inputs) if last else inputs, sized(output_size, n, "output_size"))
    return _channels_last(out) if last else out


def relu6(x: Tensor) -> Tensor:
    from unidl import ops

    return F.relu6(x) if x.dtype.is_floating_point else ops.relu6.op.rule(x)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    return F.elu(x, alpha)


def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    return F.leaky_relu(x, negative_slope)


def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    return F.gelu(x, approximate="tanh" if approximate else "none")


def softplus(x: Tensor) -> Tensor:
    # F.softplus switches to the identity at 20, which is exact in float32 and not in float64.
    return F.softplus(x, threshold=20 if x.dtype is not torch.float64 else 50)


def softmax(x: Tensor, axis: Any = -1) -> Tensor:
    if type(axis) is int and x.dim() and not x.is_complex():
        return torch.softmax(x, axis)
    return torch.exp(log_softmax(x, axis))


def log_softmax(x: Tensor, axis: Any = -1) -> Tensor:
    if x.is_complex() or (not x.dim() and axis is not None):
        raise ValueError("neither complex numbers nor an axis of no dimensions")  # PyTorch takes some
    if type(axis) is int:
        return torch.log_softmax(x, axis)
    return torch.sub(x, logsumexp(x, axis, True))


def batch_normalization_training(
    x: Tensor, axis: int, offset: Tensor | None = None, scale: Tensor | None = None, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    moved = x.movedim(axis, 1)
    out, mean, inverse = torch.native_batch_norm(moved, scale, offset, None, None, True, 0.0, epsilon)
    # The kernel keeps 1 / sqrt(variance + epsilon) for the backward pass; no second pass over x is needed.
    variance = inverse.detach().double().pow(-2).sub_(epsilon).clamp_min_(0.0).to(mean.dtype)
    return out.movedim(1, axis), mean.detach(), variance


def batch_normalization(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    axis: int,
    offset: Tensor | None = None,
    scale: Tensor | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    if mean.requires_grad or variance.requires_grad:  # the kernel gives no gradient by the moments
        shape = [1] * x.dim()
        shape[axis] = -1
        factor = torch.rsqrt(variance + epsilon)
        factor = factor if scale is None else factor * scale
        shift = -mean * factor if offset is None else offset - mean * factor
        return x * factor.reshape(shape) + shift.reshape(shape)
    return F.batch_norm(x.movedim(axis, 1), mean, variance, scale, offset, False, 0.0, epsilon).movedim(1, axis)


def layer_normalization(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, axis: Any = -1, epsilon: float | None = None
) -> Tensor:
    axes = sorted(a % x.dim() for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    small = config.epsilon() if epsilon is None else epsilon
    last = list(range(x.dim() - len(axes), x.dim()))
    if axes != last:
        x = x.movedim(axes, last)
    out = F.layer_norm(x, x.shape[-len(axes) :], gamma, beta, small)
    return out if axes == last else out.movedim(last, axes)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> Tensor:
    if mask is not None:
        if is_causal:
            mask = torch.logical_and(
                mask, torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
            )
        mask = mask.expand(query.shape[-2], key.shape[-2]) if mask.dim() < 2 else mask
        # A target that sees nothing gets the mean of all values, and no gradient: it sees all, with a query of 0.
        seen = mask.any(-1, True)
        mask = torch.logical_or(mask, torch.logical_not(seen))
        query = torch.where(seen, query, torch.zeros((), dtype=query.dtype, device=query.device))
        return F.scaled_dot_product_attention(query, key, value, mask, scale=scale)
    return F.scaled_dot_product_attention(query, key, value, is_causal=is_causal, scale=scale)


def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    axis = axis % output.dim()
    if target.dim() == output.dim():
        target = target.squeeze(axis)
    if from_logits:
        logs = torch.log_softmax(output, axis)
    else:
        if output.dtype.itemsize == 2:  # 1 - epsilon is 1 there
            return sparse_categorical_crossentropy(target, output.float(), from_logits, axis).to(output.dtype)
        small = config.epsilon()
        logs = torch.log(torch.clamp(output / output.sum(axis, True), small, 1.0 - small))
    target = target.to(torch.int64)
    if logs.dim() <= 2:
        return F.nll_loss(logs if axis == logs.dim() - 1 else logs.T, target, reduction="none")
    # As rows: the kernel for pictures has a gradient for contiguous channels-first ones only.
    rows = logs.movedim(axis, -1).reshape(-1, logs.shape[axis])
    return F.nll_loss(rows, target.reshape(-1), reduction="none").reshape(target.shape)


def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Tensor:
    if output.dtype.itemsize == 2:
        return binary_crossentropy(target.float(), output.float(), from_logits).to(output.dtype)
    if from_logits:
        return F.binary_cross_entropy_with_logits(output, target, reduction="none")
    p = torch.clamp(output, config.epsilon(), 1.0 - config.epsilon())
    return torch.negative(target * torch.log(p) + (1.0 - target) * torch.log(1.0 - p))


#: From this many elements on a mask from packed bits is faster than PyTorch's on a CPU.
_MANY = 2048


def random_dropout(x: Tensor, rate: float, generator: Any = None) -> Tensor:
    keep = round((1.0 - rate) * 65536)
    if x.device.type != "cpu" or not 0 < keep < 65536 or torch.compiler.is_compiling() or x.numel() < _MANY:
        return F.dropout(x, rate, True)
    # PyTorch draws a number of 64 bits for each element. Four elements share one here: the rate is a multiple of
    # 2**-16, and the scale that of the very rate, so that the mean is kept.
    count = x.numel()
    bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    mask = torch.lt(bits.view(torch.int16)[:count].view(x.shape), keep - 32768)
    return torch.mul(x, mask.to(x.dtype).mul_(65536 / keep))


TABLE: dict[str, Any] = {
    "matmul": matmul,
    "einsum": einsum,
    "linear": linear,
    "conv": conv,
    "conv_bias": conv_bias,
    "depthwise_conv": depthwise_conv,
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "average_pool": average_pool,
    "adaptive_average_pool": adaptive_average_pool,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": F.selu,
    "glu": F.glu,
    "silu": F.silu,
    "gelu": gelu,
    "softplus": softplus,
    "mish": F.mish,
    "log_sigmoid": F.logsigmoid,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "batch_normalization": batch_normalization,
    "batch_normalization_training": batch_normalization_training,
    "layer_normalization": layer_normalization,
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
    "binary_crossentropy": binary_crossentropy,
    "random_dropout": random_dropout,
}
