"""One engine's side of `unidl.testing.compare`: a process that runs the model node by node and writes down what it saw.

    python -m unidl.testing.compare_worker JOB.json

The job names the script and the folder to write to: ``report.json`` says what the graph is, ``values.npz`` holds the
arrays. A node is called by its place in the recording ("7", in a decomposition "7.2"), the same on every engine.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unidl import _draws, _seed, ops, tree
from unidl.backend import active
from unidl.dtypes import FLOATS, is_integer
from unidl.graph.graph import Graph
from unidl.graph.inspect import Run
from unidl.graph.replay import write
from unidl.graph.symbolic import Node, SymbolicTensor, TensorSpec
from unidl.graph.trace import spec_of, trace
from unidl.layers import Layer
from unidl.models import Model
from unidl.ops._bind import numpy_dtype
from unidl.utils import set_random_seed

# What leaves the elements of an index tensor as they are.
_SAME_ELEMENTS = ("cast", "reshape", "expand_dims", "squeeze", "copy", "stop_gradient", "broadcast_to")


class Step(NamedTuple):
    """A node to run; `opens` (then its parts follow) or `closes` it if the backend has no kernel for it."""

    key: str
    node: Node
    opens: bool = False
    closes: bool = False


def plan(nodes: list[Node], wanted: set[int], prefix: str = "") -> Iterator[Step]:
    """The steps of a graph in order, composites without a kernel in parts."""
    for place, node in enumerate(nodes):
        if id(node) not in wanted:
            continue
        key = f"{prefix}{place}"
        if node.inner is None or _supported(node.op):
            yield Step(key, node)
            continue
        yield Step(key, node, opens=True)
        yield from plan(node.inner.nodes, node.inner.needed(node.inner.outputs), f"{key}.")
        yield Step(key, node, closes=True)


def _supported(op: Any) -> bool:
    return op.kind == "opaque" or op.name in active.table


class Walk(Run):
    """One run of a recorded graph that keeps every value, and can add zeros to outputs to differentiate by them."""

    def __init__(self, graph: Graph, inputs: list[Any]) -> None:
        self.backend = active
        self.graph = graph
        self.values: dict[int, Any] = {id(t): v for t, v in zip(graph.inputs, inputs, strict=True)}
        ends = [*graph.outputs, *(t for _, t in graph.updates)]
        self.steps = list(plan(graph.nodes, graph.needed(ends)))

    def resolve(self, argument: Any) -> Any:
        if type(argument) is Graph:
            return write(argument.lower(_supported), active)
        if type(argument) is tuple and any(type(a) is Graph for a in argument):
            return tuple(self.resolve(a) for a in argument)
        return super().resolve(argument)

    def run(self, taps: dict[tuple[str, int], Any]) -> None:
        for step in self.steps:
            node, inner = step.node, step.node.inner
            if step.opens:
                assert inner is not None
                self.values.update(
                    (id(t), self.value(outer)) for t, outer in zip(inner.inputs, inner.outer, strict=True)
                )
                continue
            if step.closes:
                assert inner is not None
                outputs = [self.value(t) for t in inner.outputs]
            else:
                function = node.op.rule if node.op.kind == "opaque" else active.table[node.op.name]
                result = function(*(self.resolve(a) for a in node.args))
                outputs = list(result) if node.multiple else [result]
            for index, (tensor, value) in enumerate(zip(node.outputs, outputs, strict=True)):
                tap = taps.get((step.key, index))
                self.values[id(tensor)] = value if tap is None else active.table["add"](value, tap)

    def tappable(self) -> list[tuple[tuple[str, int], TensorSpec]]:
        """The outputs that gradients are taken by: floats of a known shape that is not empty."""
        return [
            ((step.key, index), TensorSpec(t.shape, t.dtype))
            for step in self.steps
            if not step.opens
            for index, t in enumerate(step.node.outputs)
            if t.dtype in FLOATS and t.size
        ]


class Names:
    """What each symbolic tensor is called: "7:0" an output, "i0" an input, "w2" a variable, "c5" a constant."""

    def __init__(self, walk: Walk) -> None:
        self.variables = walk.graph.variables()
        self.leaves: dict[str, SymbolicTensor] = {}
        self._by_id = {id(t): f"i{i}" for i, t in enumerate(walk.graph.inputs)}
        self._variables = {id(v): f"w{i}" for i, v in enumerate(self.variables)}
        for step in walk.steps:
            if step.opens and step.node.inner is not None:
                for inner, outer in zip(step.node.inner.inputs, step.node.inner.outer, strict=True):
                    self._by_id[id(inner)] = self.of(outer)
                continue
            for index, tensor in enumerate(step.node.outputs):
                self._by_id[id(tensor)] = f"{step.key}:{index}"

    def of(self, tensor: SymbolicTensor) -> str:
        if id(tensor.value) in self._variables:
            return self._variables[id(tensor.value)]
        if id(tensor) not in self._by_id:
            self._by_id[id(tensor)] = name = f"c{len(self.leaves)}"
            self.leaves[name] = tensor
        return self._by_id[id(tensor)]


# -- the script ------------------------------------------------------------------------------------


def load(path: str, name: str) -> tuple[Any, Any]:
    """The model that a script makes, and the inputs it gives (None if it gives none)."""
    sys.path.insert(0, str(Path(path).parent))
    sys.argv = [path]
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = _named(module, path, name) if name else _only_model(module, path)
    inputs = None
    if not isinstance(found, Layer) and callable(found):
        found = found()
    if isinstance(found, tuple) and len(found) == 2:
        found, inputs = found
    if not isinstance(found, Layer):
        raise SystemExit(f"{path}: {name or 'model'} gives {type(found).__name__}, which is no model.")
    if inputs is None:
        inputs = getattr(module, "inputs", None)
        if any(type(leaf) is SymbolicTensor for leaf in tree.flatten(inputs)):
            inputs = None  # those of a functional model
        elif callable(inputs):
            inputs = inputs()
    return found, inputs


def _named(module: Any, path: str, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise SystemExit(f"{path} has no {name!r}.")
        found = getattr(found, part)
    return found


def _only_model(module: Any, path: str) -> Any:
    models = {id(v): (k, v) for k, v in vars(module).items() if isinstance(v, Model)}
    if len(models) == 1:
        return next(iter(models.values()))[1]
    for name in ("model", "build"):
        if name in vars(module) and callable(vars(module)[name]):
            return vars(module)[name]
    if models:
        names = ", ".join(sorted(name for name, _ in models.values()))
        raise SystemExit(f"{path} has several models ({names}): say which one, as in {Path(path).name}:{names[0]}.")
    raise SystemExit(f"{path} has no model, and no function `model` or `build` that returns one.")


def _input_specs(model: Any, batch: int, unknown: int) -> Any:
    """Specs of the model's inputs, the batch and other unknown dimensions filled in."""
    try:
        structure = model.input
    except (AttributeError, ValueError):
        raise SystemExit(
            f"Model {model.name!r} does not say what its inputs are: give it an Input, or let the script have `inputs`."
        ) from None

    def filled(tensor: SymbolicTensor) -> TensorSpec:
        sizes = [(batch if axis == 0 else unknown) if d is None else d for axis, d in enumerate(tensor.shape)]
        return TensorSpec(tuple(sizes), tensor.dtype)

    return _ordered(tree.map_structure(filled, structure))


