"""Native code in the graph, and gradients given by hand."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from unidl import tree
from unidl._state import state
from unidl.backend import active
from unidl.errors import OpError
from unidl.graph.symbolic import Node, SymbolicTensor, TensorSpec
from unidl.ops._declare import Op


def opaque(
    name: str,
    function: Callable[..., Any],
    tensors: list[SymbolicTensor],
    specs: list[TensorSpec],
    traceable: bool = True,
) -> list[SymbolicTensor]:
    """Record a call of native code ``function(*tensors) -> tuple`` as one node with outputs `specs`."""
    op = Op(name, "opaque", lambda xs: tuple(function(*xs)), ("xs",), {"xs": "many"})
    op.traceable = traceable
    trace = state.trace
    node = Node(op, (list(tensors),), tuple(specs), trace.path if trace is not None else "")
    if trace is not None:
        trace.nodes.append(node)
    return node.outputs


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function its own gradient.

    Args:
        f: called with tensors; returns ``(outputs, grad)``. ``grad(*upstream)``, or
            ``grad(*args, upstream=...)`` as in Keras, takes the gradient by each output and
            returns the gradient by each input.

    Example:
        >>> from unidl import ops
        >>> @ops.custom_gradient
        ... def log1pexp(x):
        ...     e = ops.exp(x)
        ...     def grad(*args, upstream=None):
        ...         return upstream * (1 - 1 / (1 + e))
        ...     return ops.log(1 + e), grad
    """

    def native(*args: Any) -> Any:
        outputs, grad = f(*args)
        return outputs, _adapted(grad)

    @functools.wraps(f)
    def wrapper(*args: Any) -> Any:
        from unidl.ops import convert_to_tensor
        from unidl.ops._bind import as_symbol

        if state.trace is None and not any(type(a) is SymbolicTensor for a in args):
            return active.custom_gradient(native)(*[convert_to_tensor(a) for a in args])
        symbols = [as_symbol(a) for a in args]
        from unidl.graph.trace import Trace, recording

        with recording(Trace()):  # only to learn the outputs' shapes
            outputs, _ = f(*[SymbolicTensor(s.shape, s.dtype) for s in symbols])
        flat = tree.flatten(outputs)
        if not all(type(o) is SymbolicTensor for o in flat):
            raise OpError(f"custom_gradient: {f.__name__} must return tensors computed with unidl.ops.")
        run = active.custom_gradient(native)
        results = opaque(
            f"custom_gradient_{f.__name__}",
            lambda *values: tree.flatten(run(*values)),
            symbols,
            [TensorSpec(o.shape, o.dtype) for o in flat],
        )
        return tree.pack_sequence_as(outputs, results)

    return wrapper


def _adapted(grad: Callable[..., Any]) -> Callable[..., Any]:
    """Call `grad` with ``upstream=`` if it has such a parameter, positionally otherwise."""
    if "upstream" not in inspect.signature(grad).parameters:
        return grad
    return lambda *upstream: grad(upstream=upstream[0] if len(upstream) == 1 else upstream)


__all__ = ["custom_gradient"]
