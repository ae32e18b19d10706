"""Symbolic tensors, and the nodes that produce them.

Calling an op on a :class:`SymbolicTensor` records a :class:`Node`; calling a layer on one outside a
trace records a :class:`LayerNode` (that is how functional models are written).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from unidl.dtypes import dtype_name
from unidl.errors import UntraceableError

if TYPE_CHECKING:
    from unidl.graph.graph import Graph
    from unidl.ops._declare import Op

Shape = tuple["int | None", ...]


class TensorSpec(NamedTuple):
    """Shape (None: an unknown dimension) and dtype: what an op's rule returns for each output."""

    shape: Shape
    dtype: str


class _Kind(NamedTuple):
    """What a symbolic tensor was said to be beside its shape."""

    sparse: bool = False
    ragged: bool = False
    ragged_rank: int | None = None
    row_splits_dtype: str | None = None


_DENSE = _Kind()


def _kind(sparse: bool, ragged: bool, more: dict[str, Any]) -> _Kind:
    if unknown := sorted(more.keys() - {"ragged_rank", "row_splits_dtype"}):
        raise TypeError(f"KerasTensor does not take the arguments {unknown}.")
    if sparse and ragged:
        raise ValueError("Symbolic tensors cannot have `sparse=True` and `ragged=True` together.")
    splits = more.get("row_splits_dtype")
    return _Kind(bool(sparse), bool(ragged), more.get("ragged_rank"), None if splits is None else dtype_name(splits))


class SymbolicTensor:
    """A tensor without a value: a shape, a dtype, and where it comes from.

    Args:
        shape: tuple of ints and Nones (unknown dimensions).
        dtype: dtype name.
        sparse, ragged: kept for code that asks; unidl computes with dense tensors.
        name: shown in summaries and messages.
        kwargs: `ragged_rank` and `row_splits_dtype` of a ragged tensor.

    Attributes:
        node: the node that produced it, None for a leaf.
        index: which of the node's outputs it is.
        value: for a leaf that stands for a variable or a constant: that; otherwise None.
        mask: the boolean mask that layers pass along with it (symbolic), or None.
    """

    __slots__ = (
        "__weakref__", "_dtype", "_kind", "_shape", "index", "mask", "name", "node", "value",
    )  # fmt: skip
    # NumPy leaves `array + symbolic` to the reflected method instead of trying element by element.
    __array_priority__ = 1000
    __array_ufunc__ = None

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._shape: Shape = tuple([None if d is None else int(d) for d in shape])
        self._dtype = dtype_name(dtype)
        self._kind = _kind(sparse, ragged, kwargs) if sparse or ragged or kwargs else _DENSE
        self.name = name
        self.node: Node | LayerNode | None = None
        self.index = 0
        self.value: Any = None
        self.mask: Any = None

    @property
    def shape(self) -> Shape:
        """Sizes, None for unknown ones; not to be changed."""
        return self._shape

    @shape.setter
    def shape(self, value: Any) -> None:
        raise self._immutable("shape")

    @property
    def dtype(self) -> str:
        """Name of the dtype; not to be changed."""
        return self._dtype

    @dtype.setter
    def dtype(self, value: Any) -> None:
        raise self._immutable("dtype")

    def _immutable(self, what: str) -> AttributeError:
        return AttributeError(f"The `{what}` attribute of KerasTensor is immutable. Make a new one, or use ops.")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int | None:
        return None if None in self.shape else math.prod(self.shape)  # type: ignore[arg-type]

    @property
    def sparse(self) -> bool:
        return self._kind.sparse

    @sparse.setter
    def sparse(self, value: bool) -> None:
        raise self._immutable("sparse")

    @property
    def ragged(self) -> bool:
        return self._kind.ragged

    @ragged.setter
    def ragged(self, value: bool) -> None:
        raise self._immutable("ragged")

    @property
    def ragged_rank(self) -> int | None:
        """How many dimensions vary, if it is ragged."""
        return self._kind.ragged_rank

    @property
    def row_splits_dtype(self) -> str | None:
        """The dtype of the offsets of a ragged tensor's rows."""
        return self._kind.row_splits_dtype

    def reshape(self, newshape: Any) -> SymbolicTensor:
        from unidl import ops

        return ops.reshape(self, newshape)

    def squeeze(self, axis: Any = None) -> SymbolicTensor:
        from unidl import ops

        return ops.squeeze(self, axis)

    @property
    def T(self) -> SymbolicTensor:
        from unidl import ops

        return ops.transpose(self)

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"<SymbolicTensor shape={self.shape}, dtype={self.dtype}{name}>"

    def _no_value(self, what: str) -> UntraceableError:
        return UntraceableError(
            f"{what} needs the value of {self!r}, which has none: it is recorded, not computed. "
            "Use unidl.ops (ops.where, ops.cond) in place of Python control flow on values, or "
            "run with run_eagerly=True."
        )

    def __bool__(self) -> bool:
        raise self._no_value("bool()")

    def __float__(self) -> float:
        raise self._no_value("float()")

    def __int__(self) -> int:
        raise self._no_value("int()")

    __index__ = __int__

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._no_value("Conversion to a NumPy array")

    def __getitem__(self, key: Any) -> SymbolicTensor:
        from unidl import ops

        return ops.getitem(self, key)

    def __len__(self) -> int:
        if not self.shape or self.shape[0] is None:
            raise self._no_value("len()")
        return self.shape[0]

    def __iter__(self) -> Iterator[SymbolicTensor]:
        if not self.shape or self.shape[0] is None:
            raise self._no_value("Iteration over the first axis")
        return (self[i] for i in range(self.shape[0]))


