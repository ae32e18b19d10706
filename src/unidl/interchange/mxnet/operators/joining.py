"""Several tensors into one."""

from __future__ import annotations

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value
from unidl.interchange.mxnet.operators.elementwise import promoted


def _joined(c: Call, xs: list[Value], axis: int) -> Value:
    return c.w.node("Concat", *xs, axis=axis) if len(xs) > 1 else xs[0]


@operator("Concat concat _sparse_concat")
def _concat(c: Call, *xs: Value) -> Value:
    return _joined(c, promoted(c, *xs), c.integer("dim", 1))


@operator("_rnn_param_concat _npi_rnn_param_concat")
def _parameters(c: Call, *xs: Value) -> Value:
    return _joined(c, list(xs), c.integer("dim", 1))


@operator("_npi_concatenate")
def _concatenate(c: Call, *xs: Value) -> Value:
    parts = promoted(c, *xs)
    if "None" in str(c.node.attributes.get("axis", "0")):
        return _joined(c, [c.w.reshape(x, [-1]) for x in parts], 0)
    return _joined(c, parts, c.integer("axis", 0))


@operator("stack _npi_stack")
def _stack(c: Call, *xs: Value) -> Value:
    axis = c.integer("axis", 0)
    return _joined(c, [c.w.unsqueeze(x, axis) for x in promoted(c, *xs)], axis)


@operator("_npi_hstack", axis=1, vector=[-1])
@operator("_npi_vstack", axis=0, vector=[1, -1])
@operator("_npi_column_stack", axis=1, vector=[-1, 1])
@operator("_npi_dstack", axis=2, vector=[1, -1, 1])
def _stacked_along(c: Call, *xs: Value, axis: int, vector: list[int]) -> Value:
    """Along `axis`, vectors and numbers in the shape `vector`; matrices get the third axis that dstack joins at."""
    parts = []
    for x in promoted(c, *xs):
        if c.rank(x) < min(2, len(vector)):
            x = c.w.reshape(x, vector)
        elif c.rank(x) < len(vector):
            x = c.w.unsqueeze(x, 2)
        parts.append(x)
    return _joined(c, parts, min(axis, c.rank(parts[0]) - 1))  # vectors have one axis only, also for hstack
