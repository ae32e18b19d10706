"""Kernels that lie turned in memory, (out, in), while a training loop runs.

oneDNN's product takes a kernel as (out, in), and gives its gradient so; a dense layer's is (in, out). To turn both at
each step costs a tenth of the step of a wide perceptron. Within a loop between whose steps nobody looks at variables
(`Backend.training_loop`), a kernel's memory, and that of its gradient and of the optimizer's slots, therefore holds
the transpose: to an optimizer that works element by element it is all the same. Whoever does look, through
`Variable.handle` or a compiled graph, has everything turned back first. Another thread could look in the middle of a
step, so nothing is turned while there is one.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unidl_mxnet._engine import mx
from unidl_mxnet._invoke import ARRAYS
from unidl_mxnet.kernels._products import is_of_many_rows
from unidl_mxnet.tensors import Variable, alias, mark

#: From so many steps on a loop is worth turning twice, and from so many elements on a kernel.
_STEPS, _SIZE = 16, 2**14


class Turned:
    """Some kernels of a training step, with their gradients and slots: in memory as they are, or turned.

    Attributes:
        watched: the variables and slots by their ids.
        views: id of a variable to its memory as an array of shape (out, in), with a gradient of its own.
    """

    def __init__(self, variables: Sequence[Any], slots: Sequence[Sequence[Any]]) -> None:
        self.watched = {id(array): array for v, own in zip(variables, slots, strict=True) for array in (v, *own)}
        self.views: dict[int, Any] = {}
        gradients = [_both_ways(v.gradient) for v in variables]
        for variable, (_, gradient) in zip(variables, gradients, strict=True):
            view = self.views[id(variable)] = alias(variable, gradient.shape)
            mark(view, gradient)
        self._kept = [_both_ways(array) for array in self.watched.values()]
        self._gradients = gradients
        scratch = mx.np.empty((max(v.size for v in variables),), dtype="float32")
        self._scratch = {v.shape: alias(scratch[: v.size], v.shape) for v in variables}
        self._scratch |= {v.shape[::-1]: alias(scratch[: v.size], v.shape[::-1]) for v in variables}

    def _transpose(self, source: Any, target: Any) -> None:
        """Overwrite `target` by the transpose of `source`, which lies in the same memory."""
        between = self._scratch[target.shape]
        with mx.autograd.pause():
            ARRAYS.transpose(source, out=(between,))
            ARRAYS._copyto(between, out=(target,))

    def turn(self) -> None:
        with _signals_later():
            for straight, turned in self._kept:  # gradients are written anew
                self._transpose(straight, turned)
            for array in self.watched.values():
                array.turned = self
            loop.turned = self

    def turn_back(self) -> None:
        """Everything as it was, for the rest of the loop: who looks once may look again."""
        with _signals_later():
            for array in self.watched.values():
                array.turned = None
            loop.turned, loop.is_open = None, False
            for straight, turned in (*self._kept, *self._gradients):
                self._transpose(turned, straight)


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """Handlers of signals run after the block: Ctrl-C must not leave half of the kernels turned."""
    came: list[int] = []
    handlers = {kind: h for kind in signal.valid_signals() if callable(h := signal.getsignal(kind))}
    try:
        for kind in handlers:
            signal.signal(kind, lambda number, frame: came.append(number))
        yield
    finally:
        for kind, handler in handlers.items():
            signal.signal(kind, handler)
        for number in came:
            signal.raise_signal(number)


def _both_ways(array: Any) -> tuple[Any, Any]:
    """Its memory as a matrix of its shape, and as one of the shape of its transpose."""
    return alias(array), alias(array, array.shape[::-1])


class _Loop:
    """Whether a training loop runs in which kernels may be turned, and what is."""

    is_open = False
    turned: Turned | None = None

    def enter(self, turned: Turned) -> bool:
        """Whether `turned` is turned now; turns it if the loop is open."""
        if self.turned is turned:
            return True
        if self.turned is not None:
            self.turned.turn_back()
        if self.is_open:
            turned.turn()
        return self.is_open

    def make_straight(self, values: Mapping[str, Any]) -> None:
        """Turn back what is turned if it is among `values`, which are going to be read."""
        if self.turned is not None and any(id(v) in self.turned.watched for v in values.values()):
            self.turned.turn_back()


loop = _Loop()


def _is_alone() -> bool:
    """Whether this thread is the only one."""
    return threading.enumerate() == [threading.current_thread()]


@contextlib.contextmanager
def training_loop(steps: int | None) -> Iterator[None]:
    """See `Backend.training_loop`."""
    if loop.is_open or steps is None or steps < _STEPS or not _is_alone():
        yield
        return
    loop.is_open = True
    try:
        yield
    finally:
        if loop.turned is not None:
            loop.turned.turn_back()
        loop.is_open = False


def to_turn(
    graph: Any, variables: Sequence[Any], slots: Mapping[str, Sequence[Any]]
) -> tuple[list[Any], list[list[Any]]] | None:
    """The large kernels of dense layers that see many rows in this graph, and their slots; None if there are none."""
    wide = {
        id(node.args[1].value) for node in graph.nodes
        if node.op.name == "linear" and is_of_many_rows(node.args[0].shape, node.args[0].dtype)
    }  # fmt: skip
    places = [
        index for index, v in enumerate(variables)
        if id(v) in wide and isinstance(v, Variable) and v.gradient is not None
        and v.size >= _SIZE and v.ctx.device_type == "cpu"
    ]  # fmt: skip
    if not places:
        return None
    return [variables[i] for i in places], [[own[i] for own in slots.values()] for i in places]
