"""The meaning of an op: its graph, recorded with the active backend's ops, run by the NumPy backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from unidl import tree
from unidl.graph.graph import Graph
from unidl.graph.replay import write
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace


def oracle() -> Any:
    """The NumPy backend, whichever is active."""
    try:
        from unidl_numpy import backend
    except ImportError as error:
        raise ImportError('The conformance kit needs the NumPy backend: pip install "unidl[numpy]"') from error
    return backend


def arrays(arguments: Any) -> Iterator[np.ndarray]:
    """The arrays among an op's arguments, in order."""
    if isinstance(arguments, np.ndarray):
        yield arguments
    elif type(arguments) in (tuple, list):
        for item in arguments:
            yield from arrays(item)


def with_arrays(arguments: Any, values: Iterator[Any]) -> Any:
    """`arguments` with each array replaced by the next of `values`."""
    if isinstance(arguments, np.ndarray):
        return next(values)
    if type(arguments) in (tuple, list):
        return type(arguments)(with_arrays(item, values) for item in arguments)
    return arguments


def record(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    shapes: Sequence[Any] | None = None,
    dtype: str | None = None,
) -> Graph:
    """The graph of ``function(*arguments)``, whose inputs are the arrays among the arguments.

    Args:
        shapes: the arrays' shapes as they are to be recorded (None for an unknown dimension).
        dtype: recorded in place of the arrays' own float dtypes.
    """
    found = list(arrays(arguments))
    specs = [
        TensorSpec(tuple(s), dtype if dtype and x.dtype.kind not in "biu" else x.dtype.name)
        for x, s in zip(found, shapes or [x.shape for x in found], strict=True)
    ]
    return trace(function, with_arrays(tuple(arguments), iter(specs)))


def compiled(graph: Graph) -> Callable[..., Any]:
    """`graph` as a function of arrays that the NumPy backend runs, composites decomposed."""
    numpy = oracle()
    return write(graph.lower(lambda op: op.name in numpy.table), numpy)


def evaluate(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[list[TensorSpec], list[np.ndarray]]:
    """What ``function(*arguments)`` must return: the specs that are recorded, and the values."""
    graph = record(function, arguments)
    specs = [TensorSpec(o.shape, o.dtype) for o in graph.outputs]
    return specs, list(compiled(graph)(*arrays(arguments)))


def directional(
    loss: Callable[..., Any], arguments: Sequence[Any], directions: Sequence[np.ndarray | None], step: float = 1e-5
) -> float:
    """The derivative of ``loss(*arguments)`` along `directions`, by central differences in float64."""
    run = compiled(record(loss, arguments, dtype="float64"))
    points = [x if x.dtype.kind in "biu" else x.astype("float64") for x in arrays(arguments)]

    def at(distance: float) -> float:
        moved = [x if d is None else np.asarray(x + distance * d) for x, d in zip(points, directions, strict=True)]
        return float(run(*moved)[0])

    return (at(step) - at(-step)) / (2 * step)


def flat(result: Any) -> list[Any]:
    """An op's result as a list of its outputs."""
    return tree.flatten(result)
