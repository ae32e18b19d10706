"""What a summary and a picture show of a model: its layers, their shapes, and what feeds what."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from unidl import tree
from unidl.graph.symbolic import LayerNode, SymbolicTensor


@dataclass
class Item:
    """One layer (or op of a functional model).

    Attributes:
        name, kind: ``"dense"``, ``"Dense"``; of an op both are the op's name.
        shape, dtype: structures of the outputs'; None where nothing is known yet.
        parents: indices of the items that feed it.
        layer: None for an op.
        depth: how many models it is nested in.
    """

    name: str
    kind: str
    shape: Any = None
    dtype: Any = None
    input_shape: Any = None
    parents: list[int] = field(default_factory=list)
    layer: Any = None
    depth: int = 0


def items(model: Any, expand_nested: bool = False, depth: int = 0) -> list[Item]:
    """The model's layers and ops in the order in which they run, each once.

    Args:
        expand_nested: put the layers of models inside the model after them.
    """
    net = getattr(model, "_net", None)
    found: list[Item] = []
    if net is None:
        for index, layer in enumerate(model.layers):
            node = layer._nodes[0] if layer._nodes else None
            item = _layer_item(layer, node, depth)
            item.parents = [index - 1] if index and _is_sequential(model) else []
            found.append(item)
    else:
        found = _net_items(net, depth)
    return _expanded(found, depth) if expand_nested else found


def _net_items(net: Any, depth: int) -> list[Item]:
    found: list[Item] = []
    place: dict[int, int] = {}  # id of a symbolic tensor to the item that puts it out
    of_layer: dict[int, int] = {}

    def parents(tensors: Any) -> list[int]:
        known = [place[id(t)] for t in tensors if id(t) in place]
        return list(dict.fromkeys(known))

    for tensor in net.flat_inputs:
        layer = getattr(tensor.node, "layer", None)
        name = getattr(layer, "name", None) or tensor.name or "input"
        of_layer[id(layer)] = place[id(tensor)] = len(found)
        found.append(Item(name, "InputLayer", tensor.shape, tensor.dtype, tensor.shape, [], layer, depth))
    for node in net.nodes:
        if not isinstance(node, LayerNode):
            item = Item(node.op.name, node.op.name, _shapes(node.result), _dtypes(node.result), None, [], None, depth)
            item.parents = parents(node.inputs())
        elif id(node.layer) in of_layer:  # a layer shared between several places is one item
            item = found[of_layer[id(node.layer)]]
            item.parents = list(dict.fromkeys([*item.parents, *parents(node.inputs())]))
            for tensor in node.outputs:
                place[id(tensor)] = of_layer[id(node.layer)]
            continue
        else:
            item = _layer_item(node.layer, node, depth)
            item.parents = parents(node.inputs())
            of_layer[id(node.layer)] = len(found)
        for tensor in node.outputs:
            place[id(tensor)] = len(found)
        found.append(item)
    return found


def _layer_item(layer: Any, node: Any, depth: int) -> Item:
    if node is None:
        return Item(layer.name, type(layer).__name__, layer=layer, depth=depth)
    given = [t.shape for t in node.inputs()]
    return Item(
        layer.name,
        type(layer).__name__,
        _shapes(node.result),
        _dtypes(node.result),
        given[0] if len(given) == 1 else given,
        layer=layer,
        depth=depth,
    )


def _expanded(found: list[Item], depth: int) -> list[Item]:
    """`found` with the items of nested models after each; parents keep pointing at the right items."""
    result: list[Item] = []
    moved: dict[int, int] = {}
    for index, item in enumerate(found):
        moved[index] = len(result)
        item.parents = [moved[p] for p in item.parents if p in moved]
        result.append(item)
        if is_model(item.layer):
            inner = items(item.layer, True, depth + 1)
            offset = len(result)
            for one in inner:
                one.parents = [p + offset for p in one.parents]
            result += inner
    return result


def is_model(layer: Any) -> bool:
    """Whether `layer` is a model with layers of its own."""
    from unidl.models import Model

    return isinstance(layer, Model)


def _is_sequential(model: Any) -> bool:
    from unidl.models import Sequential

    return isinstance(model, Sequential)


def is_chain(model: Any) -> bool:
    """Whether each layer feeds just the next, so that nothing needs to say who feeds whom."""
    if getattr(model, "_net", None) is None:
        return True
    return all(item.parents == ([index - 1] if index else []) for index, item in enumerate(items(model)))


def parameter_count(layer: Any) -> int | None:
    """Elements of all weights of a layer; None if it has not been built."""
    if layer is None:
        return 0
    if not layer.built and not layer.weights:
        return None
    return element_count(layer.weights)


def element_count(variables: Any) -> int:
    """Elements of all `variables` together."""
    from unidl.backend import active

    shapes = [tuple(d or 0 for d in active.shape(v)) for v in variables]
    return sum(math.prod(shape) for shape in shapes)


def shape_text(shape: Any) -> str:
    """``(None, 8)``, or a list of such; a question mark if unknown."""
    if shape is None:
        return "?"
    if isinstance(shape, list):
        return ", ".join(shape_text(s) for s in shape)
    return str(shape)


def _shapes(result: Any) -> Any:
    return _leaves(result, lambda t: t.shape)


def _dtypes(result: Any) -> Any:
    return _leaves(result, lambda t: t.dtype)


def _leaves(result: Any, get: Any) -> Any:
    flat = [get(t) for t in tree.flatten(result) if type(t) is SymbolicTensor]
    return flat[0] if len(flat) == 1 else flat
