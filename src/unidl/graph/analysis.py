"""Numbers about a graph: operations, parameters, memory; and the table that ``print(graph)`` shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from unidl.graph.costs import FORMULAS, primitive_flops
from unidl.graph.graph import Graph, bodies
from unidl.graph.symbolic import Node, SymbolicTensor, TensorSpec, substitute


class Memory(NamedTuple):
    """Bytes.

    Attributes:
        weights: of all variables.
        largest: of the largest tensor that is computed.
        peak: of all tensors that are alive at once, at the worst moment of a run in order (inputs included, variables
            not; composites as one op).
    """

    weights: int
    largest: int
    peak: int


class Parameters(NamedTuple):
    """Numbers of elements of a graph's variables."""

    total: int
    trainable: int


def flops(graph: Graph, batch: int = 1) -> int:
    """Floating-point operations of one run; a multiply-add is 2 (see :mod:`unidl.graph.costs`).

    Args:
        batch: the size that every unknown dimension takes.

    Opaque nodes (native code) count 0.
    """
    return sum(count or 0 for count in node_flops(graph, batch))


def node_flops(graph: Graph, batch: int = 1) -> list[int | None]:
    """The operations of each of `needed_nodes`; None for native code, whose cost is unknown."""
    sizes = _Sizes(batch)
    for tensor in graph.inputs:
        sizes.known(tensor)
    return [sizes.run(node) for node in needed_nodes(graph)]


def parameters(graph: Graph) -> Parameters:
    """How many numbers the graph's variables hold, and how many of these training changes."""
    sizes = [(math.prod(_shape(v)), v.trainable) for v in graph.variables()]
    return Parameters(sum(n for n, _ in sizes), sum(n for n, trainable in sizes if trainable))


def memory(graph: Graph, batch: int = 1) -> Memory:
    """Memory that one run takes; `batch` as in `flops`."""
    from unidl.backend import active

    weights = sum(_bytes(_shape(v), active.dtype(v)) for v in graph.variables())
    nodes = needed_nodes(graph)
    sizes = _Sizes(batch)
    alive = {id(t): _bytes(sizes.known(t).shape, t.dtype) for t in graph.inputs}
    last: dict[int, int] = {}
    for position, node in enumerate(nodes):
        last.update((id(t), position) for t in node.inputs())
    for tensor in (*graph.outputs, *(v for _, v in graph.updates)):
        last[id(tensor)] = len(nodes)
    largest, peak = 0, sum(alive.values())
    for position, node in enumerate(nodes):
        sizes.run(node)
        for output in node.outputs:
            alive[id(output)] = _bytes(sizes.known(output).shape, output.dtype)
            largest = max(largest, alive[id(output)])
        peak = max(peak, sum(alive.values()))
        alive = {key: n for key, n in alive.items() if last.get(key, -1) > position}
    return Memory(weights, largest, peak)


def needed_nodes(graph: Graph) -> list[Node]:
    """The nodes on which the outputs and updates depend, in order; a target runs no others."""
    wanted = graph.needed([*graph.outputs, *(v for _, v in graph.updates)])
    return [node for node in graph.nodes if id(node) in wanted]


class _Sizes:
    """Shapes with every unknown dimension given a size, found by running the ops' shape rules."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.tensors: dict[int, SymbolicTensor] = {}

    def known(self, tensor: SymbolicTensor) -> SymbolicTensor:
        """The stand-in of `tensor`; what no node computed gets its unknown dimensions filled in."""
        if id(tensor) not in self.tensors:
            filled = tuple(self.batch if d is None else d for d in tensor.shape)
            stand_in = SymbolicTensor(filled, tensor.dtype, name=tensor.name)
            stand_in.value = tensor.value
            self.tensors[id(tensor)] = stand_in
        return self.tensors[id(tensor)]

    def run(self, node: Node) -> int | None:
        """Find the shapes of the node's outputs; the result is its cost."""
        args = tuple(substitute(a, self.known) for a in node.args)
        if node.inner is not None:
            for outer, inner in zip(node.inner.outer, node.inner.inputs, strict=True):
                self.tensors[id(inner)] = self.known(outer)
            total = 0
            wanted = node.inner.needed(node.inner.outputs)
            for item in node.inner.nodes:
                if id(item) in wanted:
                    total += self.run(item) or 0
            for output, inner in zip(node.outputs, node.inner.outputs, strict=True):
                self.tensors[id(output)] = self.known(inner)
            if node.op.name not in FORMULAS:
                return total
        elif any(True for _ in bodies(node)):
            return self._control(node, args)
        elif node.op.kind == "primitive":
            specs = node.op.rule(*args)
            for output, spec in zip(node.outputs, [specs] if isinstance(specs, TensorSpec) else specs, strict=True):
                filled = tuple(self.batch if d is None else d for d in spec.shape)
                self.tensors[id(output)] = SymbolicTensor(filled, spec.dtype)
        else:
            return None
        return primitive_flops(node.op, args, [self.known(o) for o in node.outputs])

    def _control(self, node: Node, args: tuple[Any, ...]) -> int | None:
        """The cost of the dearest branch, or of all steps; None for loops that end when a value says so."""
        costs = [sum(self.run(n) or 0 for n in needed_nodes(body)) for body in bodies(node)]
        arguments = dict(zip(node.op.parameters, args, strict=True))
        if node.op.name == "steps":
            xs, length = arguments["xs"], arguments["length"]
            count = xs[0].shape[0] if xs else length if isinstance(length, int) else self.batch
            return costs[0] * count
        return {"branch": max(costs), "with_gradient": costs[0]}.get(node.op.name)


