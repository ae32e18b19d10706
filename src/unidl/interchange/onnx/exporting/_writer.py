"""What emitters write with: values, nodes, scopes (the main graph and the bodies of control flow) and sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unidl.dtypes import FLOATS
from unidl.errors import GraphError
from unidl.graph.layout import Layout, first_axes, last_axes
from unidl.graph.symbolic import Dim, Shape, TensorSpec
from unidl.interchange.onnx.exporting._library import library

#: unidl's dtypes to names of ``onnx.TensorProto`` types.
TYPES = {
    "float32": "FLOAT", "float64": "DOUBLE", "float16": "FLOAT16", "bfloat16": "BFLOAT16", "bool": "BOOL",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
}  # fmt: skip
#: Where onnxruntime has no kernel for a dtype, the arithmetic is done in another one.
_WIDE = {"int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64"}


class Value:
    """A tensor of the ONNX graph.

    Attributes:
        name: None for a constant that no node reads yet, and for one that only exists channels-first.
        shape, dtype: as recorded; the shape is None for what an emitter makes on the way.
        host: for variables and constants: the function that gives the array.
        hint: what a constant is called when it is first read.
        variable: for a variable: that.
    """

    __slots__ = ("dtype", "hint", "host", "name", "shape", "variable")

    def __init__(self, name: str | None, shape: Shape | None, dtype: str) -> None:
        self.name, self.dtype = name, dtype
        self.shape: Any = shape
        self.host: Callable[[], np.ndarray] | None = None
        self.hint = ""
        self.variable: Any = None


class Scope:
    """A graph being written: the main one, or a body of control flow."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.found: dict[Any, Any] = {}  # what was computed here and may be needed again


