"""What became of each tensor of a file."""

from __future__ import annotations

import io
from typing import Any


class Report:
    """How the tensors of a ``state_dict`` were matched with a model. Printing it shows tables.

    Attributes:
        matched: (name of the variable, name in the file) pairs; of a part of a tensor, "name[rows]".
        lacking: names and shapes of variables for which the file has nothing.
        unused: names and shapes of tensors that no variable took.
    """

    def __init__(
        self, matched: list[tuple[str, str]], lacking: list[tuple[str, Any]], unused: list[tuple[str, Any]]
    ) -> None:
        self.matched, self.lacking, self.unused = matched, lacking, unused

    @property
    def complete(self) -> bool:
        """Whether every variable has its tensor, and every tensor its variable."""
        return not self.lacking and not self.unused

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        tables = []
        for title, names, rows in (
            (f"{len(self.matched)} variables matched", ("in the model", "in the file"), self.matched),
            ("in the model, not in the file", ("variable", "shape"), self.lacking),
            ("in the file, not in the model", ("tensor", "shape"), self.unused),
        ):
            if rows:
                table = Table(*names, title=title, title_justify="left")
                for row in rows:
                    table.add_row(*map(str, row))
                tables.append(table)
        return Group(*tables)

    def __str__(self) -> str:
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=120).print(self.__rich__())
        return text.getvalue()

    def __repr__(self) -> str:
        return f"<Report: {len(self.matched)} matched, {len(self.lacking)} lacking, {len(self.unused)} unused>"


class StateDictMismatchError(ValueError):
    """A ``state_dict`` of another architecture.

    Attributes:
        report: the `Report`.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report
