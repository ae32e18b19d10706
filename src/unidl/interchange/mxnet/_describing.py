"""What is in MXNet's files, for `unidl.saving.inspecting`: without the values, without MXNet and without onnx."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from unidl.interchange.mxnet._params import listing
from unidl.interchange.mxnet._symbol import read_symbol
from unidl.saving.inspecting import Array, Contents, insert


def arrays(path: Path) -> Contents:
    """A ``.params`` file."""
    found = Contents("arrays of MXNet")
    for name, stored in listing(path).items():
        insert(found.tree, [name], Array(stored.shape, stored.dtype or "empty", stored.nbytes))
    return found


def symbol(path: Path) -> Contents:
    """A ``-symbol.json`` file: its operators, variables and outputs; arrays are in the other file."""
    graph = read_symbol(path)
    found = Contents("symbol of MXNet")
    operators = Counter(n.op for n in graph.nodes if n.op != "null")
    found.facts["operators"] = ", ".join(f"{count} {op}" for op, count in operators.most_common())
    found.facts["variables"] = ", ".join(n.name for n in graph.variables())
    found.facts["outputs"] = ", ".join(n.name for n, _ in graph.outputs)
    return found
