"""Endpoints: recorded functions with named inputs, what every format is written from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unidl import tree
from unidl.backend import active
from unidl.graph.graph import Graph, subgraphs
from unidl.graph.symbolic import Node, SymbolicTensor, TensorSpec
from unidl.graph.trace import trace
from unidl.layers._spec import InputSpec


class Endpoint:
    """A function that an exported file offers.

    Attributes:
        name: what it is called there.
        signature: the structures of its arguments, symbolic tensors at the leaves.
        graph: its graph in inference; ``graph.inputs`` are the leaves of `signature` in order.
        input_names, output_names: one for each tensor, letters, digits and underscores.
    """

    def __init__(self, name: str, fn: Callable[..., Any], signature: Any, owner: Any) -> None:
        self.name = name
        self.signature = _signature(signature, name)
        self._record = lambda specs: trace(fn, specs, owner=owner, name=name)
        self.graph = self._record(self.signature)
        self.input_names = _names([t.name for t in tree.flatten(self.signature)], "args")
        self.output_names = _output_names(self.graph.structure, len(self.graph.outputs))
        for output in self.graph.outputs:
            if type(output) is not SymbolicTensor:
                raise ValueError(
                    f"Endpoint {name!r} returns {output!r}, which does not depend on its inputs: exported functions "
                    "return tensors."
                )

    def graph_of(self, size: int) -> Graph:
        """The graph with all dimensions known: `size`, and numbers after it, for those that are not."""
        flat = tree.flatten(self.signature)
        known = [SymbolicTensor(_filled(t.shape, size), t.dtype) for t in flat]
        return self._record(tree.pack_sequence_as(self.signature, known))

    def nodes(self) -> Iterator[Node]:
        """All nodes, those inside of others included."""
        todo = [self.graph]
        while todo:
            graph = todo.pop()
            for node in graph.nodes:
                yield node
                todo.extend(subgraphs(node))

    def check_nodes(self, refused: Callable[[Node], str | None], what: str) -> None:
        """Raise an error for the first node of which `refused` says why it cannot be in a file of the format `what`.

        Raises:
            ValueError: naming the op and the layer.
        """
        for node in self.nodes():
            reason = refused(node)
            if reason is not None:
                raise ValueError(
                    f"Endpoint {self.name!r} cannot be exported to {what}: {node.op.name!r} in "
                    f"{node.path or 'the function'} {reason}."
                )

    def examples(self, size: int) -> list[np.ndarray]:
        """Arrays that the function takes, with `size` and numbers after it for the unknown dimensions."""
        rng = np.random.default_rng(size)
        made = []
        for tensor in self.graph.inputs:
            shape = _filled(tensor.shape, size)
            if tensor.dtype.startswith(("float", "bfloat")):
                made.append(rng.random(shape, "float32"))
            elif tensor.dtype == "string":
                made.append(np.full(shape, "a"))
            else:
                made.append(rng.integers(0, 2, shape).astype("bool" if tensor.dtype == "bool" else tensor.dtype))
        return made

    def native_examples(self, size: int) -> list[Any]:
        """The same as native tensors."""
        pairs = zip(self.examples(size), self.graph.inputs, strict=True)
        return [active.to_tensor(array, tensor.dtype) for array, tensor in pairs]

    @property
    def repeatable(self) -> bool:
        """Whether two calls with the same inputs give the same outputs."""
        return not self.graph.updates and not any(n.op.name.startswith("random_") for n in self.nodes())

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes that unknown dimensions are tried with: two, if there is any."""
        return (3, 5) if any(None in t.shape for t in self.graph.inputs) else (3,)


def _filled(shape: Any, size: int) -> tuple[int, ...]:
    return tuple(size + i if d is None else d for i, d in enumerate(shape))