def _ordered(structure: Any) -> Any:
    """`structure` with dicts in the order of `tree.flatten`."""
    if isinstance(structure, dict):
        return {k: _ordered(structure[k]) for k in sorted(structure)}
    if isinstance(structure, (list, tuple)) and not isinstance(structure, TensorSpec):
        return type(structure)(_ordered(v) for v in structure)
    return structure


def _limits(graph: Graph) -> dict[int, int]:
    """For inputs whose elements are indices (of an embedding): how many there are to choose from."""
    origin = {id(t): i for i, t in enumerate(graph.inputs)}
    limits: dict[int, int] = {}

    def follow(nodes: list[Node]) -> None:
        for node in nodes:
            tensors = [a for a in node.args if type(a) is SymbolicTensor]
            if node.op.name in _SAME_ELEMENTS and tensors and id(tensors[0]) in origin:
                origin[id(node.outputs[0])] = origin[id(tensors[0])]
            if node.op.name == "take" and id(tensors[1]) in origin:
                axis = node.args[2]
                size = tensors[0].size if axis is None else tensors[0].shape[axis]
                place = origin[id(tensors[1])]
                limits[place] = min(limits.get(place, size or 1), size or 1)
            if node.inner is not None:
                for inner, outer in zip(node.inner.inputs, node.inner.outer, strict=True):
                    if id(outer) in origin:
                        origin[id(inner)] = origin[id(outer)]
                follow(node.inner.nodes)

    follow(graph.nodes)
    return limits


def _drawn(graph: Graph, seed: int) -> list[np.ndarray]:
    """Inputs from the seed: normal numbers for floats, indices below the size of what they choose from."""
    limits, arrays = _limits(graph), []
    for place, tensor in enumerate(graph.inputs):
        stream = _seed.stream("compare inputs", place, seed=seed)
        if place in limits or is_integer(tensor.dtype) or tensor.dtype == "bool":
            array = _draws.integers(stream, tensor.shape, "int64", 0, limits.get(place, 2))
        else:
            array = _draws.normal(stream, tensor.shape, "float64")
        arrays.append(array.astype(numpy_dtype(tensor.dtype)))
    return arrays


# -- running ---------------------------------------------------------------------------------------


