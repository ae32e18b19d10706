"""Functions compiled by `tf.function`, called with as little Python as possible."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from unidl_tensorflow._engine import EagerTensor, context
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
        self._call: Callable[[list[Tensor]], tuple[Any, ...]] | None = None
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
        return (self._trace() if call is None else call)(list(inputs))

    def _trace(self) -> Callable[[list[Tensor]], tuple[Any, ...]]:
        with self._lock:
            if self._call is None:

                def traced(*values: Tensor) -> tuple[Any, ...]:
                    with for_xla(self.jit):
                        return self.plain(*values)

                function = tf.function(traced, autograph=False, jit_compile=True if self.jit else None)
                self._call = _direct(function.get_concrete_function(*self.signature))
            return self._call


#: TensorFlow's rewriting of a graph takes more than linear time, and brings a training step next to nothing: graphs of
#: more nodes run as they are.
_REWRITTEN = 3000


def _direct(concrete: Any) -> Callable[[list[Tensor]], tuple[Any, ...]]:
    """A call of a concrete function without binding arguments; tapes see it as they see any."""
    flat, captured = concrete._call_flat, concrete.captured_inputs
    if len(concrete.graph.get_operations()) <= _REWRITTEN:
        return lambda values: flat(values, captured)
    here = context.context()
    config = here.config
    config.allow_soft_placement = True
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    options = context.FunctionCallOptions(config_proto=config)

    def as_it_is(values: list[Tensor]) -> tuple[Any, ...]:
        before, here.function_call_options = here.function_call_options, options
        try:
            return flat(values, captured)
        finally:
            here.function_call_options = before

    return as_it_is
