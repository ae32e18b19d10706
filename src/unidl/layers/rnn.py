"""LSTM, GRU and SimpleRNN."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend import active
from unidl.layers.recurrent import Recurrent

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997): (batch, time, features) to (batch, units).

    With ``z = x_t @ kernel + h @ recurrent_kernel + bias`` split into i, f, c, o (in this order):
    ``c = sigmoid(f) * c + sigmoid(i) * tanh(c')``, ``h = sigmoid(o) * tanh(c)``. Arguments and masks as in
    `Recurrent`; `unit_forget_bias` makes the biases of f start at 1 (Jozefowicz et al., 2015).
    The states are h and c.

    Weights: kernel (features, 4 units), recurrent_kernel (units, 4 units), bias (4 units,).
    """

    gates = 4
    state_count = 2

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.unit_forget_bias = unit_forget_bias
        flags = return_sequences, return_state, go_backwards, stateful
        self._settings(
            units, activation, recurrent_activation, use_bias, dropout, recurrent_dropout, seed, flags,
            dict(
                kernel_initializer=kernel_initializer, recurrent_initializer=recurrent_initializer,
                bias_initializer=bias_initializer, kernel_regularizer=kernel_regularizer,
                recurrent_regularizer=recurrent_regularizer, bias_regularizer=bias_regularizer,
                kernel_constraint=kernel_constraint, recurrent_constraint=recurrent_constraint,
                bias_constraint=bias_constraint,
            ),
        )  # fmt: skip
        self._usual = self._usual and self.recurrent_activation is not None

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        if self.bias is not None and self.unit_forget_bias:
            start = active.to_numpy(self.bias).copy()
            start[self.units : 2 * self.units] = 1
            self.bias.assign(start)

    def fused(self, x: Any, states: list[Any], mask: Any) -> Any:
        return ops.lstm(x, states[0], states[1], self.kernel, self.recurrent_kernel, self.bias, mask)

    def step(self, x: Any, states: list[Any], kept: Any) -> list[Any]:
        h, c = states
        h = h if kept is None else ops.multiply(h, kept)
        i, f, new, o = ops.split(ops.add(x, ops.matmul(h, self.recurrent_kernel)), 4, -1)
        c = ops.add(ops.multiply(self._gate(f), c), ops.multiply(self._gate(i), self._activate(new)))
        return [ops.multiply(self._gate(o), self._activate(c)), c]


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al., arXiv:1406.1078): (batch, time, features) to (batch, units).

    The gates are z, r and the new state n, in this order: ``h = z * h + (1 - z) * n``. With
    `reset_after` r is applied after the product with `recurrent_kernel`, as cuDNN does it, and there
    are separate biases for inputs and state; otherwise before. Arguments and masks as in `Recurrent`.

    Weights: kernel (features, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), or
    (3 units,) without `reset_after`.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.reset_after = reset_after
        flags = return_sequences, return_state, go_backwards, stateful
        self._settings(
            units, activation, recurrent_activation, use_bias, dropout, recurrent_dropout, seed, flags,
            dict(
                kernel_initializer=kernel_initializer, recurrent_initializer=recurrent_initializer,
                bias_initializer=bias_initializer, kernel_regularizer=kernel_regularizer,
                recurrent_regularizer=recurrent_regularizer, bias_regularizer=bias_regularizer,
                kernel_constraint=kernel_constraint, recurrent_constraint=recurrent_constraint,
                bias_constraint=bias_constraint,
            ),
        )  # fmt: skip
        self._usual = self._usual and self.recurrent_activation is not None

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def fused(self, x: Any, states: list[Any], mask: Any) -> Any:
        return ops.gru(x, states[0], self.kernel, self.recurrent_kernel, self.bias, mask, self.reset_after)

    def projected(self, x: Any) -> Any:
        bias = ops.getitem(self.bias, 0) if self.reset_after and self.bias is not None else self.bias
        return ops.linear(x, self.kernel, bias)

    def step(self, x: Any, states: list[Any], kept: Any) -> list[Any]:
        h, units = states[0], self.units
        seen = h if kept is None else ops.multiply(h, kept)
        xz, xr, xn = ops.split(x, 3, -1)
        if self.reset_after:
            bias = None if self.bias is None else ops.getitem(self.bias, 1)
            hz, hr, hn = ops.split(ops.linear(seen, self.recurrent_kernel, bias), 3, -1)
            z, r = self._gate(ops.add(xz, hz)), self._gate(ops.add(xr, hr))
            n = self._activate(ops.add(xn, ops.multiply(r, hn)))
        else:
            gates = ops.getitem(self.recurrent_kernel, (slice(None), slice(0, 2 * units)))
            own = ops.getitem(self.recurrent_kernel, (slice(None), slice(2 * units, None)))
            hz, hr = ops.split(ops.matmul(seen, gates), 2, -1)
            z, r = self._gate(ops.add(xz, hz)), self._gate(ops.add(xr, hr))
            n = self._activate(ops.add(xn, ops.matmul(ops.multiply(r, seen), own)))
        return [ops.add(ops.multiply(z, h), ops.multiply(ops.subtract(1.0, z), n))]


class SimpleRNN(Recurrent):
    """``h = tanh(x_t @ kernel + h @ recurrent_kernel + bias)``: (batch, time, features) to (batch, units).

    Arguments and masks as in `Recurrent`.

    Weights: kernel (features, units), recurrent_kernel (units, units), bias (units,).
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        flags = return_sequences, return_state, go_backwards, stateful
        self._settings(
            units, activation, None, use_bias, dropout, recurrent_dropout, seed, flags,
            dict(
                kernel_initializer=kernel_initializer, recurrent_initializer=recurrent_initializer,
                bias_initializer=bias_initializer, kernel_regularizer=kernel_regularizer,
                recurrent_regularizer=recurrent_regularizer, bias_regularizer=bias_regularizer,
                kernel_constraint=kernel_constraint, recurrent_constraint=recurrent_constraint,
                bias_constraint=bias_constraint,
            ),
        )  # fmt: skip

    def fused(self, x: Any, states: list[Any], mask: Any) -> Any:
        return ops.simple_rnn(x, states[0], self.kernel, self.recurrent_kernel, self.bias, mask)

    def step(self, x: Any, states: list[Any], kept: Any) -> list[Any]:
        h = states[0] if kept is None else ops.multiply(states[0], kept)
        return [self._activate(ops.add(x, ops.matmul(h, self.recurrent_kernel)))]
