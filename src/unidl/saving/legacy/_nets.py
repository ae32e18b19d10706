"""The calls of the layers of functional models, as Keras 1 and 2 and tf.keras wrote them, in the words of Keras 3."""

from __future__ import annotations

from typing import Any

from unidl.saving.legacy import _tf_layers
from unidl.saving.legacy._names import RECURRENT

_CONSTANT = "_CONSTANT_VALUE"


def current_net(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a functional model, its layers in today's words already, with its calls rewritten.

    A call was ``[[layer, call, output, arguments], …]``. The calls of models inside were sometimes counted from 1,
    since making the model was counted as one.
    """
    layers = config["layers"]
    names = {layer["name"] for layer in layers}
    first = _first_calls(config, layers)
    sizes: dict[tuple[str, int], Any] = {}

    def tensor(place: list[Any]) -> dict[str, Any]:
        if (place[0], place[1]) in sizes:
            return sizes[place[0], place[1]]
        history = [place[0], place[1] - first.get(place[0], 0), place[2]]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}

    def argument(value: Any) -> Any:
        if _is_place(value, names):
            return tensor(value)
        if isinstance(value, (list, tuple)):
            return [argument(v) for v in value]
        if isinstance(value, dict):
            return {k: argument(v) for k, v in value.items()}
        return value

    def call(places: Any, layer: dict[str, Any]) -> dict[str, Any]:
        if isinstance(places, dict) and "args" in places:
            return places
        if isinstance(places, list) and places and isinstance(places[0], str):
            places = [places]
        if not isinstance(places, list) or not places:
            raise ValueError(f"Layer {layer['name']!r} is called in a way that is not known: {str(places)[:100]!r}.")
        given, kwargs = [], {}
        for place in places:
            if not isinstance(place, list) or len(place) < 3:
                raise ValueError(f"Layer {layer['name']!r} is called on {place!r}, which is no tensor.")
            given.append(place[2] if place[0] == _CONSTANT else tensor(place))
            if len(place) > 3 and isinstance(place[3], dict):
                kwargs.update({k: argument(v) for k, v in place[3].items() if v is not None})
        kwargs.pop("training", None) if kwargs.get("training") is False else None
        if len(given) > 1 and layer["class_name"] in RECURRENT:
            count = int(layer["config"].pop("num_constants", 0) or 0)
            states = given[1 : len(given) - count]
            kwargs.update({"initial_state": states} if states else {})
            kwargs.update({"constants": given[len(given) - count :]} if count else {})
            given = given[:1]
        return {"args": given if len(given) == 1 else [given], "kwargs": kwargs}

    sizes.update(_tf_layers.sizes(layers, tensor, lambda value: _is_place(value, names)))
    changed = []
    for layer in layers:
        if layer["class_name"] not in _tf_layers.CLASSES:
            changed.append({**layer, "inbound_nodes": [call(c, layer) for c in layer["inbound_nodes"]]})
        elif (layer["name"], 0) not in sizes:
            changed.append(_tf_layers.entry(layer, argument))

    def outer(value: Any) -> Any:
        if _is_place(value, names):
            return [value[0], value[1] - first.get(value[0], 0), value[2]]
        if isinstance(value, dict):
            return {k: outer(v) for k, v in value.items()}
        return [outer(v) for v in value] if isinstance(value, list) else value

    ends = {}
    for side in ("input_layers", "output_layers"):
        places = config.get(side) or []
        ends[side] = outer(places)
        if isinstance(places, list) and len(places) == 1 and _is_place(places[0], names):
            ends[side] = ends[side][0]  # one tensor: a model of Keras 2 gives it as it is, and not in a list
    return {**config, "layers": changed, **ends}


def with_ops_marked(config: Any) -> Any:
    """A configuration of Keras 3 in an HDF5 file, where modules are left out: "Multiply" may be a layer or an op.

    Layers say whether they are trainable, ops do not.
    """
    inner = config.get("config") if isinstance(config, dict) else None
    if not isinstance(inner, dict):
        return config
    if isinstance(inner.get("layers"), list):
        return {**config, "config": {**inner, "layers": [with_ops_marked(layer) for layer in inner["layers"]]}}
    is_op = "module" not in config and config.get("inbound_nodes") and "trainable" not in inner
    return {**config, "module": "keras.ops"} if is_op else config


def _is_place(value: Any, names: set[str]) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and value[0] in names
        and type(value[1]) is int
        and type(value[2]) is int
    )


def _first_calls(config: dict[str, Any], layers: list[Any]) -> dict[str, int]:
    """For models inside: the number that their first call has, 1 if 0 is never referred to."""
    inner = {
        layer["name"] for layer in layers if isinstance(layer["config"], dict) and "layers" in layer["config"]
    }  # fmt: skip
    used: dict[str, set[int]] = {}
    todo: list[Any] = [config.get("output_layers"), [layer["inbound_nodes"] for layer in layers]]
    while todo:
        value = todo.pop()
        if _is_place(value, inner):
            used.setdefault(value[0], set()).add(value[1])
            todo += value[3:]
        elif isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, (list, tuple)):
            todo += value
    return {name: 1 for name, numbers in used.items() if 0 not in numbers}