def _add_operators() -> None:
    def method(op: str, reflected: bool = False) -> Any:
        def apply(self: Any, *other: Any) -> Any:
            from unidl import ops

            return getattr(ops, op)(*(other + (self,) if reflected else (self, *other)))

        return apply

    binary = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
        "floordiv": "floor_divide", "mod": "mod", "matmul": "matmul", "and": "logical_and",
        "or": "logical_or", "xor": "logical_xor",
    }  # fmt: skip
    plain = {
        "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "ne": "not_equal",
        "neg": "negative", "abs": "absolute", "invert": "logical_not",
    }  # fmt: skip
    for python, op in binary.items():
        setattr(SymbolicTensor, f"__{python}__", method(op))
        setattr(SymbolicTensor, f"__r{python}__", method(op, reflected=True))
    for python, op in plain.items():
        setattr(SymbolicTensor, f"__{python}__", method(op))


_add_operators()


class Dim:
    """The size of an unknown dimension, as `ops.shape` gives it while recording.

    It may be used where ops take sizes (``ops.reshape(x, (ops.shape(x)[0], -1))``) and in integer
    arithmetic; replay computes it from the real tensor.
    """

    __slots__ = ("args", "kind")

    def __init__(self, kind: str, *args: Any) -> None:
        self.kind = kind  # "size" (symbolic tensor, axis), or the name of a function of `operator`
        self.args = args

    def __neg__(self) -> Dim:
        return Dim("mul", self, -1)

    def substitute(self, mapping: Any) -> Any:
        """This expression with each symbolic tensor replaced by ``mapping(tensor)``."""
        if self.kind == "size":
            tensor = mapping(self.args[0])
            known = tensor.shape[self.args[1]]
            return Dim("size", tensor, self.args[1]) if known is None else known
        args = [a.substitute(mapping) if isinstance(a, Dim) else a for a in self.args]
        if any(isinstance(a, Dim) for a in args):
            return Dim(self.kind, *args)
        return getattr(operator, self.kind)(*args)

    def tensors(self) -> Iterator[SymbolicTensor]:
        for arg in self.args:
            if isinstance(arg, SymbolicTensor):
                yield arg
            elif isinstance(arg, Dim):
                yield from arg.tensors()

    def __repr__(self) -> str:
        return f"Dim({self.kind}, {', '.join(map(repr, self.args))})"

    def __bool__(self) -> bool:
        raise UntraceableError("Python control flow on an unknown dimension: its size is not known while recording.")

    def __index__(self) -> int:
        raise UntraceableError("An unknown dimension was used as a plain int: its size is not known while recording.")

    __int__ = __index__


