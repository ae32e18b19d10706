"""`model.summary()`: a table of layers with shapes and numbers of parameters."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from unidl.viz.structure import Item, element_count, is_chain, is_model, items, parameter_count, shape_text


def print_summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
    positions: Any = None,
) -> None:
    """Print the layers of `model` with output shapes and numbers of parameters.

    On a terminal this is a table with colours; in a file, a pipe, or with `print_fn`, plain text. A shape that is not
    known yet (a model that has not seen data) is shown as ``?``.

    Args:
        line_length: width of the table in characters; None: what the contents need (plain), or the terminal's width.
        print_fn: called once with the whole text instead of printing it.
        expand_nested: show the layers of models inside the model.
        show_trainable: add a column that says whether training changes the layer.
        layer_range: names (or regular expressions for them) of the first and the last layer to show.
        positions: where the columns end: in characters, or as parts of the line if none is above 1.

    Raises:
        ValueError: if `layer_range` fits no layer, or `positions` do not rise.
    """
    header, rows = table_of(model, expand_nested, show_trainable, layer_range)
    totals = totals_of(model)
    title = f"Model: {model.name} ({type(model).__name__})"
    if print_fn is None and positions is None and sys.stdout.isatty():
        _print_rich(title, header, rows, totals, line_length)
        return
    text = "\n".join([title, *_plain(header, rows, line_length, positions), *totals])
    (print_fn or print)(text)


def table_of(
    model: Any, expand_nested: bool, show_trainable: bool, layer_range: Any = None
) -> tuple[list[str], list[list[str]]]:
    """The headings and the cells."""
    found = items(model, expand_nested)
    first, last = (0, len(found)) if layer_range is None else _range(layer_range, [i.name for i in found])
    connected = not is_chain(model)
    header = ["Layer (type)", "Output shape", "Params"]
    header += ["Trainable"] * show_trainable + ["Connected to"] * connected
    rows = []
    for item in found[first:last]:
        count = parameter_count(item.layer)
        row = [
            "  " * item.depth + f"{item.name} ({item.kind})"
            if item.layer is not None
            else "  " * item.depth + item.name,
            shape_text(item.shape),
            "not built" if count is None else f"{count:,}",
        ]
        if show_trainable:
            row.append(_trainable(item))
        if connected:
            row.append(", ".join(found[p].name for p in item.parents))
        rows.append(row)
    return header, rows


def _range(layer_range: Any, names: list[str]) -> tuple[int, int]:
    """The places of the first layer and behind the last one."""
    if not isinstance(layer_range, (list, tuple)) or len(layer_range) != 2:
        raise ValueError(f"`layer_range` must be a list of two names of layers, not {layer_range!r}.")
    places = []
    for wanted in layer_range:
        fitting = [i for i, name in enumerate(names) if name == wanted] or [
            i for i, name in enumerate(names) if re.match(wanted, name)
        ]
        if not fitting:
            raise ValueError(f"`layer_range`: no layer is named {wanted!r}; there are {names}.")
        places.append(fitting)
    first, last = sorted((min(places[0]), max(places[1])))
    return first, last + 1


def _trainable(item: Item) -> str:
    if item.layer is None or not item.layer.weights:
        return "-"
    return "yes" if item.layer.trainable else "no"


def totals_of(model: Any) -> list[str]:
    """The lines under the table."""
    if not model.built and not model.weights:
        return ["Not built yet: call the model on data, or build(input_shape), to make its weights."]
    trainable, fixed = model.trainable_variables, model.non_trainable_variables
    lines = [
        _total("Total params", [*trainable, *fixed]),
        _total("Trainable params", trainable),
        _total("Non-trainable params", fixed),
    ]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and getattr(optimizer, "built", False):
        lines.append(_total("Optimizer params", optimizer.variables))
    if not model.built or any(parameter_count(i.layer) is None for i in items(model, True) if not is_model(i.layer)):
        lines.append("Some layers are not built yet: their weights are not counted.")
    return lines


def _total(what: str, variables: Any) -> str:
    from unidl.backend import active
    from unidl.graph.analysis import dtype_bytes, readable_bytes

    total = sum(element_count([v]) * dtype_bytes(active.dtype(v)) for v in variables)
    return f"{what}: {element_count(variables):,} ({readable_bytes(total)})"


def _plain(header: list[str], rows: list[list[str]], line_length: int | None, positions: Any = None) -> list[str]:
    """The table in plain text; columns are cut so that lines fit in `line_length`, or end at `positions`."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    if positions is not None:
        whole = 98 if line_length is None else line_length
        ends = [round(p * whole) if max(positions) <= 1 else int(p) for p in positions][: len(widths)]
        for place, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            if end <= start:
                raise ValueError(f"`positions` of the columns must rise, not {positions!r}.")
            widths[place] = max(end - start - 2, 1)
    elif line_length is not None:
        spare = line_length - 2 * (len(widths) - 1)
        while sum(widths) > spare and max(widths) > 8:
            widths[widths.index(max(widths))] -= 1
        widths[-1] += max(spare - sum(widths), 0)

    def line(cells: list[str]) -> str:
        fitted = []
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            cell = cell if len(cell) <= width else cell[: width - 1] + "…"
            fitted.append(cell.rjust(width) if place == 2 else cell.ljust(width))
        return "  ".join(fitted).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [rule, line(header), rule, *(line(row) for row in rows), rule]


def _print_rich(
    title: str, header: list[str], rows: list[list[str]], totals: list[str], line_length: int | None
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for place, name in enumerate(header):
        right = place == 2
        table.add_column(name, justify="right" if right else "left", style="green" if right else None, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console = Console(width=line_length)
    console.print(table)
    for line in totals:
        console.print(escape(line), highlight=False)
