"""RNN: a cell taken through time; and stacks of cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import ops, tree
from unidl.backend.attributes import require
from unidl.errors import OpError
from unidl.layers._base import Layer
from unidl.layers._calling import call_spec
from unidl.layers._common import leading
from unidl.layers._through_time import along, through_time
from unidl.layers.rnn_cells import Cell

__all__ = ["RNN", "StackedRNNCells"]


def _check_cell(kind: str, cell: Any) -> None:
    for attribute, meaning in (("call", "method `call(inputs, states)`"), ("state_size", "attribute `state_size`")):
        if attribute not in dir(cell):
            raise ValueError(f"{kind}: a cell needs the {meaning}; {cell!r} has none.")


def _output_size(cell: Any) -> Any:
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
        size = size[0] if isinstance(size, (list, tuple)) else size
    return size


def _start_of(cell: Any, batch_size: Any) -> Any:
    """The states of `cell` before the first step, as it makes them itself, or zeros."""
    if (own := getattr(cell, "get_initial_state", None)) is not None:
        return own(batch_size=batch_size)
    dtype = getattr(cell, "compute_dtype", None)
    if isinstance(cell.state_size, int):
        return ops.zeros((batch_size, cell.state_size), dtype)
    return [ops.zeros((batch_size, size), dtype) for size in cell.state_size]


def _run_of(cell: Any, training: Any) -> Callable[[Any, Any], Any]:
    """``cell(inputs, states)``, with `training` if it is a layer that takes it."""
    function = cell if callable(cell) else cell.call
    if isinstance(cell, Layer) and call_spec(type(cell)).training:
        return lambda inputs, states: function(inputs, states, training=training)
    return function  # type: ignore[no-any-return]


class StackedRNNCells(Layer):
    """Cells on top of each other as one cell: each takes the output of the one below.

    Its states are a list: the states of each cell.

    Args:
        cells: cells, as for `RNN`.

    Raises:
        ValueError: if one of them has no `call` or no `state_size`.

    Example:
        >>> from unidl import layers, ops
        >>> layer = layers.RNN(layers.StackedRNNCells([layers.LSTMCell(4), layers.GRUCell(5)]))
        >>> tuple(layer(ops.ones((2, 3, 6))).shape)
        (2, 5)
    """

    def __init__(self, cells: Any, **kwargs: Any) -> None:
        from unidl.saving.objects import deserialize_keras_object, is_object_config

        super().__init__(**kwargs)
        self.cells = [deserialize_keras_object(cell) if is_object_config(cell) else cell for cell in cells]
        for cell in self.cells:
            _check_cell("StackedRNNCells", cell)

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The first states of each cell."""
        return [_start_of(cell, batch_size) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        batch = input_shape[0]
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (batch, _output_size(cell))

    def call(self, inputs: Any, states: Any, training: Any = False) -> Any:
        after = []
        for cell, own in zip(self.cells, states, strict=True):
            nested = isinstance(own, (list, tuple))
            inputs, new = _run_of(cell, training)(inputs, list(own) if nested else [own])
            new = list(new) if isinstance(new, (list, tuple)) else [new]
            after.append(new if nested else new[0])
        return inputs, after

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A new stack from what `get_config` gave."""
        return _with_objects(super().from_config, config, custom_objects)


def _with_objects(read: Callable[[dict[str, Any]], Any], config: dict[str, Any], custom_objects: Any) -> Any:
    from unidl.saving.registration import CustomObjectScope

    with CustomObjectScope(custom_objects):
        return read(config)


class RNN(Layer):
    """A recurrent layer: `cell` at every step of (batch, time, …), with its states going from step to step.

    A *cell* has ``call(inputs, states)``, which returns the output of one step and the new states; `state_size`, an int
    or a list of ints, one for each state; and may have `output_size` and ``get_initial_state(batch_size)``. It may be a
    layer, whose weights are then those of this layer, and whose `call` may take `training`.

    Stacked cells run one after the other through the whole sequence, and unidl's own cells as one op where the engine
    has a kernel for their arguments; the numbers are those of going step by step.

    Args:
        cell: a cell, or a list of them, which are stacked.
        return_sequences: return the outputs of all steps instead of the last one.
        return_state: return the last states as well.
        go_backwards: read the sequence from its end; the outputs come in the order in which they are made.
        stateful: start each call in the states in which the previous one ended. Needs a fixed batch size.
        unroll: record the steps one after the other instead of a loop. Needs a known number of steps.
        zero_output_for_mask: where the mask is False the output is 0 instead of the previous one.

    Call arguments:
        sequences: (batch, time, …).
        initial_state: the states before the first step, a list; None: the cell's own, by default zeros.
        mask: bool (batch, time). Where it is False a step changes nothing.
        training: passed to the cell.

    Returns:
        (batch, output size), or (batch, time, output size) with `return_sequences`. With `return_state` a tuple of that
        and the states, which are lists of their own if cells are stacked.

    Example:
        >>> from unidl import layers, ops
        >>> class Sum(layers.Layer):
        ...     state_size = output_size = 3
        ...     def call(self, inputs, states):
        ...         total = states[0] + inputs
        ...         return total, [total]
        >>> layer = layers.RNN(Sum(), return_sequences=True)
        >>> print(ops.convert_to_numpy(layer(ops.ones((1, 2, 3)))))
        [[[1. 1. 1.]
          [2. 2. 2.]]]
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        _check_cell(type(self).__name__, cell)
        if not isinstance(size := cell.state_size, (int, list, tuple)):
            raise ValueError(
                f"{type(self).__name__}: the cell's `state_size` must be an int, or a list with one for each state, "
                f"not {size!r}."
            )
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.state_size = [size] if isinstance(size, int) else list(size)
        self.supports_masking = True
        self.makes_mask = False
        #: The states of a stateful layer: variables, which are no weights.
        self.states: list[Any] | None = None

    # -- state ------------------------------------------------------------------------------

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        require(
            len(sequences_shape) >= 2,
            f"takes inputs (batch, time, …), but one of shape {tuple(sequences_shape)} came. Reshape the input.",
        )
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            self._make_states(sequences_shape[0])

    def _make_states(self, batch_size: int | None) -> None:
        from unidl.backend.variables import Variable

        require(
            batch_size is not None,
            "is stateful, and so the batch size must be known: Input(batch_shape=(batch, time, features)).",
        )

        def variable(value: Any) -> Any:
            made = Variable(ops.convert_to_numpy(value), None, self.variable_dtype, False, name="rnn_state")
            made._path = f"{self.path}/rnn_state"
            return made

        states = tree.map_structure(variable, self.get_initial_state(batch_size))
        # Past Layer.__setattr__, which would make weights of them.
        object.__setattr__(self, "states", states)

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step: those that the cell makes, or zeros."""
        start = _start_of(self.cell, batch_size)
        return list(start) if isinstance(start, (list, tuple)) else [start]

    def reset_state(self, states: Any = None) -> None:
        """Let the next call of a stateful layer start from `states`, by default zeros."""
        if self.states is None:
            return
        own = tree.flatten(self.states)
        given = [None] * len(own) if states is None else tree.flatten(states)
        if len(given) != len(own):
            raise ValueError(f"Layer {self.path!r} has {len(own)} states, but {len(given)} were given.")
        for variable, value in zip(own, given, strict=True):
            variable.assign(ops.zeros_like(variable) if value is None else value)

    def reset_states(self, states: Any = None) -> None:
        """The same as `reset_state`."""
        self.reset_state(states)

    # -- calling ----------------------------------------------------------------------------

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = False) -> Any:
        if self.unroll and sequences.shape[1] is None:
            raise OpError("cannot unroll: the number of steps is unknown. Give the Input a fixed time dimension.")
        if mask is not None:
            mask = self._step_mask(mask)
        states = self._first_states(sequences, initial_state)
        if self.states is not None and sequences.shape[0] is None and None not in tuple(sequences.shape)[1:]:
            # A replayed model takes any batch size; another one must fail and not be broadcast.
            size = tree.flatten(self.states)[0].shape[0]
            sequences = ops.reshape(sequences, (size, *tuple(sequences.shape)[1:]))
        last, outputs, states = self.inner_loop(sequences, states, mask, training)
        if self.states is not None:
            for variable, value in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                variable.assign(ops.cast(value, self.variable_dtype))
        result = outputs if self.return_sequences else last
        return (result, *states) if self.return_state else result

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> tuple[Any, Any, Any]:
        """The last output, all outputs, and the last states."""
        if self.go_backwards:
            sequences = ops.flip(sequences, 1)
            mask = None if mask is None else ops.flip(mask, 1)
        outputs, states = self._through(self.cell, sequences, list(initial_state), mask, training)
        if mask is not None and self.zero_output_for_mask:
            outputs = ops.where(along(mask, len(outputs.shape)), outputs, ops.zeros_like(outputs))
        return self._last(outputs, states, mask), outputs, states

    def _last(self, outputs: Any, states: Any, mask: Any) -> Any:
        """The last output: of unidl's own cells the first state, whose gradient needs no room for earlier ones."""
        cell, own = self.cell, states
        if isinstance(cell, StackedRNNCells) and type(cell).call is StackedRNNCells.call:
            cell, own = cell.cells[-1], tree.flatten(states[-1])
        if mask is None and outputs.shape[1] != 0 and isinstance(cell, Cell) and type(cell).call is Cell.call:
            return ops.copy(own[0]) if self.return_state else own[0]  # callers may change one of the two in place
        return ops.getitem(outputs, (slice(None), -1))

    def _through(self, cell: Any, x: Any, states: Any, mask: Any, training: Any) -> tuple[Any, Any]:
        """All outputs and the last states of one cell, or of each cell of a stack in turn."""
        kind = type(cell)
        if isinstance(cell, StackedRNNCells) and kind.call is StackedRNNCells.call:
            after = []
            for one, own in zip(cell.cells, states, strict=True):
                nested = isinstance(own, (list, tuple))
                x, new = self._through(one, x, list(own) if nested else [own], mask, training)
                after.append(new if nested else new[0])
            return x, after
        if isinstance(cell, Cell) and kind.call is Cell.call:
            return cell.sequence(x, states, mask, training, self.unroll, self.__dict__.get("use_cudnn", "auto"))
        run = _run_of(cell, training)

        def step(x_t: Any, flat: list[Any]) -> tuple[Any, list[Any]]:
            output, new = run(x_t, tree.pack_sequence_as(states, flat))
            new = tree.flatten(new)
            require(len(new) == len(flat), f"its cell {cell!r} returns {len(new)} states, but was given {len(flat)}.")
            return ops.cast(output, self.compute_dtype), [ops.cast(n, d) for n, d in zip(new, dtypes, strict=True)]

        flat = tree.flatten(states)
        dtypes = [ops.dtype(s) for s in flat]
        start, size = None, _output_size(cell)
        if mask is not None and isinstance(size, int) and size > 0:
            start = ops.zeros((leading(x), size), self.compute_dtype)
        if isinstance(cell, Cell) and training:  # one with a `call` of its own: its masks must hold for all steps
            cell.reset_dropout_mask()
            cell.get_dropout_mask(ops.getitem(x, (slice(None), 0)))
            cell.reset_recurrent_dropout_mask()
            cell.get_recurrent_dropout_mask(flat[0])
        outputs, last = through_time(step, x, flat, mask, self.unroll, start)
        if isinstance(cell, Cell) and training:
            cell.reset_dropout_mask()
            cell.reset_recurrent_dropout_mask()
        return outputs, tree.pack_sequence_as(states, last)

    def _step_mask(self, mask: Any) -> Any:
        """A bool (batch, time) of the mask of the input."""
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        if mask is None:
            return None
        mask = ops.convert_to_tensor(mask, "bool")
        if len(mask.shape) == 3 and mask.shape[2] == 1:
            mask = ops.squeeze(mask, 2)
        require(
            len(mask.shape) == 2,
            f"takes a mask (batch, time), but one of shape {tuple(mask.shape)} came with the input.",
        )
        return mask

    def _first_states(self, x: Any, given: Any) -> list[Any]:
        if self.states is not None:
            have, came = tree.flatten(self.states)[0].shape[0], x.shape[0]
            require(
                came in (None, have),
                f"is stateful, built for a batch size of {have}, but one of {came} came. Use batches of one size.",
            )
        if given is None and self.states is None:
            return self.get_initial_state(leading(x))
        if given is None:  # copies: the variables are overwritten before gradients are computed
            return tree.map_structure(  # type: ignore[no-any-return]
                lambda s: ops.cast(ops.copy(s), self.compute_dtype), self.states
            )
        states = list(given) if isinstance(given, (list, tuple)) else [given]
        require(
            len(states) == len(self.state_size),
            f"`initial_state` needs {len(self.state_size)} tensors, {len(states)} were given.",
        )
        for place, (one, size) in enumerate(zip(states, self.state_size, strict=True)):
            if isinstance(size, int) and size > 0 and hasattr(one, "shape"):
                shape = tuple(one.shape)
                require(
                    len(shape) >= 2 and shape[-1] in (None, size),
                    f"`initial_state` {place} must have shape (batch, {size}), not {shape}.",
                )
        return tree.map_structure(lambda s: ops.cast(s, self.compute_dtype), states)  # type: ignore[no-any-return]

    # -- shapes, masks, configuration -------------------------------------------------------

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, time = sequences_shape[:2]
        outer = (batch, time) if self.return_sequences else (batch,)
        output = (*outer, _output_size(self.cell))
        return (output, *(self._state_shape(batch, s) for s in self.state_size)) if self.return_state else output

    def _state_shape(self, batch: int | None, size: Any) -> Any:
        return [(batch, s) for s in size] if isinstance(size, (list, tuple)) else (batch, size)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        count = len(tree.flatten(self.state_size))
        return [mask, *[None] * count] if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        from unidl.saving.objects import plain

        config = super().get_config()
        if "cell" in config:
            config["cell"] = plain(self.cell, "the cell")
        # Of layers that pass these on to this class without naming them.
        return {**config, "unroll": self.unroll, "zero_output_for_mask": self.zero_output_for_mask}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A new layer from what `get_config` gave."""
        return _with_objects(super().from_config, config, custom_objects)
