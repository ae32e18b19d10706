"""`model.summary()`: a table of layers with shapes and numbers of parameters."""

from __future__ import annotations

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
) -> None:
    """Print the layers of `model` with output shapes and numbers of parameters.

    On a terminal this is a table with colours; in a file, a pipe, or with `print_fn`, plain text. A shape that is not
    known yet (a model that has not seen data) is shown as ``?``.

    Args:
        line_length: width of the table in characters; None: what the contents need (plain), or the terminal's width.
        print_fn: called once with the whole text instead of printing it.
        expand_nested: show the layers of models inside the model.
        show_trainable: add a column that says whether training changes the layer.
    """
    header, rows = table_of(model, expand_nested, show_trainable)
    totals = totals_of(model)
    title = f"Model: {model.name} ({type(model).__name__})"
    if print_fn is None and sys.stdout.isatty():
        _print_rich(title, header, rows, totals, line_length)
        return
    text = "\n".join([title, *_plain(header, rows, line_length), *totals])
    (print_fn or print)(text)


def table_of(model: Any, expand_nested: bool, show_trainable: bool) -> tuple[list[str], list[list[str]]]:
    """The headings and the cells."""
    found = items(model, expand_nested)
    connected = not is_chain(model)
    header = ["Layer (type)", "Output shape", "Params"]
    header += ["Trainable"] * show_trainable + ["Connected to"] * connected
    rows = []
    for item in found:
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


def _plain(header: list[str], rows: list[list[str]], line_length: int | None) -> list[str]:
    """The table in plain text; columns are cut so that lines fit in `line_length`."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    if line_length is not None:
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
