"""mxnet's own files: a symbol as JSON, and parameters by name.

A symbol is made for known sizes. For a batch size that may vary it is made twice, for two sizes: reshapes differ
between both where the size went, and mxnet can find it itself there. What makes tensors of that size from nothing takes
it from an input (`_OpenSymbols`).
"""

from __future__ import annotations

import ast
import copy
import json
import re
import warnings
from pathlib import Path
from typing import Any

from unidl.errors import GraphError
from unidl.export._endpoint import Endpoint, compare
from unidl.graph.replay import replay
from unidl.saving._writing import replacing
from unidl_mxnet._engine import mx
from unidl_mxnet._invoke import DTYPES, Symbol, Symbols
from unidl_mxnet.compiled import _Builder, _lowered

_PRIMES = (23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127)


class _OpenSymbols(Symbols):
    """`F` for a symbol in which the number `size` stands for the batch size, which the symbol takes from an input.

    Attributes:
        column: zeros of the shape (batch size,).
        plain: the operators as they are.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.plain = size, Symbols()
        self.column: Symbol | None = None

    def variable(self, name: str, shape: tuple[int, ...], dtype: str) -> Symbol:
        symbol = super().variable(name, shape, dtype)
        if self.column is None and shape and shape[0] == self.size:
            rest = (1,) * (len(shape) - 1)
            first = self.slice(symbol, begin=(None, *(0 for _ in rest)), end=(None, *rest)) if rest else symbol
            self.column = self.zeros_like(self._np_reshape(first, newshape=(-1,)))
            self.column.shape, self.column.dtype = (self.size,), dtype
        return symbol

    def _filled(self, value: int, shape: tuple[int, ...], dtype: str) -> Symbol:
        """`value` everywhere: a tensor of size 1 along the batch, and the column, spread over each other."""
        at = shape.index(self.size)
        column = self._npi_cast(self.column, dtype=dtype)
        column = self._np_reshape(column, newshape=(*(1,) * at, -1, *(1,) * (len(shape) - at - 1)))
        one = (*shape[:at], 1, *shape[at + 1 :])
        make = self.plain._npi_ones if value else self.plain._npi_zeros
        return self._joined(make(shape=one, dtype=dtype, ctx=self.context()), column, shape, dtype)

    def _joined(self, x: Symbol, y: Symbol, shape: tuple[int, ...], dtype: str) -> Symbol:
        result = self._npi_logical_or(x, y) if dtype == "bool" else self._npi_add(x, y)
        return Symbol(result.native, shape, dtype)

    def _npi_zeros(self, shape: Any, dtype: Any, ctx: Any) -> Symbol:
        return self._made("_npi_zeros", 0, shape, dtype, ctx)

    def _npi_ones(self, shape: Any, dtype: Any, ctx: Any) -> Symbol:
        return self._made("_npi_ones", 1, shape, dtype, ctx)

    def _made(self, operator: str, value: int, shape: Any, dtype: Any, ctx: Any) -> Symbol:
        if self.size in shape:
            return self._filled(value, tuple(shape), str(dtype))
        return getattr(self.plain, operator)(shape=shape, dtype=dtype, ctx=ctx)

    def _npi_broadcast_to(self, x: Symbol, shape: Any) -> Symbol:
        if self.size in shape:
            dtype = self.dtype(x)
            return self._joined(x, self._filled(0, tuple(shape), dtype), tuple(shape), dtype)
        return self.plain._npi_broadcast_to(x, shape=shape)


def symbol_and_params(backend: Any, path: Path, archive: Any, options: dict[str, Any]) -> list[Path]:
    """Write ``<path>-symbol.json`` and ``<path>-0000.params``; inputs are called as those of the endpoint."""
    (endpoint,) = archive.endpoints.values()
    if options:
        raise TypeError(f"The format 'mxnet' takes no options, but {sorted(options)} came.")
    if endpoint.graph.updates:
        variable, _ = endpoint.graph.updates[0]
        raise ValueError(f"Endpoint {endpoint.name!r} changes the variable {variable.path!r}; mxnet's symbols cannot.")
    unknown = any(None in t.shape for t in endpoint.graph.inputs)
    sizes = _free_sizes(endpoint)[: 1 + unknown]
    if any(None in t.shape[1:] for t in endpoint.graph.inputs):
        sizes.append(sizes[0] + 1)  # an even one: what is padded often depends on that
    made = [_symbol(endpoint, backend, size) for size in sizes]
    content, values = made[0]
    for other, _ in made[2:]:
        _open(endpoint, copy.deepcopy(content), other)
    if unknown:
        _open(endpoint, content, made[1][0])
    names = _rename(content, values, endpoint.input_names, [_said(t) for t in endpoint.graph.inputs])
    symbol = mx.sym.load_json(json.dumps(content))
    auxiliary = set(symbol.list_auxiliary_states())
    parameters = {f"{'aux' if n in auxiliary else 'arg'}:{n}": values[old] for old, n in names.items()}
    files = [path.with_name(f"{path.name}-symbol.json"), path.with_name(f"{path.name}-0000.params")]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(files[0]) as first, replacing(files[1]) as second:
        symbol.save(first)
        mx.nd.save(second, {n: v.as_nd_ndarray() for n, v in parameters.items()})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it does not know the dtypes of inputs
            block = mx.gluon.SymbolBlock.imports(first, endpoint.input_names, second)
        compare(endpoint, block, replay(endpoint.graph, backend), "mxnet")
    return files


def _free_sizes(endpoint: Endpoint) -> list[int]:
    """Sizes that no dimension in the graph has, so that they can be told from all others."""
    tensors = [*endpoint.graph.leaves(), *(o for n in endpoint.nodes() for o in n.outputs)]
    taken = {d for t in tensors for d in t.shape}
    return [p for p in _PRIMES if p not in taken and p + 1 not in taken]


def _symbol(endpoint: Endpoint, backend: Any, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The symbol for one size as what its JSON says, and its arrays by name."""
    what = f"Endpoint {endpoint.name!r} cannot be exported to mxnet"
    try:
        graph = _lowered(endpoint.graph_of(size), backend)
    except GraphError as error:
        raise ValueError(f"{what}: {error}") from error
    for node in graph.nodes:
        if node.op.kind == "opaque":
            raise ValueError(f"{what}: {node.path} runs Python code that works on values, which symbols cannot.")
    builder = _Builder(graph, backend, None, _OpenSymbols(size))
    symbol, _, places = builder.build()
    if builder.draws:
        raise ValueError(f"{what}: random numbers come from the host, because UNIDL_PORTABLE_RANDOM is set.")
    content = json.loads(symbol.tojson())
    if all(place is not None for place, _ in places):  # an output may be there twice
        content["heads"] = [content["heads"][place] for place, _ in places]
    return content, {**builder.values, **builder.F.scratches}


