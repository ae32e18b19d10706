"""Convolutional LSTM: recurrent layers on sequences of signals, images or volumes (Shi et al., arXiv:1506.04214)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import ops
from unidl.backend.attributes import geometry, require, sized
from unidl.config import checked_data_format
from unidl.errors import OpError
from unidl.layers._base import InputSpec
from unidl.layers._common import require_known, require_rank, weight_settings
from unidl.layers.rnn import CellLayer, of_cell
from unidl.layers.rnn_cells import Cell

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]


class ConvLSTMCell(Cell):
    """The step of a convolutional LSTM: (batch, *spatial, channels) and the states h and c to h and the new states.

    Args:
        rank: number of spatial dimensions.

    The other arguments are those of `ConvLSTM2D`.
    """

    gates = 4
    state_count = 2

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        super().__init__(**kwargs)
        kind = type(self).__name__
        if rank not in (1, 2, 3):
            raise ValueError(f"{kind}: `rank` must be 1, 2 or 3, not {rank!r}.")
        if not isinstance(filters, int) or filters <= 0:
            raise ValueError(f"{kind}: `filters` must be a positive int, not {filters!r}.")
        self.rank = rank
        self.filters = self.output_size = filters
        self.state_size = [filters, filters]
        self.kernel_size = sized(kernel_size, rank, "kernel_size")
        self.strides = sized(strides, rank, "strides")
        self.dilation_rate = sized(dilation_rate, rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{kind}: `strides > 1` and `dilation_rate > 1` do not go together: strides {self.strides}, "
                f"dilation_rate {self.dilation_rate}."
            )
        self.padding = geometry(rank, strides, padding, dilation_rate, data_format).padding
        self.data_format = checked_data_format(data_format)
        self.unit_forget_bias = unit_forget_bias
        weights = weight_settings(locals())
        self._settings(activation, recurrent_activation, use_bias, dropout, recurrent_dropout, seed, weights)
        self._channel_axis = -1 if self.data_format == "channels_last" else 1

    def build(self, inputs_shape: Any, states_shape: Any = None) -> None:
        require_rank(inputs_shape, self.rank + 2, f"(batch, channels and {self.rank} spatial in some order)")
        channels = require_known(inputs_shape, self._channel_axis, "channels")
        self._spatial = self._step_shape(inputs_shape)
        wide = 4 * self.filters
        self._make_weights((*self.kernel_size, channels, wide), (*self.kernel_size, self.filters, wide), (wide,))
        if self.unit_forget_bias:
            self._open_forget_gate(self.filters)
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: channels})

    def _step_shape(self, shape: Any) -> tuple[int | None, ...]:
        """The shape of outputs and states for inputs of `shape`."""
        batch, *rest = shape
        sizes = rest[:-1] if self._channel_axis == -1 else rest[1:]
        out: list[int | None] = []
        for size, window, stride, dilation in zip(
            sizes, self.kernel_size, self.strides, self.dilation_rate, strict=True
        ):
            if size is None:
                out.append(None)
                continue
            reach = (window - 1) * dilation + 1
            out.append(-(-size // stride) if self.padding == "same" else (size - reach) // stride + 1)
            if out[-1] is not None and out[-1] <= 0:
                raise OpError(
                    f"the window covers {reach} elements, but the input has only {size} there. "
                    "Use padding='same', a smaller window, or a larger input."
                )
        return (batch, *out, self.filters) if self._channel_axis == -1 else (batch, self.filters, *out)

    def compute_output_shape(self, inputs_shape: Any, states_shape: Any = None) -> Any:
        shape = self._step_shape(inputs_shape)
        return shape, [shape, shape]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros of the output's shape, for h and c. The spatial sizes must have been known when the cell was built."""
        if None in self._spatial[1:]:
            raise OpError(
                f"needs to know the spatial sizes of its inputs to make states, but they are {self._spatial[1:]}. Give "
                "the Input fixed sizes there."
            )
        return [ops.zeros((batch_size, *self._spatial[1:]), self.compute_dtype) for _ in range(2)]

    def project(self, inputs: Any) -> Any:
        steps = len(inputs.shape) - self.rank - 2
        x = inputs
        if steps:  # all steps as one larger batch
            sizes = ops.shape(inputs)
            rest = tuple(inputs.shape)[2:]
            x = ops.reshape(inputs, (-1, *rest) if None not in rest else (sizes[0] * sizes[1], *sizes[2:]))
        x = ops.conv(x, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        if self.bias is not None:
            vector = [1] * (self.rank + 2)
            vector[self._channel_axis] = 4 * self.filters
            x = ops.add(x, ops.reshape(self.bias, vector))
        if not steps:
            return x
        after = tuple(x.shape)[1:]
        return ops.reshape(x, (*sizes[:2], *(after if None not in after else ops.shape(x)[1:])))

    def step(self, kept: Any) -> Callable[[Any, list[Any]], list[Any]]:
        axis = self._channel_axis

        def step(x: Any, states: list[Any]) -> list[Any]:
            h, c = states
            h = h if kept is None else ops.multiply(h, kept)
            again = ops.conv(h, self.recurrent_kernel, 1, "same", self.data_format)
            i, f, new, o = ops.split(ops.add(x, again), 4, axis)
            c = ops.add(ops.multiply(self._gate(f), c), ops.multiply(self._gate(i), self._activate(new)))
            return [ops.multiply(self._gate(o), self._activate(c)), c]

        return step


class ConvLSTM(CellLayer):
    """What ConvLSTM1D, 2D and 3D have in common: a `ConvLSTMCell` taken through time."""

    filters = of_cell("filters")
    kernel_size = of_cell("kernel_size")
    strides = of_cell("strides")
    padding = of_cell("padding")
    data_format = of_cell("data_format")
    dilation_rate = of_cell("dilation_rate")
    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ) -> None:
        cell = ConvLSTMCell(
            rank, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, recurrent_activation,
            use_bias, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint, dropout,
            recurrent_dropout, seed, dtype=kwargs.get("dtype"), trainable=kwargs.get("trainable", True),
            name="conv_lstm_cell",
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.input_spec = InputSpec(ndim=rank + 3)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        require_rank(
            sequences_shape, self.cell.rank + 3, f"(batch, time, channels and {self.cell.rank} spatial in some order)"
        )
        super().build(sequences_shape, initial_state_shape)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, time, *rest = sequences_shape
        require(len(rest) == self.cell.rank + 1, f"takes {self.cell.rank + 3} dimensions, not {sequences_shape}.")
        state = self.cell.compute_output_shape((batch, *rest))[0]
        output = (batch, time, *state[1:]) if self.return_sequences else state
        return (output, state, state) if self.return_state else output


class ConvLSTM1D(ConvLSTM):
    """As `ConvLSTM2D`, which explains the arguments, on (batch, time, steps, channels).

    Example:
        >>> from unidl import layers, ops
        >>> tuple(layers.ConvLSTM1D(4, 2)(ops.ones((2, 3, 5, 3))).shape)
        (2, 4, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            1, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, recurrent_activation,
            use_bias, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, activity_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed, return_sequences, return_state, go_backwards, stateful,
            **kwargs,
        )  # fmt: skip


class ConvLSTM2D(ConvLSTM):
    """An LSTM whose products are convolutions, on (batch, time, rows, columns, channels).

    The formulas are those of `LSTM`. The inputs' convolution has the given strides, padding and dilation, the state's
    has none and keeps its size. States and output are (batch, new rows, new columns, filters).

    Weights: kernel (*kernel_size, channels, 4 filters), recurrent_kernel (*kernel_size, filters, 4 filters), bias
    (4 filters,).

    Args:
        filters: channels of states and output.
        kernel_size, strides, dilation_rate: an int or one for each spatial dimension.
        padding: "valid" or "same".
        data_format: "channels_last", or "channels_first" for (batch, time, channels, rows, columns).
        activation, recurrent_activation: of new values and output, and of the gates.
        use_bias: whether there are biases.
        kernel_initializer, …, bias_constraint: of the weights.
        unit_forget_bias: whether the forget gate starts open.
        activity_regularizer: of the output.
        dropout, recurrent_dropout: shares of inputs and state dropped in training, for a sequence the same at every
            step.
        seed: of dropout.
        return_sequences, return_state, go_backwards, stateful: see `RNN`.

    Example:
        >>> from unidl import layers, ops
        >>> layer = layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True)
        >>> tuple(layer(ops.ones((2, 5, 8, 8, 3))).shape)
        (2, 5, 8, 8, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            2, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, recurrent_activation,
            use_bias, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, activity_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed, return_sequences, return_state, go_backwards, stateful,
            **kwargs,
        )  # fmt: skip


class ConvLSTM3D(ConvLSTM):
    """As `ConvLSTM2D`, which explains the arguments, on (batch, time, depth, rows, columns, channels).

    Example:
        >>> from unidl import layers, ops
        >>> tuple(layers.ConvLSTM3D(4, 2)(ops.ones((2, 3, 4, 4, 4, 3))).shape)
        (2, 3, 3, 3, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            3, filters, kernel_size, strides, padding, data_format, dilation_rate, activation, recurrent_activation,
            use_bias, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer,
            recurrent_regularizer, bias_regularizer, activity_regularizer, kernel_constraint, recurrent_constraint,
            bias_constraint, dropout, recurrent_dropout, seed, return_sequences, return_state, go_backwards, stateful,
            **kwargs,
        )  # fmt: skip