# -- the table -------------------------------------------------------------------------------------


def table(graph: Graph, batch: int = 1) -> str:
    """The graph as text: one line for each op, then totals and state updates.

    Args:
        batch: the size that unknown dimensions take where operations are counted.

    Parameters stand at the op that first reads them.
    """
    nodes = needed_nodes(graph)
    costs = node_flops(graph, batch)
    seen: set[int] = set()
    rows = [("layer", "op", "output", "parameters", "FLOPs")]
    for tensor in graph.inputs:
        rows.append((tensor.name or "", "input", _spec(tensor), "", ""))
    for node, cost in zip(nodes, costs, strict=True):
        fresh = 0
        for tensor in node.inputs():
            if is_variable(tensor) and id(tensor.value) not in seen:
                seen.add(id(tensor.value))
                fresh += math.prod(tensor.shape)  # type: ignore[arg-type]
        outputs = ", ".join(_spec(o) for o in node.outputs)
        rows.append(
            (node.path, node.op.name, outputs, f"{fresh:,}" if fresh else "", "native" if cost is None else f"{cost:,}")
        )
    lines = aligned(rows, ("left", "left", "left", "right", "right"))
    lines.insert(1, "-" * len(lines[0]))
    numbers, use = parameters(graph), memory(graph, batch)
    lines += [
        "",
        f"{len(nodes)} ops, {sum(c or 0 for c in costs):,} FLOPs (unknown dimensions as {batch}, a multiply-add is 2)",
        f"{numbers.total:,} parameters ({numbers.trainable:,} trainable), {readable_bytes(use.weights)}; "
        f"activations at most {readable_bytes(use.peak)}, the largest {readable_bytes(use.largest)}",
    ]
    if any(cost is None for cost in costs):
        lines.append("native: code that calls the engine itself; its operations are not counted")
    outputs = ", ".join(_spec(o) if type(o) is SymbolicTensor else repr(o) for o in graph.outputs)
    lines.append(f"returns {outputs or 'nothing'}")
    lines += [f"updates {variable.path} {_spec(value)}" for variable, value in graph.updates]
    title = f"{graph.name}\n" if graph.name else ""
    return title + "\n".join(line.rstrip() for line in lines)


def is_variable(tensor: SymbolicTensor) -> bool:
    """Whether `tensor` stands for a variable."""
    from unidl.backend import active

    return tensor.value is not None and isinstance(tensor.value, active.Variable)


def aligned(rows: Sequence[tuple[str, ...]], sides: tuple[str, ...]) -> list[str]:
    """Rows of cells as lines of equal columns, each to its side ("left" or "right")."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(sides))]
    pad: dict[str, Callable[[str, int], str]] = {"left": str.ljust, "right": str.rjust}
    return [
        "  ".join(pad[side](cell, width) for cell, width, side in zip(row, widths, sides, strict=True)) for row in rows
    ]


def readable_bytes(count: int) -> str:
    """``12.3 kB``: a number of bytes in units of 1000."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _spec(tensor: Any) -> str:
    return f"{tensor.dtype}[{', '.join('?' if d is None else str(d) for d in tensor.shape)}]"


def _shape(variable: Any) -> tuple[int, ...]:
    from unidl.backend import active

    return tuple(active.shape(variable))  # type: ignore[arg-type]


def dtype_bytes(dtype: str) -> int:
    """Bytes of one element."""
    return (8 if dtype == "bool" else int("".join(c for c in dtype if c.isdigit()))) // 8


def _bytes(shape: Any, dtype: str) -> int:
    return math.prod(shape) * dtype_bytes(dtype)


__all__ = [
    "Memory",
    "Parameters",
    "dtype_bytes",
    "flops",
    "memory",
    "node_flops",
    "parameters",
    "readable_bytes",
    "table",
]
