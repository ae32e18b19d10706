"""Gradients given by hand."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from unidl import tree
from unidl._state import state
from unidl.backend import active
from unidl.errors import OpError, UntraceableError
from unidl.graph.bodies import Body, placeholders
from unidl.graph.symbolic import SymbolicTensor, TensorSpec
from unidl.ops._bind import as_symbol
from unidl.ops._convert import convert_to_tensor
from unidl.ops._opaque import opaque
from unidl.ops._structured import with_gradient


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function its own gradient.

    Args:
        f: called with tensors; returns ``(outputs, grad)``. ``grad(*upstream)``, or
            ``grad(*args, upstream=...)`` as in Keras, takes the gradient by each output and
            returns the gradient by each input.

    Example:
        >>> from unidl import ops
        >>> @ops.custom_gradient
        ... def root(x):  # with a gradient that stays finite at 0
        ...     y = ops.sqrt(x)
        ...     return y, lambda upstream: upstream / (2 * y + 0.001)
        >>> float(root(4.0))
        2.0
    """

    @functools.wraps(f)
    def wrapper(*args: Any) -> Any:
        if state.trace is None and not any(type(a) is SymbolicTensor for a in args):
            tensors = [convert_to_tensor(a) for a in args]
            return active.custom_gradient(native)(*tensors) if active.trains else f(*tensors)[0]
        symbols = [as_symbol(a) for a in args]
        inputs = placeholders(symbols)
        grads: list[Callable[..., Any]] = []

        def forward(*values: Any) -> Any:
            outputs, grad = f(*values)
            grads.append(_adapted(grad))
            return outputs

        body = Body(forward, tuple(inputs), inputs).run()
        if not all(type(v) is SymbolicTensor for v in tree.flatten(body.structure)):
            raise OpError(f"custom_gradient: {f.__name__} must return tensors computed with unidl.ops.")
        try:
            results = _recorded(body, grads[0], symbols)
        except UntraceableError:  # the gradient is native code
            run = active.custom_gradient(native)
            specs = [TensorSpec(o.shape, o.dtype) for o in body.outputs]
            name = f"custom_gradient_{f.__name__}"
            results = opaque(name, lambda *values: tree.flatten(run(*values)), symbols, specs)
        return body.pack(results)

    def native(*args: Any) -> Any:
        outputs, grad = f(*args)
        return outputs, _adapted(grad)

    return wrapper


def _recorded(body: Body, grad: Callable[..., Any], symbols: list[SymbolicTensor]) -> Any:
    """One node of the function and its gradient; what the gradient needs of the function are further outputs of it."""
    count = len(body.outputs)
    upstream = placeholders(body.outputs)
    back = Body(grad, tuple(upstream), upstream).run()
    if len(back.outputs) != len(symbols):
        raise OpError(f"custom_gradient: {len(back.outputs)} gradients came for {len(symbols)} inputs.")
    computed = {id(t) for n in body.trace.nodes for t in n.outputs} | {id(t) for t in body.arguments}
    rest = [t for t in back.captured() if id(t) in computed]
    outside = [t for t in back.captured() if id(t) not in computed]
    operands = list({id(t): t for t in [*body.captured(), *outside]}.values())
    body.outputs += rest
    return with_gradient(body.graph(operands), back.graph([*rest, *operands]), count, symbols, operands)


def _adapted(grad: Callable[..., Any]) -> Callable[..., Any]:
    """Call `grad` with ``upstream=`` if it has such a parameter, positionally otherwise."""
    if "upstream" not in inspect.signature(grad).parameters:
        return grad
    return lambda *upstream: grad(upstream=upstream[0] if len(upstream) == 1 else upstream)


__all__ = ["custom_gradient"]
