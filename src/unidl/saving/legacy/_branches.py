"""Keras 1's `Sequential` models that begin with a `Merge` of other models, as functional models.

Their layers are in the files under their own names, those of the branches too: so they become layers of one model.
"""

from __future__ import annotations

from typing import Any


def functional(name: Any, layers: list[Any]) -> dict[str, Any] | None:
    """The configuration of a functional model, in the words of Keras 1; None if `layers` do not begin with branches.

    A layer that is in several branches is one layer, called several times.

    Raises:
        ValueError: for branches that are no `Sequential` models, or say nothing of their input.
    """
    if not _branches(layers):
        return None
    net = _Net()
    last = net.chain(layers)
    return {"name": name, "layers": list(net.entries.values()), "input_layers": net.inputs, "output_layers": [last]}


def _branches(layers: list[Any]) -> Any:
    first = layers[0] if layers else None
    config = first.get("config") if isinstance(first, dict) and first.get("class_name") == "Merge" else None
    return config.get("layers") if isinstance(config, dict) else None


class _Net:
    """Layers by name with the calls made of them, and the places of the inputs."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.inputs: list[list[Any]] = []

    def chain(self, layers: Any) -> list[Any]:
        """Where the end of a stack of layers is."""
        if (
            not isinstance(layers, list)
            or not all(isinstance(v, dict) and v.get("config") for v in layers)
            or not layers
        ):
            raise ValueError(f"A branch of a Merge is {str(layers)[:100]!r}, which is no list of layers.")
        if branches := _branches(layers):
            config = {k: v for k, v in layers[0]["config"].items() if k != "layers"}
            place = self.call({"class_name": "Merge", "config": config}, [self.branch(b) for b in branches])
            layers = layers[1:]
        else:
            place = self.input(layers[0]["config"])
            layers = layers[layers[0].get("class_name") == "InputLayer" :]
        for layer in layers:
            place = self.call(layer, [place])
        return place

    def branch(self, model: Any) -> list[Any]:
        inner = model.get("config") if isinstance(model, dict) and model.get("class_name") == "Sequential" else None
        if inner is None:
            kind = model.get("class_name") if isinstance(model, dict) else model
            raise ValueError(
                f"A Merge of Keras 1 joins a model of class {kind!r}; only those of Sequential models are read."
            )
        return self.chain(inner.get("layers") if isinstance(inner, dict) else inner)

    def input(self, first: dict[str, Any]) -> list[Any]:
        inner = first.get("layer") if isinstance(first.get("layer"), dict) else None  # in a wrapper
        shape = first.get("batch_input_shape") or ((inner or {}).get("config") or {}).get("batch_input_shape")
        if shape is None:
            raise ValueError(f"Layer {first.get('name')!r} begins a branch of a Merge and says nothing of its input.")
        name = f"{first.get('name')}_input_{len(self.inputs)}"
        config = {"name": name, "batch_input_shape": shape, "input_dtype": first.get("input_dtype") or "float32"}
        self.entries[name] = {"name": name, "class_name": "InputLayer", "config": config, "inbound_nodes": []}
        self.inputs.append([name, 0, 0])
        return self.inputs[-1]

    def call(self, layer: dict[str, Any], places: list[list[Any]]) -> list[Any]:
        name = str(layer["config"].get("name"))
        calls = self.entries.setdefault(name, {**layer, "name": name, "inbound_nodes": []})["inbound_nodes"]
        calls.append([[*place, {}] for place in places])
        return [name, len(calls) - 1, 0]
