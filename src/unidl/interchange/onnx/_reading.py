"""Reading an ONNX file: bytes to `Model`, checked, with limits on what a file may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unidl.interchange.onnx._structures import Function, Graph, Model, Node, OnnxError, Reference, ValueType
from unidl.interchange.onnx._tensors import array, elements

#: The domain "ai.onnx" is the standard's own, too.
_STANDARD = ("", "ai.onnx")

#: Largest file: protobuf itself ends here. Larger models keep their weights as external data.
MOST_BYTES = 2**31

#: Nodes that a file may have, those of functions counted for each call.
MOST_NODES = 1_000_000


def read(source: Any) -> Model:
    """The model in a file (path), in bytes, or in an `onnx.ModelProto`.

    Raises:
        ImportError: if the onnx package is missing.
        FileNotFoundError: if there is no such file.
        OnnxError: if it is damaged, or breaks the rules of ONNX.
    """
    onnx = required()
    folder: Path | None = None
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        where, folder = str(path), path.parent
        if path.stat().st_size > MOST_BYTES:
            raise OnnxError(f"{where} is larger than {MOST_BYTES} bytes, which no ONNX file can be.")
        proto = _parsed(path.read_bytes(), where)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        where = f"the model of {len(source)} bytes"
        proto = _parsed(bytes(source), where)
    elif isinstance(source, onnx.ModelProto):
        where, proto = "the given model", source
    else:
        raise TypeError(
            f"An ONNX model is read from a path, bytes or an onnx.ModelProto, not from a {type(source).__name__}."
        )
    return _Reader(folder).model(proto, where)


def required() -> Any:
    """The onnx package.

    Raises:
        ImportError: naming what to install.
    """
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError("ONNX files need the onnx package: pip install 'unidl[onnx]'") from error
    return onnx


def _parsed(data: bytes, where: str) -> Any:
    from google.protobuf.message import DecodeError

    onnx = required()
    if not data:
        raise OnnxError(f"{where} is empty.")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, RuntimeError) as error:
        raise OnnxError(f"{where} is no ONNX model, or a damaged or truncated one: {error}") from error
    return proto


def _check_text(proto: Any, where: str) -> None:
    """Raises OnnxError for names that are no UTF-8: protobuf hands those on as bytes."""
    todo = [proto]
    while todo:
        message = todo.pop()
        fields = message.ListFields() if message.DESCRIPTOR.name != "TensorProto" else _text_of(message)
        for field, value in fields:
            parts = value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else (value,)
            if field.type == field.TYPE_MESSAGE:
                todo.extend(parts)
            elif field.type == field.TYPE_STRING and (wrong := [p for p in parts if not isinstance(p, str)]):
                raise OnnxError(f"{where}: the {field.name} {wrong[0]!r} is no UTF-8 text: the file is damaged.")


def _text_of(tensor: Any) -> list[Any]:
    """The fields of a tensor that are text: asking for all of them copies its elements."""
    fields = tensor.DESCRIPTOR.fields_by_name
    return [(fields[n], getattr(tensor, n)) for n in ("name", "external_data")]


class _Reader:
    """Turns protobuf into the structures, and counts what a file asks for.

    Attributes:
        folder: where external data may lie.
        nodes: how many were read so far.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.nodes = 0

    def model(self, proto: Any, where: str) -> Model:
        if not proto.HasField("graph"):
            raise OnnxError(f"{where} holds no graph: it is no ONNX model, or a damaged or truncated one.")
        _check_text(proto, where)
        opsets = self._opsets(proto.opset_import) or {"": 1}
        graph = self.graph(proto.graph, frozenset())
        functions = {}
        for f in proto.functions:
            function = self._function(f, opsets)
            functions[function.domain, function.name, f.overload] = function
        producer = f"{proto.producer_name} {proto.producer_version}".strip()
        return Model(graph, opsets, functions, producer, where)

    def _opsets(self, imports: Any) -> dict[str, int]:
        versions = {_domain(i.domain): int(i.version) for i in imports}
        if wrong := [v for v in versions.values() if not 0 <= v < 2**31]:
            raise OnnxError(f"The file imports operators of version {wrong[0]}, which there cannot be: it is damaged.")
        return versions

    def _function(self, proto: Any, opsets: dict[str, int]) -> Function:
        where = f"function {proto.name!r}"
        known = frozenset(proto.input)
        visible = known | {o for n in proto.node for o in n.output}
        nodes = [self._node(n, where, visible) for n in proto.node]
        defaults = {a.name: self._attribute(a, where) for a in proto.attribute_proto}
        nodes = _sorted(nodes, known, list(proto.output), where)[0]
        return Function(
            proto.name,
            _domain(proto.domain),
            tuple(proto.input),
            tuple(proto.output),
            {**dict.fromkeys(proto.attribute), **defaults},
            nodes,
            self._opsets(proto.opset_import) or opsets,
        )

    def graph(self, proto: Any, around: frozenset[str]) -> Graph:
        """The graph; `around` holds the names that are known outside of it."""
        where = f"graph {proto.name!r}"
        constants = {t.name: array(t, self.folder, "initializer") for t in proto.initializer}
        for sparse in proto.sparse_initializer:
            constants[sparse.values.name] = self._sparse(sparse)
        inputs = [_value_type(v) for v in proto.input]
        for names, what in (([v.name for v in inputs], "input"), ([t.name for t in proto.initializer], "initializer")):
            if twice := _twice(names):
                raise OnnxError(f"{where}: there are two {what}s named {twice!r}.")
        own = frozenset(v.name for v in inputs) | constants.keys()
        visible = own | around | {o for n in proto.node for o in n.output}
        nodes = [self._node(n, where, visible) for n in proto.node]
        outputs = [_value_type(v) for v in proto.output]
        ordered, outer = _sorted(nodes, own, [v.name for v in outputs], where, around)
        return Graph(proto.name, ordered, inputs, outputs, constants, outer)

    def _node(self, proto: Any, where: str, around: frozenset[str] = frozenset()) -> Node:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise OnnxError(f"{where}: the model has more than {MOST_NODES} nodes.")
        outputs = tuple(proto.output)
        name = proto.name or f"{proto.op_type}:{next(filter(None, outputs), '')}"
        if not proto.op_type:
            raise OnnxError(f"{where}: node {name!r} names no operator.")
        attributes = {a.name: self._attribute(a, f"node {name!r}", around) for a in proto.attribute}
        domain = _domain(proto.domain)
        return Node(proto.op_type, domain, name, tuple(proto.input), outputs, attributes, proto.overload)

    def _attribute(self, proto: Any, where: str, around: frozenset[str] = frozenset()) -> Any:
        if proto.ref_attr_name:
            return Reference(proto.ref_attr_name)
        kind = _kind(proto)
        read = self._readers(f"{where}, attribute {proto.name!r}", around)
        if kind in read:
            return read[kind](getattr(proto, _ATTRIBUTE_FIELDS[kind]))
        if kind.endswith("S") and kind[:-1] in read:
            return [read[kind[:-1]](v) for v in getattr(proto, _ATTRIBUTE_FIELDS[kind])]
        raise OnnxError(f"{where}: attribute {proto.name!r} is of the unknown kind {kind}.")

    def _readers(self, where: str, around: frozenset[str]) -> dict[str, Callable[[Any], Any]]:
        return {
            "FLOAT": float,
            "INT": int,
            "STRING": _string,
            "TENSOR": lambda p: array(p, self.folder, where),
            "SPARSE_TENSOR": self._sparse,
            "GRAPH": lambda p: self.graph(p, around),
            "TYPE_PROTO": lambda p: _type("", p),
        }

    def _sparse(self, proto: Any) -> np.ndarray:
        """A sparse tensor as a dense one."""
        what = f"sparse tensor {proto.values.name!r}"
        dims = tuple(proto.dims)
        size = elements(dims, what)
        values, places = array(proto.values, self.folder, what), array(proto.indices, self.folder, what)
        if size > max(len(values), 1) * 2**20:
            raise OnnxError(
                f"{what} has {len(values)} values in a shape of {size} elements: too sparse to be kept dense."
            )
        dense = np.zeros(dims, values.dtype)
        try:
            if places.ndim == 1:
                dense.reshape(-1)[places] = values
            else:
                dense[tuple(places.T)] = values
        except (IndexError, ValueError) as error:
            raise OnnxError(f"{what} of shape {list(dims)} has indices that do not fit: {error}") from None
        return dense


