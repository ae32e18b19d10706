"""Functional models as configurations, and back.

The form is that of Keras 3: each layer with the calls made of it, and tensors named by (layer, call, output). Ops
between layers are entries too: as operations of Keras where it has the same, else of module "unidl.ops".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl import tree
from unidl.graph.symbolic import Dim, LayerNode, Node, SymbolicTensor, like, symbols
from unidl.layers._input import InputLayer
from unidl.models.functional import Net
from unidl.saving.objects import deserialize_keras_object, serialize_keras_object

#: In a layer's entry: names that inputs and outputs of the model have of their own, by call and output.
_NAMES = "tensor_names"

#: A call that a configuration describes: the name of the layer, the number of the call, its arguments.
_Call = tuple[str, int, Any]

FUNCTIONAL_KEYS = ("name", "layers", "input_layers", "output_layers")


def is_functional_config(config: dict[str, Any]) -> bool:
    """Whether `config` describes a net of layers, and not the arguments of a subclass."""
    return all(key in config for key in FUNCTIONAL_KEYS)


# -- writing ---------------------------------------------------------------------------------------


def net_config(net: Net) -> dict[str, Any]:
    """Layers, their calls, and where inputs and outputs are.

    Raises:
        ValueError: if an op reads a variable that belongs to no layer: it would be lost.
    """
    places: dict[int, tuple[str, int]] = {}  # id of a node: name of its entry, number of the call
    entries: dict[str, dict[str, Any]] = {}
    for layer in net.layers:
        if isinstance(layer, InputLayer):
            entries[layer.name] = _entry(layer)
            places[id(layer.output.node)] = layer.name, 0
    used = {layer.name for layer in net.layers}
    for node in net.nodes:
        if isinstance(node, LayerNode):
            name = node.layer.name
            entries.setdefault(name, _entry(node.layer))
        else:
            name = _free_name(node.op.name, used)
            entries[name] = _op_entry(node, name)
        calls = entries[name]["inbound_nodes"]
        places[id(node)] = name, len(calls)
        if isinstance(node, LayerNode):
            args, kwargs = node.args, node.kwargs
        else:  # what the entry's configuration says need not be passed
            count = len(node.args) - len(entries[name]["config"]) + 1
            args, kwargs = node.args[:count], {}
        calls.append({"args": _written(list(args), places, name), "kwargs": _written(kwargs, places, name)})

    def place(tensor: SymbolicTensor) -> list[Any]:
        return [*places[id(tensor.node)], tensor.index]

    for tensor in (*net.flat_inputs, *net.flat_outputs):
        name, call, index = place(tensor)
        if tensor.name and tensor.name != name:
            entries[name].setdefault(_NAMES, {})[f"{call}.{index}"] = tensor.name

    return {
        "layers": list(entries.values()),
        "input_layers": tree.map_structure(place, net.inputs),
        "output_layers": tree.map_structure(place, net.outputs),
    }


def _entry(layer: Any) -> dict[str, Any]:
    return {**serialize_keras_object(layer), "name": layer.name, "inbound_nodes": []}


def _op_entry(node: Node, name: str) -> dict[str, Any]:
    """An op between layers: as one of Keras's operations if its tensors come first and the rest is plain."""
    from unidl import ops

    tensors = [p for p in node.op.parameters if p in node.op.tensor_parameters]
    rest = dict(zip(node.op.parameters[len(tensors) :], node.args[len(tensors) :]))
    family = next((f for f in ("numpy", "nn") if hasattr(getattr(ops, f), node.op.name)), None)
    plain = node.op.parameters[: len(tensors)] == tuple(tensors) and next(symbols(tuple(rest.values())), None) is None
    if family is None or not plain or node.op.name == "getitem":
        module, kind, rest = "unidl.ops", node.op.name, {}
    else:
        module, kind = f"keras.src.ops.{family}", "".join(w.capitalize() for w in node.op.name.split("_"))
    return {
        "module": module, "class_name": kind, "config": {"name": name, **serialize_keras_object(rest)},
        "registered_name": None, "name": name, "inbound_nodes": [],
    }  # fmt: skip


def _free_name(base: str, used: set[str]) -> str:
    name, count = base, 0
    while name in used:
        count += 1
        name = f"{base}_{count}"
    used.add(name)
    return name


