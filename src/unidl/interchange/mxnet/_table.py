"""The table: MXNet operator → ONNX nodes.

An entry takes a `Call` (the node's attributes, and the writer) and the node's inputs as values, and returns the output,
or a list of the outputs. What ONNX has no operator for is written as a node of the domain "mxnet", whose meaning in
terms of unidl's ops is in the table of `unidl.interchange.onnx.importing`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.interchange.mxnet._attributes import parse
from unidl.interchange.mxnet._errors import MxnetError
from unidl.interchange.mxnet._params import DTYPES
from unidl.interchange.mxnet._symbol import MxNode
from unidl.interchange.mxnet._writer import DOMAIN, Value, Writer
from unidl.interchange.onnx.importing._table import register_op as register_onnx_op

Entry = Callable[..., Any]

TABLE: dict[str, Entry] = {}

#: Operators that give a tensor of the shape of their first input.
KEEPS_SHAPE: set[str] = set()

#: Operators that users added: written as nodes of the domain "mxnet".
ADDED: set[str] = set()


def operator(names: str, *, keeps_shape: bool = False, **fixed: Any) -> Callable[[Entry], Entry]:
    """Declare the entry of one operator, or of several (names with blanks between).

    Args:
        keeps_shape: whether they give a tensor of the shape of their first input, whatever their attributes are.
        fixed: further arguments of the entry for these.
    """

    def declare(function: Entry) -> Entry:
        def entry(call: Call, *inputs: Value) -> Any:
            return function(call, *inputs, **fixed)

        for name in names.split():
            TABLE[name] = entry if fixed else function
            if keeps_shape:
                KEEPS_SHAPE.add(name)
        return function

    return declare


class Call:
    """One node being written.

    Attributes:
        w: the writer.
        numpy: whether the symbol has NumPy's shapes (a sum over everything has no dimension, else one of size 1).
        array: the function that gives an array of the file that no input names (old files leave some out).
    """

    def __init__(self, node: MxNode, w: Writer, numpy: bool, array: Callable[[str], Value | None]) -> None:
        self.node, self.w, self.numpy, self.array = node, w, numpy, array

    @property
    def own(self) -> bool:
        """Whether this is one of the operators of `mx.np` or `mx.npx`."""
        return self.node.op.startswith("_np")

    def error(self, what: str) -> MxnetError:
        return MxnetError(f"{self.node}: {what}.")

    # -- attributes -------------------------------------------------------------------------

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute as a Python value; `default` if it is not given, or None."""
        value = parse(self.node.attributes.get(name))
        return default if value is None else value

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self.get(name, default))

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer.

        Raises:
            MxnetError: if there is none and no default, or it is something else.
        """
        value = self.get(name, default)
        if isinstance(value, tuple) and len(value) == 1:
            (value,) = value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int):
            raise self.error(f"attribute {name!r} is {value!r}, and an integer is expected")
        return int(value)

    def real(self, name: str, default: float | None = None) -> float:
        value = self.get(name, default)
        if not isinstance(value, (int, float)):
            raise self.error(f"attribute {name!r} is {value!r}, and a number is expected")
        return float(value)

    def ints(self, name: str, default: Any = None, length: int | None = None) -> tuple[int, ...]:
        """A tuple of integers; one integer alone is such a tuple."""
        value = self.get(name, default)
        value = (value,) if isinstance(value, int) else value
        if not isinstance(value, tuple) or not all(isinstance(v, int) for v in value):
            raise self.error(f"attribute {name!r} is {value!r}, and integers are expected")
        if length is not None and len(value) != length:
            raise self.error(f"attribute {name!r} is {value!r}, and {length} integers are expected")
        return tuple([int(v) for v in value])

    def choice(self, name: str, default: str, *known: str) -> str:
        """One of some words."""
        value = str(self.get(name, default))
        if value not in known:
            raise self.error(f"{name} {value!r} is not read; known are {', '.join(known)}")
        return value

    def dtype(self, default: str, name: str = "dtype") -> str:
        """The dtype that an attribute names."""
        value = self.get(name)
        if value is None or value == -1:
            return default
        value = DTYPES.get(value, value) if isinstance(value, int) else value
        if value not in DTYPES.values():
            raise self.error(f"dtype {value!r} is unknown")
        return str(value)

    # -- shapes -----------------------------------------------------------------------------

    def rank(self, x: Value) -> int:
        """The number of dimensions.

        Raises:
            MxnetError: if it is unknown.
        """
        return len(self.shape(x))

    def shape(self, x: Value) -> tuple[int | None, ...]:
        if x.shape is None:
            raise self.error("the rank of what it reads is unknown: give the `shapes` of all inputs")
        return x.shape

    def known(self, x: Value, axis: int, why: str) -> int:
        """The size of an axis that has to be known."""
        size = self.shape(x)[axis]
        if size is None:
            raise self.error(f"{why} needs the size of axis {axis}, which is unknown: give the inputs' `shapes`")
        return size

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front."""
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} does not fit {rank} dimensions")
        return axis % rank


def register_op(name: str, function: Any = None) -> Any:
    """Say how an operator of MXNet is computed: one that unidl lacks, or a custom one.

    Args:
        name: of the operator, as in the symbol's ``"op"``; for ``Custom`` its `op_type`.
        function: called with a call and the node's inputs (tensors, or NumPy arrays for constants); it returns the
            output, or a tuple of them, in terms of `unidl.ops`. `call.get(name, default)` gives an attribute, as the
            number, bool or tuple that it spells. Without it, `register_op` is a decorator.

    Example:
        >>> from unidl import mxnet, ops
        >>> @mxnet.register_op("my_scale")
        ... def scale(call, x):
        ...     return ops.multiply(x, call.get("factor", 1.0))
    """

    def declare(function: Any) -> Any:
        ADDED.add(name)
        register_onnx_op(name, function, domain=DOMAIN)
        return function

    return declare if function is None else declare(function)