_ATTRIBUTE_FIELDS = {
    "FLOAT": "f", "INT": "i", "STRING": "s", "TENSOR": "t", "GRAPH": "g", "SPARSE_TENSOR": "sparse_tensor",
    "TYPE_PROTO": "tp", "FLOATS": "floats", "INTS": "ints", "STRINGS": "strings", "TENSORS": "tensors",
    "GRAPHS": "graphs", "SPARSE_TENSORS": "sparse_tensors", "TYPE_PROTOS": "type_protos",
}  # fmt: skip


def _kind(proto: Any) -> str:
    """The kind of an attribute; the first version of ONNX left it out."""
    if proto.type:
        return str(type(proto).AttributeType.Name(proto.type)) if proto.type < 100 else str(proto.type)
    filled = [
        k for k, f in _ATTRIBUTE_FIELDS.items() if (len(getattr(proto, f)) if k.endswith("S") else proto.HasField(f))
    ]
    return filled[0] if filled else "INTS"


def _string(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _domain(domain: str) -> str:
    return "" if domain in _STANDARD else domain


def _value_type(proto: Any) -> ValueType:
    return _type(proto.name, proto.type)


def _type(name: str, proto: Any) -> ValueType:
    kind = (proto.WhichOneof("value") or "").removesuffix("_type")
    if kind in ("tensor", "sparse_tensor"):
        inner = getattr(proto, f"{kind}_type")
        return ValueType(name, kind, dtype_name(inner.elem_type), _shape(inner))
    if kind in ("sequence", "optional"):
        inner = _type(name, getattr(proto, f"{kind}_type").elem_type)
        return ValueType(name, kind, inner.dtype, inner.shape)
    if kind == "map":
        return ValueType(name, kind, _type(name, proto.map_type.value_type).dtype)
    return ValueType(name, kind)


def dtype_name(elem_type: int) -> str:
    """The name of an ONNX element type: that of NumPy or ml_dtypes, "string" for text, "" if it is not given."""
    import onnx

    if not elem_type:
        return ""
    if elem_type == onnx.TensorProto.STRING:
        return "string"
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(elem_type)).name
    except (KeyError, ValueError):
        raise OnnxError(f"The element type {elem_type} is unknown.") from None


