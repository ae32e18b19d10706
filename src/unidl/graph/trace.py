"""Recording a Python function as a graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unidl import tree
from unidl._state import state
from unidl.backend import active
from unidl.errors import UntraceableError
from unidl.graph.graph import Graph
from unidl.graph.symbolic import SymbolicTensor, TensorSpec, like, symbols


class Trace:
    """One recording in progress.

    Attributes:
        nodes: in the order in which they were recorded.
        leaves: variables met so far, with the symbolic tensor that stands for each one's value at
            the start of the graph.
        updates: what each assigned variable will hold at the end of the graph.
        losses: what layers added with `add_loss`, each with its layer.
        owners: the layers (or the function) whose code is running; constants they hold are known.
        trusted: whether native tensors are constants without question: inside a composite they are the op's own.
    """

    def __init__(self, parent: Trace | None = None, trusted: bool = False) -> None:
        self.trusted = trusted
        self.nodes: list[Any] = []
        self.leaves: dict[int, tuple[Any, SymbolicTensor]] = parent.leaves if parent else {}
        self.updates: dict[int, tuple[Any, SymbolicTensor]] = parent.updates if parent else {}
        self.owners: list[Any] = parent.owners if parent else []
        self.losses: list[tuple[Any, Any]] = parent.losses if parent else []
        self._names: list[str] = parent._names if parent else []

    @property
    def path(self) -> str:
        return "/".join(self._names)

    @contextlib.contextmanager
    def inside(self, owner: Any, name: str) -> Iterator[None]:
        """Record what follows as happening in the layer `owner`."""
        self.owners.append(owner)
        self._names.append(name)
        try:
            yield
        finally:
            self.owners.pop()
            self._names.pop()

    def leaf(self, variable: Any) -> SymbolicTensor:
        """The symbolic value of `variable` at this point of the recording."""
        key = id(variable)
        if key in self.updates:
            return self.updates[key][1]
        if key not in self.leaves:
            tensor = SymbolicTensor(active.shape(variable), active.dtype(variable), name=variable.path)
            tensor.value = variable
            self.leaves[key] = (variable, tensor)
        return self.leaves[key][1]

    def assign(self, variable: Any, value: SymbolicTensor) -> None:
        self.leaf(variable)
        self.updates[id(variable)] = (variable, value)

    def mark(self) -> tuple[int, int, dict[int, Any]]:
        """What to hand to `rewind` to forget everything recorded from here on."""
        return len(self.nodes), len(self.losses), dict(self.updates)

    def rewind(self, mark: tuple[int, int, dict[int, Any]]) -> None:
        del self.nodes[mark[0] :]
        del self.losses[mark[1] :]
        self.updates.clear()
        self.updates.update(mark[2])

    def check_constant(self, value: Any) -> None:
        """Refuse a native tensor that native code may have computed from a variable or an input.

        A tensor that a layer or the module around it holds is a constant; any other came from
        native code during the trace, and replay would freeze it.
        """
        if self.trusted:
            return
        if type(value) is np.ndarray:  # host data on every backend; on NumPy's it happens to be native too
            return
        for owner in self.owners:
            function = getattr(type(owner), "call", owner)
            cells = [c.cell_contents for c in getattr(function, "__closure__", None) or () if _filled(c)]
            for scope in (getattr(owner, "__dict__", {}), getattr(function, "__globals__", {}), cells):
                items = list(scope.values() if isinstance(scope, dict) else scope)
                if any(item is value or _holds(item, value) for item in items):
                    return
        raise UntraceableError(
            f"A native tensor ({active.dtype(value)}{list(active.shape(value))}) that no layer holds came into "
            f"{self.path or 'the function'} while it was recorded: native code computed it."
        )


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  (reading an empty cell raises)
    except ValueError:
        return False
    return True


def _holds(container: Any, value: Any) -> bool:
    if isinstance(container, dict):
        return any(item is value for item in container.values())
    return isinstance(container, (list, tuple)) and any(item is value for item in container)


@contextlib.contextmanager
def recording(current: Trace) -> Iterator[Trace]:
    previous, state.trace = state.trace, current
    try:
        yield current
    finally:
        state.trace = previous


def trace(
    function: Callable[..., Any],
    inputs: Any,
    *,
    owner: Any = None,
    name: str = "",
) -> Graph:
    """Record ``function(*inputs)``.

    Args:
        function: Python code made of unidl ops and layers.
        inputs: a tuple of structures whose leaves are :class:`TensorSpec`,
            :class:`SymbolicTensor`, or plain values that are passed through.
        owner: what the function belongs to, if not itself.
        name: shown in messages and drawings.

    Raises:
        UntraceableError: if the code asks for values, or mixes in native computation.
    """
    leaves: list[SymbolicTensor] = []

    def placeholder(spec: Any) -> Any:
        if not isinstance(spec, (TensorSpec, SymbolicTensor)):
            return spec
        tensor = SymbolicTensor(spec.shape, spec.dtype, name=getattr(spec, "name", None))
        mask = getattr(spec, "mask", None)
        leaves.append(tensor)
        if mask is not None:
            tensor.mask = SymbolicTensor(mask.shape, mask.dtype)
            leaves.append(tensor.mask)
        return tensor

    arguments = tuple(_map_specs(placeholder, item) for item in inputs)
    current = Trace()
    current.owners.append(function if owner is None else owner)
    with recording(current):
        result = function(*arguments)
        from unidl.ops._bind import as_symbol

        flat = tree.flatten(result)
        outputs = [
            as_symbol(v) if v is not None and (type(v) is SymbolicTensor or hasattr(v, "dtype")) else v for v in flat
        ]
    return Graph(
        leaves,
        outputs,
        result,
        current.nodes,
        list(current.updates.values()),
        name or getattr(function, "__name__", ""),
    )


def _map_specs(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, (TensorSpec, SymbolicTensor)):
        return function(value)
    if isinstance(value, dict):
        # In the order in which `tree.flatten` lists them: that is how the graph's inputs will come.
        mapped = {k: _map_specs(function, value[k]) for k in tree._keys(value)}
        return {k: mapped[k] for k in value}
    if isinstance(value, (list, tuple)):
        return like(value, [_map_specs(function, v) for v in value])
    return value


def trace_composite(op: Any, values: tuple[Any, ...]) -> tuple[Graph, Any]:
    """The decomposition of a composite for symbolic arguments, and the specs of its outputs."""
    placeholders: dict[int, tuple[SymbolicTensor, SymbolicTensor]] = {}

    def placeholder(value: SymbolicTensor) -> SymbolicTensor:
        if id(value) not in placeholders:
            placeholders[id(value)] = (value, SymbolicTensor(value.shape, value.dtype))
        return placeholders[id(value)][1]

    from unidl.graph.symbolic import substitute

    arguments = [substitute(value, placeholder) for value in values]
    with recording(Trace(state.trace, trusted=True)) as current:
        result = op.rule(*arguments)
        from unidl.ops._bind import as_symbol

        multiple = isinstance(result, (tuple, list))
        outputs = [as_symbol(v) for v in (result if multiple else [result])]
    graph = Graph([p for _, p in placeholders.values()], outputs, result, current.nodes, [], op.name)
    graph.outer = [v for v, _ in placeholders.values()]
    specs = tuple(TensorSpec(o.shape, o.dtype) for o in outputs)
    return graph, specs if multiple else specs[0]


def spec_of(value: Any) -> Any:
    """The :class:`TensorSpec` of a native or symbolic tensor; anything else as it is."""
    if type(value) is SymbolicTensor:
        return TensorSpec(value.shape, value.dtype)
    if active.is_tensor(value):
        return TensorSpec(tuple(active.shape(value)), active.dtype(value))
    return value


__all__ = ["Trace", "recording", "spec_of", "symbols", "trace", "trace_composite"]