def projection(outputs: list[Any], seed: int) -> Any:
    """A scalar: the sum of all float outputs times fixed random weights."""
    total: Any = None
    for place, output in enumerate(outputs):
        if not active.is_tensor(output) or active.dtype(output) not in FLOATS:
            continue
        wide = "float64" if active.dtype(output) == "float64" else "float32"
        stream = _seed.stream("compare projection", place, seed=seed)
        weights = active.to_tensor(_draws.normal(stream, active.shape(output), wide))
        part = ops.sum(ops.multiply(ops.cast(output, wide), weights))
        total = part if total is None else ops.add(total, ops.cast(part, active.dtype(total)))
    return total


def differentiated(walk: Walk, inputs: list[Any], names: Names, seed: int) -> dict[str, Any]:
    """Run the walk and return the gradients of the projection by outputs of nodes, inputs and variables."""
    floats = [i for i, x in enumerate(inputs) if active.dtype(x) in FLOATS]
    taps = walk.tappable()
    zeros = [ops.zeros(s.shape, s.dtype) for _, s in taps]
    variables = [v for v in names.variables if v.trainable and active.dtype(v) in FLOATS]

    def run(*tensors: Any) -> tuple[Any, None]:
        for place, tensor in zip(floats, tensors):
            walk.values[id(walk.graph.inputs[place])] = tensor
        walk.run({key: tap for (key, _), tap in zip(taps, tensors[len(floats) :], strict=True)})
        outputs = [walk.value(t) for t in walk.graph.outputs if type(t) is SymbolicTensor]
        return projection(outputs, seed), None

    _, by_tensors, by_variables = active.differentiate(run, [*(inputs[i] for i in floats), *zeros], variables)
    found = {f"i{place}": g for place, g in zip(floats, by_tensors)}
    found |= {f"{key}:{i}": g for ((key, i), _), g in zip(taps, by_tensors[len(floats) :], strict=True)}
    places = {id(v): f"w{i}" for i, v in enumerate(names.variables)}
    found |= {places[id(v)]: g for v, g in zip(variables, by_variables, strict=True)}
    return found


def host(value: Any) -> np.ndarray:
    array = np.asarray(active.to_numpy(value))
    return array.astype("float32") if array.dtype.kind == "V" or array.dtype.name == "bfloat16" else array


def work(job: dict[str, Any]) -> None:
    folder, seed = Path(job["folder"]), job["seed"]
    set_random_seed(seed)
    model, given = load(job["path"], job["name"])
    if given is None:
        specs = _input_specs(model, job["batch"], job["unknown"])
    else:
        given = _ordered(tree.map_structure(ops.convert_to_tensor, given))
        specs = tree.map_structure(spec_of, given)
    if not model.built:
        model(tree.map_structure(lambda s: ops.zeros(s.shape, s.dtype), specs) if given is None else given)
    if job["weights"]:
        model.load_weights(job["weights"])
    graph = _record(model, specs, job["training"])
    inputs = [active.to_tensor(x) for x in _drawn(graph, seed)] if given is None else tree.flatten(given)
    walk = Walk(graph, inputs)
    names = Names(walk)
    nodes = [_described(step, names) for step in walk.steps if not step.opens]
    arrays: dict[str, Any] = {f"v/i{i}": host(x) for i, x in enumerate(inputs)}
    arrays |= {f"v/w{i}": host(v) for i, v in enumerate(names.variables)}
    if active.trains:
        gradients = differentiated(walk, inputs, names, seed)
        arrays |= {f"g/{name}": host(g) for name, g in gradients.items() if g is not None}
    else:
        walk.run({})
    for step in walk.steps:
        if not step.opens:
            arrays |= {f"v/{step.key}:{i}": host(walk.value(t)) for i, t in enumerate(step.node.outputs)}
    arrays |= {f"v/{name}": host(walk.value(tensor)) for name, tensor in names.leaves.items()}
    np.savez(folder / "values.npz", **arrays)
    report = {
        "engine": f"{active.engine} {active.engine_version}",
        "trains": active.trains,
        "model": model.name,
        "nodes": nodes,
        "inputs": [[t.name or f"input {i}", list(t.shape), t.dtype] for i, t in enumerate(graph.inputs)],
        "variables": [[v.path, list(active.shape(v)), active.dtype(v)] for v in names.variables],
    }
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


def _record(model: Any, specs: Any, training: bool) -> Graph:
    forward: Callable[..., Any] = lambda x: model(x, training=training)
    if not isinstance(model, Model):
        forward = lambda x: model(x)
    return trace(forward, (specs,), owner=model, name=model.name)


def _described(step: Step, names: Names) -> dict[str, Any]:
    node = step.node
    reads = [names.of(t) for t in node.inputs()]
    if step.closes and node.inner is not None:
        reads += [names.of(t) for t in node.inner.outputs]
    return {
        "key": step.key,
        "op": "native code" if node.op.kind == "opaque" else node.op.name,
        "path": node.path,
        "outputs": [[list(t.shape), t.dtype] for t in node.outputs],
        "settings": {n: repr(a) for n, a in zip(node.op.parameters, node.args) if _is_plain(a)},
        "reads": list(dict.fromkeys(reads)),
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


if __name__ == "__main__":
    work(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
