"""Layers of Keras 2 that are functions of TensorFlow, as entries for ops in the configurations of Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.saving.legacy import _tf_nodes
from unidl.saving.legacy._tf_ops import call_of

CLASSES = frozenset({"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"})
_CONSTANT = "_CONSTANT_VALUE"
_SHAPES = ("shape", "compat.v1.shape")
_SAME = ("cast", "convert_to_tensor", "identity")
_KINDS = {"add": "add", "subtract": "sub", "multiply": "mul", "floordiv": "floordiv", "mod": "mod", "floormod": "mod"}


class _Shape:
    """The shape of a tensor."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


def called(layer: dict[str, Any], places: Any) -> tuple[str, Any, dict[str, Any]]:
    """Function, first argument and the others of one call of such a layer; tensors are places still.

    Raises:
        ValueError: if the call is described in another way.
    """
    name = layer["name"]
    if not isinstance(places, list) or not places:
        raise ValueError(f"Layer {name!r} is called in a way that is not known: {str(places)[:100]!r}.")
    alone = isinstance(places[0], str)
    given, rest = [], {}
    for place in [places] if alone else places:
        if not isinstance(place, list) or len(place) < 3:
            raise ValueError(f"Layer {name!r} is called on {str(place)[:100]!r}, which is no tensor.")
        given.append(place[2] if place[0] == _CONSTANT else place[:3])
        rest.update(place[3] if len(place) > 3 and isinstance(place[3], dict) else {})
    if layer["class_name"] == "TensorFlowOpLayer":
        return _tf_nodes.called(name, layer["config"], given)
    return str(layer["config"].get("function")), given[0] if alone else given, rest


def sizes(
    layers: list[dict[str, Any]], tensor: Callable[[list[Any]], Any], is_place: Callable[[Any], bool]
) -> dict[tuple[str, int], Any]:
    """What is computed of shapes alone, by (layer, call): numbers, sizes and lists of them in the place of tensors.

    Args:
        layers: in their order, each after those that it is called on.
        tensor: the configuration of the tensor at a place.

    Raises:
        ValueError: for functions of shapes that are not known.
    """
    found: dict[tuple[str, int], Any] = {}

    def read(value: Any) -> Any:
        if is_place(value):
            return found.get((value[0], value[1]), value)
        return [read(v) for v in value] if isinstance(value, list) else value

    for layer in layers:
        for index, places in enumerate(layer["inbound_nodes"] if layer["class_name"] in CLASSES else ()):
            function, first, rest = called(layer, places)
            if function in _SHAPES:
                found[layer["name"], index] = _Shape(tensor(first))
                continue
            args = [read(v) for v in (first, *(v for k, v in rest.items() if k != "name" and v is not None))]
            if any(map(_is_size, args[:1] if function.endswith("stack") else args)) and not any(map(is_place, args)):
                found[layer["name"], index] = _size(layer["name"], function.rpartition(".")[2], args)
    return found


def _is_size(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_size, value))
    return isinstance(value, _Shape) or (isinstance(value, dict) and value.get("class_name") == "__size__")


def _size(name: str, function: str, args: list[Any]) -> Any:
    first, *rest = args
    if function == "getitem" and len(rest) == 1:
        at = rest[0][0] if isinstance(rest[0], list) and len(rest[0]) == 1 else rest[0]
        if type(at) is int and isinstance(first, _Shape):
            return {"class_name": "__size__", "config": {"kind": "size", "args": [first.tensor, at]}}
        if type(at) is int and isinstance(first, list) and -len(first) <= at < len(first):
            return first[at]
    if function in _SAME:
        return first
    if function == "stack" and isinstance(first, list) and rest in ([], [0]):
        return first
    kind = _KINDS.get(function)
    if kind and len(rest) == 1 and not any(isinstance(v, (_Shape, list)) for v in args):
        return {"class_name": "__size__", "config": {"kind": kind, "args": [first, rest[0]]}}
    raise ValueError(f"Layer {name!r} calls TensorFlow's function {function!r} on a shape in a way that is not known.")


def entry(layer: dict[str, Any], argument: Callable[[Any], Any]) -> dict[str, Any]:
    """The entry for the op that a layer is.

    Args:
        argument: brings places in an argument into the form of Keras 3.

    Raises:
        ValueError: for functions that have no counterpart.
    """
    name, calls, kinds = layer["name"], [], set()
    for places in layer["inbound_nodes"]:
        function, first, rest = called(layer, places)
        kind, args = call_of(name, function, first, rest)
        kinds.add(kind)
        calls.append({"args": [_checked(name, argument(arg)) for arg in args], "kwargs": {}})
    if len(kinds) != 1:
        raise ValueError(f"Layer {name!r}, a function of TensorFlow, is not called, or in ways that differ.")
    return {
        "module": "unidl.ops", "class_name": kinds.pop(), "config": {"name": name}, "registered_name": None,
        "name": name, "inbound_nodes": calls,
    }  # fmt: skip


def _checked(name: str, value: Any) -> Any:
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, _Shape):
            raise ValueError(f"Layer {name!r} takes the shape of a tensor as a whole, which has no counterpart.")
    return value
