"""Gradient, of ONNX's training preview: derivatives of a part of the graph that the node stands in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import unidl
from unidl import ops
from unidl.interchange.onnx._structures import Graph, Node, OnnxError, ValueType
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator

PREVIEW = "ai.onnx.preview.training"


def is_gradient(node: Node) -> bool:
    return node.op == "Gradient" and node.domain == PREVIEW


def with_part(node: Node, before: list[Node]) -> Node:
    """A Gradient node that has the part of its graph which it differentiates as the attribute ``part``.

    The part takes the values named by ``xs`` and ``zs`` and gives that named by ``y``. Nodes in between that depend on
    neither are not in it: it reads what they give.

    Args:
        before: the nodes of its graph that run before it.

    Raises:
        OnnxError: if the attributes do not say a part of the graph.
    """
    if "part" in node.attributes:  # a node of a model that was made before
        return node
    xs, zs, y = (node.attributes.get(name, []) for name in ("xs", "zs", "y"))
    given = [*xs, *zs]
    if not xs or not y or len(node.inputs) != len(given):
        raise OnnxError(
            f"{node} has the attributes xs={xs}, zs={zs}, y={y!r} and {len(node.inputs)} inputs: it needs the names xs "
            "and y, and a value for each of xs and zs."
        )
    depending, nodes = set(given), []
    for other in before:
        if depending & other.reads() and not set(given) & set(other.outputs):
            nodes.append(other)
            depending.update(other.outputs)
    if y not in depending:
        raise OnnxError(f"{node} differentiates {y!r}, which does not depend on {given} by the nodes before it.")
    needed, kept = {y}, []
    for other in reversed(nodes):
        if needed & set(other.outputs):
            kept.append(other)
            needed |= other.reads()
    own = {*given, *(name for other in kept for name in other.outputs)}
    part = Graph(
        f"{node.name}/part",
        kept[::-1],
        [ValueType(name) for name in given],
        [ValueType(y)],
        outer=frozenset(needed - own),
    )
    return replace(node, attributes={**node.attributes, "part": part})


@operator("Gradient", domain=PREVIEW, apart=True)
def _gradient(call: Call, *inputs: Any) -> Any:
    """∂y/∂x for each x of ``xs``, where the values of ``xs`` and ``zs`` are the inputs; for all of y, its sum."""
    part, count = call.body("part"), len(call.need("xs"))
    xs, zs = inputs[:count], inputs[count:]

    def total(*values: Any) -> Any:
        (y,) = part([*values, *zs])
        return ops.sum(y)

    gradients = unidl.grad(total, argnums=tuple(range(count)))(*xs)
    return tuple(ops.zeros_like(x) if g is None else g for x, g in zip(xs, gradients, strict=True))