def _written(value: Any, places: dict[int, tuple[str, int]], where: str) -> Any:
    """The arguments of a call with tensors by their places."""
    if type(value) is SymbolicTensor:
        if value.node is None:
            return _written_leaf(value, where)
        history = [*places[id(value.node)], value.index]
        config = {"shape": list(value.shape), "dtype": value.dtype, "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}
    if type(value) is Dim:
        parts = [_written(a, places, where) for a in value.args]
        return {"class_name": "__size__", "config": {"kind": value.kind, "args": parts}}
    if type(value) is slice:
        sides = {k: _written(getattr(value, k), places, where) for k in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": sides}
    if isinstance(value, (list, tuple)):
        items = [_written(v, places, where) for v in value]
        # JSON has no tuples, and an index (slice, 0) is not the index [slice, 0].
        return {"class_name": "__tuple__", "config": items} if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {k: _written(v, places, where) for k, v in value.items()}
    return serialize_keras_object(value)


def _written_leaf(tensor: SymbolicTensor, where: str) -> Any:
    from unidl.backend import active

    value = tensor.value
    if value is None or isinstance(value, active.Variable):
        what = "a tensor from outside" if value is None else f"variable {getattr(value, 'path', '')!r}"
        raise ValueError(
            f"The model has no configuration: {where!r} reads {what}, which belongs to no layer of the model. "
            "Make it a weight of a layer."
        )
    return serialize_keras_object(active.to_tensor(value))


# -- reading ---------------------------------------------------------------------------------------


def net_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> tuple[Any, Any]:
    """The symbolic inputs and outputs of the net that `net_config` (or Keras) described.

    Raises:
        ValueError: if a call refers to one that is not described, or to itself in a circle.
    """
    made: dict[str, Callable[..., Any]] = {}
    results: dict[tuple[str, int], list[SymbolicTensor]] = {}
    calls: list[_Call] = []
    for entry in config["layers"]:
        name = entry.get("name") or entry["config"]["name"]
        made[name] = layer = _made(entry, custom_objects)
        if isinstance(layer, InputLayer):
            results[name, 0] = [layer.output]
        calls += [(name, i, _current_form(call)) for i, call in enumerate(entry.get("inbound_nodes") or ())]
    while calls:
        waiting = _make_those_ready(calls, made, results)
        if len(waiting) == len(calls):
            raise _not_a_net(config.get("name"), waiting, results)
        calls = waiting

    for entry in config["layers"]:
        for place, given in (entry.get(_NAMES) or {}).items():
            call, output = (int(n) for n in place.split("."))
            results[entry.get("name") or entry["config"]["name"], call][output].name = given

    def tensor(place: Any) -> Any:
        if _is_place(place):
            if (place[0], place[1]) not in results:
                raise ValueError(f"The configuration of model {config.get('name')!r} describes no call {place}.")
            return results[place[0], place[1]][place[2]]
        if isinstance(place, dict):
            return {k: tensor(v) for k, v in place.items()}
        return like(place, [tensor(v) for v in place])

    return tensor(config["input_layers"]), tensor(config["output_layers"])


def _make_those_ready(
    calls: list[_Call], made: dict[str, Callable[..., Any]], results: dict[tuple[str, int], list[SymbolicTensor]]
) -> list[_Call]:
    """Make those calls whose arguments are there, and put their outputs into `results`; returns the others."""
    waiting: list[_Call] = []
    for name, index, call in calls:
        # The calls of one layer are made in their order, since their numbers count.
        if any(w[0] == name for w in waiting) or not _is_ready(call, results):
            waiting.append((name, index, call))
            continue
        args, kwargs = (_read(call.get(part) or (), results) for part in ("args", "kwargs"))
        results[name, index] = tree.flatten(made[name](*args, **dict(kwargs)))
    return waiting


def _not_a_net(name: Any, waiting: list[_Call], results: dict[Any, Any]) -> ValueError:
    """What is wrong with a configuration some of whose calls can never be made."""
    described = {(n, i) for n, i, _ in waiting} | set(results)
    lacking = sorted({str(h[0]) for _, _, call in waiting for h in _histories(call) if (h[0], h[1]) not in described})
    if lacking:
        return ValueError(f"The configuration of model {name!r} is not a net. Missing node: {', '.join(lacking)}.")
    names = sorted({n for n, *_ in waiting})
    return ValueError(f"The configuration of model {name!r} has a loop: the calls of {names} wait for each other.")


def _made(entry: dict[str, Any], custom_objects: dict[str, Any] | None) -> Callable[..., Any]:
    """The layer, or the function of an op's arguments, that an entry describes."""
    module = str(entry.get("module") or "")
    if "ops" not in module.split("."):
        return deserialize_keras_object(entry, custom_objects)
    from unidl import ops
    from unidl._objects import snake_case
    from unidl.ops._declare import TABLE

    kind = entry["class_name"]
    name = kind if kind in TABLE else _KERAS_OPS.get(kind, snake_case(kind))
    if name not in TABLE and not callable(getattr(ops, name, None)):
        raise TypeError(f"The configuration names the op {kind!r}, which unidl.ops lacks.")
    function = TABLE[name].public if name in TABLE else getattr(ops, name)
    fixed = {k: v for k, v in entry["config"].items() if k not in ("name", "dtype") or (k == "dtype" and v)}

    def call(*args: Any, **kwargs: Any) -> Any:
        # Without a tensor of the model it would be computed here and now, however large the result.
        if name not in _OF_CONSTANTS and next(symbols((args, tuple(kwargs.values()))), None) is None:
            raise ValueError(f"The configuration calls the op {kind!r} on no tensor of the model.")
        return function(*args, **{**deserialize_keras_object(fixed), **kwargs})

    return call


#: Classes of Keras's ops whose function has another name than theirs in snake case.
_KERAS_OPS = {"GetItem": "getitem", "LogSumExp": "logsumexp", "BroadcastTo": "broadcast_to"}
#: Ops that may be called on constants alone: the result has as many elements as the file does.
_OF_CONSTANTS = {"cast"}


def _current_form(call: Any) -> Any:
    """A call in the form of Keras 3; Keras 2 wrote ``[[layer, call, output, kwargs], …]``."""
    if isinstance(call, dict):
        return call

    def tensor(place: Any) -> Any:
        return {"class_name": "__keras_tensor__", "config": {"keras_history": list(place[:3])}}

    places = [call] if call and isinstance(call[0], str) else call
    tensors = [tensor(place) for place in places]
    kwargs = places[0][3] if places and len(places[0]) > 3 else {}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs or {}}


def _is_place(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and isinstance(value[0], str)


def _histories(value: Any) -> list[Any]:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"]]
        return [h for v in value.values() for h in _histories(v)]
    return [h for v in value for h in _histories(v)] if isinstance(value, (list, tuple)) else []


def _is_ready(call: Any, results: dict[tuple[str, int], Any]) -> bool:
    return all((history[0], history[1]) in results for history in _histories(call))


def _read(value: Any, results: dict[tuple[str, int], list[SymbolicTensor]]) -> Any:
    if isinstance(value, dict):
        kind: Any = value.get("class_name")
        config: Any = value.get("config")
        if kind == "__keras_tensor__":
            name, index, output = config["keras_history"]
            return results[name, index][output]
        if kind == "__tuple__":
            return tuple(_read(v, results) for v in config)
        if kind == "__size__":
            return _size(config["kind"], [_read(a, results) for a in config["args"]])
        if kind == "__slice__":
            return slice(*(_read(config[k], results) for k in ("start", "stop", "step")))
        if kind is not None and "config" in value:
            return deserialize_keras_object(value)
        return {k: _read(v, results) for k, v in value.items()}
    return [_read(v, results) for v in value] if isinstance(value, (list, tuple)) else value


def _size(kind: str, args: list[Any]) -> Any:
    if kind == "size":
        tensor, axis = args
        return Dim("size", tensor, axis) if tensor.shape[axis] is None else tensor.shape[axis]
    if kind not in ("add", "sub", "mul", "floordiv", "mod"):
        raise ValueError(f"The configuration holds a size of the unknown kind {kind!r}.")
    if any(isinstance(a, Dim) for a in args):
        return Dim(kind, *args)
    import operator

    return getattr(operator, kind)(*args)
