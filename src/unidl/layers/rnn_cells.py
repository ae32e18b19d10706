"""Cells: what a recurrent layer does in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import ops
from unidl._state import state
from unidl.backend import active
from unidl.backend.attributes import require
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import activation_of, require_known, resolve, weight_settings
from unidl.layers._through_time import through_time
from unidl.layers.regularization import checked_rate, drop

__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell"]


class Cell(Layer):
    """A cell whose inputs and state meet in a sum: the inputs' part can be computed for all steps at once.

    Attributes:
        gates: how many times `size` columns the weights have.
        state_size: size of the state, or sizes of the states.
        output_size: size of the output, which is the first state.
    """

    gates = 1
    state_count = 1
    state_size: Any

    def _settings(
        self,
        activation: Any,
        recurrent_activation: Any,
        use_bias: bool,
        dropout: float,
        recurrent_dropout: float,
        seed: Any,
        arguments: dict[str, Any],
    ) -> None:
        from unidl.random import SeedGenerator

        kind = type(self).__name__
        self.activation = activation_of(activation)
        self.recurrent_activation = activation_of(recurrent_activation)
        self.use_bias = use_bias
        self.dropout = checked_rate(kind, dropout, "dropout")
        self.recurrent_dropout = checked_rate(kind, recurrent_dropout, "recurrent_dropout")
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.kernel: Any = None
        self.recurrent_kernel: Any = None
        self.bias: Any = None
        self._held: dict[str, tuple[Any, Any]] = {}
        resolve(self, **arguments)

    def _make_weights(self, kernel: tuple[int, ...], recurrent: tuple[int, ...], bias: tuple[int, ...]) -> None:
        for name, shape in (("kernel", kernel), ("recurrent_kernel", recurrent), ("bias", bias)):
            if name == "bias" and not self.use_bias:
                continue
            what = name.removesuffix("_kernel")
            weight = self.add_weight(
                shape,
                getattr(self, f"{what}_initializer"),
                regularizer=getattr(self, f"{what}_regularizer"),
                constraint=getattr(self, f"{what}_constraint"),
                name=name,
            )
            setattr(self, name, weight)

    def _open_forget_gate(self, size: int) -> None:
        """Let the second quarter of the biases start at 1."""
        if self.bias is not None:
            start = active.to_numpy(self.bias).copy()
            start[size : 2 * size] = 1
            self.bias.assign(start)

    # -- one step, and all steps ------------------------------------------------------------

    def call(self, inputs: Any, states: Any, training: Any = False) -> Any:
        nested = isinstance(states, (list, tuple))
        old = list(states) if nested else [states]
        require(
            len(old) == self.state_count, f"has {self.state_count} states, but {len(old)} came: pass them as a list."
        )
        kept = None
        if training:
            if (mask := self.get_dropout_mask(inputs)) is not None:
                inputs = ops.multiply(inputs, mask)
            kept = self.get_recurrent_dropout_mask(old[0])
        new = self.step(kept)(self.project(inputs), old)
        return new[0], new if nested else new[0]

    def project(self, inputs: Any) -> Any:
        """The inputs' part of all gates, for one step or all of them."""
        raise NotImplementedError

    def step(self, kept: Any) -> Callable[[Any, list[Any]], list[Any]]:
        """A function that makes the new states, the first of which is the output, of projected inputs and old states.

        `kept` is None, or what the state is multiplied with where it enters the gates.
        """
        raise NotImplementedError

    def fused(self, x: Any, states: list[Any], mask: Any) -> Any:
        """The outputs of all steps, and the last states, by one op; None if there is none for these arguments."""
        return None

    def sequence(
        self, x: Any, states: list[Any], mask: Any, training: Any, unroll: bool = False, fuse: Any = "auto"
    ) -> tuple[Any, list[Any]]:
        """All outputs and the last states of a sequence (batch, time, …).

        Args:
            fuse: whether to use the engine's kernel for whole sequences: True, False, or "auto": where there is one.

        Raises:
            ValueError: if `fuse` is True and there is none for these arguments.
        """
        if training and self.dropout:
            x = drop(x, self.dropout, self.seed_generator, (None, 1, *(None for _ in x.shape[2:])))
        kept = None
        if training and self.recurrent_dropout:
            kept = drop(ops.ones_like(states[0]), self.recurrent_dropout, self.seed_generator)
        if fuse and kept is None and (done := self.fused(x, states, mask)) is not None:
            outputs, *last = done
            return outputs, last
        if fuse is True:
            raise ValueError(
                f"{type(self).__name__}: use_cudnn=True, but there is no kernel for whole sequences with these "
                "arguments: it needs activation 'tanh', recurrent_activation 'sigmoid' and no recurrent_dropout. "
                "use_cudnn='auto' goes step by step instead."
            )
        step = self.step(kept)

        def taken(x_t: Any, old: list[Any]) -> tuple[Any, list[Any]]:
            new = step(x_t, old)
            return new[0], new

        return through_time(taken, self.project(x), states, mask, unroll)

    def _gate(self, x: Any) -> Any:
        return self._activated(self.recurrent_activation, x)

    def _activate(self, x: Any) -> Any:
        return self._activated(self.activation, x)

    # -- dropout, the same at every step ----------------------------------------------------

    def get_dropout_mask(self, step_input: Any) -> Any:
        """What inputs are multiplied with in training, or None: the same until `reset_dropout_mask` is called."""
        return self._mask("inputs", step_input, self.dropout)

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        """What the state is multiplied with in training, or None: until `reset_recurrent_dropout_mask` is called."""
        return self._mask("state", step_input, self.recurrent_dropout)

    def reset_dropout_mask(self) -> None:
        """Draw anew at the next step."""
        self._held.pop("inputs", None)

    def reset_recurrent_dropout_mask(self) -> None:
        """Draw anew at the next step."""
        self._held.pop("state", None)

    def _mask(self, what: str, x: Any, rate: float) -> Any:
        if not rate:
            return None
        # A tensor of another recording is none of this one's; parts of one recording share their leaves.
        recording = None if state.trace is None else state.trace.leaves
        known, mask = self._held.get(what, (None, None))
        if mask is None or known is not recording or tuple(mask.shape) != tuple(x.shape):
            mask = drop(ops.ones_like(x), rate, self.seed_generator)
            self._held[what] = recording, mask
        return mask

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros (batch, size), one for each state."""
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in self._state_sizes()]

    def _state_sizes(self) -> list[int]:
        return [self.state_size] if isinstance(self.state_size, int) else list(self.state_size)


class _DenseCell(Cell):
    """A cell on (batch, features)."""

    def _units(self, units: Any, usual_gates: bool) -> None:
        if not isinstance(units, int) or isinstance(units, bool) or units <= 0:
            raise ValueError(f"{type(self).__name__}: argument `units` must be a positive integer, not {units!r}.")
        self.units = self.output_size = units
        self.state_size = units if self.state_count == 1 else [units] * self.state_count
        #: Whether the activations are those of the engines' kernels.
        self._usual = usual_gates and self.activation in (activation_of("tanh"), ops.tanh)

    def _usual_gates(self) -> bool:
        return self.recurrent_activation in (activation_of("sigmoid"), ops.sigmoid)

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def build(self, input_shape: Any) -> None:
        features = require_known(input_shape, -1)
        width = self.gates * self.units
        self._make_weights((features, width), (self.units, width), self._bias_shape())
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def project(self, inputs: Any) -> Any:
        return ops.linear(inputs, self.kernel, self.bias)


class SimpleRNNCell(_DenseCell):
    """``h = tanh(x_t @ kernel + h @ recurrent_kernel + bias)``, the step of `SimpleRNN`.

    ``cell(x_t, [h])`` returns the output, which is the new h, and a list of it. The arguments are those of `SimpleRNN`.

    Weights: kernel (features, units), recurrent_kernel (units, units), bias (units,).

    Example:
        >>> from unidl import layers, ops
        >>> cell = layers.SimpleRNNCell(4)
        >>> output, states = cell(ops.ones((2, 3)), cell.get_initial_state(2))
        >>> tuple(output.shape), len(states)
        ((2, 4), 1)
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        weights = weight_settings(locals())
        self._settings(activation, None, use_bias, dropout, recurrent_dropout, seed, weights)
        self._units(units, True)

    def fused(self, x: Any, states: list[Any], mask: Any) -> Any:
        if not self._usual:
            return None
        return ops.simple_rnn(x, states[0], self.kernel, self.recurrent_kernel, self.bias, mask)

    def step(self, kept: Any) -> Callable[[Any, list[Any]], list[Any]]:
        def step(x: Any, states: list[Any]) -> list[Any]:
            h = states[0] if kept is None else ops.multiply(states[0], kept)
            return [self._activate(ops.add(x, ops.matmul(h, self.recurrent_kernel)))]

        return step


