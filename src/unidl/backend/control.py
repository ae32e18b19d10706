"""Control flow for engines that run Python code: the control primitives as Python's own statements.

A backend whose tensors have values whenever its table functions run puts `control_table(...)` into its table. Engines
with a tracer of their own (TensorFlow) bring functions that work on values that are not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Function = Callable[..., Sequence[Any]]


def control_table(backend: Any) -> dict[str, Callable[..., Any]]:
    """The control primitives by name, for `backend`, whose other ops are used to do it."""

    def branch(index: Any, bodies: Sequence[Function], operands: Sequence[Any]) -> tuple[Any, ...]:
        place = min(max(int(index), 0), len(bodies) - 1)
        return tuple(bodies[place](*operands))

    def loop(
        condition: Function, body: Function, values: Sequence[Any], operands: Sequence[Any], maximum: int | None
    ) -> tuple[Any, ...]:
        values, count = list(values), 0
        while (maximum is None or count < maximum) and bool(condition(*values, *operands)[0]):
            values = list(body(*values, *operands))
            count += 1
        return tuple(values)

    def steps(
        body: Any, carry: Sequence[Any], xs: Sequence[Any], operands: Sequence[Any], length: Any, reverse: bool
    ) -> tuple[Any, ...]:
        carry, rows = list(carry), []
        size = int(backend.shape(xs[0])[0] if xs else length)
        # Cut into rows at once: an indexing call for each step would make the gradient quadratic in the length.
        cut = [backend.table["split"](x, size, 0) if size else [] for x in xs]
        items = [[backend.table["squeeze"](row, 0) for row in rows_of_x] for rows_of_x in cut]
        for i in reversed(range(size)) if reverse else range(size):
            results = list(body(*carry, *(item[i] for item in items), *operands))
            carry, row = results[: len(carry)], results[len(carry) :]
            rows.append(row)
        if reverse:
            rows.reverse()
        if not rows:
            specs = body.specs[len(carry) :]
            empty = [backend.table["zeros"]((0, *(d or 0 for d in s.shape)), s.dtype) for s in specs]
            return (*carry, *empty)
        expand, join = backend.table["expand_dims"], backend.table["concatenate"]
        return (*carry, *(join([expand(y, 0) for y in column], 0) for column in zip(*rows, strict=True)))

    def with_gradient(
        body: Function, backward: Function, count: int, xs: Sequence[Any], operands: Sequence[Any]
    ) -> tuple[Any, ...]:
        def function(*inputs: Any) -> tuple[Any, Callable[..., Any]]:
            results = tuple(body(*inputs, *operands))
            rest = results[count:]
            return results[:count], lambda *upstream: tuple(backward(*upstream, *rest, *operands))

        if not backend.trains:
            return tuple(body(*xs, *operands))[:count]
        results = backend.custom_gradient(function)(*xs)
        return tuple(results) if isinstance(results, (tuple, list)) else (results,)

    def recomputed(body: Function, operands: Sequence[Any]) -> tuple[Any, ...]:
        if not backend.trains:
            return tuple(body(*operands))
        # What moves before the gradient is taken (moving averages) is kept as it is: the second run starts from that.
        moving = backend.Variable
        kept = [backend.table["copy"](v) if isinstance(v, moving) and not v.trainable else v for v in operands]
        return tuple(backend.rematerialized(lambda *values: tuple(body(*values)))(*kept))

    return {"recomputed": recomputed, "branch": branch, "loop": loop, "steps": steps, "with_gradient": with_gradient}
