"""The primitives of control flow: ops some of whose arguments are graphs.

While recording, an argument called `body` or `bodies` is a `Graph` (or a tuple of them) of the tensors that the op
hands it, followed by the `operands`: what the recorded function read from outside. When the graph runs, backends are
given functions in their place, which return a tuple of tensors and say in the attribute `specs` what those are.
"""

from __future__ import annotations

from typing import Any

from unidl.errors import OpError
from unidl.graph.bodies import merged_specs
from unidl.graph.symbolic import TensorSpec
from unidl.ops._declare import Tensor, Tensors, need_dtype, primitive


@primitive
def branch(index: Tensor, bodies: tuple[Any, ...], operands: Tensors) -> tuple[Tensor, ...]:
    """``bodies[index](*operands)``; an index outside is the nearest one inside. `index` is a 0-d integer."""
    need_dtype(index, "index", "integer")
    if tuple(index.shape) != ():
        raise OpError(f"`index` has shape {list(index.shape)}; one number is expected.")
    specs: Any = bodies[0].outputs
    for other in bodies[1:]:
        specs = merged_specs(specs, other.outputs, "the branches' results")
    return tuple(TensorSpec(s.shape, s.dtype) for s in specs)


@primitive
def loop(condition: Any, body: Any, values: Tensors, operands: Tensors, maximum: int | None) -> tuple[Tensor, ...]:
    """``while condition(*values, *operands): values = body(*values, *operands)``, at most `maximum` times.

    `condition` returns one 0-d bool, `body` tensors with the dtypes of `values`. The shapes of `body.inputs` hold
    throughout the loop.
    """
    merged_specs(body.inputs[: len(values)], body.outputs, "the loop's variables")
    return tuple(TensorSpec(t.shape, t.dtype) for t in body.inputs[: len(values)])


@primitive
def steps(body: Any, carry: Tensors, xs: Tensors, operands: Tensors, length: Any, reverse: bool) -> tuple[Tensor, ...]:
    """``*carry, *ys = body(*carry, *(x[i] for x in xs), *operands)`` for each i from 0 to ``length - 1``.

    Returns the last carry, then each of the ys stacked along a new first axis. With `reverse` i goes down from
    ``length - 1``; the ys are stacked by i all the same.
    """
    count = len(carry)
    merged_specs(body.inputs[:count], body.outputs[:count], "the carry")
    known = length if isinstance(length, int) else None
    for x in xs:
        known = x.shape[0] if known is None else known
    last = [TensorSpec(t.shape, t.dtype) for t in body.inputs[:count]]
    return (*last, *(TensorSpec((known, *t.shape), t.dtype) for t in body.outputs[count:]))


@primitive
def with_gradient(body: Any, backward: Any, count: int, xs: Tensors, operands: Tensors) -> tuple[Tensor, ...]:
    """The first `count` outputs of ``body(*xs, *operands)``, with a gradient of their own.

    The gradients by `xs` are ``backward(*upstream, *rest, *operands)``, where `rest` are the other outputs of `body`.
    """
    return tuple(TensorSpec(t.shape, t.dtype) for t in body.outputs[:count])


@primitive
def recomputed(body: Any, operands: Tensors) -> tuple[Tensor, ...]:
    """``body(*operands)``, computed once more when the gradient is taken in place of keeping what it needs."""
    return tuple(TensorSpec(t.shape, t.dtype) for t in body.outputs)


#: The names of the ops above: the conformance kit tests them through the functions of `unidl.ops.control`.
STRUCTURED = ("branch", "loop", "steps", "with_gradient", "recomputed")
