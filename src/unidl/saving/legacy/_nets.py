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
    net = _Net(config)
    ends = {side: net.ends(config.get(side) or []) for side in ("input_layers", "output_layers")}
    return {**config, "layers": net.layers(), **ends}


class _Net:
    """Rewrites the calls of one configuration.

    A place is ``[layer, call, output]`` or ``[layer, call, output, arguments]``.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.given = config["layers"]
        self.names = {layer["name"] for layer in self.given}
        self.first = _first_calls(config, self.given)
        #: Sizes of tensors that stand for the calls of some of TensorFlow's functions, by layer and call.
        self.sizes: dict[tuple[str, int], Any] = {}
        self.sizes.update(_tf_layers.sizes(self.given, self.tensor, self.is_place))

    def layers(self) -> list[dict[str, Any]]:
        """The entries of all layers."""
        changed = []
        for layer in self.given:
            if layer["class_name"] not in _tf_layers.CLASSES:
                changed.append({**layer, "inbound_nodes": [self.call(c, layer) for c in layer["inbound_nodes"]]})
            elif (layer["name"], 0) not in self.sizes:
                changed.append(_tf_layers.entry(layer, self.argument))
        return changed

    def ends(self, places: Any) -> Any:
        """The inputs or the outputs; one tensor is no list: a model of Keras 2 gives it as it is."""
        one = isinstance(places, list) and len(places) == 1 and self.is_place(places[0])
        return self.counted(places[0] if one else places)

    def is_place(self, value: Any) -> bool:
        return _is_place(value, self.names)

    def counted(self, value: Any) -> Any:
        """Nested places with their calls counted from 0."""
        if self.is_place(value):
            return [value[0], value[1] - self.first.get(value[0], 0), value[2]]
        if isinstance(value, dict):
            return {k: self.counted(v) for k, v in value.items()}
        return [self.counted(v) for v in value] if isinstance(value, list) else value

    def tensor(self, place: list[Any]) -> Any:
        """What a place holds: a tensor, or a size."""
        if (place[0], place[1]) in self.sizes:
            return self.sizes[place[0], place[1]]
        history = [place[0], place[1] - self.first.get(place[0], 0), place[2]]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}

    def argument(self, value: Any) -> Any:
        """An argument of a call, with tensors in the place of places."""
        if self.is_place(value):
            return self.tensor(value)
        if isinstance(value, (list, tuple)):
            return [self.argument(v) for v in value]
        if isinstance(value, dict):
            return {k: self.argument(v) for k, v in value.items()}
        return value

    def call(self, places: Any, layer: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call of `layer` on the tensors at `places`.

        Raises:
            ValueError: if these are no places.
        """
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
            given.append(place[2] if place[0] == _CONSTANT else self.tensor(place))
            if len(place) > 3 and isinstance(place[3], dict):
                kwargs.update({k: self.argument(v) for k, v in place[3].items() if v is not None})
        if kwargs.get("training") is False:
            del kwargs["training"]
        if len(given) > 1 and layer["class_name"] in RECURRENT:
            given = _without_states(given, kwargs, layer)
        return {"args": given if len(given) == 1 else [given], "kwargs": kwargs}


def _without_states(given: list[Any], kwargs: dict[str, Any], layer: dict[str, Any]) -> list[Any]:
    """The sequence alone of what a recurrent layer is called on; states and constants become arguments by name."""
    count = int(layer["config"].pop("num_constants", 0) or 0)
    if states := given[1 : len(given) - count]:
        kwargs["initial_state"] = states
    if count:
        kwargs["constants"] = given[len(given) - count :]
    return given[:1]


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
