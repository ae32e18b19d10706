"""LSTM, GRU and SimpleRNN: `RNN` with the cell of that name, and all its arguments in one constructor."""

from __future__ import annotations

from typing import Any

from unidl.layers._base import InputSpec
from unidl.layers._common import require_known, require_rank
from unidl.layers.recurrent import RNN
from unidl.layers.rnn_cells import GRUCell, LSTMCell, SimpleRNNCell

__all__ = ["GRU", "LSTM", "SimpleRNN"]


def of_cell(name: str) -> Any:
    """A property of a layer that is its cell's attribute `name`."""
    return property(lambda self: getattr(self.cell, name), doc=f"The cell's `{name}`.")


class CellLayer(RNN):
    """What recurrent layers with a cell of their own have in common.

    Args:
        units: size of state and output.
        activation, recurrent_activation: of the output and of the gates.
        use_bias: whether there are biases.
        kernel_initializer, …, bias_constraint: of the weights.
        activity_regularizer: of the output.
        dropout: share of the inputs dropped in training, for a sequence the same at every step.
        recurrent_dropout: likewise of the state where it enters the gates.
        seed: of dropout.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        use_cudnn: whether to use the engine's kernel for whole sequences, on any device: "auto": where the arguments
            allow it; False: never; True: an error where they do not.
    """

    activation = of_cell("activation")
    use_bias = of_cell("use_bias")
    kernel_initializer = of_cell("kernel_initializer")
    recurrent_initializer = of_cell("recurrent_initializer")
    bias_initializer = of_cell("bias_initializer")
    kernel_regularizer = of_cell("kernel_regularizer")
    recurrent_regularizer = of_cell("recurrent_regularizer")
    bias_regularizer = of_cell("bias_regularizer")
    kernel_constraint = of_cell("kernel_constraint")
    recurrent_constraint = of_cell("recurrent_constraint")
    bias_constraint = of_cell("bias_constraint")
    dropout = of_cell("dropout")
    recurrent_dropout = of_cell("recurrent_dropout")
    seed = of_cell("seed")

    def get_config(self) -> dict[str, Any]:
        return {"activity_regularizer": None, **super().get_config()}


class _Sequences(CellLayer):
    """A layer on (batch, time, features)."""

    units = of_cell("units")

    def _check(self, use_cudnn: Any = None) -> None:
        self.input_spec = InputSpec(ndim=3)
        if use_cudnn is not None:
            if use_cudnn not in ("auto", True, False):
                raise ValueError(
                    f"{type(self).__name__}: `use_cudnn` must be 'auto', True or False, not {use_cudnn!r}."
                )
            self.use_cudnn = use_cudnn

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        require_rank(sequences_shape, 3, "(batch, time, features)")
        features = require_known(sequences_shape, -1)
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = InputSpec(ndim=3, axes={2: features})


def _for_cell(kwargs: dict[str, Any], name: str) -> dict[str, Any]:
    """What the cell is given of the arguments that every layer takes."""
    kwargs.pop("implementation", None)  # of Keras 2: how to multiply, which has no effect on the result
    return {"dtype": kwargs.get("dtype"), "trainable": kwargs.get("trainable", True), "name": name}


class LSTM(_Sequences):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997): (batch, time, features) to (batch, units).

    With ``z = x_t @ kernel + h @ recurrent_kernel + bias`` split into i, f, c', o (in this order):
    ``c = sigmoid(f) * c + sigmoid(i) * tanh(c')``, ``h = sigmoid(o) * tanh(c)``. `unit_forget_bias` makes the biases
    of f start at 1 (Jozefowicz et al., 2015). The states are h and c.

    Weights: kernel (features, 4 units), recurrent_kernel (units, 4 units), bias (4 units,).

    Args:
        units: size of states and output.
        activation, recurrent_activation: of new values and output, and of the gates.
        use_bias: whether there are biases.
        kernel_initializer, …, bias_constraint: of the weights.
        unit_forget_bias: whether the forget gate starts open.
        activity_regularizer: of the output.
        dropout: share of the inputs dropped in training, for a sequence the same at every step.
        recurrent_dropout: likewise of h where it enters the gates.
        seed: of dropout.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        use_cudnn: whether to use the engine's kernel for whole sequences, on any device: "auto": where the arguments
            allow it; False: never; True: an error where they do not.

    Example:
        >>> from unidl import layers, ops
        >>> layer = layers.LSTM(4, return_sequences=True, return_state=True)
        >>> outputs, h, c = layer(ops.ones((2, 5, 3)))
        >>> tuple(outputs.shape), tuple(h.shape), tuple(c.shape)
        ((2, 5, 4), (2, 4), (2, 4))
    """

    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")

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
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, unit_forget_bias, kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            **_for_cell(kwargs, "lstm_cell"),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self._check(use_cudnn)


class GRU(_Sequences):
    """Gated recurrent unit (Cho et al., arXiv:1406.1078): (batch, time, features) to (batch, units).

    The gates are z, r and the new state n, in this order: ``h = z * h + (1 - z) * n``. With `reset_after` r is applied
    after the product with `recurrent_kernel`, as cuDNN does it, and there are separate biases for inputs and state;
    otherwise before.

    Weights: kernel (features, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), or (3 units,) without
    `reset_after`.

    Args:
        units: size of state and output.
        activation, recurrent_activation: of the new state, and of the gates.
        use_bias: whether there are biases.
        kernel_initializer, …, bias_constraint: of the weights.
        activity_regularizer: of the output.
        dropout: share of the inputs dropped in training, for a sequence the same at every step.
        recurrent_dropout: likewise of the state where it enters the gates.
        seed: of dropout.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        reset_after: where the reset gate is applied.
        use_cudnn: whether to use the engine's kernel for whole sequences, on any device: "auto": where the arguments
            allow it; False: never; True: an error where they do not.

    Example:
        >>> from unidl import layers, ops
        >>> tuple(layers.GRU(4)(ops.ones((2, 5, 3))).shape)
        (2, 4)
    """

    recurrent_activation = of_cell("recurrent_activation")
    reset_after = of_cell("reset_after")

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
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias, kernel_initializer, recurrent_initializer,
            bias_initializer, kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
            recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after, seed,
            **_for_cell(kwargs, "gru_cell"),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self._check(use_cudnn)


class SimpleRNN(_Sequences):
    """``h = tanh(x_t @ kernel + h @ recurrent_kernel + bias)``: (batch, time, features) to (batch, units).

    Weights: kernel (features, units), recurrent_kernel (units, units), bias (units,).

    Args:
        units: size of state and output.
        activation: of the new state.
        use_bias: whether there is a bias.
        kernel_initializer, …, bias_constraint: of the weights.
        activity_regularizer: of the output.
        dropout: share of the inputs dropped in training, for a sequence the same at every step.
        recurrent_dropout: likewise of the state where it enters the product.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        seed: of dropout.

    Example:
        >>> from unidl import layers, ops
        >>> tuple(layers.SimpleRNN(4, return_sequences=True)(ops.ones((2, 5, 3))).shape)
        (2, 5, 4)
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
        cell = SimpleRNNCell(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed, **_for_cell(kwargs, "simple_rnn_cell"),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self._check()
