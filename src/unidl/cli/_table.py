"""Tables on the terminal, and as plain columns where the output goes elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool]) -> None:
    """Print `rows`; on a terminal those that are `marked` in red."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*headings)
        for row, red in zip(rows, marked, strict=True):
            table.add_row(*map(Text, row), style="red" if red else None)
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows)]
    for row in (headings, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
