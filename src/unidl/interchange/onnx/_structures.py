"""A model read from an ONNX file, as plain checked Python: what the rest of the importer works on.

Nothing of protobuf is left: attributes are numbers, strings, NumPy arrays and graphs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class OnnxError(ValueError):
    """An ONNX model cannot be read or run: says what is wrong, where, and what would help."""


class DataDependentError(OnnxError):
    """A value that decides about shapes or structure is only known when the model runs."""


@dataclass(frozen=True)
class ValueType:
    """The declared type of an input or output.

    Attributes:
        name: of the value.
        kind: "tensor", "sparse_tensor", "sequence", "optional", "map", or "" if the file does not say.
        dtype: name of the elements' dtype ("string" for text; of a map's values), "" if the file does not say.
        shape: sizes, names of unknown sizes, None for others; None altogether if the rank is unknown.
    """

    name: str
    kind: str = ""
    dtype: str = ""
    shape: tuple[int | str | None, ...] | None = None


@dataclass
class Node:
    """One operator call.

    Attributes:
        op, domain: which operator; the standard's domain is "".
        name: the node's own, or one made of the operator and its first output.
        inputs, outputs: names of values; "" for an optional one that is left out.
        attributes: by name; a `Reference` stands for an attribute of the surrounding function.
        overload: tells functions of one name apart.
    """

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    overload: str = ""

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.domain + '.' if self.domain else ''}{self.op})"

    def bodies(self) -> Iterator[Graph]:
        """The graphs among the attributes."""
        for value in self.attributes.values():
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, Graph):
                    yield item

    def reads(self) -> set[str]:
        """Names of the values that it reads: its inputs, and what its graphs read from around them."""
        return {n for n in self.inputs if n}.union(*(body.outer for body in self.bodies()))


@dataclass(frozen=True)
class Reference:
    """In a function's node: the value of the function's attribute `name`."""

    name: str


@dataclass
class Graph:
    """Nodes in an order in which they can run.

    Attributes:
        constants: initializers by name.
        outer: names that the nodes, or the outputs, read from the graph around this one.
    """

    name: str
    nodes: list[Node]
    inputs: list[ValueType]
    outputs: list[ValueType]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    outer: frozenset[str] = frozenset()


@dataclass
class Function:
    """An operator that the model itself defines.

    Attributes:
        attributes: names of those that calls may give; with a default value, or None if there is none.
        opsets: the versions of the domains that its nodes are of.
    """

    name: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    nodes: list[Node]
    opsets: dict[str, int]


@dataclass
class Model:
    """A whole file.

    Attributes:
        opsets: version of each domain.
        functions: by (domain, name, overload).
        producer: the tool that wrote the file, with its version.
        source: where it came from, for messages.
    """

    graph: Graph
    opsets: dict[str, int]
    functions: dict[tuple[str, str, str], Function]
    producer: str
    source: str
