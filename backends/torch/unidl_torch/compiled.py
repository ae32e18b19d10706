"""`torch.compile` of graphs and of whole training steps."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from unidl_torch import rnn


def takes_gradients() -> bool:
    """Whether this PyTorch compiles calls of `torch.autograd.grad`, so that a training step is one graph."""
    import torch._dynamo  # a second of imports, for those who compile

    return hasattr(torch._dynamo.config, "trace_autograd_ops")


class Forward:
    """A replayed graph compiled.

    Attributes:
        function: the replayed graph.
        unknown: (number of an input, axis) of each dimension whose size differs from call to call.
        whole: whether a training step around it can be one graph as well. PyTorch's recurrent kernels cannot be part of
            one: around them the forward pass is compiled in pieces.
    """

    def __init__(self, function: Callable[..., Any], graph: Any) -> None:
        rnn.leave_uncompiled()
        self.function = _with_own_code(function)
        self.unknown = [(i, a) for i, t in enumerate(graph.inputs) for a, size in enumerate(t.shape) if size is None]
        self.whole = not graph.opaque and not any(n.op.name in rnn.TABLE for n in graph.nodes)
        self.run = self.compiled(self.function)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` of the graph's inputs, compiled for all sizes of its unknown dimensions."""
        run = torch.compile(function)
        marked = False

        def call(*inputs: Tensor) -> Any:
            nonlocal marked
            if not marked:  # the first call decides what is compiled as unknown
                import torch._dynamo

                marked = True
                for index, axis in self.unknown:
                    torch._dynamo.maybe_mark_dynamic(inputs[index], axis)
            return run(*inputs)

        return call

    def __call__(self, *inputs: Tensor) -> Any:
        return self.run(*inputs)


def _with_own_code(function: Any) -> Any:
    """The same function with a code object of its own.

    Replays of graphs alike share theirs, but each has globals of its own, and PyTorch keeps what it compiled, which it
    puts into the globals, with the code.
    """
    return types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__)


def step(
    forward: Forward, parameters: tuple[Tensor, ...], apply: Callable[[list[Tensor | None]], None]
) -> Callable[..., tuple[Any, ...]]:
    """A training step as one compiled graph: the forward pass, the gradients, and the update."""
    import torch._dynamo

    torch._dynamo.config.trace_autograd_ops = True

    def step(*inputs: Tensor) -> tuple[Any, ...]:
        outputs = forward.function(*inputs)
        apply(list(torch.autograd.grad(outputs[0], parameters, allow_unused=True)))
        return outputs[0].detach(), *outputs[1:]

    return forward.compiled(step)
