"""Recurrent layers: mxnet's fused kernel without a mask, unrolled steps with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.backend.ctc import beam_search
from unidl_mxnet._engine import mx
from unidl_mxnet.kernels._common import in_float32, noted, reshape_to
from unidl_mxnet.kernels._products import permuted
from unidl_mxnet.kernels.creation import zeros
from unidl_mxnet.kernels.shape import getitem


def _parts(F: Any, x: Any, count: int) -> list[Any]:
    """`x` cut into `count` equal parts along its last axis."""
    step = F.shape(x)[-1] // count
    return [getitem(F, x, (Ellipsis, slice(i * step, (i + 1) * step))) for i in range(count)]


def _gates_in_order(F: Any, x: Any, order: tuple[int, ...] | None) -> Any:
    if order is None:
        return x
    parts, shape = _parts(F, x, len(order)), F.shape(x)
    return noted(F, F._npi_concatenate(*[parts[i] for i in order], num_args=len(order), axis=-1), shape, F.dtype(x))


def _time_first(F: Any, x: Any) -> Any:
    """`x` (batch, time, features) as (time, batch, features): vectors of tokens are looked up so in the first place."""
    return x.swapped() if F.symbolic and x.swapped is not None else permuted(F, x, (1, 0, 2))


def _fused(
    F: Any, mode: str, x: Any, states: list[Any], kernel: Any, recurrent: Any, biases: list[Any], order: Any = None
) -> list[Any]:
    """All outputs and last states. `biases`: input and recurrent, None for zeros; `order`: of the gates."""
    batch = F.shape(x)[0]
    units, width = F.shape(recurrent)
    zero = zeros(F, (width,), F.dtype(x))
    pieces = [permuted(F, _gates_in_order(F, w, order), (1, 0)) for w in (kernel, recurrent)]
    pieces = [F._np_reshape(w, newshape=(-1,)) for w in pieces]
    pieces += [zero if b is None else _gates_in_order(F, b, order) for b in biases]
    weights = F._npi_concatenate(*pieces, num_args=4, axis=0)
    starts = [reshape_to(F, s, (1, batch, units)) for s in states]
    outputs, *ends = F.RNN(
        _time_first(F, x), weights, *starts, state_size=units, num_layers=1, mode=mode,
        state_outputs=True,
    )  # fmt: skip
    noted(F, outputs, (F.shape(x)[1], batch, units), F.dtype(x))
    return [permuted(F, outputs, (1, 0, 2)), *(F._np_reshape(e, newshape=(batch, units)) for e in ends)]


def _unrolled(F: Any, step: Callable[..., list[Any]], projected: Any, states: list[Any], mask: Any) -> list[Any]:
    """``step(projected[:, t], *states) -> states`` for each t; the output is the first state."""
    batch, time, _ = F.shape(projected)
    spec = F.shape(states[0]), F.dtype(states[0])
    outputs = []
    output = zeros(F, *spec)
    for t in range(time):
        new = step(getitem(F, projected, (slice(None), t)), *states)
        keep = None if mask is None else getitem(F, mask, (slice(None), slice(t, t + 1)))
        if keep is None:
            output = new[0]
        else:
            output = F._npi_where(keep, new[0], output)
            new = [F._npi_where(keep, a, b) for a, b in zip(new, states, strict=True)]
        states = [noted(F, s, *spec) for s in new]
        outputs.append(output)
    if not outputs:
        return [zeros(F, (batch, 0, spec[0][1]), spec[1]), *states]
    return [F._npi_stack(*outputs, num_args=len(outputs), axis=1), *states]


def _can_fuse(F: Any, x: Any, mask: Any) -> bool:
    return mask is None and 0 not in F.shape(x)


def _project(F: Any, x: Any, kernel: Any, bias: Any) -> Any:
    """``x @ kernel + bias`` for all times at once."""
    batch, time, features = F.shape(x)
    width = F.shape(kernel)[1]
    if 0 in (batch, time, features):
        flat = F._npi_matmul(x, kernel)
    else:
        flat = F.dot(F._np_reshape(x, newshape=(batch * time, features)), kernel)
        flat = F._np_reshape(flat, newshape=(batch, time, width))
    return noted(F, flat if bias is None else F._npi_add(flat, bias), (batch, time, width), F.dtype(x))


def _sum(F: Any, a: Any, h: Any, recurrent: Any) -> Any:
    return noted(F, F._npi_add(a, F.dot(h, recurrent)), (F.shape(h)[0], F.shape(recurrent)[1]), F.dtype(h))


def lstm(
    F: Any, x: Any, h0: Any, c0: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, mask: Any = None
) -> tuple[Any, ...]:
    if F.dtype(x) == "float16":
        return _wide(F, lstm, (x, h0, c0, kernel, recurrent_kernel, bias), mask=mask)
    if _can_fuse(F, x, mask):
        return tuple(_fused(F, "lstm", x, [h0, c0], kernel, recurrent_kernel, [bias, None]))

    def step(projected: Any, h: Any, c: Any) -> list[Any]:
        i, f, g, o = _parts(F, _sum(F, projected, h, recurrent_kernel), 4)
        kept = F._npi_multiply(F._npx_sigmoid(f), c)
        c = F._npi_add(kept, F._npi_multiply(F._npx_sigmoid(i), F._npi_tanh(g)))
        return [F._npi_multiply(F._npx_sigmoid(o), F._npi_tanh(c)), c]

    return tuple(_unrolled(F, step, _project(F, x, kernel, bias), [h0, c0], mask))


def gru(
    F: Any, x: Any, h0: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, mask: Any = None,
    reset_after: bool = True,
) -> tuple[Any, ...]:  # fmt: skip
    if F.dtype(x) == "float16":
        tensors = (x, h0, kernel, recurrent_kernel, bias)
        return _wide(F, gru, tensors, mask=mask, reset_after=reset_after)
    units, width = F.shape(recurrent_kernel)
    into, again = bias, None
    if bias is not None and reset_after:
        into, again = (getitem(F, bias, i) for i in range(2))
    if reset_after and _can_fuse(F, x, mask):
        # The fused kernel has the gates in the order r, z, n.
        return tuple(_fused(F, "gru", x, [h0], kernel, recurrent_kernel, [into, again], (1, 0, 2)))
    gates = getitem(F, recurrent_kernel, (slice(None), slice(0, 2 * units)))
    candidate = getitem(F, recurrent_kernel, (slice(None), slice(2 * units, width)))

    def step(projected: Any, h: Any) -> list[Any]:
        spec = F.shape(h), F.dtype(h)
        if reset_after:
            inner = F.dot(h, recurrent_kernel)
            inner = inner if again is None else F._npi_add(inner, again)
            z_h, r_h, n_h = _parts(F, noted(F, inner, (spec[0][0], width), spec[1]), 3)
            z_x, r_x, n_x = _parts(F, projected, 3)
            z, r = F._npx_sigmoid(F._npi_add(z_x, z_h)), F._npx_sigmoid(F._npi_add(r_x, r_h))
            n = F._npi_tanh(F._npi_add(n_x, F._npi_multiply(r, n_h)))
        else:
            first = getitem(F, projected, (slice(None), slice(0, 2 * units)))
            n_x = getitem(F, projected, (slice(None), slice(2 * units, width)))
            z, r = (F._npx_sigmoid(p) for p in _parts(F, _sum(F, first, h, gates), 2))
            n = F._npi_tanh(F._npi_add(n_x, F.dot(F._npi_multiply(r, h), candidate)))
        return [F._npi_add(n, F._npi_multiply(z, F._npi_subtract(h, n)))]

    return tuple(_unrolled(F, step, _project(F, x, kernel, into), [h0], mask))


def simple_rnn(
    F: Any, x: Any, h0: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, mask: Any = None
) -> tuple[Any, ...]:
    if F.dtype(x) == "float16":
        return _wide(F, simple_rnn, (x, h0, kernel, recurrent_kernel, bias), mask=mask)
    if _can_fuse(F, x, mask):
        return tuple(_fused(F, "rnn_tanh", x, [h0], kernel, recurrent_kernel, [bias, None]))

    def step(projected: Any, h: Any) -> list[Any]:
        return [F._npi_tanh(_sum(F, projected, h, recurrent_kernel))]

    return tuple(_unrolled(F, step, _project(F, x, kernel, bias), [h0], mask))


def _wide(F: Any, fn: Callable[..., Any], tensors: tuple[Any, ...], **rest: Any) -> tuple[Any, ...]:
    """``fn(F, *tensors, **rest)`` in float32, for float16 tensors of which the last may be None."""
    given = [t for t in tensors if t is not None]
    missing = [None] * (len(tensors) - len(given))
    return in_float32(F, lambda *t: fn(F, *t, *missing, **rest), *given)


def _ctc_beam_search(inputs: Any, sequence_lengths: Any, beam_width: int, top_paths: int, mask_index: int) -> Any:
    found = beam_search(inputs.asnumpy(), sequence_lengths.asnumpy(), beam_width, top_paths, mask_index)
    return tuple(mx.np.array(x, dtype=x.dtype.name) for x in found)


#: Ops on arrays only: a graph with one of them is replayed.
EAGER: dict[str, Callable[..., Any]] = {"ctc_beam_search": _ctc_beam_search}
