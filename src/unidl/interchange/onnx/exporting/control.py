"""Control flow as If, Loop and Scan. Bodies read what is outside by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unidl.graph.graph import Graph
from unidl.interchange.onnx.exporting._emit import Emit
from unidl.interchange.onnx.exporting._writer import Value

if TYPE_CHECKING:
    from unidl.interchange.onnx.exporting._graph import Emitter


def branch(w: Emitter, index: Value, bodies: Sequence[Graph], operands: list[Value]) -> list[Value]:
    """If, nested where there are more than two bodies."""
    if len(bodies) == 1:
        return w.call(bodies[0], operands)
    first = w.node("LessOrEqual", w.cast(index, "int32"), w.constant(0, "int32"), dtype="bool")
    rest = w.node("Sub", w.cast(index, "int32"), w.constant(1, "int32")) if len(bodies) > 2 else index
    specs = w.specs
    dtypes = [s.dtype for s in specs]
    then = w.subgraph("then", [], lambda: w.call(bodies[0], operands))
    other = w.subgraph("else", [], lambda: branch(w, rest, bodies[1:], operands))
    return w.nodes("If", [first], dtypes, then_branch=then, else_branch=other)


def loop(
    w: Emitter, condition: Graph, body: Graph, values: list[Value], operands: list[Value], maximum: int | None
) -> list[Value]:
    """Loop; the condition is computed before it, and at the end of its body for the next round."""
    specs = [(t.shape, t.dtype) for t in body.inputs[: len(values)]]
    (start,) = w.call(condition, [*values, *operands])

    def round_(count: Value, go_on: Value, *current: Value) -> list[Value]:
        new = w.call(body, [*current, *operands])
        return [*w.call(condition, [*new, *operands]), *new]

    graph = w.subgraph("round", [((), "int64"), ((), "bool"), *specs], round_)
    limit = None if maximum is None else w.constant(maximum, "int64")
    return w.nodes("Loop", [limit, start, *values], [d for _, d in specs], body=graph)


def steps(
    w: Emitter, body: Graph, carry: list[Value], xs: list[Value], operands: list[Value], length: Any, reverse: bool
) -> list[Value]:
    """Scan, over the numbers of the steps if there is nothing else."""
    given = len(carry) + len(xs)
    specs = [(t.shape, t.dtype) for t in body.inputs[:given]]
    items = list(xs)
    if not xs:
        items = [w.node("Range", w.constant(0, "int64"), w.scalar(length), w.constant(1, "int64"))]
        specs.append(((), "int64"))

    def step(*current: Value) -> list[Value]:
        return w.call(body, [*current[:given], *operands])

    graph = w.subgraph("step", specs, step)
    dtypes = [s.dtype for s in w.specs]
    back = {}
    if reverse:
        back = {
            "scan_input_directions": [1] * len(items),
            "scan_output_directions": [1] * (len(dtypes) - len(carry)) or None,
        }
    return w.nodes("Scan", [*carry, *items], dtypes, body=graph, num_scan_inputs=len(items), **back)


def with_gradient(
    w: Emitter, body: Graph, backward: Graph, count: int, xs: list[Value], operands: list[Value]
) -> list[Value]:
    return w.call(body, [*xs, *operands])[:count]


def recomputed(w: Emitter, body: Graph, operands: list[Value]) -> list[Value]:
    return w.call(body, operands)


TABLE: dict[str, Emit] = {
    "branch": branch,
    "loop": loop,
    "steps": steps,
    "with_gradient": with_gradient,
    "recomputed": recomputed,
}
