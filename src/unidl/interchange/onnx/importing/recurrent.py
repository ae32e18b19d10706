"""RNN, GRU and LSTM, with all that ONNX allows: directions, lengths, peepholes, clipping, other activations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from unidl import ops
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator
from unidl.interchange.onnx.importing._values import dtype_of, shape_of

Function = Callable[[Any], Any]

_PLAIN: dict[str, Function] = {
    "relu": ops.relu, "tanh": ops.tanh, "sigmoid": ops.sigmoid, "softsign": ops.softsign, "softplus": ops.softplus,
    "identity": lambda x: x, "hardswish": ops.hard_silu, "gelu": lambda x: ops.gelu(x, False),
}  # fmt: skip

#: By name: a function of x, alpha and beta, and the defaults of these.
_PARAMETRIC: dict[str, tuple[Callable[..., Any], float, float]] = {
    "affine": (lambda x, a, b: ops.add(ops.multiply(x, a), b), 1.0, 0.0),
    "leakyrelu": (lambda x, a, b: ops.leaky_relu(x, a), 0.01, 0.0),
    "thresholdedrelu": (lambda x, a, b: ops.threshold(x, a, 0.0), 1.0, 0.0),
    "scaledtanh": (lambda x, a, b: ops.multiply(ops.tanh(ops.multiply(x, b)), a), 1.0, 1.0),
    "hardsigmoid": (lambda x, a, b: ops.clip(ops.add(ops.multiply(x, a), b), 0.0, 1.0), 0.2, 0.5),
    "elu": (lambda x, a, b: ops.elu(x, a), 1.0, 0.0),
    "celu": (lambda x, a, b: ops.celu(x, a), 1.0, 0.0),
    "selu": (lambda x, a, b: ops.multiply(ops.elu(x, a), b), 1.67326319217681884765625, 1.05070102214813232421875),
}


def activation(call: Call, name: str, alpha: float | None = None, beta: float | None = None) -> Function:
    """The activation that an attribute names."""
    key = name.lower()
    if key in _PLAIN:
        return _PLAIN[key]
    if key not in _PARAMETRIC:
        raise call.error(f"the activation {name!r} is unknown; known are {', '.join([*_PLAIN, *_PARAMETRIC])}")
    function, a, b = _PARAMETRIC[key]
    a, b = a if alpha is None else alpha, b if beta is None else beta
    return lambda x: function(x, a, b)


def _activations(call: Call, default: list[str], directions: int) -> list[list[Function]]:
    """The activations of each direction; alphas and betas are given to those that take some, in order."""
    names = call.get("activations") or default * directions
    if len(names) != len(default) * directions:
        raise call.error(f"there are {len(names)} activations; {len(default) * directions} are expected")
    alphas, betas = list(call.get("activation_alpha", [])), list(call.get("activation_beta", []))
    found = []
    for name in names:
        takes = name.lower() in _PARAMETRIC
        two = name.lower() in ("affine", "scaledtanh", "hardsigmoid")
        alpha = alphas.pop(0) if takes and alphas else None
        beta = betas.pop(0) if two and betas else None
        found.append(activation(call, name, alpha, beta))
    each = len(default)
    return [found[i * each : (i + 1) * each] for i in range(directions)]


def _clipped(call: Call, function: Function) -> Function:
    bound = call.get("clip")
    return function if not bound else lambda x: function(ops.clip(x, -bound, bound))


class _Direction:
    """One direction of a recurrent node.

    Attributes:
        w, r: kernels (inputs, gates * units) and (units, gates * units).
        wb, rb: their biases, (gates * units,).
    """

    def __init__(self, w: Any, r: Any, b: Any, index: int, gates: int, units: int) -> None:
        self.w = ops.transpose(ops.getitem(w, index))
        self.r = ops.transpose(ops.getitem(r, index))
        if b is None:
            self.wb: Any = None
            self.rb: Any = None
        else:
            row = ops.getitem(b, index)
            self.wb, self.rb = ops.split(row, 2, 0)


def _run(
    call: Call,
    x: Any,
    lengths: Any,
    states: list[Any],
    step: Callable[[int, Any, list[Any]], list[Any]],
    directions: int,
) -> tuple[Any, list[Any]]:
    """Outputs (time, directions, batch, units), and the last states (directions, batch, units)."""
    reverse_first = call.get("direction", "forward") == "reverse"
    outputs, lasts = [], []
    for d in range(directions):
        backwards = reverse_first or d == 1
        own = [ops.getitem(s, d) for s in states]
        steps = ops.arange(shape_of(x)[0], dtype="int32")

        def one(carry: Any, element: Any, d: int = d) -> Any:
            now, time = element
            new = step(d, now, list(carry))
            if lengths is None:
                return tuple(new), new[0]
            alive = ops.expand_dims(ops.less(time, ops.cast(lengths, "int32")), -1)
            kept = [ops.where(alive, a, b) for a, b in zip(new, carry, strict=True)]
            return tuple(kept), ops.where(alive, new[0], ops.zeros_like(new[0]))

        final, ys = ops.scan(one, tuple(own), (x, steps), reverse=backwards)
        outputs.append(ys)
        lasts.append(list(final))
    return ops.stack(outputs, 1), [ops.stack([last[i] for last in lasts], 0) for i in range(len(states))]


def _recurrent(call: Call, x: Any, r: Any, starts: list[Any], run: Callable[[Any, list[Any], int, int], Any]) -> Any:
    """What RNN, GRU and LSTM share: layout, directions, first states, which outputs come."""
    batch_first = call.get("layout", 0)
    directions, units = shape_of(r)[0], shape_of(r)[-1]
    if directions != (2 if call.get("direction", "forward") == "bidirectional" else 1):
        raise call.error(
            f"the weights are for {directions} directions, but direction is {call.get('direction', 'forward')!r}"
        )
    if batch_first:
        x = ops.swapaxes(x, 0, 1)
        starts = [None if s is None else ops.swapaxes(s, 0, 1) for s in starts]
    batch = shape_of(x)[1]
    starts = [ops.zeros((directions, batch, units), dtype_of(x)) if s is None else s for s in starts]
    ys, lasts = run(x, starts, directions, units)
    if batch_first:
        ys = ops.transpose(ys, (2, 0, 1, 3))
        lasts = [ops.swapaxes(s, 0, 1) for s in lasts]
    return (ys, *lasts)[: max(len(call.node.outputs), 1)]


def _added(x: Any, *biases: Any) -> Any:
    return functools.reduce(lambda a, b: a if b is None else ops.add(a, b), biases, x)


@operator("RNN", apart=True)
def _rnn(call: Call, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h0: Any = None) -> Any:
    def run(x: Any, starts: list[Any], directions: int, units: int) -> Any:
        parts = [_Direction(w, r, b, d, 1, units) for d in range(directions)]
        functions = _activations(call, ["Tanh"], directions)

        def step(d: int, now: Any, carry: list[Any]) -> list[Any]:
            p, f = parts[d], _clipped(call, functions[d][0])
            return [f(_added(ops.add(ops.matmul(now, p.w), ops.matmul(carry[0], p.r)), p.wb, p.rb))]

        return _run(call, x, lengths, starts, step, directions)

    return _recurrent(call, x, r, [h0], run)


@operator("GRU", apart=True)
def _gru(call: Call, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h0: Any = None) -> Any:
    def run(x: Any, starts: list[Any], directions: int, units: int) -> Any:
        parts = [_Direction(w, r, b, d, 3, units) for d in range(directions)]
        functions = _activations(call, ["Sigmoid", "Tanh"], directions)
        after = call.get("linear_before_reset", 0)

        def step(d: int, now: Any, carry: list[Any]) -> list[Any]:
            p, h = parts[d], carry[0]
            f, g = (_clipped(call, a) for a in functions[d])
            wz, wr, wh = ops.split(_added(ops.matmul(now, p.w), p.wb), 3, -1)
            if after:
                rz, rr, rh = ops.split(_added(ops.matmul(h, p.r), p.rb), 3, -1)
                z, reset = f(ops.add(wz, rz)), f(ops.add(wr, rr))
                new = g(ops.add(wh, ops.multiply(reset, rh)))
            else:
                kernels = ops.split(p.r, [2 * units], -1)
                biases = (None, None) if p.rb is None else ops.split(p.rb, [2 * units], 0)
                rz, rr = ops.split(_added(ops.matmul(h, kernels[0]), biases[0]), 2, -1)
                z, reset = f(ops.add(wz, rz)), f(ops.add(wr, rr))
                new = g(_added(ops.add(wh, ops.matmul(ops.multiply(reset, h), kernels[1])), biases[1]))
            return [ops.add(ops.multiply(ops.subtract(ops.ones_like(z), z), new), ops.multiply(z, h))]

        return _run(call, x, lengths, starts, step, directions)

    return _recurrent(call, x, r, [h0], run)


@operator("LSTM", apart=True)
def _lstm(
    call: Call, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h0: Any = None, c0: Any = None,
    p: Any = None,
) -> Any:  # fmt: skip
    return lstm(call, x, w, r, b, lengths, h0, c0, p)


def lstm(
    call: Call, x: Any, w: Any, r: Any, b: Any, lengths: Any, h0: Any, c0: Any, p: Any,
    rounded: Function = lambda h: h,
) -> Any:  # fmt: skip
    """An LSTM; `rounded` is what becomes of a state before its product with the weights."""

    def run(x: Any, starts: list[Any], directions: int, units: int) -> Any:
        parts = [_Direction(w, r, b, d, 4, units) for d in range(directions)]
        functions = _activations(call, ["Sigmoid", "Tanh", "Tanh"], directions)
        peeps = None if p is None else [ops.split(ops.getitem(p, d), 3, 0) for d in range(directions)]

        def step(d: int, now: Any, carry: list[Any]) -> list[Any]:
            part, (h, c) = parts[d], carry
            f, g, out = functions[d]
            f, g = _clipped(call, f), _clipped(call, g)
            gates = _added(ops.add(ops.matmul(now, part.w), ops.matmul(rounded(h), part.r)), part.wb, part.rb)
            i, o, forget, new = ops.split(gates, 4, -1)
            if peeps is not None:
                i, forget = ops.add(i, ops.multiply(peeps[d][0], c)), ops.add(forget, ops.multiply(peeps[d][2], c))
            i = f(i)
            keep = ops.subtract(ops.ones_like(i), i) if call.get("input_forget", 0) else f(forget)
            c = ops.add(ops.multiply(keep, c), ops.multiply(i, g(new)))
            if peeps is not None:
                o = ops.add(o, ops.multiply(peeps[d][1], c))
            return [ops.multiply(f(o), out(c)), c]

        return _run(call, x, lengths, starts, step, directions)

    return _recurrent(call, x, r, [h0, c0], run)


__all__ = ["activation", "lstm"]
