"""Attention as a recurrence, whose state stands for all steps before, as Qwen3-Next and others have it.

The rules are those of onnxruntime's descriptions of `LinearAttention` and `CausalConvWithState`.
"""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import dtype_of, shape_of
from unidl.interchange.onnx.importing.attention import joined_heads, repeated, split_heads
from unidl.interchange.onnx.importing.windows import causal_convolution

_RULES = ("linear", "gated", "delta", "gated_delta")


@operator("LinearAttention", domain=MICROSOFT, apart=True)
def _linear_attention(
    call: Call, q: Any, k: Any, v: Any, past: Any = None, decay: Any = None, rate: Any = None
) -> Any:  # fmt: skip
    """A state (batch, heads, size of keys, size of values): ``S = exp(g) S + b k (v - exp(g) S'k)'``, ``y = S'q``.

    The rule says whether there is a decay g, and whether what the state holds for the key is taken off (delta).
    """
    rule = call.get("update_rule", "gated_delta")
    _check_window(call)
    if rule not in _RULES:
        raise call.error(f"the update rule {rule!r} is unknown; known are {', '.join(_RULES)}")
    heads, groups = call.need("q_num_heads"), call.need("kv_num_heads")
    size = shape_of(q)[-1] // heads
    q, k, v = split_heads(q, heads), split_heads(k, shape_of(k)[-1] // size), split_heads(v, groups)
    most = max(heads, groups)
    q, k, v = (repeated(x, most) for x in (q, k, v))
    steps = [_first(x) for x in (q, k, v)]
    if "gated" in rule:
        if decay is None:
            raise call.error(f"the rule {rule!r} needs a decay")
        steps.append(ops.expand_dims(_first(repeated(split_heads(decay, groups), most)), -1))
    if "delta" in rule:
        if rate is None:
            raise call.error(f"the rule {rule!r} needs update rates (beta)")
        rate = ops.broadcast_to(rate, (*shape_of(rate)[:2], groups)) if shape_of(rate)[-1] == 1 else rate
        steps.append(_first(repeated(split_heads(rate, groups), most)))
    if past is None:
        start = ops.zeros((shape_of(q)[0], most, size, shape_of(v)[-1]), dtype_of(q))
    else:
        start = repeated(ops.cast(past, dtype_of(q)), most)
    scale = call.get("scale", 0.0) or size**-0.5

    def step(state: Any, now: Any) -> tuple[Any, Any]:
        query, key, value, *more = now
        if "gated" in rule:
            state = ops.multiply(state, ops.exp(more[0]))
        if "delta" in rule:
            value = ops.multiply(ops.subtract(value, _read(state, key)), more[-1])
        state = ops.add(state, ops.multiply(ops.expand_dims(key, -1), ops.expand_dims(value, -2)))
        return state, ops.multiply(_read(state, query), scale)

    last, y = ops.scan(step, start, tuple(steps))
    y = joined_heads(ops.transpose(y, (1, 2, 0, 3)))
    # Query heads that share a state have equal ones.
    states = ops.getitem(last, (slice(None), slice(0, None, most // groups)))
    return (y, states)[: len(call.node.outputs)]


def _check_window(call: Call) -> None:
    """Raises OnnxError for states of several steps, which no processor of onnxruntime keeps."""
    if call.get("state_window", 0):
        raise call.error("states of the last steps (state_window) are not read; the one after the last step is")


def _first(x: Any) -> Any:
    """(batch, heads, time, …) with the time first."""
    return ops.moveaxis(x, 2, 0)


def _read(state: Any, key: Any) -> Any:
    """What a state holds for a key: (batch, heads, size of values)."""
    return ops.squeeze(ops.matmul(ops.expand_dims(key, -2), state), -2)


@operator("LinearAttentionGate", domain=MICROSOFT)
def _linear_attention_gate(call: Call, a: Any, shift: Any, factor: Any, b: Any = None) -> Any:
    """The decay ``factor * softplus(a + shift)``, and update rates between 0 and 1."""
    wide = ops.add(ops.cast(a, "float32"), shift)
    decay = ops.cast(ops.multiply(ops.softplus(wide), factor), dtype_of(a))
    return (decay, None if b is None else ops.sigmoid(b))[: len(call.node.outputs)]


@operator("CausalConvWithState", domain=MICROSOFT)
def _causal_conv_with_state(call: Call, x: Any, kernel: Any, bias: Any = None, past: Any = None) -> Any:
    """A depthwise convolution over time that sees the past only, and hands on what the next piece needs of it."""
    if call.get("ndim", 1) != 1 or call.get("state_update_capacity", 0) or call.get("input_channels", 0):
        raise call.error("only convolutions over time, without updates of states and slices of channels, are read")
    _check_window(call)
    last = call.get("channels_last", 0)
    shape = shape_of(x)
    if last:  # (batch, time, *channels)
        x = ops.swapaxes(ops.reshape(x, (*shape[:2], -1)), 1, 2)
        past = None if past is None else ops.swapaxes(ops.reshape(past, (*shape_of(past)[:2], -1)), 1, 2)
    y, joined, keep = causal_convolution(call, x, kernel, bias, past, call.get("dilation", 1))
    time = shape_of(joined)[2]
    state = ops.getitem(joined, (slice(None), slice(None), slice(time - keep, time)))
    if last:
        y = ops.reshape(ops.swapaxes(y, 1, 2), shape)
        state = ops.reshape(ops.swapaxes(state, 1, 2), (shape[0], keep, *shape[2:]))
    return (y, state)[: len(call.node.outputs)]