class LSTMCell(_DenseCell):
    """The step of `LSTM`, where the formulas are. ``cell(x_t, [h, c])`` returns h and the list of new states h and c.

    The arguments are those of `LSTM`.

    Weights: kernel (features, 4 units), recurrent_kernel (units, 4 units), bias (4 units,).

    Example:
        >>> from unidl import layers, ops
        >>> cell = layers.LSTMCell(4)
        >>> output, (h, c) = cell(ops.ones((2, 3)), cell.get_initial_state(2))
        >>> tuple(output.shape), tuple(c.shape)
        ((2, 4), (2, 4))
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("implementation", None)  # of Keras 2: how to multiply, which has no effect on the result
        super().__init__(**kwargs)
        self.unit_forget_bias = unit_forget_bias
        weights = weight_settings(locals())
        self._settings(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, seed, weights)
        self._units(units, self._usual_gates())

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.unit_forget_bias:
            self._open_forget_gate(self.units)

    def fused(self, x: Any, states: list[Any], mask: Any) -> Any:
        if not self._usual:
            return None
        return ops.lstm(x, states[0], states[1], self.kernel, self.recurrent_kernel, self.bias, mask)

    def step(self, kept: Any) -> Callable[[Any, list[Any]], list[Any]]:
        def step(x: Any, states: list[Any]) -> list[Any]:
            h, c = states
            h = h if kept is None else ops.multiply(h, kept)
            i, f, new, o = ops.split(ops.add(x, ops.matmul(h, self.recurrent_kernel)), 4, -1)
            c = ops.add(ops.multiply(self._gate(f), c), ops.multiply(self._gate(i), self._activate(new)))
            return [ops.multiply(self._gate(o), self._activate(c)), c]

        return step


class GRUCell(_DenseCell):
    """The step of `GRU`, where the formulas are. ``cell(x_t, [h])`` returns the output, the new h, and a list of it.

    The arguments are those of `GRU`.

    Weights: kernel (features, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), or (3 units,) without
    `reset_after`.

    Example:
        >>> from unidl import layers, ops
        >>> cell = layers.GRUCell(4)
        >>> output, states = cell(ops.ones((2, 3)), cell.get_initial_state(2))
        >>> tuple(output.shape), len(states)
        ((2, 4), 1)
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("implementation", None)  # of Keras 2: how to multiply, which has no effect on the result
        super().__init__(**kwargs)
        self.reset_after = reset_after
        weights = weight_settings(locals())
        self._settings(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, seed, weights)
        self._units(units, self._usual_gates())

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def fused(self, x: Any, states: list[Any], mask: Any) -> Any:
        if not self._usual:
            return None
        return ops.gru(x, states[0], self.kernel, self.recurrent_kernel, self.bias, mask, self.reset_after)

    def project(self, inputs: Any) -> Any:
        bias = ops.getitem(self.bias, 0) if self.reset_after and self.bias is not None else self.bias
        return ops.linear(inputs, self.kernel, bias)

    def step(self, kept: Any) -> Callable[[Any, list[Any]], list[Any]]:
        units = self.units
        if self.reset_after:
            bias = None if self.bias is None else ops.getitem(self.bias, 1)
        else:
            gates = ops.getitem(self.recurrent_kernel, (slice(None), slice(0, 2 * units)))
            own = ops.getitem(self.recurrent_kernel, (slice(None), slice(2 * units, None)))

        def step(x: Any, states: list[Any]) -> list[Any]:
            h = states[0]
            seen = h if kept is None else ops.multiply(h, kept)
            xz, xr, xn = ops.split(x, 3, -1)
            if self.reset_after:
                hz, hr, hn = ops.split(ops.linear(seen, self.recurrent_kernel, bias), 3, -1)
                z, r = self._gate(ops.add(xz, hz)), self._gate(ops.add(xr, hr))
                n = self._activate(ops.add(xn, ops.multiply(r, hn)))
            else:
                hz, hr = ops.split(ops.matmul(seen, gates), 2, -1)
                z, r = self._gate(ops.add(xz, hz)), self._gate(ops.add(xr, hr))
                n = self._activate(ops.add(xn, ops.matmul(ops.multiply(r, seen), own)))
            return [ops.add(ops.multiply(z, h), ops.multiply(ops.subtract(1.0, z), n))]

        return step