def _add_dim_arithmetic() -> None:
    for name in ("add", "sub", "mul", "floordiv", "mod"):

        def method(self: Dim, other: Any, name: str = name) -> Any:
            return Dim(name, self, other) if isinstance(other, (int, Dim)) else NotImplemented

        def reflected(self: Dim, other: Any, name: str = name) -> Any:
            return Dim(name, other, self) if isinstance(other, int) else NotImplemented

        setattr(Dim, f"__{name}__", method)
        setattr(Dim, f"__r{name}__", reflected)


_add_dim_arithmetic()


class Node:
    """One op in a graph.

    Attributes:
        op: the declaration.
        args: the op's arguments in declared order; tensors are symbolic, the rest are plain.
        outputs: one symbolic tensor for each output.
        path: the layer in whose call it was recorded, ``"model/dense"``.
        inner: for a composite, the graph of its decomposition.
        multiple: whether the op returns a tuple (else the only output itself).
    """

    __slots__ = ("args", "inner", "multiple", "op", "outputs", "path")

    def __init__(self, op: Op, args: tuple[Any, ...], specs: Any, path: str, inner: Graph | None = None) -> None:
        self.op = op
        self.args = args
        self.path = path
        self.inner = inner
        self.multiple = not isinstance(specs, TensorSpec)
        self.outputs: list[SymbolicTensor] = []
        for index, spec in enumerate(specs if self.multiple else (specs,)):
            tensor = SymbolicTensor(spec.shape, spec.dtype)
            tensor.node, tensor.index = self, index
            self.outputs.append(tensor)

    @property
    def result(self) -> Any:
        return tuple(self.outputs) if self.multiple else self.outputs[0]

    def inputs(self) -> Iterator[SymbolicTensor]:
        """The symbolic tensors among the arguments, those in sizes included."""
        return symbols(self.args)

    def attributes(self) -> dict[str, Any]:
        """The arguments that hold no tensor, by name."""
        return {
            name: value
            for name, value in zip(self.op.parameters, self.args, strict=True)
            if next(symbols(value), None) is None and name not in self.op.tensor_parameters
        }

    def __repr__(self) -> str:
        return f"<Node {self.op.name} at {self.path or 'top'}>"


class LayerNode:
    """A layer called on symbolic tensors outside a trace: an edge of a functional model."""

    __slots__ = ("args", "kwargs", "layer", "outputs", "result")

    def __init__(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        from unidl import tree

        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.result = result
        self.outputs: list[SymbolicTensor] = tree.flatten(result)
        for index, tensor in enumerate(self.outputs):
            tensor.node, tensor.index = self, index

    def inputs(self) -> Iterator[SymbolicTensor]:
        yield from symbols(self.args)
        yield from symbols(self.kwargs)


def symbols(value: Any) -> Iterator[SymbolicTensor]:
    """Every symbolic tensor inside nested tuples, lists, dicts, slices and sizes."""
    kind = type(value)
    if kind is SymbolicTensor:
        yield value
    elif issubclass(kind, (tuple, list)):
        for item in value:
            yield from symbols(item)
    elif kind is dict:
        for item in value.values():
            yield from symbols(item)
    elif kind is Dim:
        yield from value.tensors()
    elif kind is slice:
        yield from symbols((value.start, value.stop, value.step))


def like(sequence: Any, items: list[Any]) -> Any:
    """A list, tuple or named tuple of the type of `sequence` with other items."""
    kind = type(sequence)
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def substitute(value: Any, mapping: Any) -> Any:
    """`value` with each symbolic tensor inside replaced by ``mapping(tensor)``."""
    kind = type(value)
    if kind is SymbolicTensor:
        return mapping(value)
    if issubclass(kind, (tuple, list)):
        return like(value, [substitute(v, mapping) for v in value])
    if kind is dict:
        return {k: substitute(v, mapping) for k, v in value.items()}
    if kind is Dim:
        return value.substitute(mapping)
    if kind is slice:
        return slice(*substitute((value.start, value.stop, value.step), mapping))
    return value