def compare(endpoint: Endpoint, run: Callable[..., Any], wanted: Callable[..., Any], what: str) -> None:
    """Run what was exported and the graph it was made of, for two sizes of the unknown dimensions.

    An engine's tracer freezes whatever code asks a tensor for; that must not stay unnoticed.

    Raises:
        ValueError: if they differ.
    """
    if not endpoint.repeatable or any(t.dtype == "string" for t in endpoint.graph.inputs):
        return
    for size in endpoint.sizes:
        inputs = endpoint.native_examples(size)
        try:
            found = [active.to_numpy(v) for v in tree.flatten(run(*inputs))]
        except Exception as error:
            raise _frozen(endpoint, what, size, f"fails: {error}") from error
        for name, ours, theirs in zip(endpoint.output_names, wanted(*inputs), found, strict=True):
            ours = active.to_numpy(ours)
            tolerance = 1e-2 if ours.dtype.itemsize == 2 else 1e-4
            a, b = (np.asarray(v, "float64") if v.dtype.kind != "c" else v for v in (ours, theirs))
            if ours.shape != theirs.shape or not np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
                raise _frozen(endpoint, what, size, f"gives another result for the output {name!r}")


def _frozen(endpoint: Endpoint, what: str, size: int, problem: str) -> ValueError:
    shapes = [t.shape for t in endpoint.graph.inputs]
    return ValueError(
        f"Endpoint {endpoint.name!r} cannot be exported to {what} for inputs of the shapes {shapes}: with {size} in "
        f"place of the first unknown dimension the file {problem}. Give an `input_signature` with more sizes known."
    )


def model_signature(model: Any) -> tuple[Any, ...]:
    """The arguments of a call of `model`: what it was built for, or has seen, the batch unknown.

    Raises:
        ValueError: if the model has not been built.
    """
    net = getattr(model, "_net", None)
    if net is not None:
        return (net.inputs,)
    seen = getattr(model, "_seen_specs", None)
    if seen:
        specs = [SymbolicTensor((None, *s.shape[1:]), s.dtype) for s in seen]
        return (specs[0] if len(specs) == 1 else specs,)
    shapes = getattr(model, "_build_shapes", None) or {}
    if not shapes:
        raise ValueError(
            f"{model.name!r} has not been built, so the shapes of its inputs are not known: call it on data, or pass "
            "`input_signature`."
        )

    def spec(shape: Any) -> SymbolicTensor:
        return SymbolicTensor((None, *tuple(shape)[1:]), model.compute_dtype)

    return tuple(tree.map_shape_structure(spec, shape) for shape in shapes.values())


def _signature(given: Any, endpoint: str) -> tuple[Any, ...]:
    """What users give for the arguments of a function as structures of symbolic tensors."""
    arguments = tuple(given) if isinstance(given, (list, tuple)) and not hasattr(given, "_fields") else (given,)

    def spec(value: Any) -> SymbolicTensor:
        shape, dtype, name = (getattr(value, a, None) for a in ("shape", "dtype", "name"))
        if shape is None:
            raise ValueError(
                f"Endpoint {endpoint!r}: `input_signature` has {value!r}, which has no shape. Its leaves are "
                "unidl.InputSpec(shape=…, dtype=…), symbolic tensors, or tensors."
            )
        if isinstance(value, InputSpec):
            dtype = dtype or "float32"
        elif active.is_tensor(value):
            shape, dtype, name = active.shape(value), active.dtype(value), None
        name = name if isinstance(name, str) else None
        return SymbolicTensor(tuple(shape), getattr(dtype, "name", dtype), name=name)

    return tuple(_map_leaves(spec, a) for a in arguments)


def _map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, TensorSpec) or not isinstance(value, (list, tuple, dict)):
        return function(value)
    if isinstance(value, dict):
        return {k: _map_leaves(function, v) for k, v in value.items()}
    return type(value)(_map_leaves(function, v) for v in value)


def _names(given: list[str | None], base: str) -> list[str]:
    """A name for each that is a word, none twice."""
    names: list[str] = []
    for index, name in enumerate(given):
        word = re.sub(r"\W", "_", name or f"{base}_{index}")
        word = word if word.isidentifier() else f"{base}_{word}"
        names.append(word if word not in names else f"{word}_{index}")
    return names


def _output_names(structure: Any, count: int) -> list[str]:
    if isinstance(structure, dict) and len(structure) == count:
        return _names([str(k) for k in tree._keys(structure)], "output")
    return [f"output_{i}" for i in range(count)]


__all__ = ["Endpoint", "compare", "model_signature"]
