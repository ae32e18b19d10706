"""Activations that are one node in ONNX."""

from __future__ import annotations

from typing import Any

from unidl.interchange.onnx.exporting._emit import Emit, since, unary
from unidl.interchange.onnx.exporting._writer import Value, Writer


def _with(op_type: str, *names: str) -> Emit:
    """The emitter of a node whose attributes `names` are the op's further arguments, in order."""

    def emit(w: Writer, x: Value, *values: Any) -> Value:
        return w.node(op_type, x, dtype=x.dtype, **{n: float(v) for n, v in zip(names, values, strict=True)})  # type: ignore[arg-type]

    return emit


def selu(w: Writer, x: Value) -> Value:
    return w.node("Selu", x)


def hard_sigmoid(w: Writer, x: Value) -> Value:
    return w.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@since(20)
def gelu(w: Writer, x: Value, approximate: bool = True) -> Value:
    return w.node("Gelu", x, approximate="tanh" if approximate else "none")


def softmax(w: Writer, x: Value, axis: Any = -1) -> Value:
    return w.node("Softmax", x, axis=axis) if isinstance(axis, int) and x.shape else NotImplemented


def log_softmax(w: Writer, x: Value, axis: Any = -1) -> Value:
    return w.node("LogSoftmax", x, axis=axis) if isinstance(axis, int) and x.shape else NotImplemented


def hard_shrink(w: Writer, x: Value, threshold: float = 0.5) -> Value:
    return w.node("Shrink", x, bias=0.0, lambd=float(threshold))


def soft_shrink(w: Writer, x: Value, threshold: float = 0.5) -> Value:
    return w.node("Shrink", x, bias=float(threshold), lambd=float(threshold))


def threshold(w: Writer, x: Value, threshold: float, default_value: float) -> Value:
    return w.node("ThresholdedRelu", x, alpha=float(threshold)) if default_value == 0 else NotImplemented


def clip(w: Writer, x: Value, x_min: Any, x_max: Any) -> Value:
    """Limits that are numbers (tensors as limits broadcast, which Clip does not)."""
    plain = all(v is None or isinstance(v, (int, float)) for v in (x_min, x_max))
    if not plain or x.dtype != w.specs[0].dtype or not w.is_float(x) or w.specs[0].dtype == "bool":
        return NotImplemented
    low, high = (None if v is None else w.constant(v, x.dtype) for v in (x_min, x_max))
    return w.node("Clip", x, low, high)


def _limits(low: float, high: float) -> Emit:
    def emit(w: Writer, x: Value) -> Value:
        return clip(w, x, low, high)

    return emit


def _single(emit: Emit) -> Emit:
    """`emit`, declined for float64, for which onnxruntime has no such kernels, or less exact ones."""

    def single(w: Writer, x: Value, *args: Any) -> Value:
        return NotImplemented if x.dtype == "float64" else emit(w, x, *args)

    return since(getattr(emit, "since", 0))(single)


_SINGLE: dict[str, Emit] = {
    "leaky_relu": _with("LeakyRelu", "alpha"),
    "elu": _with("Elu", "alpha"),
    "celu": _with("Celu", "alpha"),
    "selu": selu,
    "softplus": unary("Softplus"),
    "softsign": unary("Softsign"),
    "mish": unary("Mish", 18),
    "hard_silu": unary("HardSwish", 14),
    "hard_sigmoid": hard_sigmoid,
    "hard_tanh": _limits(-1.0, 1.0),
    "relu6": _limits(0.0, 6.0),
    "hard_shrink": hard_shrink,
    "soft_shrink": soft_shrink,
    "threshold": threshold,
    "gelu": gelu,
}
TABLE: dict[str, Emit] = {
    **{name: _single(emit) for name, emit in _SINGLE.items()},
    "softmax": softmax,
    "log_softmax": log_softmax,
    "clip": clip,
}
