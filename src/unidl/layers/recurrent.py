"""What recurrent layers share: arguments, weights, states, masks, the way through time."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.errors import UntraceableError
from unidl.layers._base import InputSpec, Layer
from unidl.layers._common import activation_of, leading, require_known, require_rank, resolve
from unidl.layers.regularization import checked_rate, drop


class Recurrent(Layer):
    """A recurrent layer on (batch, time, features).

    Its usual form is one op, for which engines have fused kernels. Other activation functions and
    recurrent dropout in training go step by step, which needs a known number of steps.

    Args:
        units: size of state and output.
        activation, recurrent_activation: of the output and of the gates.
        use_bias: whether there are biases.
        dropout: share of the inputs dropped in training, for a sequence the same at every step.
        recurrent_dropout: likewise of the state where it enters the gates.
        return_sequences: return the outputs of all steps instead of the last one.
        return_state: return the last state as well.
        go_backwards: read the sequence from its end; the outputs come in the order in which they are made.
        stateful: start each call in the state in which the previous one ended; needs a fixed batch size.
        unroll, use_cudnn: accepted for compatibility.

    Where the mask is False a step changes nothing, and its output repeats the previous one.
    """

    gates = 1
    state_count = 1

    def _settings(
        self,
        units: int,
        activation: Any,
        recurrent_activation: Any,
        use_bias: bool,
        dropout: float,
        recurrent_dropout: float,
        seed: Any,
        flags: tuple[bool, bool, bool, bool],
        arguments: dict[str, Any],
    ) -> None:
        from unidl.random import SeedGenerator

        kind = type(self).__name__
        if not isinstance(units, int) or units <= 0:
            raise ValueError(f"{kind}: `units` must be a positive int, not {units!r}.")
        self.units = units
        self.activation = activation_of(activation)
        self.recurrent_activation = activation_of(recurrent_activation)
        self.use_bias = use_bias
        self.dropout = checked_rate(kind, dropout, "dropout")
        self.recurrent_dropout = checked_rate(kind, recurrent_dropout, "recurrent_dropout")
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.return_sequences, self.return_state, self.go_backwards, self.stateful = flags
        self.kernel: Any = None
        self.recurrent_kernel: Any = None
        self.bias: Any = None
        self.states: list[Any] | None = None
        self.supports_masking = True
        self.makes_mask = False
        resolve(self, **arguments)
        self._usual = self.activation in (activation_of("tanh"), ops.tanh) and (
            recurrent_activation is None or self.recurrent_activation in (activation_of("sigmoid"), ops.sigmoid)
        )
        self.input_spec = InputSpec(ndim=3)

    @property
    def state_size(self) -> Any:
        """Sizes of the states: one int, or one for each."""
        return self.units if self.state_count == 1 else [self.units] * self.state_count

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        require_rank(sequences_shape, 3, "(batch, time, features)")
        features = require_known(sequences_shape, -1)
        self.kernel = self.add_weight(
            (features, self.gates * self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, self.gates * self.units),
            self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                self._bias_shape(),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        if self.stateful:
            require(
                sequences_shape[0] is not None,
                "is stateful and so needs a fixed batch size: Input(batch_shape=(batch, time, features)).",
            )
            self.states = [
                self.add_weight((sequences_shape[0], self.units), "zeros", trainable=False, name=f"state_{i}")
                for i in range(self.state_count)
            ]
        axes = {2: features} if self.states is None else {0: sequences_shape[0], 2: features}
        self.input_spec = InputSpec(ndim=3, axes=axes)

    def reset_states(self) -> None:
        """Start the next call of a stateful layer from zeros."""
        for state in self.states or ():
            state.assign(ops.zeros_like(state))

    reset_state = reset_states

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Zeros (batch, units), one for each state."""
        return [ops.zeros((batch_size, self.units), self.compute_dtype) for _ in range(self.state_count)]

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = False) -> Any:
        x = sequences
        states = self._first_states(x, initial_state)
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        if mask is not None:
            mask = ops.convert_to_tensor(mask, "bool")
        if self.go_backwards:
            x = ops.flip(x, 1)
            mask = None if mask is None else ops.flip(mask, 1)
        if training and self.dropout:
            x = drop(x, self.dropout, self.seed_generator, (None, 1, None))
        if self._usual and not (training and self.recurrent_dropout):
            outputs, *states = self.fused(x, states, mask)
        else:
            kept = None
            if training and self.recurrent_dropout:
                kept = drop(ops.ones_like(states[0]), self.recurrent_dropout, self.seed_generator)
            outputs, states = self._steps(x, states, mask, kept)
        for variable, state in zip(self.states or (), states, strict=False):
            variable.assign(state)
        result = outputs if self.return_sequences else self._last(outputs)
        return (result, *states) if self.return_state else result

    def _last(self, outputs: Any) -> Any:
        return ops.getitem(outputs, (slice(None), -1))

    def _first_states(self, x: Any, given: Any) -> list[Any]:
        if given is None:
            return list(self.states) if self.states is not None else self.get_initial_state(leading(x))
        states = list(given) if isinstance(given, (list, tuple)) else [given]
        require(
            len(states) == self.state_count,
            f"`initial_state` needs {self.state_count} tensors, {len(states)} were given.",
        )
        for state in states:
            shape = tuple(state.shape)
            require(
                len(shape) == 2 and shape[1] == self.units,
                f"`initial_state` must hold tensors of shape (batch, {self.units}), not {shape}.",
            )
        return states

    # -- what a kind of layer brings ----------------------------------------------------------

    def fused(self, x: Any, states: list[Any], mask: Any) -> Any:
        """The outputs of all steps, and the last states, by one op."""
        raise NotImplementedError

    def projected(self, x: Any) -> Any:
        """The inputs' part of all gates, for all steps at once."""
        return ops.linear(x, self.kernel, self.bias)

    def step(self, x: Any, states: list[Any], kept: Any) -> list[Any]:
        """New states from the projected inputs of a step and the old states; the first is the output.

        `kept` is None, or what the state is multiplied with where it enters the gates.
        """
        raise NotImplementedError

    def _steps(self, x: Any, states: list[Any], mask: Any, kept: Any) -> tuple[Any, list[Any]]:
        time = x.shape[1]
        if time is None:
            raise UntraceableError(
                f"Layer {self.path!r} goes step by step, because of its activation functions or recurrent dropout, "
                "and the number of steps is unknown."
            )
        require(time > 0, f"has no steps to go through in an input of shape {tuple(x.shape)}.")
        projected = self.projected(x)
        previous = ops.zeros_like(states[0])
        outputs = []
        for t in range(time):
            new = self.step(ops.getitem(projected, (slice(None), t)), states, kept)
            output = new[0]
            if mask is not None:
                counts = ops.getitem(mask, (slice(None), slice(t, t + 1)))
                new = [ops.where(counts, n, s) for n, s in zip(new, states, strict=True)]
                output = ops.where(counts, output, previous)
            outputs.append(output)
            previous, states = output, new
        return ops.stack(outputs, 1), states

    def _gate(self, x: Any) -> Any:
        return x if self.recurrent_activation is None else self.recurrent_activation(x)

    def _activate(self, x: Any) -> Any:
        return x if self.activation is None else self.activation(x)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        return [mask, *[None] * self.state_count] if self.return_state else mask
