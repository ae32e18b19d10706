"""Functions compiled by `tf.function`, called with as little Python as possible."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from unidl._state import collector_paused
from unidl_tensorflow import tracing
from unidl_tensorflow._engine import EagerTensor, context, could_possibly_record
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


class _Compiling(threading.local):
    """What is going on in this thread, for ops whose fused kernel is not good for everything.

    Attributes:
        xla: whether a function is being traced for XLA, which lacks some kernels.
        tapes: how many gradients are being recorded, one inside the other.
    """

    xla = False
    tapes = 0


compiling = _Compiling()


@contextlib.contextmanager
def for_xla(wanted: bool) -> Iterator[None]:
    previous, compiling.xla = compiling.xla, wanted or compiling.xla
    try:
        yield
    finally:
        compiling.xla = previous


class Compiled:
    """A function of tensors whose shapes and dtypes are known up to some dimensions.

    `tf.function` binds, flattens and looks up a trace at each call; here there is one trace, made at
    the first call, and a call hands the tensors over. Inside another `tf.function` the plain
    function runs, so that it becomes part of that one.

    Attributes:
        plain: the Python function.
        signature: one `tf.TensorSpec` for each input.
    """

    def __init__(self, plain: Callable[..., tuple[Any, ...]], signature: Sequence[Any], *, jit: bool = False) -> None:
        self.plain = plain
        self.signature = tuple(signature)
        self.jit = jit
        self._call: Callable[[list[Tensor]], Sequence[Tensor]] | None = None
        self._lock = threading.Lock()
        # Rank, and axes with their sizes, of each input: a concrete function does not look at shapes.
        self._known = [
            (s.shape.rank, [(axis, size) for axis, size in enumerate(s.shape) if size is not None])
            for s in self.signature
        ]

    def __call__(self, *inputs: Tensor) -> tuple[Any, ...]:
        if not tf.executing_eagerly():
            return self.plain(*inputs)
        for value in inputs:
            if type(value) is not EagerTensor:
                inputs = tuple(tf.convert_to_tensor(v) for v in inputs)
                break
        for value, (rank, known) in zip(inputs, self._known, strict=True):
            shape = value._shape_tuple()
            if len(shape) != rank or [1 for axis, size in known if shape[axis] != size]:
                raise ValueError(
                    f"Inputs of shapes {[tuple(v.shape) for v in inputs]} came to a function that was recorded for "
                    f"{[tuple(s.shape) for s in self.signature]}."
                )
        call = self._call
        return tuple((self._trace() if call is None else call)(list(inputs)))

    def _trace(self) -> Callable[[list[Tensor]], Sequence[Tensor]]:
        with self._lock, collector_paused():
            if self._call is None:
                self._call = self._recorded() if self.jit or not tracing.possible() else self._named()
            return self._call

    def _named(self) -> Callable[[list[Tensor]], Sequence[Tensor]]:
        """A call of the function by its name: no graph is kept in Python. Where a tape may record, `_recorded` is."""
        function = tracing.Function(self.plain, self.signature)
        call = function.caller(_options(function.size))
        recorded: list[Callable[[list[Tensor]], Sequence[Tensor]]] = []

        def either(inputs: list[Tensor]) -> Sequence[Tensor]:
            if not could_possibly_record():
                return call(inputs)
            if not recorded:
                with self._lock:
                    recorded.append(self._recorded())
            return recorded[0](inputs)

        return either

    def _recorded(self) -> Callable[[list[Tensor]], Sequence[Tensor]]:
        """A call of a concrete function, which tapes see as they see any."""

        def traced(*values: Tensor) -> tuple[Any, ...]:
            with for_xla(self.jit):
                return self.plain(*values)

        function = tf.function(traced, autograph=False, jit_compile=True if self.jit else None)
        return _direct(function.get_concrete_function(*self.signature))


#: TensorFlow's rewriting of a graph takes more than linear time, and brings a training step next to nothing: graphs of
#: more nodes run as they are.
_REWRITTEN = 3000


def _options(nodes: int) -> Any:
    """How the runtime is to treat a graph of that many nodes."""
    here = context.context()
    if nodes <= _REWRITTEN:
        return here.function_call_options
    config = here.config
    config.allow_soft_placement = True
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return context.FunctionCallOptions(config_proto=config)


def _direct(concrete: Any) -> Callable[[list[Tensor]], Sequence[Tensor]]:
    """A call of a concrete function without binding arguments."""
    flat, captured = concrete._call_flat, concrete.captured_inputs
    here = context.context()
    options = _options(len(concrete.graph.get_operations()))
    if options is here.function_call_options:
        return lambda values: flat(values, captured)

    def as_it_is(values: list[Tensor]) -> tuple[Any, ...]:
        before, here.function_call_options = here.function_call_options, options
        try:
            return flat(values, captured)
        finally:
            here.function_call_options = before

    return as_it_is