class Writer:
    """One ONNX graph in the making.

    Attributes:
        opset: the version of the operator set.
        specs: shapes and dtypes of the outputs of the op that is being written.
        path: the layer of that op.
        made: name of a value to the type and the inputs of the node that makes it.
        initializers: name to the function that gives the array; in the order in which they were needed.
        domains: versions of the operator sets beside the standard's that the graph needs.
        functions: operators that the model itself defines, by name.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.helper = library().helper
        self.domains: dict[str, int] = {}
        self.functions: dict[str, Any] = {}
        self.scopes = [Scope()]
        self.specs: list[TensorSpec] = []
        self.path = ""
        self.op = ""
        self.initializers: dict[str, Value] = {}
        self.made: dict[str, tuple[str, list[Any]]] = {}
        self.names: set[str] = set()
        self._node_names: set[str] = set()
        self.layout = ChannelsFirst(self)
        self.zeros: set[Value] = set()  # tensors that are known to hold nothing else
        self._constants: dict[Any, Value] = {}
        self._numbers: dict[str, int] = {}

    # -- names and values -------------------------------------------------------------------

    def unique(self, name: str) -> str:
        """`name` for a value, with a number if it is taken."""
        return self._unique(name, self.names)

    def _unique(self, name: str, taken: set[str]) -> str:
        result = name
        while result in taken:
            self._numbers[name] = number = self._numbers.get(name, 0) + 1
            result = f"{name}_{number}"
        taken.add(result)
        return result

    def value(self, shape: Shape | None, dtype: str, name: str) -> Value:
        """A value of its own name: an input of a graph."""
        return Value(self.unique(name), shape, dtype)

    def constant(self, value: Any, dtype: str | None = None, hint: str = "") -> Value:
        """A constant. Equal small ones are one.

        Args:
            value: a number, list or array; `dtype` None: that of the array, int64 for ints.
        """
        from unidl.ops._bind import numpy_dtype

        array = np.asarray(value)
        if dtype is not None:
            array = array.astype(numpy_dtype(dtype))
        key = (array.dtype.name, array.shape, array.tobytes()) if array.nbytes <= 256 else None
        if key is not None and key in self._constants:
            return self._constants[key]
        result = self.weight(lambda: array, array.shape, array.dtype.name, hint or f"{self.path or 'graph'}/constant")
        if key is not None:
            self._constants[key] = result
        return result

    def weight(self, host: Callable[[], np.ndarray], shape: Shape, dtype: str, name: str) -> Value:
        """A constant whose array `host` gives when it is needed."""
        if dtype not in TYPES:
            raise GraphError(f"ONNX: {name!r} is {dtype}, which ONNX has no operators for.")
        result = Value(None, tuple(shape), dtype)
        result.host, result.hint = host, name
        return result

    def array(self, value: Any) -> np.ndarray | None:
        """What a constant holds; None for what is computed."""
        return value.host() if type(value) is Value and value.host is not None else None

    def name(self, value: Value) -> str:
        """The name by which nodes read `value`; makes the initializer of a constant, and the transpose of a layout."""
        if value.name is None and value.host is not None:
            value.name = self.unique(value.hint)
            self.initializers[value.name] = value
        read = self.layout.recorded(value)
        assert read.name is not None
        return read.name

    # -- nodes ------------------------------------------------------------------------------

    def nodes(self, op_type: str, inputs: Sequence[Any], dtypes: Sequence[str], **attributes: Any) -> list[Value]:
        """Add a node; its outputs, one for each of `dtypes`.

        Args:
            inputs: values, arrays (constants), or None for an optional input that is not given.
            attributes: those that are None are left out.
        """
        names = ["" if x is None else self.name(x if type(x) is Value else self.constant(x)) for x in inputs]
        while names and not names[-1]:
            names.pop()
        name = self._unique(f"{self.path}/{op_type}" if self.path else op_type, self._node_names)
        outputs = [Value(self.unique(f"{name}:{i}" if i else name), None, dtype) for i, dtype in enumerate(dtypes)]
        given = {k: v for k, v in attributes.items() if v is not None}
        node = self.helper.make_node(op_type, names, [o.name for o in outputs], name=name, **given)
        self.scopes[-1].nodes.append(node)
        self.made |= {str(o.name): (op_type, list(inputs)) for o in outputs}
        return outputs

    def node(self, op_type: str, *inputs: Any, dtype: str | None = None, **attributes: Any) -> Value:
        """Add a node of one output, of the dtype of its first input if no other is said."""
        return self.nodes(op_type, inputs, [dtype or inputs[0].dtype], **attributes)[0]

    def once(self, key: Any, make: Callable[[], Value], everywhere: bool = False) -> Value:
        """What `make` gives, made once for each `key` in this scope and those inside (or `everywhere`)."""
        for scope in self.scopes:
            if key in scope.found:
                return scope.found[key]
        result = make()
        self.scopes[0 if everywhere else -1].found[key] = result
        return result

    def subgraph(
        self,
        name: str,
        inputs: Sequence[tuple[Shape | None, str]],
        write: Callable[..., Sequence[Value]],
    ) -> Any:
        """A graph inside a node: what ``write(*values)`` writes and returns; `inputs` are the specs of its inputs."""
        self.scopes.append(scope := Scope())
        try:
            values = [self.value(shape, dtype, f"{self.path}/{name}_in") for shape, dtype in inputs]
            results: list[Value] = []
            own = {v.name for v in values}
            for result in write(*values):  # what comes from outside, and what is there already, needs a name of its own
                made = {n for node in scope.nodes for n in node.output}
                plain = self.name(result) in made and result.name not in {r.name for r in results} | own
                results.append(result if plain else self.node("Identity", result))
        finally:
            self.scopes.pop()
        infos = [[self.info(v) for v in side] for side in (values, results)]
        return self.helper.make_graph(scope.nodes, self._unique(name, self._node_names), *infos)

    def function(
        self, name: str, inside: Writer, inputs: Sequence[Value], outputs: Sequence[Value], attributes: list[str]
    ) -> str:
        """Define an operator of unidl's domain by the nodes that `inside` has; its name, which nodes are made with."""
        reads = [inside.name(v) for v in outputs]
        constants = [
            self.helper.make_node("Constant", [], [n], value=library().numpy_helper.from_array(self.array(v)))
            for n, v in inside.initializers.items()
        ]
        opsets = [self.helper.make_opsetid(d, v) for d, v in {"": self.opset, **inside.domains}.items()]
        nodes = [*constants, *inside.scopes[0].nodes]
        name = self._unique(re.sub(r"\W", "_", name), set(self.functions))
        self.functions[name] = self.helper.make_function(
            "unidl", name, [v.name for v in inputs], reads, nodes, opsets, attributes
        )
        return name

    def info(self, value: Value) -> Any:
        """The declaration of an input or output of a graph."""
        return self.helper.make_tensor_value_info(value.name, self.type(value.dtype), value.shape)

    # -- casts ------------------------------------------------------------------------------

    def type(self, dtype: str) -> int:
        """The number of `dtype` in ONNX.

        Raises:
            GraphError: for dtypes that ONNX has no operators for.
        """
        if dtype == "string":
            return int(library().TensorProto.STRING)
        if dtype not in TYPES:
            raise GraphError(
                f"ONNX: op {self.op!r} in {self.path or 'the graph'} computes with {dtype}, which ONNX has no "
                "operators for."
            )
        return int(getattr(library().TensorProto, TYPES[dtype]))

    def need(self, opset: int) -> None:
        """Refuse an opset that is older than `opset`.

        Raises:
            GraphError: naming op and layer.
        """
        if opset > self.opset:
            raise GraphError(
                f"ONNX: op {self.op!r} in {self.path or 'the graph'} needs opset {opset}, and this is {self.opset}; "
                "give a newer `opset`."
            )

    def cast(self, x: Value, dtype: str) -> Value:
        return x if x.dtype == dtype else self.node("Cast", x, dtype=dtype, to=self.type(dtype))

    def wide(self, x: Value, half: bool = False) -> Value:
        """`x` in a dtype that onnxruntime computes in; `half`: 16-bit floats as float32 too."""
        if half and x.dtype in ("float16", "bfloat16"):
            return self.cast(x, "float32")
        return self.cast(x, _WIDE.get(x.dtype, x.dtype))

    # -- sizes ------------------------------------------------------------------------------

    def shape(self, x: Value) -> Value:
        """The shape of `x` as a vector."""
        return self.once(("shape", x, x.name), lambda: self.node("Shape", x, dtype="int64"))

    def dim(self, x: Value, axis: int) -> Value:
        """The size of an axis as a vector of one element."""
        known = None if x.shape is None else x.shape[axis]
        if known is not None:
            return self.constant([known])
        if self.layout.lazy(x):  # counted in the form that is there
            rank = len(x.shape)
            return self.dim(self.layout.first(x), first_axes(rank).index(axis % rank))
        if self.opset < 15:
            return self.once(
                ("dim", x, axis), lambda: self.node("Gather", self.shape(x), np.asarray([axis]), dtype="int64")
            )
        stop = axis + 1 if axis != -1 else None
        return self.once(("dim", x, axis), lambda: self.node("Shape", x, dtype="int64", start=axis or None, end=stop))

    def size(self, value: Any) -> Value:
        """An int or `Dim` as a vector of one int64."""
        if not isinstance(value, Dim):
            return self.constant([int(value)])
        if value.kind == "size":
            return self.dim(*value.args)
        a, b = (self.size(v) for v in value.args)
        if value.kind == "floordiv":  # ONNX divides towards 0
            return self.node("Div", self.node("Sub", a, self.node("Mod", a, b)), b)
        return self.node({"add": "Add", "sub": "Sub", "mul": "Mul", "mod": "Mod"}[value.kind], a, b)

    def sizes(self, shape: Any) -> Value:
        """A shape argument (an int, a size, or a sequence of them) as a vector of int64."""
        if isinstance(shape, Dim) or hasattr(shape, "__index__"):
            shape = (shape,)
        parts: list[Any] = []
        for d in shape:  # neighbours that are known become one constant
            if isinstance(d, Dim):
                parts.append(d)
            elif parts and isinstance(parts[-1], list):
                parts[-1].append(int(d))
            else:
                parts.append([int(d)])
        vectors = [self.constant(np.asarray(p, "int64")) if isinstance(p, list) else self.size(p) for p in parts]
        if not vectors:
            return self.constant(np.zeros(0, "int64"))
        return vectors[0] if len(vectors) == 1 else self.node("Concat", *vectors, axis=0)

    def scalar(self, value: Any, dtype: str = "int64") -> Value:
        """An int or `Dim` as a tensor without dimensions."""
        if not isinstance(value, Dim):
            return self.constant(value, dtype)
        return self.cast(self.squeeze(self.size(value), [0]), dtype)

    # -- what many emitters need ------------------------------------------------------------

    def reduce(self, op_type: str, x: Value, axes: Sequence[int], keepdims: bool = False) -> Value:
        """A reduction over `axes`; over none of them it is `x`."""
        if not axes:
            return x
        if self.opset >= (13 if op_type == "ReduceSum" else 18):
            return self.node(op_type, x, np.asarray(axes, "int64"), keepdims=int(keepdims))
        return self.node(op_type, x, axes=list(axes), keepdims=int(keepdims))

    def unsqueeze(self, x: Value, axes: Sequence[int]) -> Value:
        return self.node("Unsqueeze", x, np.asarray(axes, "int64")) if axes else x

    def squeeze(self, x: Value, axes: Sequence[int]) -> Value:
        return self.node("Squeeze", x, np.asarray(axes, "int64")) if axes else x

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """`x` with its axes in another order; constants on the host."""
        axes = tuple(axes)
        if axes == tuple(range(len(axes))):
            return x
        if x.host is not None and (x.name is None or ("derived", x, axes) in self.scopes[0].found):
            return self.derived(x, lambda array: np.transpose(array, axes), axes)
        result = self.once(("transpose", x, axes), lambda: self.node("Transpose", x, perm=list(axes)))
        if x.shape is not None:
            result.shape = tuple(x.shape[a] for a in axes)
        return result

    def derived(
        self, x: Value, function: Callable[[np.ndarray], np.ndarray], key: Any, dtype: str | None = None
    ) -> Value:
        """The constant ``function(x)`` (of another `dtype`, if given), computed when the file is written.

        `key` says what `function` is.
        """

        def make() -> Value:
            host = x.host
            assert host is not None
            example = function(np.empty(x.shape, "bool"))
            result = self.weight(lambda: function(host()), example.shape, dtype or x.dtype, x.hint)
            result.variable = x.variable
            return result

        return self.once(("derived", x, key), make, everywhere=True)

    def slice(self, x: Value, axis: int, start: Any, stop: Any, step: int = 1) -> Value:
        """``x[start:stop:step]`` along an axis; the ends are ints or vectors of one element."""
        ends = [v if type(v) is Value else np.asarray([v], "int64") for v in (start, stop)]
        return self.node("Slice", x, *ends, np.asarray([axis], "int64"), np.asarray([step], "int64"))

    def where(self, condition: Value, x1: Value, x2: Value) -> Value:
        """``x1`` where `condition`, ``x2`` elsewhere, in any dtype."""
        if x1.dtype == "bool":
            chosen, other = self.node("And", condition, x1), self.node("And", self.node("Not", condition), x2)
            return self.node("Or", chosen, other)
        kind, (x1, x2) = x1.dtype, (self.wide(x1), self.wide(x2))
        return self.cast(self.node("Where", condition, x1, x2, dtype=x1.dtype), kind)

    def number(self, x: Any, like: Value) -> Value:
        """A Python number as a constant of the dtype of `like`; values as they are."""
        return x if type(x) is Value else self.constant(x, like.dtype)

    def is_float(self, x: Value) -> bool:
        return x.dtype in FLOATS


