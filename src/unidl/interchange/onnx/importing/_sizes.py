"""Sizes that are unknown while a model is recorded: which of them are the same."""

from __future__ import annotations

import math
from typing import Any

from unidl.graph.symbolic import Dim, LayerNode, symbols
from unidl.interchange.onnx.importing._values import rank_of, shape_of


def origin(size: Any) -> Any:
    """The size, unknown while recording, that `size` is: followed back through ops and layers that keep it."""
    while isinstance(size, Dim) and size.kind == "size" and isinstance(found := _before(*size.args), Dim):
        size = found
    return size


def _before(tensor: Any, axis: int) -> Any:
    """The size of an input of the node that made `tensor` which is that of its `axis`; None if that is not known."""
    node = tensor.node
    if isinstance(node, LayerNode):
        given = next(symbols(node.args), None)
        return None if axis or given is None or not node.layer.keeps_batch else _of(given, 0)
    return _KEPT[node.op.name](node.args, axis) if node is not None and node.op.name in _KEPT else None


def _of(tensor: Any, axis: int) -> Any:
    return shape_of(tensor)[axis]


def _expanded(args: Any, axis: int) -> Any:
    added = args[1] if isinstance(args[1], (tuple, list)) else (args[1],)
    added = sorted(a % (rank_of(args[0]) + len(added)) for a in added)
    return None if axis in added else _of(args[0], axis - sum(a < axis for a in added))


def _reshaped(args: Any, axis: int) -> Any:
    """That in the new shape; for -1 that of the only unknown axis, if the others have as many elements as before."""
    new, old = args[1], shape_of(args[0])
    unknown = [d for d in old if isinstance(d, Dim)]
    rest = [d for i, d in enumerate(new) if i != axis]
    if new[axis] != -1 or len(unknown) != 1 or any(isinstance(d, Dim) for d in rest):
        return new[axis]
    known = math.prod(d for d in old if not isinstance(d, Dim))
    return unknown[0] if known == math.prod(rest) else None


def _broadcast(args: Any, axis: int) -> Any:
    """That of the operands which have the size: the same for all, or that of an input of the model."""
    rank = max(rank_of(a) for a in args if hasattr(a, "shape"))
    held = [_of(a, axis - rank) for a in args if hasattr(a, "shape") and rank_of(a) >= rank - axis]
    held = [origin(d) for d in held if isinstance(d, Dim)]
    given = [d for d in held if d.kind == "size" and isinstance(d.args[0].node, LayerNode) and not d.args[0].node.args]
    first = (given or held or [None])[0]
    return first if given or all(same_size(first, d) for d in held) else None


def same_size(a: Any, b: Any) -> bool:
    """Whether two sizes are known to be equal, also if unknown."""
    if not isinstance(a, Dim) or not isinstance(b, Dim):
        return not isinstance(a, Dim) and not isinstance(b, Dim) and bool(a == b)
    a, b = origin(a), origin(b)
    return a is b or (a.kind == b.kind and a.kind == "size" and a.args[0] is b.args[0] and a.args[1] == b.args[1])


def equal(a: Any, b: Any) -> bool:
    """Whether two sizes are equal, if that can be said.

    Raises:
        TypeError: if it is known only when the model runs.
    """
    if same_size(a, b):
        return True
    if not (isinstance(a, Dim) or isinstance(b, Dim)):
        return False
    if any(isinstance(v, int) and v < 0 for v in (a, b)):
        return False
    raise TypeError("the sizes are unknown")


def larger(a: Any, b: Any) -> Any:
    """The size of two axes that are broadcast, of which one or both are unknown while recording."""
    if same_size(a, b):
        return a
    if not (isinstance(a, Dim) or isinstance(b, Dim)):
        return max(a, b)
    for one, other in ((a, b), (b, a)):
        if isinstance(one, int) and one in (0, 1):
            return other
    raise TypeError("the sizes are unknown")


#: Ops that keep sizes: from their arguments and an axis of the result to the size it was.
_KEPT: dict[str, Any] = {
    "expand_dims": _expanded,
    "cast": lambda args, axis: _of(args[0], axis),
    "softmax": lambda args, axis: _of(args[0], axis),
    "transpose": lambda args, axis: _of(args[0], args[1][axis]) if args[1] else _of(args[0], -1 - axis),
    "reshape": _reshaped,
    "matmul": lambda args, axis: _of(args[0], axis) if rank_of(args[0]) > 2 and axis < rank_of(args[0]) - 1 else None,
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "where"), _broadcast),
}
