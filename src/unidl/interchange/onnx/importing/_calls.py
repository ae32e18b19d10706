"""`Call`: what an entry of the table is told about the node it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl import ops
from unidl.dtypes import is_float
from unidl.errors import UntraceableError
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._structures import Node, OnnxError
from unidl.interchange.onnx.importing import _host, _values
from unidl.interchange.onnx.importing._table import Entry

_REQUIRED = object()


class Call:
    """One computation of a node.

    Attributes:
        node: the node.
        version: the opset of its domain.
        ops: `unidl.ops`, or NumPy under the same names if the inputs are on the host.
    """

    def __init__(self, node: Node, version: int, run_body: Callable[..., list[Any]] | None = None) -> None:
        self.node = node
        self.version = version
        self.ops: Any = ops
        self._run_body = run_body

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute `name`, or `default` if the node has none."""
        return self.node.attributes.get(name, default)

    def need(self, name: str) -> Any:
        """The attribute `name`.

        Raises:
            OnnxError: if the node lacks it.
        """
        value = self.node.attributes.get(name, _REQUIRED)
        if value is _REQUIRED:
            raise self.error(f"the attribute {name!r} is missing")
        return value

    def has(self, name: str) -> bool:
        return name in self.node.attributes

    def wants(self, index: int) -> bool:
        """Whether anything reads output `index`."""
        return index < len(self.node.outputs) and self.node.outputs[index] != ""

    def error(self, message: str) -> OnnxError:
        return OnnxError(f"{self.node}: {message}.")

    def array(self, value: Any, what: str) -> np.ndarray:
        """An input as an array on the host; `what` it is, for the message if it is symbolic."""
        return _values.on_host(value, f"{self.node}: {what}")

    def integers(self, value: Any, what: str) -> list[Any]:
        """An input as a list of ints and unknown sizes."""
        return _values.integers(value, f"{self.node}: {what}")

    def number(self, value: Any, what: str) -> Any:
        """An input of one element as a Python number."""
        array = self.array(value, what)
        if array.size != 1:
            raise self.error(f"{what} must be one number, but has the shape {list(array.shape)}")
        return array.reshape(()).item()

    def room(self, shape: Any) -> tuple[Any, ...]:
        """`shape`, refused if it is absurd."""
        return _values.room(shape, str(self.node))

    def axis(self, value: Any, rank: int, what: str = "axis") -> int:
        """An axis, counted from the front.

        Raises:
            OnnxError: if the tensor lacks it.
        """
        if not -rank <= value < max(rank, 1):
            raise self.error(f"{what} {value} is out of range for {rank} dimensions")
        return int(value) % max(rank, 1)

    def body(self, name: str) -> Callable[[list[Any]], list[Any]]:
        """The graph that is attribute `name`, as a function of its inputs."""
        graph = self.need(name)
        run = self._run_body
        assert run is not None
        return lambda inputs: run(graph, inputs)

    def compute(self, entry: Entry, inputs: list[Any]) -> list[Any]:
        """The outputs of the node."""
        if entry.host and all(v is None or _values.is_host(v) for v in inputs):
            try:
                return self._on_host(entry, inputs)
            except (TypeError, UntraceableError):
                if not any(_values.has_sizes(v) for v in inputs):
                    raise
            self.ops = ops  # NumPy cannot do with sizes that are unknown what this asks for
        floats = {d for d in (_values.dtype_of(v) for v in inputs if hasattr(v, "dtype")) if is_float(d)}
        narrow = floats & _values.wide_only()
        one_dtype = len(narrow) == 1 and (narrow == floats or not entry.host)
        if one_dtype and not self.has("dtype") and not any(self.node.bodies()):
            return self._widened(entry, inputs, narrow.pop())
        try:
            return _listed(entry.function(self, *inputs))
        except Exception:
            if not entry.host or not all(v is None or _values.is_integer(v) for v in inputs):
                raise
        # The engine has the integers, but not the kernel: NumPy has all of them.
        return self._on_host(entry, [None if v is None else _values.on_host(v) for v in inputs])

    def _on_host(self, entry: Entry, inputs: list[Any]) -> list[Any]:
        self.ops = _host
        with np.errstate(all="ignore"):
            return _listed(entry.function(self, *inputs))

    def _widened(self, entry: Entry, inputs: list[Any], dtype: str) -> list[Any]:
        """Computed in float32 for a float dtype that the engine lacks, and given in that dtype again."""

        def exchanged(value: Any, one: str, other: str) -> Any:
            if isinstance(value, list):
                return [exchanged(v, one, other) for v in value]
            if value is None or _values.dtype_of(value) != one:
                return value
            return _values.on_host(value).astype(_host.np_dtype(other))

        wide = [exchanged(v, dtype, "float32") for v in inputs]
        return [exchanged(v, "float32", dtype) for v in _listed(entry.function(self, *wide))]


def _listed(result: Any) -> list[Any]:
    results = list(result) if isinstance(result, tuple) else [result]
    return [_value(r) for r in results]


def _value(result: Any) -> Any:
    """NumPy gives scalars, and what is in an array of objects, in place of arrays without dimensions."""
    if isinstance(result, Dim):
        return _values.sizes([result]).reshape(())
    if _values.is_host(result) and result.dtype == object and all(type(v) is int for v in result.flat):
        return result.astype(np.int64)  # sizes of which none is unknown any more
    return np.asarray(result) if isinstance(result, (np.generic, int, float, bool)) else result