def _shape(proto: Any) -> tuple[int | str | None, ...] | None:
    if not proto.HasField("shape"):
        return None
    # Some exporters write -1 for sizes that are unknown.
    return tuple(
        [d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else d.dim_param or None for d in proto.shape.dim]
    )


def _twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _sorted(
    nodes: list[Node], known: frozenset[str], outputs: list[str], where: str, around: frozenset[str] = frozenset()
) -> tuple[list[Node], frozenset[str]]:
    """`nodes` in an order in which they can run, and the names that are read from `around`.

    Raises:
        OnnxError: if a value is made twice, is missing, or depends on itself.
    """
    makers: dict[str, Node] = {}
    for node in nodes:
        for output in filter(None, node.outputs):
            if output in makers or output in known:
                raise OnnxError(f"{where}: {node} makes {output!r}, which is there already; values have one maker.")
            makers[output] = node
    outer: set[str] = set()

    def needed(names: Iterable[str], reader: str) -> list[Node]:
        found = []
        for name in names:
            if name in makers:
                found.append(makers[name])
            elif name not in known:
                if name not in around:
                    raise OnnxError(
                        f"{where}: {reader} reads {name!r}, which no node, input or initializer of the graph gives."
                    )
                outer.add(name)
        return found

    before = {id(node): needed(sorted(node.reads()), str(node)) for node in nodes}
    needed([n for n in outputs if n], "the list of outputs")
    order: list[Node] = []
    state: dict[int, int] = {}  # 1: being placed, 2: placed
    for first in nodes:  # depth first without recursion, in the file's order where that is right
        todo = [first]
        while todo:
            node = todo[-1]
            if state.get(id(node)) == 2:
                todo.pop()
                continue
            state[id(node)] = 1
            waiting = [n for n in before[id(node)] if state.get(id(n)) != 2]
            if not waiting:
                state[id(node)] = 2
                order.append(todo.pop())
                continue
            for n in waiting:
                if state.get(id(n)) == 1:
                    raise OnnxError(f"{where} has a cycle: {n} and {node} wait for each other.")
            todo += waiting
    return order, frozenset(outer)


__all__ = ["dtype_name", "read", "required"]
