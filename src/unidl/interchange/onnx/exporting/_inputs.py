"""What a model is recorded for: names, shapes and dtypes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from unidl import tree
from unidl.dtypes import dtype_name, floatx
from unidl.errors import GraphError
from unidl.graph.graph import Graph
from unidl.graph.symbolic import TensorSpec
from unidl.graph.trace import trace


class Declared(NamedTuple):
    """One input: `shape` has None where a size is unknown, `dims` the name of that size (or the size)."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    dims: tuple[int | str, ...]


def record(model: Any, input_spec: Any) -> tuple[Graph, list[Declared], list[str]]:
    """The graph of `model` in inference, its inputs, and the names of its outputs.

    Raises:
        GraphError: if the inputs are not known and `input_spec` does not say them, or does not fit.
    """
    if isinstance(model, Graph):
        declared = _declared([(t.name or "", t.shape, t.dtype) for t in model.inputs], None, model.name)
        return model, declared, [""] * len(model.outputs)
    what = f"ONNX: {type(model).__name__} {getattr(model, 'name', getattr(model, '__name__', ''))!r}"
    known = _known(model)
    if known is None and input_spec is None:
        raise GraphError(
            f"{what} has not seen data yet: call it, or give `input_spec`, for example "
            "[('batch', 8)] or [unidl.InputSpec(shape=(None, 8), dtype='float32')]."
        )
    declared = _declared(known, input_spec, what)
    specs = [TensorSpec(d.shape, d.dtype) for d in declared]
    if hasattr(model, "_graph"):
        graph = model._graph(specs, False)
    else:
        graph = trace(_inference(model), tuple(specs), owner=model, name=getattr(model, "name", ""))
    return graph, declared, _output_names(model, graph)


def _inference(model: Any) -> Callable[..., Any]:
    """The call of a layer or function, without training."""
    from unidl.layers import Layer

    if not isinstance(model, Layer):
        return model
    return lambda *values: model(values[0] if len(values) == 1 else list(values), training=False)


def _known(model: Any) -> list[tuple[str, Any, str]] | None:
    """What the model itself says: (name, shape, dtype) of each input; None if nothing."""
    net = getattr(model, "_net", None)
    if net is not None:
        return [(t.name or "", t.shape, t.dtype) for t in net.flat_inputs]
    if seen := getattr(model, "_seen_specs", None):
        return [("", s.shape, s.dtype) for s in seen]
    return None


def _declared(known: Sequence[tuple[str, Any, str]] | None, input_spec: Any, what: str) -> list[Declared]:
    given: list[Any] = [None] * len(known or ())
    names = [name for name, *_ in known or ()]
    if isinstance(input_spec, dict):
        if known is not None and set(input_spec) != set(names):
            raise GraphError(f"{what}: `input_spec` names the inputs {sorted(input_spec)}; there are {sorted(names)}.")
        names = names or list(input_spec)
        given = [input_spec[n] for n in names]
    elif input_spec is not None:
        given = [input_spec] if _is_one(input_spec) else list(input_spec)
        if known is not None and len(given) != len(known):
            raise GraphError(f"{what}: `input_spec` describes {len(given)} inputs; there are {len(known)}.")
        names = names or [getattr(s, "name", None) or "" for s in given]
    taken: set[str] = set()
    declared = []
    several = len(given) > 1
    for place, spec in enumerate(given):
        shape, dtype = (known[place][1], known[place][2]) if known is not None else (None, floatx())
        if spec is not None:
            shape = getattr(spec, "shape", spec)
            dtype = getattr(spec, "dtype", None) or dtype
        if shape is None:
            raise GraphError(f"{what}: the shape of input {place} is unknown; give it in `input_spec`.")
        name = names[place] or "input"
        count = 0
        while name in taken:
            count += 1
            name = f"{names[place] or 'input'}_{count}"
        taken.add(name)
        dims = tuple(_dim(d, axis, len(shape), name if several else "") for axis, d in enumerate(shape))
        sizes = tuple(d if isinstance(d, int) else None for d in dims)
        declared.append(Declared(name, sizes, dtype_name(dtype), dims))
    return declared


def _is_one(spec: Any) -> bool:
    """Whether it describes one input: a shape, or something that has one."""
    return hasattr(spec, "shape") or all(d is None or isinstance(d, (int, str)) for d in spec)


def _dim(size: Any, axis: int, rank: int, prefix: str) -> int | str:
    """A size, or the name of an unknown one. Only the batch is taken to be the same for all inputs."""
    if isinstance(size, (int, str)):
        return size
    if axis == 0:
        return "batch"
    name = "time" if rank in (2, 3) else {1: "height", 2: "width"}.get(axis, f"dim_{axis}") if rank == 4 else ""
    name = (name if rank != 3 or axis == 1 else "") or f"dim_{axis}"
    return f"{prefix}_{name}" if prefix else name


def _output_names(model: Any, graph: Graph) -> list[str]:
    """The keys of a dict of outputs, or the names of the layers that make them."""
    count = len(graph.outputs)
    if isinstance(graph.structure, dict):
        keys = [str(k) for k in tree._keys(graph.structure)]
        if len(keys) == count:
            return keys
    names = list(getattr(model, "output_names", None) or ())
    return names if len(names) == count else [""] * count


def sample(declared: Sequence[Declared], seed: int = 0) -> list[Any]:
    """Arrays that fit: floats around 0, integers 0 and 1, words; unknown sizes 2 (the batch), 32 (of images) and 8."""
    import numpy as np

    from unidl.ops._bind import numpy_dtype

    rng = np.random.default_rng(seed)
    arrays = []
    for d in declared:
        unknown = 32 if len(d.shape) > 3 else 8
        shape = tuple((2 if axis == 0 else unknown) if n is None else n for axis, n in enumerate(d.shape))
        if d.dtype == "string":
            arrays.append(rng.choice(np.array(["a", "the", "Good day!", ""], object), shape))
            continue
        drawn = rng.integers(0, 2, shape) if "int" in d.dtype or d.dtype == "bool" else rng.standard_normal(shape)
        arrays.append(drawn.astype(numpy_dtype(d.dtype)))
    return arrays