class ChannelsFirst(Layout):
    """ONNX's convolutions are channels-first."""

    tensor = Value
    unary = Layout.unary | {
        "sign", "floor", "ceil", "log", "log1p", "expm1", "rsqrt", "silu", "gelu", "elu", "selu", "celu", "mish",
        "hard_sigmoid", "hard_silu", "hard_tanh", "clip", "relu6", "threshold", "isnan", "isfinite", "logical_not",
    }  # fmt: skip

    def __init__(self, writer: Writer) -> None:
        self.w = writer

    def shape(self, x: Value) -> Shape:
        assert x.shape is not None
        return x.shape

    def lazy(self, x: Value) -> bool:
        return x.name is None and x.host is None and not self._found("recorded", x)

    def _found(self, form: str, x: Value) -> bool:
        return any((form, x) in scope.found for scope in self.w.scopes)

    def first(self, x: Value) -> Value:
        rank = len(self.shape(x))
        return self.w.once(("first", x), lambda: self.w.transpose(x, first_axes(rank)))

    def recorded(self, x: Value) -> Value:
        if x.name is not None or x.host is not None:
            return x
        rank = len(self.shape(x))
        result = self.w.once(("recorded", x), lambda: self.w.transpose(self.first(x), last_axes(rank)))
        result.shape = x.shape
        return result

    def only_first(self, x: Any) -> Any:
        if x is NotImplemented:
            return x
        result = Value(None, None, x.dtype)
        self.w.scopes[-1].found["first", result] = x
        return result

    def side(self, x: Value, shape: Shape) -> Value | None:
        rank, own = len(shape), len(self.shape(x))
        if self.lazy(x):
            return self.first(x) if own == rank else None
        if own == 0:
            return x
        if x.host is not None and own <= rank:
            more = (1,) * (rank - own)
            return self.w.derived(
                x, lambda array: np.transpose(array.reshape(more + array.shape), first_axes(rank)), ("side", rank)
            )
        return self.first(x) if own == rank else None
