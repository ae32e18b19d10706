"""A model as a graph in the DOT language of Graphviz."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from unidl.viz.graph import _FILL, _family, _linked, _text
from unidl.viz.structure import items


class Dot:
    """A graph in the DOT language.

    Attributes:
        source: its text.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def to_string(self) -> str:
        """The text."""
        return self.source

    __str__ = to_string

    def write(self, path: Any, format: str = "raw") -> None:
        """Write the text, or for another `format` (png, svg, pdf …) what Graphviz draws of it."""
        data = self.source.encode() if format == "raw" else self.create(format=format)
        with open(path, "wb") as file:
            file.write(data)

    def create(self, prog: str = "dot", format: str = "svg") -> bytes:
        """The picture that a program of Graphviz draws.

        Raises:
            RuntimeError: if the program is not installed or fails.
        """
        if shutil.which(prog) is None:
            raise RuntimeError(
                f"The program {prog!r} of Graphviz is not installed (https://graphviz.org/download). "
                "unidl.utils.plot_model draws without it."
            )
        done = subprocess.run([prog, f"-T{format}"], input=self.source.encode(), capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{prog} failed: {done.stderr.decode(errors='replace')}")
        return done.stdout


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Dot:
    """The layers of `model` as a graph for Graphviz; nothing need be installed to make it.

    Args:
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, show_layer_activations, show_trainable:
            see `plot_model`.
        subgraph: make it a cluster, to be put into another graph.
        splines: how Graphviz draws arrows.

    Example:
        >>> import unidl
        >>> model = unidl.Sequential([unidl.Input((4,)), unidl.layers.Dense(2, name="out")])
        >>> "out (Dense)" in unidl.utils.model_to_dot(model).to_string()
        True
    """
    if kwargs:
        raise ValueError(f"model_to_dot does not take {sorted(kwargs)}.")
    found = _linked(items(model, expand_nested))
    if not found:
        raise ValueError(f"Model {model.name!r} has no layers to draw.")
    prefix = f"{model.name}/" if subgraph else ""
    head = f"subgraph {_quoted('cluster_' + model.name)}" if subgraph else f"digraph {_quoted(model.name)}"
    lines = [f"{head} {{"]
    if subgraph:
        lines.append(f"  label={_quoted(model.name)};")
    else:
        lines.append(f"  rankdir={rankdir}; splines={splines}; dpi={dpi}; concentrate=true;")
        lines.append('  node [shape=box, style="rounded,filled", fontname=monospace];')
    for index, item in enumerate(found):
        text = _text(item, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
        label = _quoted("\n".join(text)).replace("\n", "\\n")
        lines.append(f"  {_quoted(f'{prefix}{index}')} [label={label}, fillcolor={_quoted(_FILL[_family(item)])}];")
    for index, item in enumerate(found):
        lines += [f"  {_quoted(f'{prefix}{parent}')} -> {_quoted(f'{prefix}{index}')};" for parent in item.parents]
    return Dot("\n".join([*lines, "}"]))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
