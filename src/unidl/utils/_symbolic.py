"""Questions about symbolic tensors, and a fresh start for names."""

from __future__ import annotations

import gc
from typing import Any

from unidl import tree
from unidl.graph.symbolic import SymbolicTensor


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is symbolic: the result of `Input`, or of layers and ops called on one.

    Example:
        >>> import unidl
        >>> x = unidl.Input((4,))
        >>> unidl.utils.is_keras_tensor(unidl.layers.Dense(2)(x)), unidl.utils.is_keras_tensor([1.0])
        (True, False)
    """
    return type(x) is SymbolicTensor


def get_source_inputs(tensor: Any) -> list[Any]:
    """The `Input` tensors from which a symbolic tensor was computed.

    Args:
        tensor: a symbolic tensor; other values have no source.

    Returns:
        A list without repetition, in the order in which they are met.
    """
    if type(tensor) is not SymbolicTensor:
        return []
    found: list[Any] = []
    seen: set[int] = set()
    todo = [tensor]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        node = one.node
        inputs = [] if node is None else [t for t in node.inputs() if t.value is None]
        if not inputs:
            if one.value is None:
                found.append(one)
        else:
            todo.extend(reversed(inputs))
    return found


def clear_session(free_memory: bool = True) -> None:
    """Start afresh: automatic names count from the beginning again, and the global seed is forgotten.

    Models that exist go on working.

    Args:
        free_memory: collect unreachable objects now.
    """
    from unidl import _seed
    from unidl.backend import _uids
    from unidl.layers import _base

    _base._counts.clear()
    _uids.clear()
    _seed.forget()
    if free_memory:
        gc.collect()


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch in the form that data sources yield.

    Returns:
        ``x`` alone if it is neither nested nor accompanied, ``(x,)`` if it is nested, else ``(x, y)`` or
        ``(x, y, sample_weight)``.

    Example:
        >>> import unidl
        >>> unidl.utils.pack_x_y_sample_weight([1], [2])
        ([1], [2])
    """
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if tree.is_nested(x) else x


__all__ = ["clear_session", "get_source_inputs", "is_keras_tensor", "pack_x_y_sample_weight"]