def _open(endpoint: Endpoint, content: dict[str, Any], other: dict[str, Any]) -> None:
    """Take the sizes in which two symbols differ out of `content`."""
    nodes, others = content["nodes"], other["nodes"]
    alike = len(nodes) == len(others) and all(
        (a["op"], a["inputs"]) == (b["op"], b["inputs"]) for a, b in zip(nodes, others, strict=True)
    )
    if not alike:
        raise _too_open(endpoint, "the sizes decide which operators there are")
    for node, twin in zip(nodes, others, strict=True):
        attributes, theirs = node.get("attrs", {}), twin.get("attrs", {})
        for key in [k for k in attributes if attributes[k] != theirs.get(k)]:
            attributes[key] = _opened(endpoint, node["op"], key, attributes[key], theirs[key])


def _opened(endpoint: Endpoint, op: str, key: str, ours: str, theirs: str) -> str:
    a, b = ast.literal_eval(ours), ast.literal_eval(theirs)
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        differing = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
        if op == "_np_reshape" and len(differing) == 1 and -1 not in a:
            return str(tuple(-1 if i in differing else d for i, d in enumerate(a)))
        if op == "slice" and key == "end":
            return str(tuple(None if i in differing else d for i, d in enumerate(a)))
    raise _too_open(endpoint, f"the operator {op} needs the sizes ({key} is {ours} for one and {theirs} for another)")


def _too_open(endpoint: Endpoint, why: str) -> ValueError:
    return ValueError(
        f"Endpoint {endpoint.name!r} cannot be exported to mxnet for inputs of the shapes "
        f"{[t.shape for t in endpoint.graph.inputs]}: {why}. Give an `input_signature` with more sizes known."
    )


def _said(tensor: Any) -> dict[str, str]:
    """Shape and dtype of an input as mxnet says them in a symbol; -1 is a size that may vary."""
    shape = tuple(-1 if d is None else d for d in tensor.shape)
    return {"__shape__": str(shape), "__dtype__": str(mx.nd.ndarray._DTYPE_NP_TO_MX[DTYPES[tensor.dtype].type])}


def _rename(
    content: dict[str, Any], values: dict[str, Any], inputs: list[str], attributes: list[dict[str, str]]
) -> dict[str, str]:
    """Call the variables of the symbol after the inputs and the variables' paths; old names of arrays to new ones."""
    names, used = {}, set(inputs)
    for node in content["nodes"]:
        name = node["name"]
        if node["op"] != "null":
            continue
        if name in values:
            base = re.sub(r"\W", "_", getattr(values[name], "path", name))
            new = base if base not in used else f"{base}_{len(used)}"
            used.add(new)
            names[name] = node["name"] = new
        else:
            place = int(name.removeprefix("input"))
            node["name"], node["attrs"] = inputs[place], attributes[place]
    return names
