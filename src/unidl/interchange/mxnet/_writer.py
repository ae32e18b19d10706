"""The ONNX graph in the making: values, nodes, sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unidl.interchange.mxnet._errors import MxnetError
from unidl.interchange.onnx._reading import dtype_name, required

#: The version of ONNX's operators that is written: the newest that the oldest supported onnx package knows.
OPSET = 21
IR_VERSION = 10

#: The domain of what has no operator in ONNX: unidl's own entries for these, and those of users.
DOMAIN = "mxnet"

#: A size: a number, or a vector of one int64 that is computed.
Size = Any


class Value:
    """A tensor.

    Attributes:
        name: in the ONNX graph; None for an array that no node reads yet.
        shape: None if not even the rank is known; in it None for unknown sizes.
        array: what an array of the file holds, or a constant; None for what is computed.
        weight: whether it comes from the file's arrays: such ones are trained, constants are not.
        single: whether only one node reads the file's array.
    """

    __slots__ = ("array", "dtype", "hint", "name", "shape", "single", "weight")

    def __init__(self, name: str | None, dtype: str, shape: Any = None) -> None:
        self.name, self.dtype = name, dtype
        self.shape: tuple[int | None, ...] | None = None if shape is None else tuple(shape)
        self.array: np.ndarray | None = None
        self.weight, self.single, self.hint = False, True, ""


def _sliced(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> np.ndarray:
    key = [slice(None)] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        key[axis] = slice(int(start), int(end) if end >= 0 or step > 0 or end >= -x.shape[axis] else None, int(step))
    return np.asarray(x[tuple(key)])


def _reshaped(x: Any, shape: Any) -> np.ndarray:
    return np.asarray(x.reshape([x.shape[i] if d == 0 else int(d) for i, d in enumerate(shape)]))


#: What keeps an array one: computed at once, so that a weight in another form is still a weight.
_FOLDED: dict[str, Callable[..., np.ndarray]] = {
    "Transpose": lambda x, perm=None: np.transpose(x, perm),
    "Reshape": _reshaped,
    "Concat": lambda *xs, axis: np.concatenate(xs, axis),
    "Slice": _sliced,
    "Unsqueeze": lambda x, axes: np.expand_dims(x, tuple(axes.tolist())),
    "Squeeze": lambda x, axes: np.squeeze(x, tuple(axes.tolist())),
    "Identity": lambda x: x,
}


class Writer:
    """Writes nodes, and knows shapes and dtypes of what they give as far as ONNX's rules say them.

    Attributes:
        path: the name of the MXNet node that is being written; ONNX nodes are called the same.
        weights: arrays that became initializers, by name.
    """

    def __init__(self) -> None:
        self.onnx = required()
        import onnx.shape_inference

        self.helper = self.onnx.helper
        self.infer = onnx.shape_inference.infer_node_outputs
        self.proto: list[Any] = []
        self.weights: dict[str, np.ndarray] = {}
        self.path = ""
        self.domains = {""}
        self._names: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._sizes: dict[tuple[Value, int], Value] = {}
        self._opsets = [self.helper.make_opsetid("", OPSET)]

    # -- values -----------------------------------------------------------------------------

    def unique(self, name: str) -> str:
        result = name or "value"
        while result in self._names:
            self._numbers[name] = number = self._numbers.get(name, 0) + 1
            result = f"{name}_{number}"
        self._names.add(result)
        return result

    def weight(self, name: str, array: np.ndarray, single: bool) -> Value:
        """An array of the file."""
        result = Value(None, array.dtype.name, array.shape)
        result.array, result.weight, result.single, result.hint = array, True, single, name
        return result

    def derived(self, x: Value, array: np.ndarray, hint: str = "") -> Value:
        """A weight that is made of the weight `x`."""
        return self.weight(hint or x.hint, np.asarray(array, order="C"), x.single)

    def constant(self, value: Any, dtype: str | None = None) -> Value:
        """A constant; ints are int64 if no dtype is said."""
        array = np.asarray(value)
        array = array.astype(dtype or ("int64" if array.dtype.kind in "iu" else array.dtype.name))
        result = Value(None, array.dtype.name, array.shape)
        result.array = array
        return result

    def number(self, value: Any, like: Value) -> Value:
        """A number in the dtype of a value."""
        return self.constant(value, like.dtype)

    def name(self, x: Value) -> str:
        """The name by which nodes read `x`."""
        if x.name is None:
            assert x.array is not None
            x.name = self.unique(x.hint or f"{self.path}_constant")
            if x.weight:
                self.weights[x.name] = x.array
            else:
                tensor = self.onnx.numpy_helper.from_array(x.array, x.name)
                self.proto.append(self.helper.make_node("Constant", [], [x.name], name=x.name, value=tensor))
        return x.name

    # -- nodes ------------------------------------------------------------------------------

    def nodes(
        self, op: str, inputs: Sequence[Any], count: int = 1, domain: str = "", dtype: str | None = None,
        shape: Any = None, **attributes: Any,
    ) -> list[Value]:  # fmt: skip
        """Add a node; its outputs.

        Args:
            inputs: values; lists and arrays are constants; None for what is left out.
            dtype, shape: of the outputs, if ONNX's rules do not say them.
            attributes: those that are None are left out.
        """
        given = [v if v is None or isinstance(v, Value) else self.constant(v) for v in inputs]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        folded = self._fold(op, given, attributes)
        if folded is not None and (folded.single or not folded.weight):
            return [folded]
        names = ["" if v is None else self.name(v) for v in given]
        while names and not names[-1]:
            names.pop()
        outputs = [
            Value(
                self.unique(f"{self.path}:out" if count == 1 else f"{self.path}:out{i}"),
                dtype or self._dtype(given),
                shape,
            )
            for i in range(count)
        ]
        node = self.helper.make_node(
            op, names, [o.name for o in outputs], name=self.path, domain=domain, **attributes
        )  # fmt: skip
        self.domains.add(domain)
        self.proto.append(node)
        if not domain:
            self._inferred(node, given, outputs)
        if folded is not None:
            outputs[0].array = folded.array
            outputs[0].hint, outputs[0].single = folded.hint, False
        return outputs

    def node(self, op: str, *inputs: Any, **attributes: Any) -> Value:
        """Add a node of one output."""
        return self.nodes(op, inputs, 1, **attributes)[0]

    def custom(self, op: str, inputs: Sequence[Value], count: int, attributes: dict[str, Any]) -> list[Value]:
        """A node of the domain "mxnet", whose attributes may have any names."""
        outputs = self.nodes(op, inputs, count, domain=DOMAIN)
        self.proto[-1].attribute.extend([self.helper.make_attribute(k, v) for k, v in attributes.items()])
        for output, (shape, dtype) in zip(outputs, self._recorded(op, inputs, attributes), strict=False):
            output.shape, output.dtype = shape, dtype
        return outputs

    def _recorded(self, op: str, inputs: Sequence[Value], attributes: dict[str, Any]) -> list[tuple[Any, str]]:
        """Shapes and dtypes of what a supplied operator gives, found by recording it; none if that is not possible."""
        from unidl.errors import UntraceableError
        from unidl.graph.symbolic import TensorSpec
        from unidl.graph.trace import trace
        from unidl.interchange.onnx._structures import Node
        from unidl.interchange.onnx.importing._calls import Call
        from unidl.interchange.onnx.importing._table import find

        entry = find(op, DOMAIN, 1)
        if entry is None or any(v.shape is None for v in inputs):
            return []
        call = Call(Node(op, DOMAIN, self.path, (), (), attributes), 1)
        given = [
            v.array if v.array is not None and not v.weight else TensorSpec(v.shape or (), v.dtype) for v in inputs
        ]
        try:
            outputs = trace(lambda *xs: entry.function(call, *xs), tuple(given)).outputs
        except (ValueError, TypeError, AttributeError, UntraceableError):
            return []  # what is wrong will be said when the model is made
        return [(tuple([d if isinstance(d, int) else None for d in t.shape]), t.dtype) for t in outputs]

    def output(self, x: Value, name: str) -> Value:
        """`x` under the name of an output of the graph."""
        result = Value(self.unique(name), x.dtype, x.shape)
        self.proto.append(self.helper.make_node("Identity", [self.name(x)], [result.name], name=result.name))
        return result

    @staticmethod
    def _dtype(given: list[Value | None]) -> str:
        return next((v.dtype for v in given if v is not None), "float32")

    def _fold(self, op: str, given: list[Value | None], attributes: dict[str, Any]) -> Value | None:
        if op not in _FOLDED or any(v is None or v.array is None for v in given):
            return None
        try:
            array = _FOLDED[op](*[v.array for v in given if v is not None], **attributes)
        except (ValueError, IndexError) as error:
            raise MxnetError(f"node {self.path!r}: {op} of arrays in the file fails: {error}") from None
        weights = [v for v in given if v is not None and (v.weight or v.hint)]
        if not weights:
            return self.constant(array, array.dtype.name)
        return self.weight(weights[0].hint, array, all(v.single for v in weights))

    def type(self, dtype: str) -> int:
        from unidl.ops._bind import numpy_dtype

        return int(self.helper.np_dtype_to_tensor_dtype(np.dtype(numpy_dtype(dtype))))

    def _inferred(self, node: Any, given: list[Value | None], outputs: list[Value]) -> None:
        """Put in what ONNX's rules say about the outputs."""
        schema = self.onnx.defs.get_schema(node.op_type, OPSET, "")
        types, data = {}, {}
        for value in given:
            if value is not None:
                types[value.name] = self.helper.make_tensor_type_proto(self.type(value.dtype), value.shape)
                if value.array is not None and value.array.size <= 64:
                    data[value.name] = self.onnx.numpy_helper.from_array(np.asarray(value.array, order="C"), value.name)
        try:
            found = self.infer(schema, node, types, data, opset_imports=self._opsets, ir_version=IR_VERSION)
        except Exception as error:  # onnx raises plain errors of several kinds
            shapes = ", ".join(f"{v.dtype}{list(v.shape) if v.shape is not None else '[…]'}" for v in given if v)
            raise MxnetError(
                f"node {self.path!r}: {node.op_type} does not take ({shapes}): {str(error)[:300]}"
            ) from None
        for output in outputs:
            kind = found.get(output.name)
            if kind is None or not kind.HasField("tensor_type"):
                continue
            output.dtype = dtype_name(kind.tensor_type.elem_type) or output.dtype
            if kind.tensor_type.HasField("shape"):
                sizes = kind.tensor_type.shape.dim
                output.shape = tuple([d.dim_value if d.HasField("dim_value") else None for d in sizes])

    # -- dtypes -----------------------------------------------------------------------------

    def cast(self, x: Value, dtype: str) -> Value:
        if x.dtype == dtype:
            return x
        if x.array is not None and not x.weight:
            return self.constant(x.array, dtype)
        return self.node("Cast", x, to=self.type(dtype))

    # -- sizes ------------------------------------------------------------------------------

    def size(self, x: Value, axis: int) -> Size:
        """The size of an axis."""
        if x.shape is not None and x.shape[axis] is not None:
            return x.shape[axis]
        if (x, axis) not in self._sizes:
            end = axis + 1 if axis != -1 else None
            self._sizes[x, axis] = self.node("Shape", x, start=axis, end=end)
        return self._sizes[x, axis]

    def sizes(self, x: Value) -> list[Size]:
        """All sizes of `x`, whose rank is known."""
        assert x.shape is not None
        return [self.size(x, i) for i in range(len(x.shape))]

    def _followed(self, x: Value, sizes: list[Size]) -> list[Size]:
        """The sizes with a number in place of -1, if the unknown sizes of `x` are among them as they are."""
        if x.shape is None or sizes.count(-1) != 1:
            return sizes
        unknown = [self._sizes.get((x, i)) for i, d in enumerate(x.shape) if d is None]
        kept = [s for s in sizes if isinstance(s, Value)]
        if len(kept) != len(unknown) or not all(any(s is u for u in unknown) for s in kept):
            return sizes
        known = math.prod([s for s in sizes if isinstance(s, int) and s != -1])
        total = math.prod([d for d in x.shape if d is not None])
        return [total // known if s == -1 else s for s in sizes] if known and total % known == 0 else sizes

    def arithmetic(self, op: str, a: Size, b: Size) -> Size:
        """``Mul``, ``Div``, ``Add`` or ``Sub`` of two sizes."""
        if isinstance(a, int) and isinstance(b, int):
            return {"Mul": a * b, "Div": a // max(b, 1), "Add": a + b, "Sub": a - b}[op]
        if b == 1 and op in ("Mul", "Div"):
            return a
        if a == 1 and op == "Mul":
            return b
        return self.node(op, *[v if isinstance(v, Value) else [v] for v in (a, b)])

    def product(self, sizes: Sequence[Size]) -> Size:
        result: Size = 1
        for size in sizes:
            result = self.arithmetic("Mul", result, size)
        return result

    def vector(self, sizes: Sequence[Size]) -> Value:
        """Sizes as one vector of int64."""
        if all(isinstance(s, int) for s in sizes):
            return self.constant(np.asarray(list(sizes), "int64"))
        return self.node("Concat", *[s if isinstance(s, Value) else [s] for s in sizes], axis=0)

    def reshape(self, x: Value, sizes: Sequence[Size]) -> Value:
        """`x` in another shape; -1 for a size that follows from the others."""
        sizes = self._followed(x, [s if isinstance(s, Value) else int(s) for s in sizes])
        shape = tuple([s if isinstance(s, int) and s >= 0 else None for s in sizes])
        plain = [s if isinstance(s, int) else -1 for s in sizes]
        if plain.count(-1) <= 1 and 0 not in plain:
            result = self.node("Reshape", x, np.asarray(plain, "int64"))
        else:
            target = self.vector(sizes)
            result = self.node("Reshape", x, target, allowzero=1 if 0 in plain else None)
        if result.array is None:
            result.shape = shape
        return result

    # -- what many operators need -----------------------------------------------------------

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        return x if tuple(axes) == tuple(range(len(axes))) else self.node("Transpose", x, perm=list(axes))

    def reduce(self, op: str, x: Value, axes: Sequence[int] | None, keepdims: bool = False) -> Value:
        """A reduction over `axes`; None: over all of them."""
        if axes is not None and not len(axes):
            return x
        given = None if axes is None else np.asarray(axes, "int64")
        return self.node(op, x, given, keepdims=int(keepdims))

    def slice(self, x: Value, axis: int, start: Size, stop: Size, step: int = 1) -> Value:
        """``x[start:stop:step]`` along an axis."""
        ends = [v if isinstance(v, Value) else np.asarray([v], "int64") for v in (start, stop)]
        return self.node("Slice", x, *ends, np.asarray([axis], "int64"), np.asarray([step], "int64"))

    def unsqueeze(self, x: Value, *axes: int) -> Value:
        return self.node("Unsqueeze", x, np.asarray(axes, "int64"))

    def squeeze(self, x: Value, *axes: int) -> Value:
        return self.node("Squeeze", x, np.asarray(axes, "int64"))

    def expand(self, x: Value, sizes: Sequence[Size]) -> Value:
        result = self.node("Expand", x, self.vector(sizes))
        if result.shape is None or len(result.shape) != len(sizes):
            result.shape = tuple([s if isinstance(s, int) else None for s in sizes])
        return result
