"""The table: ONNX operator → function of unidl ops, for each version that means something else.

An entry takes a `Call` (the node's attributes, and what else it may ask) and the node's inputs, None for those left
out, and returns the outputs: one value, or a tuple. Values are

* tensors of the active engine, or symbolic ones;
* NumPy arrays, "on the host": initializers, shapes, and what follows from them. Sizes that are unknown while
  recording are `Dim` objects in such arrays. Element types that the engine lacks (text, float8, int4) stay here too;
* lists: sequences; and None: an empty optional.

`call.ops` is `unidl.ops`, or NumPy under the same names (`_host`) if all inputs are on the host and the entry is
declared ``host=True``. So arithmetic on shapes is done exactly and at once, by the same entry as that on tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from unidl.interchange.onnx._structures import Node

Handler = Callable[..., Any]


@dataclass(frozen=True)
class Entry:
    """One operator from one version on.

    Attributes:
        since: the first opset of its domain in which it means this.
        function: of a `Call` and the inputs.
        host: whether it may be computed with NumPy if all inputs are on the host.
        apart: whether a node of it is a layer of its own in a `Model`: it runs graphs that are attributes, makes a loop
            of unidl's (whose step has no plain form), or gives what depends on values or chance.
        shape_from: the place of the input that says the result's shape, if one does: its length is the rank then.
        result: of the node and the shapes of its inputs, the shape of its output: for operators whose work depends
            on values, but not what comes of it.
    """

    since: int
    function: Handler
    host: bool = False
    apart: bool = False
    shape_from: int | None = None
    result: Callable[[Node, Sequence[Any]], tuple[Any, ...]] | None = None


#: (domain, operator) to its entries, the newest version first.
TABLE: dict[tuple[str, str], list[Entry]] = {}

#: What users added with `register_op`: looked up before the table.
ADDED: dict[tuple[str, str], list[Entry]] = {}

MICROSOFT = "com.microsoft"
ML = "ai.onnx.ml"


def operator(names: str, since: int = 1, *, domain: str = "", **properties: Any) -> Any:
    """Declare the entry of one operator, or of several (names with blanks between), from version `since` on.

    Args:
        properties: what else an `Entry` says: `host`, `apart`, `shape_from`, `result`.
    """

    def declare(function: Handler) -> Handler:
        for name in names.split():
            put(TABLE, name, domain, Entry(since, function, **properties))
        return function

    return declare


def put(table: dict[tuple[str, str], list[Entry]], name: str, domain: str, entry: Entry) -> None:
    """Put in an entry, in place of one for the same version."""
    entries = [e for e in table.get((domain, name), []) if e.since != entry.since]
    table[domain, name] = sorted([*entries, entry], key=lambda e: -e.since)


def find(name: str, domain: str, version: int) -> Entry | None:
    """The entry of an operator in an opset; None if there is none."""
    for table in (ADDED, TABLE):
        for entry in table.get((domain, name), ()):
            if entry.since <= version:
                return entry
    return None


def register_op(name: str, function: Handler | None = None, *, domain: str = "", since: int = 1) -> Any:
    """Say how an ONNX operator is computed: one that unidl lacks, a custom one, or in place of unidl's.

    Args:
        name: of the operator, e.g. "GridSample".
        function: called with a `Call` and the node's inputs (tensors, or NumPy arrays for constants and shapes; None
            for inputs left out); it returns the output, or a tuple of them. `call.get(name, default)` gives an
            attribute. Without it, `register_op` is a decorator.
        domain: the operator's domain; "" is the standard's.
        since: the first version of the domain's opset for which it holds.

    Example:
        >>> from unidl import onnx, ops
        >>> @onnx.register_op("Scale", domain="my.domain")
        ... def scale(call, x):
        ...     return ops.multiply(x, call.get("factor", 1.0))
    """

    def declare(function: Handler) -> Handler:
        put(ADDED, name, domain if domain != "ai.onnx" else "", Entry(since, function))
        return function

    return declare if function is None else declare(function)
