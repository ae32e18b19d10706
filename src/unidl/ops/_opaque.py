"""Native code in the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl._state import state
from unidl.graph.symbolic import Node, SymbolicTensor, TensorSpec
from unidl.ops._declare import Op


def opaque(
    name: str,
    function: Callable[..., Any],
    tensors: list[SymbolicTensor],
    specs: list[TensorSpec],
    traceable: bool = True,
    origin: Any = None,
) -> list[SymbolicTensor]:
    """Record a call of native code ``function(*tensors) -> tuple`` as one node with outputs `specs`."""
    op = Op(name, "opaque", lambda xs: tuple(function(*xs)), ("xs",), {"xs": "many"})
    op.traceable, op.origin = traceable, origin
    trace = state.trace
    node = Node(op, (list(tensors),), tuple(specs), trace.path if trace is not None else "")
    if trace is not None:
        trace.nodes.append(node)
    return node.outputs
